package command

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/broker/frame"
	"yizhan/devices"
	"yizhan/devices/telemetry"
)

// Clock is the board's time.
type Clock interface {
	Mono() (frame.Boot, int64)
	Now() (time.Time, telemetry.Quality)
}

// Follower is told how far the cloud's commands come, as they do. It doesn't wait.
type Follower interface {
	Accepted(id, device, action string, args map[string]string) // the intent is on the card, the device is about to act
	Pulsed(id string)                                           // the device says that a lock may have been pulsed
	Ended(id string, o telemetry.Outcome)                       // of one that was accepted
}

// Config is what Commands are made of.
type Config struct {
	Disk   Disk
	Clock  Clock
	Accept devices.Emit // keeps the results

	// Device finds a device of this gateway; ok is false when there is none, and the commander nil when it takes no commands.
	Device func(id string) (c devices.Commander, ok bool)
	// Restart restarts a device's driver.
	Restart func(id string) bool
	// Ping says hello to the cloud.
	Ping   func()
	Follow Follower // nil: nobody
	Log    *slog.Logger
}

// The bounds of a command.
const (
	waiting   = 64               // commands that wait for their turn, at each driver
	actLimit  = 30 * time.Second // for a device to act
	tellPause = 5 * time.Second  // before a result that was refused is told again
	maxLease  = 10 * time.Minute
	maxID     = 60 // n is "cmd-" and the id, and at most 64
)

// Commands runs commands.
type Commands struct {
	cfg   Config
	book  *book
	queue chan job
	ended chan struct{} // closed when Run has ended
	owed  chan entry    // outcomes of local commands, to be told

	received, invalid, done, refused, unknown, replayed, dropped, conflicts atomic.Uint64

	mu      sync.Mutex // of book and running
	running map[string]bool
}

// A job is a command on its way to its driver.
type job struct {
	frame.Command
	until time.Time               // a local one is not begun later
	reply chan<- telemetry.Result // of capacity 1; nil: the cloud's, which is told as a reading
}

// New reads the log. What was under way when the gateway stopped has the outcome unknown. With a log that can't be read every command
// is refused.
func New(cfg Config) *Commands {
	b := openBook(cfg.Disk)
	if b.broken != nil {
		cfg.Log.Error("command log broken", "err", b.broken)
	}
	return &Commands{cfg: cfg, book: b, queue: make(chan job, waiting), ended: make(chan struct{}), owed: make(chan entry, waiting), running: map[string]bool{}}
}

// Counters returns the counters of the package comment.
func (c *Commands) Counters() map[string]uint64 {
	c.mu.Lock()
	damaged := c.book.damaged
	c.mu.Unlock()
	return map[string]uint64{
		"received": c.received.Load(), "invalid": c.invalid.Load(), "done": c.done.Load(), "refused": c.refused.Load(),
		"unknown": c.unknown.Load(), "replayed": c.replayed.Load(), "dropped": c.dropped.Load(), "conflicts": c.conflicts.Load(), "damaged": damaged,
	}
}

// Handle takes a command message. It doesn't wait.
func (c *Commands) Handle(payload []byte) {
	c.received.Add(1)
	var cmd frame.Command
	if err := json.Unmarshal(payload, &cmd); err != nil || !validID(cmd.ID) {
		c.invalid.Add(1)
		c.cfg.Log.Warn("command refused", "err", "no command: "+errText(err))
		return
	}
	if cmd.Action == "ping" {
		c.cfg.Ping()
		return
	}
	c.enqueue(c.queue, job{Command: cmd})
}

// enqueue lets a command wait, or drops it: the lease of one that waits longer would be over.
func (c *Commands) enqueue(queue chan<- job, j job) {
	select {
	case queue <- j:
	default:
		c.dropped.Add(1)
		c.cfg.Log.Warn("command dropped", "n", j.ID, "device", j.Device)
		j.answer(telemetry.Refused, "busy")
	}
}

// answer tells who waits at the locker.
func (j *job) answer(o telemetry.Outcome, detail string) {
	if j.reply != nil {
		j.reply <- telemetry.Result{Command: j.ID, Outcome: o, Detail: detail}
	}
}

// Local runs a command of the gateway itself and returns its outcome: in line with the cloud's to the same driver, with its intent
// written before the act and its outcome told as a reading, as theirs. It isn't begun more than within after now, nor ever
// a second time: the id must be new.
func (c *Commands) Local(id, device, action string, args map[string]string, within time.Duration) telemetry.Result {
	reply := make(chan telemetry.Result, 1)
	c.received.Add(1)
	c.enqueue(c.queue, job{Command: frame.Command{ID: id, Device: device, Action: action, Args: args}, until: time.Now().Add(within), reply: reply})
	select {
	case r := <-reply:
		return r
	case <-c.ended:
	}
	select {
	case r := <-reply:
		return r
	default: // it may have been under way
		return telemetry.Result{Command: id, Outcome: telemetry.OutcomeUnknown, Detail: "interrupted"}
	}
}

