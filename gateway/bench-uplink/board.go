package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/clock"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/uplink"
)

const warm = 10 * time.Second

// file is a small file of a gateway.
type file string

// Read returns the content, nil when there is none.
func (f file) Read() ([]byte, error) {
	b, err := os.ReadFile(string(f))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Replace writes the content.
func (f file) Replace(b []byte) error { return os.WriteFile(string(f), b, 0o600) }

// measure drains a backlog beside live records.
func measure(ctx context.Context, s settings) (r result, err error) {
	dir, err := os.MkdirTemp("", "bench-uplink-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c, files, err := openCloud(dir)
	if err != nil {
		return r, err
	}
	src, err := clock.Open()
	if err != nil {
		return r, err
	}
	k := clock.New(src, "trust")
	sp, err := spool.Open(spool.OS(), filepath.Join(dir, "spool"), spool.Options{Clock: k, MaxBytes: 1 << 30, SegmentBytes: 4 << 20})
	if err != nil {
		return r, err
	}
	log := slog.New(slog.DiscardHandler)
	u, err := uplink.New(uplink.Config{
		Gateway: gateway, URL: "tls://" + address, Files: files, RetryMin: time.Second, RetryMax: 5 * time.Second, Dial: (&net.Dialer{}).DialContext,
		Source: sp, Wake: sp, Clock: k, Past: clock.OpenPast(file(filepath.Join(dir, "time")), log), Numbers: file(filepath.Join(dir, "connection")),
		Traffic: file(filepath.Join(dir, "traffic")), Alarm: func(telemetry.Alarm) {}, Command: func([]byte) {}, Log: log,
	})
	if err != nil {
		return r, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return sp.Run(ctx) })
	b := &board{spool: sp, cloud: c, rng: rand.New(rand.NewPCG(1, 2)), next: map[telemetry.Lane]uint64{}}
	if err := b.fill(ctx, s.backlog); err != nil {
		return r, err
	}
	g.Go(func() error { return c.broker.Run(ctx) })
	g.Go(func() error { c.run(ctx); return nil })
	g.Go(func() error { return u.Run(ctx) })
	g.Go(func() error { return b.live(ctx) })
	err = pass(ctx, warm)
	c.counted()
	began, device, paid := time.Now(), sent(), paidOf(u)
	if err == nil {
		err = pass(ctx, s.length)
	}
	r.took, r.device, r.paid = time.Since(began), sent()-device, paidOf(u)-paid
	r.records, r.frames, r.live = c.counted()
	stop()
	return r, errors.Join(err, g.Wait(), sp.Close())
}

func paidOf(u *uplink.Uplink) uint64 {
	s := u.Status()
	return s.Sent + s.Heard + s.Headers
}

func pass(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// sent is how many bytes the loopback device sent.
func sent() (n uint64) {
	b, _ := os.ReadFile("/proc/net/dev") // without it the share is 0
	for line := range strings.Lines(string(b)) {
		if name, rest, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && name == "lo" {
			_, _ = fmt.Sscan(strings.Fields(rest)[8], &n)
		}
	}
	return n
}

// board records what a van does.
type board struct {
	spool *spool.Spool
	cloud *cloud
	rng   *rand.Rand
	at    time.Time
	step  int
	next  map[telemetry.Lane]uint64
}

// readings is what a second of the van gives: a position, and every five a climate reading.
func (b *board) readings(at time.Time) (out []frame.Entry) {
	b.step++
	angle := float64(b.step) / 700
	round := func(v float64, places int) telemetry.Opt[float64] {
		scale := math.Pow10(places)
		return telemetry.Some(math.Round(v*scale) / scale)
	}
	minutes := func(v float64) telemetry.Opt[float64] { // as a receiver gives them
		return telemetry.Some(math.Round(v*60e5) / 60e5)
	}
	jitter := func(by float64) float64 { return (b.rng.Float64() - 0.5) * by }
	speed := 12 + 4*math.Sin(angle*3) + jitter(0.4)
	p := telemetry.Position{
		Lat: minutes(30.5 + 0.05*math.Sin(angle) + jitter(2e-6)), Lon: minutes(103.2 + 0.05*math.Cos(angle) + jitter(2e-6)),
		AltitudeM: round(500+30*math.Sin(angle)+jitter(2), 1), SpeedMPS: round(speed, 3), HeadingDeg: round(math.Mod(angle*57.29578+720, 360)+jitter(0.3), 2),
		Fix: telemetry.Fix3D, Satellites: telemetry.Some(11 + b.rng.IntN(3)), HDOP: round(0.8+float64(b.rng.IntN(3))/10, 1), Valid: true,
	}
	add := func(r telemetry.Reading) {
		l, _ := telemetry.LaneOf(r.Kind)
		b.next[l]++
		out = append(out, frame.Entry{Lane: l, Type: frame.TypeReading, Payload: r.AppendJSON(nil)})
	}
	add(telemetry.New("gps", at.Truncate(time.Second), telemetry.GNSS, p))
	if b.step%5 == 0 {
		add(telemetry.New("cold", time.Time{}, telemetry.Unknown, telemetry.Climate{Probe: "air", TemperatureC: round(4+math.Sin(angle)+jitter(0.4), 1), HumidityPct: round(60+jitter(4), 1), Quality: "ok"}))
	}
	return out
}

// fill records a backlog.
func (b *board) fill(ctx context.Context, records int) error {
	at := time.Now().Add(-time.Duration(records) * time.Second)
	done := make(chan error, 1)
	for n := 0; n < records; {
		var entries []frame.Entry
		for range 500 {
			entries = append(entries, b.readings(at)...)
			at = at.Add(time.Second)
		}
		n += len(entries)
		if err := b.spool.Append(entries, func(err error) { done <- err }); err != nil {
			return err
		}
		b.spool.Flush()
		select {
		case err := <-done:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// live records a second's readings every second until ctx ends.
func (b *board) live(ctx context.Context) error {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		states := b.spool.Lanes()
		epoch := states[len(states)-1].Epoch
		for _, e := range b.readings(time.Now()) {
			b.cloud.recorded(lane{epoch, e.Lane}, b.next[e.Lane]+1) // 1 is the opening
			if err := b.spool.Append([]frame.Entry{e}, func(error) {}); err != nil {
				return err
			}
		}
	}
}
