package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"yizhan/cloud/internal/county"
)

// Options of a Hub; zero values take the defaults.
type Options struct {
	Ring       int           // events kept for who comes back; 4096
	RingBytes  int           // and at most so many bytes of them; 16 MiB
	MaxClients int           // 256
	Tick       time.Duration // positions are gathered so long; 200 ms
	Heartbeat  time.Duration // 15 s
	Write      time.Duration // a client that takes longer for a write is dropped; 10 s
	MaxAge     time.Duration // of a stream; 1 h
	Now        func() time.Time
	Log        *slog.Logger
}

func (o *Options) defaults() {
	set(&o.Ring, 4096)
	set(&o.RingBytes, 16<<20)
	set(&o.MaxClients, 256)
	set(&o.Tick, 200*time.Millisecond)
	set(&o.Heartbeat, 15*time.Second)
	set(&o.Write, 10*time.Second)
	set(&o.MaxAge, time.Hour)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func set[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Hub is the ring of events and who reads it.
type Hub struct {
	opt Options
	run string

	mu      sync.Mutex
	ring    [][]byte // ring[i] is event first+i, as it stands on the wire
	bytes   int
	first   uint64        // number of ring[0]
	next    uint64        // number of the next event
	grown   chan struct{} // closed and replaced when the ring grows
	waiting map[string]county.Change
	sent    map[string]int64 // version sent last, by kind and id
	clients int

	events, streams, resumed, resets, slow, refused atomic.Uint64
}

// New makes a Hub.
func New(opt Options) *Hub {
	opt.defaults()
	return &Hub{
		opt: opt, run: strconv.FormatInt(opt.Now().UnixMilli(), 10), first: 1, next: 1,
		grown: make(chan struct{}), waiting: map[string]county.Change{}, sent: map[string]int64{},
	}
}

// Counters returns the counters of doc.go.
func (h *Hub) Counters() map[string]uint64 {
	h.mu.Lock()
	clients := h.clients
	h.mu.Unlock()
	return map[string]uint64{
		"events": h.events.Load(), "streams": h.streams.Load(), "resumed": h.resumed.Load(), "resets": h.resets.Load(),
		"slow": h.slow.Load(), "refused": h.refused.Load(), "clients": uint64(clients),
	}
}

// Publish takes changes as a commit left them. It doesn't wait.
func (h *Hub) Publish(changes []county.Change) {
	now := h.opt.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	grew := false
	for _, c := range changes {
		if c.Kind != county.VehicleChanged {
			grew = h.append(c, now) || grew
			continue
		}
		if old, ok := h.waiting[c.ID]; !ok || old.Version <= c.Version {
			h.waiting[c.ID] = c
		}
	}
	if grew {
		h.wake()
	}
}

// Run sends gathered positions every Tick until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	tick := time.NewTicker(h.opt.Tick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			h.flush()
		}
	}
}

func (h *Hub) flush() {
	now := h.opt.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	grew := false
	for _, c := range h.waiting {
		grew = h.append(c, now) || grew
	}
	clear(h.waiting)
	if grew {
		h.wake()
	}
}

// append encodes c into the ring, unless a later version was sent already.
func (h *Hub) append(c county.Change, now time.Time) bool {
	key := string(c.Kind) + "/" + c.ID
	if last, ok := h.sent[key]; ok && c.Version < last {
		return false
	}
	data, err := json.Marshal(c.Served(now))
	if err != nil {
		h.opt.Log.Error("change not encoded", "kind", string(c.Kind), "err", err)
		return false
	}
	if c.Kind == county.ParcelChanged || c.Kind == county.CommandChanged {
		h.bound() // these come and go; the others are as many as the county has
	}
	h.sent[key] = c.Version
	var b bytes.Buffer
	b.Grow(len(data) + 64)
	fmt.Fprintf(&b, "id: %s-%d\nevent: %s\ndata: ", h.run, h.next, c.Kind)
	b.Write(data)
	b.WriteString("\n\n")
	h.ring = append(h.ring, b.Bytes())
	h.bytes += b.Len()
	h.next++
	h.events.Add(1)
	for len(h.ring) > h.opt.Ring || h.bytes > h.opt.RingBytes && len(h.ring) > 1 {
		h.bytes -= len(h.ring[0])
		h.ring[0] = nil
		h.ring = h.ring[1:]
		h.first++
	}
	return true
}

// bound forgets versions when there are too many: an old version that is then sent late is put right
// by the client, which compares versions too.
func (h *Hub) bound() {
	if len(h.sent) > 4*h.opt.Ring {
		clear(h.sent)
	}
}

func (h *Hub) wake() {
	close(h.grown)
	h.grown = make(chan struct{})
}

// after returns the events from number n on, the number after them, and a channel that closes when
// there are more. ok is false when n has left the ring.
func (h *Hub) after(n uint64, max int) (events [][]byte, next uint64, grown <-chan struct{}, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n < h.first {
		return nil, 0, nil, false
	}
	events = h.ring[n-h.first:]
	events = append([][]byte(nil), events[:min(len(events), max)]...)
	return events, n + uint64(len(events)), h.grown, true
}

// start is where a client begins that has seen lastID, and whether it must begin anew.
func (h *Hub) start(lastID string) (n uint64, reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if lastID == "" {
		return h.next, "new"
	}
	run, number, _ := strings.Cut(lastID, "-")
	seen, err := strconv.ParseUint(number, 10, 64)
	if err != nil || run != h.run || seen >= h.next || seen+1 < h.first {
		return h.next, "gap"
	}
	return seen + 1, ""
}

func (h *Hub) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.clients >= h.opt.MaxClients {
		return false
	}
	h.clients++
	return true
}

func (h *Hub) leave() {
	h.mu.Lock()
	h.clients--
	h.mu.Unlock()
}
