package soak

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/cloud/service"
)

// cloud is a database and the workers over it.
type cloud struct {
	w        *world
	file     string
	workers  []*service.Core // nil: killed, and not started again yet
	upAt     []time.Duration
	backup   map[string][]byte // of the database, by suffix
	restored bool
	look     *ledger // a view of its own on the database
}

func newCloud(w *world, file string) *cloud {
	return &cloud{w: w, file: file, look: &ledger{file: file}, workers: make([]*service.Core, w.plan.workers), upAt: make([]time.Duration, w.plan.workers)}
}

// start starts a worker.
func (c *cloud) start(i int) {
	w := c.w
	core, err := service.OpenCore(context.Background(), service.CoreConfig{
		State: "sqlite:" + c.file, Registry: w.opt.County, Send: w.send, Now: w.wall, Lease: lease,
		Keys: func(g string) (ed25519.PublicKey, bool) {
			k, ok := w.keys[g]
			if !ok {
				return nil, false
			}
			return k.Public().(ed25519.PublicKey), true
		},
		Online: func() []string { return sortedKeys(w.sessions) },
		Fault:  w.fault,
	})
	if err != nil {
		w.fail("cloud doesn't start: %v", err)
		return
	}
	c.workers[i] = core
}

// fault is asked around each commit.
func (w *world) fault(point string) error {
	switch {
	case point == service.BeforeCommit && w.chance(w.plan.crashBefore):
		w.count("worker killed before its commit")
		return errBroken
	case point == service.AfterCommit && w.chance(w.plan.crashAfter):
		w.count("worker killed after its commit")
		return errBroken
	case point == service.BeforeCommit && w.chance(w.plan.away):
		w.count("store away")
		return service.ErrAway
	}
	return nil
}

// kill ends a worker; what it had in its queue is gone.
func (c *cloud) kill(i int) {
	if c.workers[i] == nil {
		return
	}
	if err := c.workers[i].Close(); err != nil {
		c.w.fail("cloud doesn't close: %v", err)
	}
	c.workers[i] = nil
	c.upAt[i] = c.w.now + time.Duration(c.w.rng.Int64N(int64(20*time.Second)))
}

// take hands a message to one of the workers that live; false when none does.
func (c *cloud) take(m *message) bool {
	w := c.w
	i := w.rng.IntN(len(c.workers))
	if c.workers[i] == nil {
		return false
	}
	w.trace.note(w.now, "cloud %d takes %s %s %s", i, m.gateway, m.what, brief(m.payload))
	if err := c.workers[i].Take(context.Background(), m.gateway, m.what, m.payload); err != nil {
		w.fail("cloud takes no %s: %v", m.what, err)
	}
	if m.what == topic.Hello {
		w.told(m.gateway, m.payload)
	}
	return true
}

// turn is what the workers do in a round.
func (c *cloud) turn() {
	w := c.w
	for i := range c.workers {
		if c.workers[i] == nil {
			if w.now >= c.upAt[i] {
				c.start(i)
			}
			continue
		}
		err := c.workers[i].Step(context.Background())
		switch {
		case errors.Is(err, errBroken):
			w.trace.note(w.now, "cloud %d is killed", i)
			c.kill(i)
		case err != nil:
			w.fail("cloud: %v", err)
		}
	}
}

var suffixes = []string{"", "-wal"}

// save copies the database.
func (c *cloud) save() {
	c.backup = map[string][]byte{}
	for _, s := range suffixes {
		b, err := os.ReadFile(c.file + s)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.w.fail("backup: %v", err)
		}
		c.backup[s] = b
	}
	c.w.remember()
	c.w.trace.note(c.w.now, "database copied")
}

// restore puts the copy back.
func (c *cloud) restore() {
	if c.backup == nil {
		return
	}
	w := c.w
	w.count("database put back")
	for i := range c.workers {
		c.kill(i)
	}
	w.wipe()
	c.look.close()
	for _, s := range append(suffixes, "-shm") {
		if err := os.Remove(c.file + s); err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.fail("restore: %v", err)
		}
		if b, ok := c.backup[s]; ok && len(b) > 0 {
			if err := os.WriteFile(c.file+s, b, 0o600); err != nil {
				w.fail("restore: %v", err)
			}
		}
	}
	c.restored = true
	w.forget()
	w.trace.note(w.now, "database put back")
}

// any returns a worker that lives.
func (c *cloud) any() *service.Core {
	for _, core := range c.workers {
		if core != nil {
			return core
		}
	}
	return nil
}

// end closes everything.
func (c *cloud) end() {
	for i := range c.workers {
		c.kill(i)
	}
	c.look.close()
	for _, s := range append(suffixes, "-shm") {
		if err := os.Remove(c.file + s); err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.w.fail("end: %v", err)
		}
	}
}

// lease is how long after the report of a clock a command may run.
const lease = 30 * time.Second

// order gives a command to a locker.
func (w *world) order() {
	core := w.cloud.any()
	if core == nil || w.sessions["lk-qingshi-1"] == nil {
		return
	}
	w.orders++
	id := fmt.Sprintf("c-%d", w.orders)
	err := core.Order(context.Background(), service.Order{ID: id, Issuer: "soak", Device: "lk-qingshi-1/board", Action: "open_cell", Args: map[string]string{"cell": "3"}})
	w.count("command")
	w.trace.note(w.now, "order %s: %v", id, err)
}

// ordered notes when a command left for the first time.
func (w *world) ordered(what string, payload []byte) {
	var c frame.Command
	if what != topic.Command || json.Unmarshal(payload, &c) != nil || c.Action == "ping" {
		return
	}
	if _, again := w.sent[c.ID]; !again {
		w.sent[c.ID] = w.now
	}
}

// pulse is a relay that acts: once for each command, and not after its lease.
func (w *world) pulse(b *board, id string) {
	w.pulses[id]++
	w.trace.note(w.now, "%s pulses for %s", b.name, id)
	if w.pulses[id] > 1 {
		w.fail("command %s ran %d times", id, w.pulses[id])
	}
	if sent, ok := w.sent[id]; !ok || w.now-sent > lease {
		w.fail("command %s ran %v after it was sent", id, w.now-sent)
	}
}
