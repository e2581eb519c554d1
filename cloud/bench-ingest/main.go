package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

type options struct {
	gateways, readings, workers, window int
	state                               string
	profile                             string
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "play" {
		exit(playMain())
	}
	var o options
	flag.IntVar(&o.gateways, "gateways", 1000, "connections")
	flag.IntVar(&o.readings, "readings", 1_500_000, "readings in all")
	flag.IntVar(&o.workers, "workers", 2, "ingest transactions at once (SQLite: 1)")
	flag.IntVar(&o.window, "window", 3, "frames that a gateway leaves unacknowledged")
	flag.StringVar(&o.state, "state", "postgres", "postgres or sqlite")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of the cloud's process to a file")
	flag.Parse()
	exit(run(context.Background(), o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, o options) (err error) {
	rounds := max(1, o.readings/o.gateways/perRound)
	readings := rounds * o.gateways * perRound
	start := time.Now().UTC().Truncate(time.Second).Add(-time.Duration(rounds*positions+60) * time.Second)
	t := task{Secret: fmt.Sprint(time.Now().UnixNano()), Gateways: o.gateways, Rounds: rounds, Window: o.window, Start: start}
	c, err := openCloud(ctx, o, t.Secret)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	t.Addr = c.broker.Addr().String()
	fmt.Printf("%d gateways, %d readings (85%% positions, 10%% climate, 5%% tags of %d parcels) in %d frames, state on %s, %d workers\n",
		o.gateways, readings, parcels, 3*rounds*o.gateways, o.state, o.workers)

	gateways, err := startGateways(ctx, &t)
	if err != nil {
		return err
	}
	defer gateways.stop()
	before := c.cpu(gateways.cmd.Process.Pid)
	stopProfile, err := profile(o.profile)
	if err != nil {
		return err
	}
	sum, err := gateways.play()
	stopProfile()
	if err != nil {
		return err
	}
	after := c.cpu(gateways.cmd.Process.Pid)
	rate := float64(readings) / sum.Seconds
	fmt.Printf("committed and acknowledged: %.0f readings/s (%.2f s, %.1f MB sent, ack p50 %v p99 %v)\n",
		rate, sum.Seconds, float64(sum.Bytes)/1e6, sum.P50.Round(time.Millisecond), sum.P99.Round(time.Millisecond))
	for i, name := range []string{"cloud", "state server", "influxd", "gateways"} {
		fmt.Printf("  CPU %-12s %6.2f µs/reading\n", name, (after[i]-before[i]).Seconds()*1e6/float64(readings))
	}
	if err := c.check(ctx, rounds, o.gateways); err != nil {
		return err
	}
	raw, err := c.rawCopy(ctx, o.gateways, min(rounds, 3), start)
	if err != nil {
		return err
	}
	if raw > 0 {
		fmt.Printf("raw COPY of the same rows: %.0f rows/s (ratio %.2f)\n", raw, rate/raw)
	}
	return nil
}

// A fleet is the process that plays the gateways.
type fleet struct {
	cmd *exec.Cmd
	in  interface {
		Write([]byte) (int, error)
		Close() error
	}
	out *bufio.Reader
}

func startGateways(ctx context.Context, t *task) (*fleet, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f := &fleet{cmd: exec.CommandContext(ctx, self, "play")}
	f.cmd.Stderr = os.Stderr
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if f.in, err = f.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	f.out = bufio.NewReader(out)
	if err := f.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	if _, err := f.in.Write(append(line, '\n')); err != nil {
		return nil, err
	}
	_, err = f.out.ReadString('\n') // ready
	return f, err
}

// play lets the gateways send, and returns when all is acknowledged.
func (f *fleet) play() (sum tally, err error) {
	if _, err := f.in.Write([]byte("go\n")); err != nil {
		return sum, err
	}
	line, err := f.out.ReadBytes('\n')
	if err != nil {
		return sum, fmt.Errorf("gateways: %w", err)
	}
	return sum, json.Unmarshal(line, &sum)
}

func (f *fleet) stop() {
	_ = f.in.Close()
	_ = f.cmd.Wait()
}
