package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// window is how many publishes of all clients together are unacknowledged.
const window = 640

// sample is one slice of a load on one broker.
type sample struct {
	rate   float64 // acknowledged a second
	cpu    float64 // µs of the broker's process for each
	allocs float64
	p99    time.Duration
	others float64 // cores
}

// A duel is ours and bare, side by side.
type duel struct {
	ours, bare *child
	dir        string
	noise      noise
	opt        options
}

func newDuel(ctx context.Context, opt options) (*duel, error) {
	dir, err := os.MkdirTemp(opt.dir, "bench-gateway-")
	if err != nil {
		return nil, err
	}
	d := &duel{opt: opt, dir: dir}
	if d.ours, err = start(ctx, "ours", dir, opt.profile); err != nil {
		return nil, err
	}
	if d.bare, err = start(ctx, "bare", dir, ""); err != nil {
		return nil, err
	}
	d.noise.pids = []int{d.ours.cmd.Process.Pid, d.bare.cmd.Process.Pid}
	return d, nil
}

// stop ends both, and removes what they wrote.
func (d *duel) stop() error {
	return errors.Join(d.ours.stop(), d.bare.stop(), os.RemoveAll(d.dir))
}

// load is what is done to a broker for a slice; it returns how many readings were taken.
type load func(c *child, to crowd) (readings int, p99 time.Duration, err error)

func (d *duel) slice(c *child, to crowd, f load) (s sample, err error) {
	before, err := c.ask("mark")
	if err != nil {
		return s, err
	}
	n, began := 0, time.Now()
	s.others, err = d.noise.during(func() (err error) {
		n, s.p99, err = f(c, to)
		return err
	})
	took := time.Since(began)
	if err != nil || n == 0 {
		return s, fmt.Errorf("%d readings taken: %w", n, err)
	}
	after, err := c.ask("mark")
	used := after.minus(before)
	s.rate = float64(n) / took.Seconds()
	s.cpu = float64(used.CPU.Nanoseconds()) / 1e3 / float64(n)
	s.allocs = float64(used.Mallocs) / float64(n)
	return s, err
}

// pairs are the samples of a duel, ours and bare of one index taken one after the other.
type pairs struct {
	ours, bare []sample
	dropped    int
}

// fight takes pairs in the order A B, B A, ..., and drops those that others disturbed, unless that leaves none.
func (d *duel) fight(clients int, s sort, f load) (p pairs, err error) {
	var all, clean pairs
	a, err := dial(d.ours.addr, clients, s.kind, s.body)
	if err != nil {
		return p, err
	}
	defer a.close()
	b, err := dial(d.bare.addr, clients, s.kind, s.body)
	if err != nil {
		return p, err
	}
	defer b.close()
	base := uint64(time.Now().UnixNano()) // what was told before isn't told again
	for i := range clients {
		a[i].n, b[i].n = base, base
	}
	for i := 0; len(clean.ours) < d.opt.pairs && i < 2*d.opt.pairs; i++ {
		d.noise.settle(d.opt.patience)
		var x, y sample
		for turn := range 2 {
			if (turn+i)%2 == 0 {
				if x, err = d.slice(d.ours, a, f); err != nil {
					return p, fmt.Errorf("ours: %w", err)
				}
			} else if y, err = d.slice(d.bare, b, f); err != nil {
				return p, fmt.Errorf("bare: %w", err)
			}
		}
		all.ours, all.bare = append(all.ours, x), append(all.bare, y)
		if x.others <= quiet && y.others <= quiet {
			clean.ours, clean.bare = append(clean.ours, x), append(clean.bare, y)
		}
	}
	if len(clean.ours) < 3 {
		all.dropped = -1
		return all, nil
	}
	clean.dropped = len(all.ours) - len(clean.ours)
	return clean, nil
}

func pick[T any](ss []sample, f func(sample) T) (out []T) {
	for _, s := range ss {
		out = append(out, f(s))
	}
	return out
}

