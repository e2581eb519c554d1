package ingest

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// Ledger is the commit point. Its errors wrap county.ErrAway when another try may help.
type Ledger interface {
	// Commit takes a group whole or not at all; a verdict for each arrival.
	Commit(ctx context.Context, group []county.Arrival) ([]county.Verdict, []county.Change, error)
	// Poison keeps a frame that Commit can't take.
	Poison(ctx context.Context, a county.Arrival, reason string) (county.Verdict, error)
	// Quarantine keeps what was refused.
	Quarantine(ctx context.Context, refused []county.Refusal) error
}

// Greeter answers hellos.
type Greeter interface {
	Hello(ctx context.Context, gateway string, h *frame.Hello, received time.Time) ([]frame.Ack, []county.Change, error)
}

// Config of an Ingest. Ledger, Greeter, Keys and Send are needed; what else is zero is a default.
type Config struct {
	Ledger  Ledger
	Greeter Greeter
	Keys    func(gateway string) (ed25519.PublicKey, bool)           // the registered key
	Send    func(gateway, what string, payload []byte) error         // on down/{gateway}/{what}
	Publish func(changes []county.Change)                            // after each commit
	Online  func() []string                                          // gateways that are connected now; they are told when the store is back
	Hand    func(frames []county.Archived)                           // what was archived, unpacked as it is
	Now     func() time.Time                                         //
	Pause   func(ctx context.Context, d time.Duration) (ended error) // waits; nil sleeps
	Log     *slog.Logger

	Workers    int           // transactions at once, default 1; more than one needs Postgres
	MaxFrames  int           // of a group, default 200
	MaxBytes   int           // of a group as sent, default 4 MiB
	Linger     time.Duration // how long a group waits for more, default 20 ms
	QueueBytes int           // of frames waiting, default 64 MiB
	Credit     int           // backlog records a second for all gateways together, default 20,000
}