// Outcome is what became of a command that the log remembers; false when it knows none. One that was under way when the gateway stopped is
// unknown.
func (c *Commands) Outcome(id string) (telemetry.Result, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.book.byID[id]
	switch {
	case !ok:
		return telemetry.Result{}, false
	case e.Outcome == "":
		return telemetry.Result{Command: id, Outcome: telemetry.OutcomeUnknown, Detail: "interrupted"}, true
	}
	return telemetry.Result{Command: id, Outcome: e.Outcome, Detail: e.Detail}, true
}

func errText(err error) string {
	if err == nil {
		return "its id is not 1 to 60 printable characters"
	}
	return err.Error()
}

func validID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}

// Run runs commands until ctx ends, and tells what was left untold.
func (c *Commands) Run(ctx context.Context) error {
	defer close(c.ended)
	untold := c.resume()
	g, ctx := errgroup.WithContext(ctx)
	lanes := map[devices.Commander]chan job{}
	g.Go(func() error {
		work(ctx, c.queue, func(j job) {
			commander, _ := c.cfg.Device(j.Device)
			if commander == nil { // nothing that takes time
				c.handle(ctx, j)
				return
			}
			lane, there := lanes[commander]
			if !there {
				lane = make(chan job, waiting)
				lanes[commander] = lane
				g.Go(func() error {
					work(ctx, lane, func(j job) { c.handle(ctx, j) })
					return nil
				})
			}
			c.enqueue(lane, j)
		})
		return nil
	})
	g.Go(func() error { // no driver waits for the spool
		for _, e := range untold {
			c.tell(ctx, e)
		}
		work(ctx, c.owed, func(e entry) { c.tell(ctx, e) })
		return nil
	})
	return g.Wait()
}

// resume concludes what was under way when the gateway stopped, and returns what was left untold.
func (c *Commands) resume() (untold []entry) {
	for _, e := range c.book.order {
		if e.Outcome == "" {
			c.conclude(e, telemetry.OutcomeUnknown, "interrupted")
		}
		if !e.Told {
			untold = append(untold, *e)
		}
	}
	return untold
}

// work takes from a queue until ctx ends.
func work[T any](ctx context.Context, queue <-chan T, do func(T)) {
	for {
		select {
		case <-ctx.Done():
			return
		case v := <-queue:
			do(v)
		}
	}
}

// claim makes an id this command's. It is not free when it is known, or (known is nil then) under way elsewhere.
func (c *Commands) claim(e *entry) (known *entry, free bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.book.byID[e.ID]; ok {
		first := *old
		return &first, false
	}
	if c.running[e.ID] {
		return nil, false
	}
	c.running[e.ID] = true
	return nil, true
}

func (c *Commands) release(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, id)
}

func (c *Commands) handle(ctx context.Context, j job) {
	e := entry{ID: j.ID, Device: j.Device, Action: j.Action, Args: fingerprint(&j.Command)}
	first, free := c.claim(&e)
	if !free {
		if first == nil || first.Args != "" && first.Args != e.Args {
			c.conflicts.Add(1)
			c.cfg.Log.Warn("command id taken", "n", e.ID, "device", e.Device)
		}
		if first != nil {
			c.replayed.Add(1)
			c.owe(*first)
		}
		j.answer(telemetry.Refused, "repeated")
		return
	}
	defer c.release(j.ID)
	c.carryOut(ctx, j, e)
}

// carryOut runs a command whose id is new.
func (c *Commands) carryOut(ctx context.Context, j job, e entry) {
	if why := c.refuse(&j); why != "" {
		if !telemetry.ValidID(e.Device) {
			e.Device = "gateway"
		}
		c.finish(j, e, telemetry.Refused, why)
		return
	}
	commander, ok := c.cfg.Device(j.Device)
	switch {
	case !ok:
		c.finish(j, e, telemetry.Refused, "unknown_device")
		return
	case j.Action != "restart" && commander == nil:
		c.finish(j, e, telemetry.Refused, "not_commandable")
		return
	}
	if err := c.write(e); err != nil { // the act must not begin without it
		c.cfg.Log.Error("intent not written", "device", e.Device, "n", e.ID, "err", err)
		c.finish(j, e, telemetry.Refused, "not_written")
		return
	}
	if j.Action == "restart" {
		if !c.cfg.Restart(j.Device) { // one of many devices behind a driver
			c.finish(j, e, telemetry.Refused, "not_restartable")
			return
		}
		c.finish(j, e, telemetry.Done, "restarted")
		return
	}
	f := c.cfg.Follow
	if f == nil || j.reply != nil {
		f = nobody{}
	}
	f.Accepted(j.ID, j.Device, j.Action, j.Args)
	r := c.act(ctx, commander, &j.Command, func() { f.Pulsed(j.ID) })
	f.Ended(j.ID, r.Outcome)
	c.finish(j, e, r.Outcome, r.Detail)
}

