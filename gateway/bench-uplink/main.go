package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// inside marks the run in the namespace.
const inside = "BENCH_UPLINK_INSIDE"

type settings struct {
	rate    string
	length  time.Duration
	backlog int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var s settings
	flags := flag.NewFlagSet("bench-uplink", flag.ContinueOnError)
	flags.StringVar(&s.rate, "rate", "512kbit", "of the line, as tc writes it: 512kbit or 20kbit")
	flags.DurationVar(&s.length, "for", 30*time.Second, "how long is measured")
	flags.IntVar(&s.backlog, "backlog", 500_000, "`records` that wait")
	if err := flags.Parse(args); err != nil {
		return err
	}
	rate, err := strconv.ParseFloat(strings.TrimSuffix(s.rate, "kbit"), 64)
	if err != nil || rate <= 0 {
		return fmt.Errorf("rate %q is not such as 512kbit", s.rate)
	}
	if os.Getenv(inside) == "" {
		return enter(ctx, args, s.rate, out)
	}
	r, err := measure(ctx, s)
	if err != nil {
		return err
	}
	r.print(out, s, rate*1000/8)
	return nil
}

// enter runs the program again behind a thin line.
func enter(ctx context.Context, args []string, rate string, out io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	script := `set -e
ip link set lo mtu 1500 up
tc qdisc add dev lo root tbf rate "$0" burst 3000 latency 3s
exec "$@"`
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"-n", "sh", "-c", script, rate, self}, args...)...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("in a network namespace (root, unshare, ip and tc are needed): %w", err)
	}
	return nil
}

// result is what was measured in a while.
type result struct {
	took    time.Duration
	device  uint64 // bytes that the loopback device sent
	paid    uint64 // bytes that the gateway counted, both ways
	records uint64
	frames  uint64
	live    []time.Duration
}

func (r *result) print(out io.Writer, s settings, rate float64) {
	slices.Sort(r.live)
	at := func(p float64) time.Duration {
		if len(r.live) == 0 {
			return 0
		}
		return r.live[int(p*float64(len(r.live)-1))].Round(time.Millisecond)
	}
	secs := r.took.Seconds()
	fmt.Fprintf(out, "%s, %s, %v, a line of %s\n\n", time.Now().UTC().Format("2006-01-02"), runtime.GOARCH, r.took.Round(time.Second), s.rate)
	fmt.Fprintln(out, "| what | measured | to reach |\n|---|---|---|")
	row := func(what, measured, reach string) { fmt.Fprintf(out, "| %s | %s | %s |\n", what, measured, reach) }
	row("share of the line used, both ways", fmt.Sprintf("%.3f", float64(r.device)/secs/rate), "0.9")
	row("of it counted by the gateway's meter", fmt.Sprintf("%.3f", float64(r.paid)/float64(r.device)), "")
	row("readings a second", fmt.Sprintf("%.0f", float64(r.records)/secs), "2,300")
	row("bytes a reading, both ways, all headers and acks", fmt.Sprintf("%.1f", float64(r.device)/float64(max(r.records, 1))), "25")
	row("readings a frame", fmt.Sprintf("%.0f", float64(r.records)/float64(max(r.frames, 1))), "")
	row("live readings, record to commit, p50", at(0.5).String(), "")
	row("live readings, record to commit, p99", at(0.99).String(), "2s")
	row("live readings measured", strconv.Itoa(len(r.live)), "")
}
