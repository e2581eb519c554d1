package state

import (
	"context"
	"maps"
	"slices"
	"time"

	"yizhan/cloud/internal/county"
)

// Marks of a thing are kept in traces of spanMS each. The last one is in the row of the thing, where each commit has it at hand;
// those before it are in tracks, and are read only for what comes late.
const spanMS = 10 * 60 * 1000

// trackDays is how long tracks are kept. What is told of earlier times moves nothing any more; no gateway holds a reading that long.
const trackDays = 60

func spanOf(at int64) int64 { return (at - ((at%spanMS)+spanMS)%spanMS) / spanMS }

// A track is what was told of a thing over time, one word a mark.
type track struct {
	thing string
	since int64        // what is from then or before was told before there were tracks
	trace county.Trace // the last span
}

func (t *track) span() int64 { return spanOf(t.trace[0].At) }

// late reports whether a mark is not after all others.
func (t *track) late(at int64) bool {
	return len(t.trace) > 0 && at <= t.trace[len(t.trace)-1].At
}

// follow adds a mark that is after all others.
func (c *commit) follow(t *track, m county.Mark) {
	if len(t.trace) > 0 && t.span() != spanOf(m.At) {
		c.tracks = append(c.tracks, []any{t.thing, t.span(), t.trace.String()})
		t.trace = nil
	}
	t.trace = append(t.trace, m)
}

// putTracks puts the spans that are over.
func (c *commit) putTracks(ctx context.Context) error {
	rows := c.tracks
	c.tracks = nil
	return c.c.put(ctx, tracksTable, rows)
}

// flocks are late marks of a track, in order and in parts that lie near each other in time, without those from before it began.
func (c *commit) flocks(t *track, marks county.Trace) (out []county.Trace) {
	oldest := max(t.since, ms(c.now.Add(-trackDays*day)))
	for _, m := range marks {
		if m.At <= oldest {
			continue
		}
		if n := len(out) - 1; n >= 0 && m.At-out[n][len(out[n])-1].At <= spanMS {
			out[n] = append(out[n], m)
		} else {
			out = append(out, county.Trace{m})
		}
	}
	return out
}

// merge puts late marks into the spans from..to of a track, and returns what these hold then, and which of the marks
// are new.
func (c *commit) merge(ctx context.Context, t *track, late county.Trace, from, to int64) (trace county.Trace, fresh []county.Mark, err error) {
	if err := c.putTracks(ctx); err != nil {
		return nil, nil, err
	}
	spans, err := c.readTracks(ctx, t.thing, from, min(to, t.span()-1))
	if err != nil {
		return nil, nil, err
	}
	if from <= t.span() && t.span() <= to {
		spans[t.span()] = t.trace
	}
	changed := map[int64]bool{}
	for _, m := range late {
		span := spanOf(m.At)
		grown, differs := spans[span].Add(m)
		if differs {
			spans[span], changed[span] = grown, true
			fresh = append(fresh, m)
		}
	}
	for _, span := range slices.Sorted(maps.Keys(spans)) {
		trace = append(trace, spans[span]...)
		switch {
		case span == t.span():
			t.trace = spans[span]
		case changed[span]:
			c.tracks = append(c.tracks, []any{t.thing, span, spans[span].String()})
		}
	}
	return trace, fresh, c.putTracks(ctx)
}

// readTracks reads the spans from..to of a thing that are over.
func (c *commit) readTracks(ctx context.Context, thing string, from, to int64) (map[int64]county.Trace, error) {
	spans := map[int64]county.Trace{}
	if from > to {
		return spans, nil
	}
	err := c.c.each(ctx, func(scan func(...any) error) error {
		var span int64
		var text string
		if err := scan(&span, &text); err != nil {
			return err
		}
		t, err := county.ParseTrace(text)
		spans[span] = t
		return err
	}, "select span, trace from tracks where thing = $1 and span >= $2 and span <= $3", thing, from, to)
	return spans, err
}

// back calls look with the traces of a track from the last one backwards, until it says that it is done.
func (c *commit) back(ctx context.Context, t *track, look func(county.Trace) (done bool)) error {
	const atOnce = 32
	if len(t.trace) == 0 || look(t.trace) {
		return nil
	}
	for before := t.span(); ; {
		n, done := 0, false
		err := c.c.each(ctx, func(scan func(...any) error) error {
			var text string
			if err := scan(&before, &text); err != nil {
				return err
			}
			n++
			trace, err := county.ParseTrace(text)
			done = done || err == nil && look(trace)
			return err
		}, "select span, trace from tracks where thing = $1 and span < $2 order by span desc limit $3", t.thing, before, int64(atOnce))
		if err != nil || done || n < atOnce {
			return err
		}
	}
}

func pruneTracks(ctx context.Context, c conn, now time.Time) error {
	_, err := c.exec(ctx, "delete from tracks where span < $1", spanOf(ms(now.Add(-trackDays*day))))
	return err
}
