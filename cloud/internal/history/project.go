package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
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

// Projector writes the archive into a History, in the order of the commits.
type Projector struct {
	history *History
	archive Archive
	cursor  Cursor
	log     *slog.Logger
	wake    chan struct{}
	dec     *frame.Decoder
	now     func() time.Time
	handed  handover

	flow    sync.Mutex
	under   []*batch  // made and not known to be written, in order
	making  time.Time // commit of the first frame of the batch that is being made
	reached int64     // everything up to here is written
	keptAt  time.Time // when the cursor was kept last

	keeping sync.Mutex
	kept    int64 // the cursor

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

// Take takes frames that were committed, as they were decoded for that. Those that there is no room for are read
// from the archive in their turn. It never blocks, and doesn't care about order.
func (p *Projector) Take(frames []county.Archived) {
	p.handed.put(frames)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Lag tells how long ago the oldest frame was committed that isn't in the history yet; 0 when all are.
func (p *Projector) Lag() time.Duration {
	p.flow.Lock()
	oldest := p.making
	if len(p.under) > 0 {
		oldest = p.under[0].oldest
	}
	p.flow.Unlock()
	if oldest = earlier(oldest, p.handed.oldest()); oldest.IsZero() {
		return 0
	}
	return max(0, p.now().Sub(oldest))
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
	var rows []row
	for at := first - 1; at < last; {
		var frames []county.Archived
		err := again.retry(ctx, func() (err error) {
			frames, err = p.archive.Frames(ctx, at, readFrames, readBytes)
			return err
		})
		if err != nil || len(frames) == 0 {
			return err
		}
		rows = rows[:0]
		for i := range frames {
			if at = frames[i].No; at <= last {
				rows = again.rows(rows, &frames[i])
			}
		}
		for chunk := range slices.Chunk(rows, full) {
			if err := again.write(ctx, chunk); err != nil {
				return err
			}
		}
	}
	return nil
}

// rows adds what of a frame goes into the history.
func (p *Projector) rows(rows []row, a *county.Archived) []row {
	if a.Arrival != nil {
		for i := range a.Arrival.Sights {
			if rec, s := &a.Arrival.Frame.Records[i], &a.Arrival.Sights[i]; rec.Type == frame.TypeReading && s.Bad == "" {
				rows = p.row(rows, a.Arrival.Frame, rec, s, a.Received)
			}
		}
		return rows
	}
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
			rows = p.row(rows, f, rec, &county.Sight{Reading: good[j]}, a.Received)
		}
	}
	return rows
}

// row adds a reading, if it goes into the history.
func (p *Projector) row(rows []row, f *frame.Frame, rec *frame.Record, s *county.Sight, received time.Time) []row {
	var out row
	switch s.Reading.Kind {
	case telemetry.KindPosition:
		pos, err := s.AsPosition()
		if err != nil || !pos.Valid {
			return rows
		}
		out.kind, out.position = positions, pos
	case telemetry.KindClimate:
		c, err := telemetry.As[telemetry.Climate](s.Reading)
		if err != nil {
			return rows
		}
		out.kind, out.climate = climates, &c
	default:
		return rows
	}
	r := &s.Reading
	d := county.Date(r, rec, received, county.Clock{})
	if d.Future || d.TQ == telemetry.Unknown {
		p.add("undated", 1)
		return rows
	}
	out.device = f.Gateway + "/" + r.Device
	out.thing = thingID(p.archive.Thing(out.device, d.At), out.kind)
	out.at = stamp(d.At, county.IdentityOf(f.Gateway, r, f.Epoch, f.Lane, rec.Seq))
	return append(rows, out)
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
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, 5*time.Second)
	}
}
