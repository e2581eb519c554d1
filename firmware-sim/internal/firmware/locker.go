package firmware

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Locker is a parcel locker that speaks MQTT 3.1.1 itself, on the topics and in the fields of the Open-Locker project's
// contract: locker/{uid}/command, response, event, state/compartments, state/heartbeat, state/connection. It keeps
// what wasn't acknowledged and tries to connect for ever, as a Handheld does. A command opens a door once, however often it
// comes, and not after its deadline by the locker's clock.
type Locker struct {
	*Cabinet
	UID   string
	Clock func() time.Time // time.Now unless set
	Mute  bool             // fault: commands are obeyed and not answered
	Every time.Duration    // between heartbeats; 30s

	link  *Handheld
	boot  string
	began time.Time

	lock    sync.Mutex
	count   int
	results map[string]string // of transactions
	last    []compartment     // as told
}

type compartment struct {
	Number   int    `json:"compartment_number"`
	Door     string `json:"door_state"`
	Occupied bool   `json:"occupied"`
}

// NewLocker makes a locker with all doors closed and all cells empty, that logs in to the broker at addr.
func NewLocker(addr, user, password, uid string, doors int) *Locker {
	l := &Locker{
		Cabinet: NewCabinet(nil, doors, 0, 0), UID: uid, Clock: time.Now, Every: 30 * time.Second,
		link: &Handheld{Addr: addr, Device: user, Password: password}, began: time.Now(), results: map[string]string{},
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	l.boot = hex.EncodeToString(b[:])
	l.link.hears, l.link.heard, l.link.up = l.topic("command"), l.command, l.greet
	l.link.will = [2]string{l.topic("state/connection"), `{"state":"lost"}`}
	return l
}

func (l *Locker) topic(what string) string { return "locker/" + l.UID + "/" + what }

// Run keeps the locker connected until ctx ends.
func (l *Locker) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.link.Run(ctx) })
	g.Go(func() error { l.watch(ctx); return nil })
	return g.Wait()
}

// Waiting is how many messages are not acknowledged yet, Safe how many were.
func (l *Locker) Waiting() int { return l.link.Waiting() }

// Safe is how many messages were acknowledged.
func (l *Locker) Safe() uint64 { return l.link.Safe() }

// watch tells every change of a door or an item, and now and then that it is alive.
func (l *Locker) watch(ctx context.Context) {
	beat := time.NewTicker(l.Every)
	defer beat.Stop()
	for {
		l.mu.Lock()
		next := l.next
		l.mu.Unlock()
		l.snapshot(false)
		select {
		case <-ctx.Done():
			return
		case <-next:
		case <-beat.C:
			l.say("state/heartbeat", map[string]any{"uptime_seconds": int(time.Since(l.began).Seconds())})
		}
	}
}

// greet is what it says after a login.
func (l *Locker) greet() {
	l.say("state/connection", map[string]any{"state": "online"})
	l.snapshot(true)
}

// snapshot tells all doors and items, if anything has changed or always.
func (l *Locker) snapshot(always bool) {
	l.mu.Lock()
	now := make([]compartment, len(l.cells))
	for i, c := range l.cells {
		now[i] = compartment{i + 1, map[bool]string{true: "open", false: "closed"}[c.open], c.item}
	}
	l.mu.Unlock()
	l.lock.Lock()
	same := slices.Equal(now, l.last)
	first := l.last == nil
	l.last = now
	l.lock.Unlock()
	if always || !same && !first {
		l.say("state/compartments", map[string]any{"compartments": now})
	}
}

// say queues a message.
func (l *Locker) say(what string, fields map[string]any) {
	l.lock.Lock()
	l.count++
	fields["message_id"] = fmt.Sprintf("%s-%d", l.boot, l.count)
	l.lock.Unlock()
	fields["timestamp"] = l.Clock().UTC().Format("2006-01-02T15:04:05.000Z")
	body, err := json.Marshal(fields)
	if err != nil {
		panic("BUG: locker: " + err.Error())
	}
	l.link.mu.Lock()
	defer l.link.mu.Unlock()
	l.link.enqueue(&message{n: fields["message_id"].(string), topic: l.topic(what), body: body, done: make(chan struct{})})
}

// command obeys what comes on the command topic.
func (l *Locker) command(_ string, payload []byte) {
	var c struct {
		Transaction string `json:"transaction_id"`
		Action      string `json:"action"`
		Expires     string `json:"expires_at"`
		Data        struct {
			Cell int `json:"compartment_number"`
		} `json:"data"`
	}
	if json.Unmarshal(payload, &c) != nil || c.Transaction == "" {
		return
	}
	l.lock.Lock()
	result, again := l.results[c.Transaction]
	l.lock.Unlock()
	why := ""
	if !again {
		deadline, err := time.Parse(time.RFC3339Nano, c.Expires)
		switch {
		case c.Action != "open_compartment" || c.Data.Cell < 1 || c.Data.Cell > len(l.cells):
			result, why = "rejected", "bad_command"
		case err != nil || l.Clock().After(deadline):
			result = "expired"
		default:
			result = "success"
			l.pulse(c.Data.Cell)
			time.AfterFunc(time.Second, func() { l.jammed(c.Data.Cell) })
		}
		l.lock.Lock()
		l.results[c.Transaction] = result
		l.lock.Unlock()
	}
	if !l.Mute {
		l.say("response", map[string]any{"transaction_id": c.Transaction, "action": c.Action, "result": result, "error_code": why})
	}
}

// jammed tells of a door that was pulsed and is shut.
func (l *Locker) jammed(cell int) {
	l.mu.Lock()
	stuck := !l.cells[cell-1].open && l.cells[cell-1].jammed
	l.mu.Unlock()
	if stuck {
		l.say("event", map[string]any{"event": "door_jammed", "data": map[string]any{"compartment_number": cell}})
	}
}
