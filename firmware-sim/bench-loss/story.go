package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"yizhan/firmware-sim/internal/firmware"
	"yizhan/firmware-sim/internal/power"
)

// A way leads from the device to the consumer.
type way struct {
	edge    string                                  // the unit that the device talks to
	broker  string                                  // the unit that is the cloud's broker
	wipe    func() error                            // takes away the broker's disk; it doesn't run then. nil: it has none
	silence func(bool) error                        // the consumer goes or comes back
	arrived func(context.Context) ([]uint64, error) // the readings as they came, doubles too
	read    func(context.Context) ([]uint64, error) // and as the consumer reads them afterwards; nil: as they came
	close   func() error
}

// An opener starts a way's units, and returns when the edge and the consumer are connected.
type opener func(b *bench) (*way, error)

// ways are what is compared.
var ways = map[string]opener{"ours": openOurs, "bridge": openBridge, "paho": openPaho}

// A bench is what every way stands on.
type bench struct {
	opt  options
	ctx  context.Context
	dir  string
	rack *power.Rack
	link *power.Link // from the edge to the cloud's broker
	// addresses on the loopback
	edge, cloud string
	device      *firmware.Handheld

	stop context.CancelFunc
	work sync.WaitGroup

	mu   sync.Mutex
	told map[uint64]bool
}

const (
	deviceName = "probe-1"
	boot       = "b1"
)

func newBench(ctx context.Context, dir string, o options) (*bench, error) {
	b := &bench{opt: o, dir: dir, told: map[uint64]bool{}}
	var err error
	if b.edge, err = free(); err != nil {
		return nil, err
	}
	if b.cloud, err = free(); err != nil {
		return nil, err
	}
	if b.link, err = power.OpenLink("127.0.0.1:0", b.cloud); err != nil {
		return nil, err
	}
	b.rack = &power.Rack{Logger: slog.New(slog.DiscardHandler)}
	b.device = &firmware.Handheld{Addr: b.edge, Device: deviceName, Password: "bench-loss", Boot: boot, Window: 64}
	b.device.Told(func(n string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.told[number(n)] = true
	})
	b.ctx, b.stop = context.WithCancel(ctx)
	b.work.Go(func() { _ = b.rack.Run(b.ctx) })
	b.work.Go(func() { _ = b.link.Run(b.ctx) })
	return b, nil
}

func (b *bench) close() error {
	b.stop()
	b.work.Wait()
	return nil
}

// number is the count in a reading's n.
func number(n string) uint64 {
	v, _ := strconv.ParseUint(strings.TrimPrefix(n, boot+"-"), 10, 64)
	return v
}

// free returns a loopback address that nobody listens at.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (b *bench) unit(name, path string, args ...string) {
	b.rack.Add(power.Unit{Name: name, Path: path, Args: args, Log: filepath.Join(b.dir, name+".log")})
}

