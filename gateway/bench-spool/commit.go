package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
)

const (
	payloadSize = 200
	fileSize    = 4 << 20 // of the overwritten file, and of a segment
)

// A way makes records durable.
type way struct {
	name   string
	commit func() error                 // one commit
	own    func() (bytes, syncs uint64) // as it counts itself; nil: it doesn't
	end    func() error
}

// turn is what a way did in a slice.
type turn struct {
	commits, seconds float64
	device           traffic
	bytes, syncs     float64
}

// ran is one figure of a turn.
type figure func(t turn) float64

func commits(ctx context.Context, w io.Writer, dir string, o options) error {
	m, err := newMedium(ctx, dir, o.image)
	if err != nil {
		return err
	}
	defer m.close()
	if o.iops > 0 {
		if err := m.throttle(o.iops); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "## Durable records of %d bytes\n\n", payloadSize)
	if !m.owned {
		fmt.Fprint(w, "The device's figures are those of the whole machine.\n\n")
	}
	fmt.Fprintln(w, "| a commit | way | records/s | beside append | device bytes/payload byte | own bytes/payload byte | device writes/commit | device flushes/commit | own syncs/commit |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|")
	for _, group := range o.groups {
		if err := table(ctx, w, m, group, o); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	return nil
}

func table(ctx context.Context, w io.Writer, m *medium, group int, o options) (err error) {
	dir := filepath.Join(m.dir, fmt.Sprint(group))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	var ways []way
	defer func() {
		for _, w := range ways {
			err = errors.Join(err, w.end())
		}
	}()
	for _, begin := range []func(string, int) (way, error){bareAppend, bareOverwrite, ourSpool} {
		w, err := begin(filepath.Join(dir, fmt.Sprint(len(ways))), group)
		if w.end != nil {
			ways = append(ways, w)
		}
		if err != nil {
			return err
		}
	}
	turns := make([][]turn, len(ways))
	for range o.pairs {
		for _, i := range []int{0, 1, 2, 2, 1, 0} {
			t, err := measure(ctx, m, &ways[i], o.slice)
			if err != nil {
				return err
			}
			turns[i] = append(turns[i], t)
		}
	}
	payload := float64(group * payloadSize)
	for i := range ways {
		of := func(f figure) float64 { return median(turns[i], f) }
		own, syncs := "", ""
		if ways[i].own != nil {
			own = fmt.Sprintf("%.2f", of(func(t turn) float64 { return t.bytes / t.commits / payload }))
			syncs = fmt.Sprintf("%.3f", of(func(t turn) float64 { return t.syncs / t.commits }))
		}
		var ratios []float64
		for k := range turns[i] {
			ratios = append(ratios, turns[i][k].commits/turns[i][k].seconds/(turns[0][k].commits/turns[0][k].seconds))
		}
		slices.Sort(ratios)
		fmt.Fprintf(w, "| %d | %s | %.0f | %.2f | %.2f | %s | %.2f | %.3f | %s |\n", group, ways[i].name,
			of(func(t turn) float64 { return t.commits / t.seconds })*float64(group), ratios[len(ratios)/2],
			of(func(t turn) float64 { return t.device.bytes / t.commits / payload }), own,
			of(func(t turn) float64 { return t.device.writes / t.commits }),
			of(func(t turn) float64 { return t.device.flushes / t.commits }), syncs)
	}
	return nil
}

func median(turns []turn, f figure) float64 {
	var v []float64
	for _, t := range turns {
		v = append(v, f(t))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

func measure(ctx context.Context, m *medium, w *way, slice time.Duration) (t turn, err error) {
	unix.Sync() // what the way before left behind is not this one's
	before, err := m.traffic()
	if err != nil {
		return t, err
	}
	var b0, s0, b1, s1 uint64
	if w.own != nil {
		b0, s0 = w.own()
	}
	start := time.Now()
	for time.Since(start) < slice || t.commits < 20 {
		if err := errors.Join(ctx.Err(), w.commit()); err != nil {
			return t, err
		}
		t.commits++
	}
	t.seconds = time.Since(start).Seconds()
	if w.own != nil {
		b1, s1 = w.own()
	}
	after, err := m.traffic()
	t.bytes, t.syncs = float64(b1-b0), float64(s1-s0)
	t.device = traffic{after.writes - before.writes, after.bytes - before.bytes, after.flushes - before.flushes}
	return t, err
}

func bareAppend(name string, group int) (way, error) {
	f, err := os.Create(name)
	buf := bytes.Repeat([]byte("r"), group*payloadSize)
	return way{name: "append + fdatasync", commit: func() error {
		if _, err := f.Write(buf); err != nil {
			return err
		}
		return unix.Fdatasync(int(f.Fd()))
	}, end: f.Close}, err
}

func bareOverwrite(name string, group int) (way, error) {
	f, err := os.Create(name)
	if err != nil {
		return way{}, err
	}
	if _, err := f.Write(make([]byte, fileSize)); err != nil {
		return way{}, err
	}
	buf := bytes.Repeat([]byte("r"), group*payloadSize)
	off := int64(0)
	return way{name: "overwrite + fdatasync", commit: func() error {
		if off+int64(len(buf)) > fileSize {
			off = 0
		}
		if _, err := f.WriteAt(buf, off); err != nil {
			return err
		}
		off += int64(len(buf))
		return unix.Fdatasync(int(f.Fd()))
	}, end: f.Close}, f.Sync()
}

// wall is a clock without a time.
type wall struct{ start time.Time }

// Stamp returns CLOCK_MONOTONIC, near enough.
func (w wall) Stamp() (frame.Boot, int64, int64, telemetry.Quality) {
	return frame.Boot{1}, int64(time.Since(w.start)), 0, telemetry.Unknown
}

// ourSpool is a spool whose cloud commits at once, warmed up until its kept tail fills it and it lives on the segments that it
// lets go.
func ourSpool(dir string, group int) (way, error) {
	s, err := spool.Open(spool.OS(), dir, spool.Options{Clock: wall{time.Now()}, SegmentBytes: fileSize, MaxBytes: 128 << 20})
	if err != nil {
		return way{}, err
	}
	var failed error
	n := uint64(0)
	done := func(err error) { failed = errors.Join(failed, err) }
	payload := bytes.Repeat([]byte("r"), payloadSize)
	commit := func(group int) error {
		for range group {
			n++
			if err := s.Append([]frame.Entry{{Lane: telemetry.Custody, Type: frame.TypeReading, Payload: payload}}, done); err != nil {
				return err
			}
		}
		s.Step()
		s.Commit(s.Epoch(), telemetry.Custody, []frame.Range{{From: 1, To: n}})
		return failed
	}
	for s.Counters()["appended"] < 1<<20 { // twice what it may hold
		if err := commit(1000); err != nil {
			return way{end: s.Close}, err
		}
	}
	return way{name: "spool", commit: func() error { return commit(group) }, own: func() (uint64, uint64) {
		c := s.Counters()
		return c["written"], c["syncs"]
	}, end: s.Close}, nil
}