func (c *Config) defaults() {
	if c.Publish == nil {
		c.Publish = func([]county.Change) {}
	}
	if c.Online == nil {
		c.Online = func() []string { return nil }
	}
	if c.Hand == nil {
		c.Hand = func([]county.Archived) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Pause == nil {
		c.Pause = pause
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		v    *int
		zero int
	}{{&c.Workers, 1}, {&c.MaxFrames, 200}, {&c.MaxBytes, 4 << 20}, {&c.QueueBytes, 64 << 20}, {&c.Credit, 20_000}} {
		if *d.v == 0 {
			*d.v = d.zero
		}
	}
	if c.Linger == 0 {
		c.Linger = 20 * time.Millisecond
	}
}

// Ingest takes frames to the ledger. Its methods may be called from many goroutines.
type Ingest struct {
	cfg    Config
	queues []chan item // one a worker; a gateway's frames all go to the same
	room   *semaphore.Weighted
	cores  chan struct{} // no more frames are unpacked at once: what comes after a commit must not starve
	count  counters

	active activity
	away   atomic.Bool // the store was, when it was asked last

	decoders sync.Pool
}

// An item is a frame on its way, verified and unpacked, or refused.
type item struct {
	arrival county.Arrival
	refusal *county.Refusal
	size    int64
}

// New makes an Ingest; Run runs it.
func New(cfg Config) *Ingest {
	cfg.defaults()
	in := &Ingest{cfg: cfg, room: semaphore.NewWeighted(int64(cfg.QueueBytes)), cores: make(chan struct{}, runtime.GOMAXPROCS(0))}
	for range cfg.Workers {
		in.queues = append(in.queues, make(chan item, 4*cfg.MaxFrames))
	}
	return in
}

// Frame takes a frame that gateway published on up/{gateway}/{lane}. It verifies and unpacks it
// in the caller's goroutine and blocks while the queue is full; its only error is ctx's. The payload
// is kept: the caller must not change it.
func (in *Ingest) Frame(ctx context.Context, gateway, lane string, payload []byte) error {
	in.count.add("frames", 1)
	it := item{size: min(int64(len(payload))+1024, int64(in.cfg.QueueBytes))}
	if err := in.room.Acquire(ctx, it.size); err != nil {
		return err
	}
	select {
	case in.cores <- struct{}{}:
	case <-ctx.Done():
		in.room.Release(it.size)
		return ctx.Err()
	}
	received := in.cfg.Now()
	a, counter, err := in.prepare(gateway, lane, payload)
	<-in.cores
	if err != nil {
		in.count.add(counter, 1)
		it.refusal = &county.Refusal{Gateway: gateway, Source: "ingest", Reason: err.Error(), Raw: payload, Received: received}
	}
	a.Received = received
	it.arrival = a
	select {
	case in.queue(gateway) <- it:
		return nil
	case <-ctx.Done():
		in.room.Release(it.size)
		return ctx.Err()
	}
}

// maxSeq keeps sequence numbers inside of the columns that hold them.
const maxSeq = 1 << 62

// prepare verifies and unpacks a frame; the errors' counter says of which kind they are.
func (in *Ingest) prepare(gateway, lane string, payload []byte) (a county.Arrival, counter string, err error) {
	h, err := frame.ReadHeader(payload)
	switch {
	case err != nil:
		return a, "bad_format", err
	case h.Gateway != gateway:
		return a, "bad_gateway", fmt.Errorf("frame of gateway %q, sent by another", h.Gateway)
	case h.Lane.String() != lane:
		return a, "bad_format", fmt.Errorf("frame of lane %v, sent as lane %.20q", h.Lane, lane)
	case h.Last() > maxSeq:
		return a, "bad_format", fmt.Errorf("seq %d is beyond %d", h.Last(), uint64(maxSeq))
	}
	key, ok := in.cfg.Keys(gateway)
	if !ok {
		return a, "bad_signature", errors.New("no key is registered for the gateway")
	}
	if err := h.Verify(key); err != nil {
		return a, "bad_signature", err
	}
	dec, ok := in.decoders.Get().(*frame.Decoder)
	if !ok {
		if dec, err = frame.NewDecoder(); err != nil {
			return a, "bad_format", err
		}
	}
	f, err := dec.Records(&h)
	in.decoders.Put(dec)
	if err != nil {
		return a, "bad_format", err
	}
	a.Frame, a.Raw, a.Sights = f, payload, make([]county.Sight, len(f.Records))
	for i := range f.Records {
		if f.Records[i].Type == frame.TypeReading {
			a.Sights[i] = in.sight(f, f.Records[i].Payload)
		}
	}
	return a, "", nil
}

// sight reads one reading.
func (in *Ingest) sight(f *frame.Frame, payload []byte) county.Sight {
	good, bad := telemetry.Parse(payload, "", "")
	switch {
	case len(bad) > 0:
		in.count.add("bad_record", 1)
		return county.Sight{Bad: bad[0].Err.Error()}
	case len(good) != 1:
		in.count.add("bad_record", 1)
		return county.Sight{Bad: fmt.Sprintf("record holds %d readings, not one", len(good))}
	}
	if lane, _ := telemetry.LaneOf(good[0].Kind); lane != f.Lane {
		in.count.add("bad_record", 1)
		return county.Sight{Bad: fmt.Sprintf("%s came in lane %v", good[0].Kind, f.Lane)}
	}
	s := county.Sight{Reading: good[0]}
	if s.Reading.Kind == telemetry.KindPosition { // most are, and both store and history want it
		s.Position, _ = s.AsPosition() // it was valid a line above
	}
	return s
}

// maxLanes is the most lanes a hello may list.
const maxLanes = 4096

// Hello takes what gateway says after it connected and answers with an ack for each lane it lists. It
// returns when the answer is on its way; while the store is away it holds the gateway and tries on.
func (in *Ingest) Hello(ctx context.Context, gateway string, payload []byte) error {
	in.count.add("hellos", 1)
	received := in.cfg.Now()
	var h frame.Hello
	err := json.Unmarshal(payload, &h)
	for _, l := range h.Lanes {
		if err == nil && (l.Epoch == 0 || l.Next < l.First || l.Next > maxSeq || l.Lane < telemetry.Command || l.Lane > telemetry.Track) {
			err = fmt.Errorf("epoch %v, lane %v, first %d, next %d", l.Epoch, l.Lane, l.First, l.Next)
		}
	}
	if err == nil && len(h.Lanes) > maxLanes {
		err = fmt.Errorf("%d lanes, at most %d", len(h.Lanes), maxLanes)
	}
	if err != nil {
		in.count.add("bad_hello", 1)
		refused := []county.Refusal{{Gateway: gateway, Source: "ingest", Reason: "hello: " + err.Error(), Raw: payload, Received: received}}
		return in.retry(ctx, func() error { return in.cfg.Ledger.Quarantine(ctx, refused) }, nil)
	}
	var acks []frame.Ack
	var changes []county.Change
	err = in.retry(ctx, func() error {
		var err error
		acks, changes, err = in.cfg.Greeter.Hello(ctx, gateway, &h, received)
		return err
	}, func() {
		for _, l := range h.Lanes {
			in.ack(gateway, frame.Ack{Epoch: l.Epoch, Lane: l.Lane})
		}
	})
	if err != nil {
		return err
	}
	credit := in.credit(gateway)
	for _, a := range acks {
		a.Credit = credit
		in.ack(gateway, a)
	}
	in.cfg.Publish(changes)
	return nil
}

// ack sends an ack with the time; one that is lost is repaired by the next.
func (in *Ingest) ack(gateway string, a frame.Ack) {
	a.WallMS, a.Frames = in.cfg.Now().UnixMilli(), frame.Newest
	if a.Ranges == nil {
		a.Ranges = []frame.Range{}
	}
	b, err := json.Marshal(a)
	if err == nil {
		err = in.cfg.Send(gateway, topic.Ack, b)
	}
	if err != nil {
		in.count.add("ack_lost", 1)
		in.cfg.Log.Debug("ack not sent", "gateway", gateway, "err", err)
		return
	}
	in.count.add("acks", 1)
}

// Counters returns what was counted so far, by the names of the package comment.
func (in *Ingest) Counters() map[string]uint64 { return in.count.snapshot() }

// Run commits groups until ctx ends.
func (in *Ingest) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, queue := range in.queues {
		g.Go(func() error { return in.work(ctx, queue) })
	}
	return g.Wait()
}

// queue is where a gateway's frames wait: in one worker's hands they keep their order, and workers
// don't wait for each other's locks.
func (in *Ingest) queue(gateway string) chan item {
	h := fnv.New32a()
	_, _ = h.Write([]byte(gateway))
	return in.queues[h.Sum32()%uint32(len(in.queues))]
}