// listening waits until somebody listens at an address.
func (b *bench) listening(addr string) error {
	return within(b.ctx, 30*time.Second, addr, func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func within(ctx context.Context, limit time.Duration, what string, ok func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); time.Now().Before(end); {
		if ok() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return fmt.Errorf("%s: not within %v", what, limit)
}

// A step of the story happens at a time after its beginning.
type step struct {
	at time.Duration
	do func(b *bench, w *way) error
}

func cut(b *bench, _ *way) error      { b.link.Cut(); return nil }
func mend(b *bench, _ *way) error     { b.link.Mend(); return nil }
func killEdge(b *bench, w *way) error { return kill(b, w.edge) }
func killBroker(b *bench, w *way) error {
	return kill(b, w.broker)
}
func leave(_ *bench, w *way) error    { return w.silence(true) }
func comeBack(_ *bench, w *way) error { return w.silence(false) }

// kill ends a unit with -9; one that is just starting is dead already.
func kill(b *bench, unit string) error {
	if err := b.rack.Kill(unit); !errors.Is(err, power.ErrNotRunning) {
		return err
	}
	return nil
}

// wipe kills the broker and takes its disk away.
func wipe(b *bench, w *way) error {
	if w.wipe == nil {
		return kill(b, w.broker)
	}
	if err := b.rack.Off(w.broker); err != nil {
		return err
	}
	if err := within(b.ctx, 10*time.Second, "the broker's end", func() bool { return !b.rack.Running(w.broker) }); err != nil {
		return err
	}
	return errors.Join(w.wipe(), b.rack.On(w.broker))
}

const second = time.Second

// story is what happens to every way.
var story = []step{
	{2 * second, cut}, {4 * second, mend},
	{6 * second, killEdge},
	{8 * second, cut}, {9 * second, killEdge}, {11 * second, mend},
	{13 * second, killBroker},
	{16 * second, leave}, {19 * second, comeBack},
	{22 * second, leave}, {24 * second, wipe}, {27 * second, comeBack},
	{29 * second, wipe},
	{31 * second, killEdge}, {31*second + 370*time.Millisecond, killEdge}, {31*second + 810*time.Millisecond, killEdge},
	{32*second + 290*time.Millisecond, killEdge}, {33*second + 130*time.Millisecond, killEdge},
	{35 * second, cut}, {36 * second, killEdge}, {37 * second, wipe}, {38 * second, mend},
}

// length of the feeding: the story and a little more.
func length() time.Duration { return story[len(story)-1].at + 2*second }

// count is what came of a story.
type count struct {
	sent, told, arrived, lost, doubled int
	disordered                         int           // as they came
	misread                            int           // out of order as the consumer reads them
	took                               time.Duration // after the story
	drained                            bool
}

// play feeds readings while the story goes on, waits until nothing comes any more, and counts.
func (b *bench) play(w *way) (c count, err error) {
	defer func() { err = errors.Join(err, w.close()) }()
	b.work.Go(func() { _ = b.device.Run(b.ctx) })
	feeding, stop := context.WithTimeout(b.ctx, length())
	defer stop()
	fed := make(chan int, 1)
	b.work.Go(func() { fed <- b.feed(feeding) })
	begin := time.Now()
	for _, s := range story {
		select {
		case <-b.ctx.Done():
			return c, b.ctx.Err()
		case <-time.After(time.Until(begin.Add(s.at))):
		}
		if err := s.do(b, w); err != nil {
			return c, err
		}
	}
	c.sent = <-fed
	ended := time.Now()
	if err := within(b.ctx, time.Minute, "the device's last acknowledgement", func() bool { return b.device.Waiting() == 0 }); err != nil {
		return c, err
	}
	seen, last, err := b.drain(w, c.sent)
	if err != nil {
		return c, err
	}
	c.count(seen, b.told)
	if c.misread = c.disordered; w.read != nil {
		inOrder, err := w.read(b.ctx)
		if err != nil {
			return c, err
		}
		var again count
		again.count(inOrder, b.told)
		c.misread = again.disordered
	}
	c.took = last.Sub(ended)
	return c, nil
}

// feed queues readings at the rate until ctx ends, and returns how many.
func (b *bench) feed(ctx context.Context) (n int) {
	tick := time.NewTicker(time.Second / time.Duration(b.opt.rate))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return n
		case <-tick.C:
		}
		n++
		_, _ = b.device.Queue("weight", time.Time{}, map[string]int{"weight_kg": n}) // can't fail
	}
}

// drain waits until all arrived, or nothing new came for ten seconds. It returns what arrived in its order, and when the
// last came.
func (b *bench) drain(w *way, sent int) (seen []uint64, last time.Time, err error) {
	last = time.Now()
	for time.Since(last) < 10*time.Second {
		now, err := w.arrived(b.ctx)
		if err != nil {
			return nil, last, err
		}
		if len(now) != len(seen) {
			last = time.Now()
		}
		if seen = now; distinct(seen) >= sent {
			break
		}
		select {
		case <-b.ctx.Done():
			return nil, last, b.ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return seen, last, nil
}

func distinct(ns []uint64) int {
	m := map[uint64]bool{}
	for _, n := range ns {
		m[n] = true
	}
	return len(m)
}

// count compares what arrived, in its order, with what the device was told.
func (c *count) count(seen []uint64, told map[uint64]bool) {
	have := map[uint64]bool{}
	newest := uint64(0)
	for _, n := range seen {
		switch {
		case have[n]:
			c.doubled++
		case n < newest:
			c.disordered++
		}
		have[n] = true
		newest = max(newest, n)
	}
	c.told, c.arrived = len(told), len(have)
	for n := range told {
		if !have[n] {
			c.lost++
		}
	}
	c.drained = c.lost == 0
}
