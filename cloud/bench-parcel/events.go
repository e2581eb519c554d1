package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/ingest"
	"yizhan/cloud/internal/state"
)

type bench struct {
	*state.Store
	url   string
	o     options
	start time.Time
	epoch frame.Epoch
	meter *meter
}

func (b *bench) events(ctx context.Context) error {
	half := b.o.parcels / 2
	if err := b.announce(ctx, b.o.parcels); err != nil {
		return err
	}
	for _, round := range []struct {
		name     string
		frames   func(from, to int) ([]sent, error)
		from, to int
	}{{"live", b.live, 0, half}, {"backlog", b.backlog, half, b.o.parcels}} {
		frames, err := round.frames(round.from, round.to)
		if err != nil {
			return err
		}
		if err := b.meter.forget(ctx); err != nil {
			return err
		}
		n := steps * (round.to - round.from)
		var groups uint64
		use, err := b.meter.during(ctx, func() (err error) {
			groups, err = b.take(ctx, frames)
			return err
		})
		if err != nil {
			return err
		}
		fmt.Printf("%-8s %7d events in %2d transactions, %d at once: %s\n", round.name, n, groups, b.o.workers, use.per(n, "events"))
		if err := b.meter.statements(ctx, round.name, n); err != nil {
			return err
		}
	}
	if err := b.check(ctx); err != nil {
		return err
	}
	return b.copyRaw(ctx)
}

func (b *bench) announce(ctx context.Context, n int) error {
	began := time.Now()
	for from := 0; from < n; from += 1000 {
		var ws []county.Waybill
		for i := from; i < min(n, from+1000); i++ {
			ws = append(ws, county.Waybill{Waybill: waybill(i), EPC: tag(i), Site: outlet(i), Handling: "ambient", Size: "s", Consent: county.ConsentYes})
		}
		_, refused, err := b.PutWaybills(ctx, ws, b.start)
		if err != nil || len(refused) > 0 {
			return fmt.Errorf("announce: %d refused: %w", len(refused), err)
		}
	}
	fmt.Printf("announced %d waybills: %.0f/s\n", n, float64(n)/time.Since(began).Seconds())
	return nil
}

// take hands frames to ingest as the broker does, and waits until the last is committed.
func (b *bench) take(ctx context.Context, frames []sent) (groups uint64, err error) {
	work, run := errgroup.WithContext(ctx)
	run, stop := context.WithCancel(run)
	defer stop()
	left := atomic.Int64{}
	left.Store(int64(len(frames)))
	in := ingest.New(ingest.Config{
		Ledger: b.Store, Keys: func(string) (ed25519.PublicKey, bool) { return key.Public().(ed25519.PublicKey), true }, Send: func(string, string, []byte) error { return nil },
		Hand: func(a []county.Archived) {
			if left.Add(-int64(len(a))) == 0 {
				stop()
			}
		},
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), Workers: b.o.workers, MaxFrames: max(1, b.o.batch/perFrame),
	})
	work.Go(func() error { return in.Run(run) })
	work.Go(func() error {
		for _, f := range frames {
			if err := in.Frame(run, f.gateway, "custody", f.raw); err != nil {
				return err
			}
		}
		return nil
	})
	if err := work.Wait(); left.Load() != 0 {
		return 0, errors.Join(err, fmt.Errorf("%d frames are not committed", left.Load()))
	}
	return in.Counters()["groups"], nil
}

// check compares what stands at the end with what was sent.
func (b *bench) check(ctx context.Context) error {
	for _, i := range []int{0, 5, b.o.parcels/2 + 1, b.o.parcels - 1} {
		t, ok, err := b.Timeline(ctx, waybill(i))
		if err != nil {
			return err
		}
		if !ok || t.Stage != county.AtOutlet || len(t.Evidence) != steps+1 {
			return fmt.Errorf("%s: stage %s with %d steps", waybill(i), t.Stage, len(t.Evidence))
		}
	}
	// A step that was told before an earlier one came is taken back and told again: two facts more.
	told, err := b.FactsEnd(ctx)
	if more := told - int64(b.o.parcels*(steps+1)); err == nil && (more < 0 || more%2 != 0) {
		err = fmt.Errorf("%d facts for %d parcels", told, b.o.parcels)
	} else if err == nil {
		fmt.Printf("%d facts told, %d of them because a parcel's events came in another order than they happened\n", told, more)
	}
	return err
}

// copyRaw measures COPY of the same rows into a table without an index.
func (b *bench) copyRaw(ctx context.Context) error {
	db, err := pgx.Connect(ctx, b.url)
	if err != nil {
		return err
	}
	defer db.Close(ctx)
	if _, err := db.Exec(ctx, "create table raw (id text, gateway text, device text, kind text, waybill text, at_ms bigint, body text)"); err != nil {
		return err
	}
	var use usage
	n := b.o.parcels * steps
	for lo := 0; lo < n; lo += b.o.batch {
		rows := b.rawRows(lo, min(n, lo+b.o.batch))
		u, err := b.meter.during(ctx, func() error {
			_, err := db.CopyFrom(ctx, pgx.Identifier{"raw"}, []string{"id", "gateway", "device", "kind", "waybill", "at_ms", "body"}, pgx.CopyFromRows(rows))
			return err
		})
		if err != nil {
			return err
		}
		use.add(u)
	}
	fmt.Printf("raw COPY %7d rows: %s\n", n, use.per(n, "rows"))
	return nil
}
