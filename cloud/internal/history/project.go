package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// Archive is where the frames are.
type Archive interface {
	// Frames returns the frames after a number, ascending; fewer than max or maxBytes end the archive.
	Frames(ctx context.Context, after int64, max, maxBytes int) ([]county.Archived, error)
	// FrameRange returns the numbers of the first and last frame received in a stretch of days.
	FrameRange(ctx context.Context, from, to time.Time) (first, last int64, ok bool, err error)
	// Thing tells what a device was bound to at a time, as kind/id.
	Thing(device string, at time.Time) string
}

// Cursor keeps how far the projection went, so that a new start goes on there.
type Cursor interface {
	Cursor(ctx context.Context, name string) (int64, error)
	SetCursor(ctx context.Context, name string, no int64) error
}

// cursorName is under which name the projection's cursor is kept.
const cursorName = "history"

// The bounds of what is read and written at once.
const (
	readFrames = 256
	readBytes  = 8 << 20
	batch      = 5000
	linger     = 250 * time.Millisecond // a batch that isn't full waits so long for more
	idle       = 5 * time.Second        // the archive is looked at so often without being woken
)

// Projector writes the archive into a History, in the order of the commits.
type Projector struct {
	history *History
	archive Archive
	cursor  Cursor
	log     *slog.Logger
	wake    chan struct{}
	dec     *frame.Decoder
	now     func() time.Time
	oldest  atomic.Int64 // commit of the oldest frame that isn't projected, ms; 0 when there is none

	mu    sync.Mutex
	count map[string]uint64
}

// NewProjector makes a projector; Run runs it.
func NewProjector(h *History, a Archive, c Cursor, now func() time.Time, log *slog.Logger) (*Projector, error) {
	dec, err := frame.NewDecoder()
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	if now == nil {
		now = time.Now
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Projector{history: h, archive: a, cursor: c, log: log, now: now, dec: dec, wake: make(chan struct{}, 1), count: map[string]uint64{}}, nil
}

// Wake says that the archive grew. It never blocks.
func (p *Projector) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Lag tells how long ago the oldest frame was committed that isn't in the history yet; 0 when all are.
func (p *Projector) Lag() time.Duration {
	at := p.oldest.Load()
	if at == 0 {
		return 0
	}
	return max(0, p.now().Sub(time.UnixMilli(at)))
}

// Counters returns what was counted so far, by the names of the package comment.
func (p *Projector) Counters() map[string]uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[string]uint64, len(p.count))
	for k, v := range p.count {
		out[k] = v
	}
	return out
}

func (p *Projector) add(name string, n int) {
	if n == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count[name] += uint64(n)
}

// Run follows the archive until ctx ends.
func (p *Projector) Run(ctx context.Context) error {
	var from int64
	err := p.retry(ctx, func() (err error) {
		from, err = p.cursor.Cursor(ctx, cursorName)
		return err
	})
	if err != nil {
		return err
	}
	for {
		to, full, err := p.project(ctx, from, 0)
		if err != nil {
			return err
		}
		if to != from {
			from = to
			if err := p.retry(ctx, func() error { return p.cursor.SetCursor(ctx, cursorName, to) }); err != nil {
				return err
			}
		}
		if full {
			continue
		}
		p.oldest.Store(0)
		if err := p.wait(ctx); err != nil {
			return err
		}
	}
}

// wait returns after there is more, and a moment for yet more to come.
func (p *Projector) wait(ctx context.Context) error {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	case <-p.wake:
	}
	timer.Reset(linger)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Rebuild projects what was received from one time to another again, by whole days. Run may go on
// meanwhile.
func (p *Projector) Rebuild(ctx context.Context, from, to time.Time) error {
	first, last, ok, err := p.archive.FrameRange(ctx, from, to)
	if err != nil || !ok {
		return err
	}
	again := &Projector{history: p.history, archive: p.archive, log: p.log, now: p.now, count: map[string]uint64{}}
	if again.dec, err = frame.NewDecoder(); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	for at := first - 1; at < last; {
		next, _, err := again.project(ctx, at, last)
		if err != nil {
			return err
		}
		if next == at {
			break
		}
		at = next
	}
	return nil
}