// print writes a row of the table: rates and CPU, and the medians of the ratios of the pairs.
func (p pairs) print(w io.Writer, name, goal string) {
	rate := func(s sample) float64 { return s.rate }
	cpu := func(s sample) float64 { return s.cpu }
	var speed, cost []float64
	for i := range p.ours {
		speed = append(speed, p.ours[i].rate/p.bare[i].rate)
		cost = append(cost, p.ours[i].cpu/p.bare[i].cpu)
	}
	note := fmt.Sprintf("%d pairs, %d dropped", len(p.ours), p.dropped)
	if p.dropped < 0 {
		note = fmt.Sprintf("%d pairs, all noisy", len(p.ours))
	}
	fmt.Fprintf(w, "| %s | %.0f | %.0f | %.2f ± %.2f | %s | %.1f | %.1f | %.2f | %.1f | %s |\n", name,
		median(pick(p.ours, rate)), median(pick(p.bare, rate)), median(speed), spread(speed), goal,
		median(pick(p.ours, cpu)), median(pick(p.bare, cpu)), median(cost),
		median(pick(p.ours, func(s sample) float64 { return s.allocs })), note)
}

// acks is the table of durable acknowledged publishes beside bare mochi.
func acks(ctx context.Context, w io.Writer, opt options) (err error) {
	d, err := newDuel(ctx, opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	fmt.Fprintln(w, "\nDurable acknowledged publishes (real spool) beside bare mochi with a hook that counts; QoS 1, window 640 in all.")
	fmt.Fprintln(w, "| load | ours/s | bare/s | ratio | goal | ours CPU µs | bare CPU µs | CPU ratio | ours allocs | samples |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|")
	flood := func(_ *child, to crowd) (int, time.Duration, error) {
		n, err := to.pump(window, d.opt.slice)
		return n, 0, err
	}
	for _, row := range []struct {
		clients int
		goal    string
	}{{1, "0.80"}, {10, "0.65"}, {100, "0.60"}} {
		p, err := d.fight(row.clients, sort{"scan", scan}, flood)
		if err != nil {
			return err
		}
		p.print(w, fmt.Sprintf("%d clients, scans", row.clients), row.goal)
	}
	arrays := func(_ *child, to crowd) (int, time.Duration, error) {
		n, err := to.pump(8*len(to), d.opt.slice)
		return 100 * n, 0, err
	}
	p, err := d.fight(10, sort{"scan", hundred(scan)}, arrays)
	if err != nil {
		return err
	}
	p.print(w, "10 clients, arrays of 100 (a reading)", "")
	for _, s := range []sort{{"scan", scan}, {"position", position}} {
		steady := func(_ *child, to crowd) (int, time.Duration, error) {
			took, err := to.pace(1000, max(d.opt.slice, 2*time.Second))
			if err != nil {
				return 0, 0, err
			}
			return len(took), took[len(took)*99/100], nil
		}
		p, err := d.fight(10, s, steady)
		if err != nil {
			return err
		}
		p.print(w, "10 clients, 1,000 "+s.kind+"s/s", "CPU 1.3")
	}
	return d.accept(w)
}

// accept measures the way of a driver's readings: Accept to the spooled record, in arrays of 100.
func (d *duel) accept(w io.Writer) error {
	var cpu, rate, mallocs []float64
	for range d.opt.pairs {
		d.noise.settle(d.opt.patience)
		before, err := d.ours.ask("mark")
		if err != nil {
			return err
		}
		began := time.Now()
		after, err := d.ours.ask(fmt.Sprintf("accept %.2f", d.opt.slice.Seconds()))
		if err != nil {
			return err
		}
		used := after.minus(before)
		n := float64(used.Readings)
		cpu = append(cpu, float64(used.CPU.Nanoseconds())/1e3/n)
		rate = append(rate, n/time.Since(began).Seconds())
		mallocs = append(mallocs, float64(used.Mallocs)/n)
	}
	fmt.Fprintf(w, "\nAccept to the spooled record, arrays of 100: %.2f ± %.2f µs CPU a reading (goal 2), %.0f readings/s, %.1f allocations a reading.\n",
		median(cpu), spread(cpu), median(rate), median(mallocs))
	return nil
}
