package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// A rig is a gateway, its cloud, and what is measured of them.
type rig struct {
	opt   options
	dir   string
	cloud *cloud
	board *board
	noise noise
	work  *errgroup.Group
	stop  context.CancelFunc
}

// openRig starts a gateway; when link isn't set its cloud isn't to be reached.
func openRig(ctx context.Context, opt options, link bool) (*rig, error) {
	r := &rig{opt: opt}
	var err error
	if r.dir, err = os.MkdirTemp(opt.dir, "bench-gateway-"); err != nil {
		return nil, err
	}
	if r.cloud, err = openCloud(); err != nil {
		return nil, err
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.work, ctx = errgroup.WithContext(ctx)
	r.work.Go(func() error { return r.cloud.broker.Run(ctx) })
	uplink := r.cloud.broker.Addr().String()
	if !link {
		if uplink, err = free(); err != nil {
			return nil, err
		}
	}
	if r.board, err = startBoard(ctx, opt.gateway, r.dir, uplink, r.cloud); err != nil {
		return nil, errors.Join(err, r.close())
	}
	r.noise.pids = []int{r.board.cmd.Process.Pid}
	if link {
		err = r.board.await("yizhan_uplink_connected", 1)
	}
	return r, err
}

func (r *rig) close() error {
	var err error
	if r.board != nil {
		err = r.board.stop()
	}
	r.stop()
	return errors.Join(err, r.work.Wait(), os.RemoveAll(r.dir))
}

// state is what a gateway has used at one moment.
type state struct {
	cpu      time.Duration
	mallocs  float64
	in, out  uint64 // on the wire
	records  uint64
	commits  float64
	instant  time.Time
	rss, own uint64
}

func (r *rig) state() (s state, err error) {
	if s.mallocs, err = r.board.metric("yizhan_go_allocs_total"); err != nil {
		return s, err
	}
	if s.commits, err = r.board.metric(`yizhan_events_total{room="spool",event="syncs"}`); err != nil {
		return s, err
	}
	s.cpu, s.instant = procCPU(r.board.cmd.Process.Pid), time.Now()
	s.in, s.out = r.cloud.wire.in.Load(), r.cloud.wire.out.Load()
	s.records, _ = r.cloud.got()
	s.rss, s.own, err = r.board.rss()
	return s, err
}

// cost is what a load used.
type cost struct {
	rate    float64
	cpu     float64 // µs a reading
	share   float64 // of a core
	allocs  float64
	up      float64 // bytes a reading on the wire
	down    float64
	syncs   float64 // a second
	rss     uint64
	p99     time.Duration
	others  float64
	arrived bool
}

// run drives rate readings a second of a sort for a time, and waits until all are committed.
func (r *rig) run(s sort, rate, batch int, length time.Duration) (c cost, err error) {
	to, err := dial(r.board.broker, 10, s.kind, s.body)
	if err != nil {
		return c, err
	}
	defer to.close()
	for _, p := range to {
		p.n = uint64(time.Now().UnixMilli())
	}
	r.noise.settle(r.opt.patience)
	before, err := r.state()
	if err != nil {
		return c, err
	}
	var took []time.Duration
	c.others, err = r.noise.during(func() (err error) {
		took, err = to.pace(rate/batch, length)
		return err
	})
	if err != nil || len(took) == 0 {
		return c, fmt.Errorf("%d publishes: %w", len(took), err)
	}
	n := uint64(len(took) * batch)
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && !c.arrived; time.Sleep(20 * time.Millisecond) {
		have, _ := r.cloud.got()
		c.arrived = have >= before.records+n
	}
	after, err := r.state()
	if err != nil {
		return c, err
	}
	per := func(v float64) float64 { return v / float64(n) }
	c.rate = float64(n) / length.Seconds()
	c.cpu = per(float64((after.cpu - before.cpu).Nanoseconds()) / 1e3)
	c.share = (after.cpu - before.cpu).Seconds() / after.instant.Sub(before.instant).Seconds()
	c.allocs = per(after.mallocs - before.mallocs)
	c.up, c.down = per(float64(after.in-before.in)), per(float64(after.out-before.out))
	c.syncs = (after.commits - before.commits) / after.instant.Sub(before.instant).Seconds()
	c.rss, c.p99 = after.rss, took[len(took)*99/100]
	return c, nil
}

// print writes a row.
func (c cost) print(w io.Writer, name string) {
	note := ""
	if c.others > quiet {
		note = fmt.Sprintf("noisy: others used %.1f cores", c.others)
	}
	if !c.arrived {
		note = "not all arrived within a minute"
	}
	fmt.Fprintf(w, "| %s | %.0f | %.1f | %.0f %% | %.1f | %.1f | %.1f | %.0f | %.1f | %v | %s |\n", name, c.rate, c.cpu, 100*c.share, c.allocs,
		c.up, c.down, c.syncs, float64(c.rss)/1e6, c.p99.Round(100*time.Microsecond), note)
}

// footprint is the table of what the gateway's program costs under a steady load.
func footprint(ctx context.Context, w io.Writer, opt options) (err error) {
	r, err := openRig(ctx, opt, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	time.Sleep(3 * time.Second)
	all, own, err := r.board.rss()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThe gateway's program, GOMAXPROCS=1, real spool, mutual TLS to a cloud that commits at once. Idle and connected: %.1f MB resident, %.1f MB of it its own (gate 25).\n",
		float64(all)/1e6, float64(own)/1e6)
	fmt.Fprintln(w, "| load | readings/s | CPU µs a reading | of a core | allocs a reading | wire up B | wire down B | syncs/s | RSS MB | p99 to PUBACK | |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|---|")
	var busiest uint64
	row := func(name string, s sort, rate, batch int) error {
		c, err := r.run(s, rate, batch, opt.length)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		busiest = max(busiest, c.rss)
		c.print(w, name)
		return nil
	}
	for _, s := range sorts() {
		if err := row("1,000 "+s.kind+"/s", s, 1000, 1); err != nil {
			return err
		}
	}
	for _, s := range []sort{{"position", position}, {"scan", scan}} {
		if err := row("5,000 "+s.kind+"/s", s, 5000, 1); err != nil {
			return err
		}
		if err := row("5,000 "+s.kind+"/s in arrays of 100", sort{s.kind, hundred(s.body)}, 5000, 100); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "Busiest: %.1f MB resident (gate 45).\n", float64(busiest)/1e6)
	return limits(w, opt)
}

// limits prints what no gateway on this machine gets below.
func limits(w io.Writer, opt options) error {
	f, err := os.CreateTemp(opt.dir, "bench-gateway-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4<<20)
	if _, err := f.WriteAt(block, 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	const record = 300
	loop := func(every time.Duration) (cpu float64, err error) {
		before, n := cpuTime(), 0
		for end := time.Now().Add(opt.slice); time.Now().Before(end); n++ {
			if _, err := f.WriteAt(block[:record], int64(n*record%(len(block)-record))); err != nil {
				return 0, err
			}
			if err := unix.Fdatasync(int(f.Fd())); err != nil {
				return 0, err
			}
			time.Sleep(every)
		}
		return float64((cpuTime() - before).Nanoseconds()) / 1e3 / float64(n), nil
	}
	fast, err := loop(0)
	if err != nil {
		return err
	}
	paced, err := loop(time.Millisecond)
	fmt.Fprintf(w, "Limit: one record of %d bytes overwritten and fdatasynced costs %.0f µs CPU in a loop, %.0f µs at one a millisecond; a scan, tag or locker event is synced before it is acknowledged.\n", record, fast, paced)
	return err
}

// backlog fills the card of a gateway without a link, and prints how its memory grows.
func backlog(ctx context.Context, w io.Writer, opt options) (err error) {
	r, err := openRig(ctx, opt, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	to, err := dial(r.board.broker, 10, "scan", hundred(scan))
	if err != nil {
		return err
	}
	defer to.close()
	for _, p := range to {
		p.n = uint64(time.Now().UnixMilli())
	}
	fmt.Fprintln(w, "\nWithout a link: what is resident by how much lies on the card (gate 32 MiB with 10 million, and no more than with none).")
	fmt.Fprintln(w, "| records | RSS MiB | own MiB | card MB | opens in |")
	fmt.Fprintln(w, "|---|---|---|---|---|")
	const mib = 1 << 20
	done := 0
	print := func(opened string) error {
		all, own, err := r.board.rss()
		if err != nil {
			return err
		}
		size, err := folder(filepath.Join(r.dir, "data"))
		fmt.Fprintf(w, "| %d | %.1f | %.1f | %d | %s |\n", done, float64(all)/mib, float64(own)/mib, size/1e6, opened)
		return err
	}
	if err := print(""); err != nil {
		return err
	}
	for step := 1; step <= 4; step++ {
		for done < opt.records*step/4 {
			n, err := to.pump(64, 500*time.Millisecond)
			if done += 100 * n; err != nil {
				return err
			}
		}
		if err := print(""); err != nil {
			return err
		}
	}
	to.close()
	if err := r.board.stop(); err != nil {
		return err
	}
	began := time.Now()
	free := r.board
	if r.board, err = startBoard(ctx, opt.gateway, r.dir, free.broker, r.cloud); err != nil {
		return err
	}
	return print(time.Since(began).Round(10*time.Millisecond).String() + " (the program, to its first answer)")
}

// folder adds up the sizes of the files below a folder.
func folder(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if st, err := d.Info(); err == nil { // else it went meanwhile
			sum += st.Size()
		}
		return nil
	})
	return sum, err
}