// project writes what comes after a frame, and returns the number of the last frame that was
// written whole; full says that there is more. last, where not 0, is where to stop.
func (p *Projector) project(ctx context.Context, after, last int64) (to int64, full bool, err error) {
	var frames []county.Archived
	err = p.retry(ctx, func() (err error) {
		frames, err = p.archive.Frames(ctx, after, readFrames, readBytes)
		return err
	})
	if err != nil || len(frames) == 0 {
		return after, false, err
	}
	p.oldest.Store(frames[0].Committed.UnixMilli())
	to = after
	rows := make([]row, 0, 2*batch)
	for _, f := range frames {
		if last != 0 && f.No > last {
			break
		}
		rows = p.rows(rows, &f)
		to = f.No
		for len(rows) >= batch {
			if err := p.write(ctx, rows[:batch]); err != nil {
				return after, false, err
			}
			rows = rows[:copy(rows, rows[batch:])]
		}
	}
	return to, true, p.write(ctx, rows)
}

// rows adds what of a frame goes into the history.
func (p *Projector) rows(rows []row, a *county.Archived) []row {
	f, err := p.dec.Decode(a.Raw)
	if err != nil {
		p.log.Error("archived frame is damaged", "seq", a.No, "err", err)
		p.add("skipped", 1)
		return rows
	}
	for i := range f.Records {
		rec := &f.Records[i]
		if rec.Type != frame.TypeReading {
			continue
		}
		good, _ := telemetry.Parse(rec.Payload, "", "")
		for j := range good {
			if r, ok := p.row(f, rec, &good[j], a.Received); ok {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

func (p *Projector) row(f *frame.Frame, rec *frame.Record, r *telemetry.Reading, received time.Time) (out row, ok bool) {
	switch r.Kind {
	case telemetry.KindPosition:
		pos, err := telemetry.As[telemetry.Position](*r)
		if err != nil || !pos.Valid {
			return out, false
		}
		out.kind, out.position = positions, &pos
	case telemetry.KindClimate:
		c, err := telemetry.As[telemetry.Climate](*r)
		if err != nil {
			return out, false
		}
		out.kind, out.climate = climates, &c
	default:
		return out, false
	}
	d := county.Date(r, rec, received, county.Clock{})
	if d.Future || d.TQ == telemetry.Unknown {
		p.add("undated", 1)
		return out, false
	}
	out.device = f.Gateway + "/" + r.Device
	out.thing = thingID(p.archive.Thing(out.device, d.At), out.kind)
	out.at = stamp(d.At, county.IdentityOf(f.Gateway, r, f.Epoch, f.Lane, rec.Seq))
	return out, true
}

// thingID is the id of a thing, where it is of the sort whose history the kind is.
func thingID(thing, kind string) string {
	for _, prefix := range [...]struct{ kind, of string }{{positions, "vehicle/"}, {climates, "coldbox/"}} {
		if prefix.kind == kind && len(thing) > len(prefix.of) && thing[:len(prefix.of)] == prefix.of {
			return thing[len(prefix.of):]
		}
	}
	return ""
}

// write writes rows, by halves where the server refuses them, until only what is refused alone is
// left out.
func (p *Projector) write(ctx context.Context, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	var refusal error
	err := p.retry(ctx, func() error {
		err := p.history.sink.write(ctx, rows)
		if errors.Is(err, errRefused) {
			refusal = err
			return nil
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case refusal == nil:
		p.add("points", len(rows))
		p.add("batches", 1)
		return nil
	case len(rows) == 1:
		p.add("refused", 1)
		p.log.Warn("point refused", "device", rows[0].device, "kind", rows[0].kind, "err", refusal)
		return nil
	}
	p.add("bisected", 1)
	half := len(rows) / 2
	if err := p.write(ctx, rows[:half]); err != nil {
		return err
	}
	return p.write(ctx, rows[half:])
}

// retry runs f until it succeeds or ctx ends.
func (p *Projector) retry(ctx context.Context, f func() error) error {
	wait := 100 * time.Millisecond
	for try := 0; ; try++ {
		err := f()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.add("retries", 1)
		if try == 0 {
			p.log.Warn("history is away", "err", err)
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
		wait = min(2*wait, 5*time.Second)
	}
}
