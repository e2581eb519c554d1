package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

type options struct {
	bin    string
	county string
	rate   int
	only   string
	keep   bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if len(os.Args) == 5 && os.Args[1] == "paho" {
		exit(pahoMain(ctx, os.Args[2], os.Args[3], os.Args[4]))
	}
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "`folder` with the programs gateway and cloud")
	flag.StringVar(&o.county, "county", "configs/county", "`folder` of the county that the cloud serves")
	flag.IntVar(&o.rate, "rate", 200, "readings a second")
	flag.StringVar(&o.only, "only", "ours,bridge,paho", "which ways")
	flag.BoolVar(&o.keep, "keep", false, "leave the folders with logs")
	flag.Parse()
	exit(run(ctx, o))
}

func run(ctx context.Context, o options) error {
	fmt.Printf("One story of faults, %d readings/s for %v; a device that sends again what was not acknowledged.\n", o.rate, length())
	fmt.Println("| way | sent | acknowledged | arrived | lost | doubled | came out of order | reads out of order | all there after |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
	var all error
	for _, name := range strings.Split(o.only, ",") {
		open, ok := ways[name]
		if !ok {
			return fmt.Errorf("there is no way %q", name)
		}
		c, err := travel(ctx, o, name, open)
		if err != nil {
			all = errors.Join(all, fmt.Errorf("%s: %w", name, err))
			continue
		}
		fmt.Printf("| %s | %d | %d | %d | %d | %d | %d | %d | %s |\n", name, c.sent, c.told, c.arrived, c.lost, c.doubled, c.disordered, c.misread, c.after())
	}
	return all
}

// travel plays the story through one way.
func travel(ctx context.Context, o options, name string, open opener) (c count, err error) {
	dir, err := os.MkdirTemp("", "bench-loss-"+name+"-")
	if err != nil {
		return c, err
	}
	if o.keep {
		fmt.Fprintln(os.Stderr, name, "is in", dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	b, err := newBench(ctx, dir, o)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	w, err := open(b)
	if err != nil {
		return c, err
	}
	return b.play(w)
}

// after says how long the way took to deliver what it delivers, once the faults were over.
func (c count) after() string {
	if c.drained {
		return c.took.Round(100 * time.Millisecond).String()
	}
	return "never"
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
