package history

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/cloud/internal/county"
)

// The bounds of what is read and written at once.
const (
	readFrames = 256
	readBytes  = 8 << 20
	full       = 5000
	linger     = 250 * time.Millisecond // a batch that isn't full waits so long for more
	settle     = 20 * time.Millisecond  // a frame whose successor was handed over is on its way itself, mostly
	idle       = 5 * time.Second        // the archive is looked at so often without being woken
	keep       = time.Second            // the cursor is kept so often while there is always more
)

// A batch is rows that are written at once. With it all frames up to number to are written, once those before it are.
type batch struct {
	rows    []row
	to      int64
	oldest  time.Time // commit of its first frame
	began   time.Time
	written bool
}

// Run follows the archive until ctx ends: one goroutine makes batches of what was handed over or is in the archive,
// others write them, so that making and writing overlap.
func (p *Projector) Run(ctx context.Context) error {
	var from int64
	err := p.retry(ctx, func() (err error) {
		from, err = p.cursor.Cursor(ctx, cursorName)
		return err
	})
	if err != nil {
		return err
	}
	p.reached, p.kept = from, from
	g, ctx := errgroup.WithContext(ctx)
	batches := make(chan *batch)
	g.Go(func() error {
		return (&gatherer{Projector: p, after: from, look: true, b: &batch{}, out: batches}).run(ctx)
	})
	for range p.history.sink.writers() {
		g.Go(func() error { return p.drain(ctx, batches) })
	}
	return g.Wait()
}

// drain writes batches.
func (p *Projector) drain(ctx context.Context, batches <-chan *batch) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b := <-batches:
			if err := p.write(ctx, b.rows); err != nil {
				return err
			}
			if err := p.written(ctx, b); err != nil {
				return err
			}
		}
	}
}

// A gatherer makes batches of frames in their order.
type gatherer struct {
	*Projector
	out     chan<- *batch
	b       *batch
	after   int64 // the last frame that was taken
	look    bool  // the archive may hold what wasn't handed over
	settled bool  // a hole was given time to fill
}

func (g *gatherer) run(ctx context.Context) error {
	for {
		frames, err := g.next(ctx)
		for i := 0; err == nil && i < len(frames); i++ {
			err = g.add(ctx, &frames[i])
		}
		switch {
		case err != nil:
			return err
		case len(frames) > 0:
		case g.b.began.IsZero() || time.Since(g.b.began) < linger:
			if err := g.wait(ctx); err != nil {
				return err
			}
		default:
			if err := g.send(ctx, &batch{}); err != nil {
				return err
			}
		}
	}
}

// add adds a frame to the batch, and sends what is full.
func (g *gatherer) add(ctx context.Context, a *county.Archived) error {
	if g.b.began.IsZero() {
		g.begin(&batch{began: time.Now(), oldest: a.Committed})
	}
	g.b.rows = g.rows(g.b.rows, a)
	for len(g.b.rows) > full { // the rest of this frame goes with the next batch
		rest := &batch{rows: slices.Clone(g.b.rows[full:]), began: g.b.began, oldest: a.Committed}
		g.b.rows, g.b.to = g.b.rows[:full], g.after
		if err := g.send(ctx, rest); err != nil {
			return err
		}
	}
	g.after, g.b.to = a.No, a.No
	if len(g.b.rows) == full {
		return g.send(ctx, &batch{})
	}
	return nil
}

// begin makes b the batch that is being made.
func (g *gatherer) begin(b *batch) {
	g.flow.Lock()
	defer g.flow.Unlock()
	g.b, g.making = b, b.oldest
}

// send gives the batch to whoever writes next, and goes on with another.
func (g *gatherer) send(ctx context.Context, next *batch) error {
	b := g.b
	g.flow.Lock()
	g.under = append(g.under, b)
	g.flow.Unlock()
	g.begin(next)
	select {
	case g.out <- b:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// next returns frames that follow: handed over, or, where some are missing, from the archive. None is none yet.
func (g *gatherer) next(ctx context.Context) (frames []county.Archived, err error) {
	run, hole, missed := g.handed.take(g.after)
	g.look = g.look || missed
	switch {
	case len(run) > 0:
		g.settled = false
		return run, nil
	case hole > 0 && !g.settled && !g.look:
		g.settled = true
		return nil, pause(ctx, settle)
	case hole == 0 && !g.look:
		return nil, nil
	}
	most := readFrames
	if hole > 0 {
		most = int(min(hole, readFrames))
	}
	err = g.retry(ctx, func() (err error) {
		frames, err = g.archive.Frames(ctx, g.after, most, readBytes)
		return err
	})
	g.settled = false
	if err == nil && len(frames) == 0 {
		g.look = false
		g.after += hole // older than the archive reaches
	}
	return frames, err
}

// wait returns when there is more, or the batch has waited long enough.
func (g *gatherer) wait(ctx context.Context) error {
	d := idle
	if !g.b.began.IsZero() {
		d = max(0, linger-time.Since(g.b.began))
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-g.wake:
	case <-t.C:
		g.look = g.look || g.b.began.IsZero()
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// written notes that a batch is written, and keeps the cursor: behind it nothing is missing, whatever order writes end in.
func (p *Projector) written(ctx context.Context, b *batch) error {
	p.flow.Lock()
	b.written = true
	for len(p.under) > 0 && p.under[0].written {
		p.reached = max(p.reached, p.under[0].to)
		p.under = p.under[1:]
	}
	due := len(p.under) == 0 && p.making.IsZero() || time.Since(p.keptAt) > keep
	if due {
		p.keptAt = time.Now()
	}
	p.flow.Unlock()
	if !due {
		return nil
	}
	p.keeping.Lock()
	defer p.keeping.Unlock()
	p.flow.Lock()
	to := p.reached
	p.flow.Unlock()
	if to == p.kept {
		return nil
	}
	err := p.retry(ctx, func() error { return p.cursor.SetCursor(ctx, cursorName, to) })
	if err == nil {
		p.kept = to
	}
	return err
}