// nobody follows nothing.
type nobody struct{}

func (nobody) Accepted(string, string, string, map[string]string) {}
func (nobody) Pulsed(string)                                      {}
func (nobody) Ended(string, telemetry.Outcome)                    {}

// refuse says why a command must not run; empty when it may.
func (c *Commands) refuse(cmd *job) string {
	if !telemetry.ValidID(cmd.Device) || cmd.Action == "" {
		return "invalid"
	}
	if cmd.reply != nil {
		if time.Now().After(cmd.until) {
			return "stale"
		}
		return ""
	}
	boot, now := c.cfg.Clock.Mono()
	lease := time.Duration(min(max(cmd.LeaseMS, 0), maxLease.Milliseconds())) * time.Millisecond
	switch age := now - cmd.MonoNS; {
	case cmd.Boot != boot:
		return "stale: another boot"
	case cmd.MonoNS < 0 || age < 0:
		return "stale: from the future"
	case age > int64(lease):
		return "stale"
	}
	return ""
}

// act lets the device act. A panic of the driver is an unknown outcome, for the pulse may be out.
func (c *Commands) act(ctx context.Context, d devices.Commander, cmd *frame.Command, pulsed func()) (r telemetry.Result) {
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			c.cfg.Log.Error("driver panic", "device", cmd.Device, "n", cmd.ID, "err", panicText(d, cmd.Action, v))
			r = telemetry.Result{Outcome: telemetry.OutcomeUnknown, Detail: "panic"}
		}
	}()
	r = d.Command(ctx, telemetry.CommandTo{ID: cmd.ID, Device: cmd.Device, Action: cmd.Action, Args: cmd.Args, Pulsed: pulsed})
	switch r.Outcome {
	case telemetry.Done, telemetry.Refused, telemetry.OutcomeUnknown:
	default:
		r.Outcome = telemetry.OutcomeUnknown
	}
	return r
}

// panicText is what a panic says, or only its type where it may say an argument that is a person's.
func panicText(d devices.Commander, action string, v any) string {
	if p, ok := d.(devices.Private); ok && p.Private(action) {
		return fmt.Sprintf("%T", v)
	}
	return fmt.Sprint(v)
}

// finish writes the outcome down, and has it told. Who waits at the locker is told first.
func (c *Commands) finish(j job, e entry, o telemetry.Outcome, detail string) {
	c.conclude(&e, o, detail)
	j.answer(o, detail)
	c.owe(e)
}

// conclude writes an outcome down.
func (c *Commands) conclude(e *entry, o telemetry.Outcome, detail string) {
	e.Outcome, e.Detail = o, detail
	switch o {
	case telemetry.Done:
		c.done.Add(1)
	case telemetry.Refused:
		c.refused.Add(1)
	default:
		c.unknown.Add(1)
	}
	c.cfg.Log.Info("command finished", "device", e.Device, "n", e.ID, "kind", string(o))
	if err := c.write(*e); err != nil {
		// The act is over and its outcome known: it is told now, and after a restart the log will say unknown, which is honest.
		c.cfg.Log.Error("outcome not written", "device", e.Device, "n", e.ID, "err", err)
		c.mu.Lock()
		c.book.put(*e)
		c.mu.Unlock()
	}
}

// owe has an outcome told. While the spool takes nothing for long, it is told after the next start.
func (c *Commands) owe(e entry) {
	select {
	case c.owed <- e:
	default:
		c.cfg.Log.Warn("result not kept", "device", e.Device, "n", e.ID)
	}
}

func (c *Commands) write(e entry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.book.write(e)
}

// tell hands the result on until it is kept or ctx ends.
func (c *Commands) tell(ctx context.Context, e entry) {
	r := c.result(&e)
	for !c.told(ctx, &e, r) && ctx.Err() == nil {
		t := time.NewTimer(tellPause)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}

// result is the reading that tells an outcome.
func (c *Commands) result(e *entry) telemetry.Reading {
	at, q := c.cfg.Clock.Now()
	r := telemetry.New(e.Device, at, q, telemetry.Result{Command: e.ID, Outcome: e.Outcome, Detail: e.Detail})
	r.N = "cmd-" + e.ID
	return r
}

// told tries once to hand a result on, and writes down that it is kept.
func (c *Commands) told(ctx context.Context, e *entry, r telemetry.Reading) bool {
	if err := c.cfg.Accept(ctx, r); err != nil {
		if ctx.Err() == nil {
			c.cfg.Log.Error("result not kept", "device", e.Device, "n", e.ID, "err", err)
		}
		return false
	}
	if ctx.Err() == nil && !e.Told {
		e.Told = true
		if err := c.write(*e); err != nil {
			c.cfg.Log.Debug("told not written", "n", e.ID, "err", err)
		}
	}
	return true
}
