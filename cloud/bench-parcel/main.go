package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"time"

	"yizhan/cloud/internal/state"
	"yizhan/cloud/internal/state/pgtest"
)

type options struct {
	parcels, batch, workers, query int
	profile                        string
	statements                     bool
}

func main() {
	var o options
	flag.IntVar(&o.parcels, "parcels", 120_000, "parcels that are announced")
	flag.IntVar(&o.batch, "batch", 10_000, "events of a transaction")
	flag.IntVar(&o.workers, "workers", 2, "transactions at once")
	flag.IntVar(&o.query, "query", 0, "parcels in the store that is asked; 0: don't")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile to a file")
	flag.BoolVar(&o.statements, "statements", false, "print what each statement costs the server (needs pg_stat_statements; costs some speed)")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	settings := []string{"shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=30min", "work_mem=32MB"}
	if o.statements {
		settings = append(settings, "shared_preload_libraries=pg_stat_statements")
	}
	pg, err := pgtest.Start(settings...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pg.Stop()) }()
	url, err := pg.Create(ctx)
	if err != nil {
		return err
	}
	s, err := state.Open(ctx, url, state.Options{Timeout: 5 * time.Minute})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	m, err := newMeter(ctx, pg, url, o.statements)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close(ctx)) }()
	b := &bench{Store: s, url: url, o: o, meter: m, start: time.Now().UTC().Truncate(time.Second).Add(-12 * time.Hour)}
	if err := s.Seed(ctx, smallCounty(), b.start); err != nil {
		return err
	}
	stop, err := profile(o.profile)
	if err != nil {
		return err
	}
	err = b.events(ctx)
	stop()
	if err != nil || o.query == 0 {
		return err
	}
	return b.queries(ctx)
}

func profile(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, nil
}
