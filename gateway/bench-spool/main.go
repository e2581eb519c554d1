package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type options struct {
	dir     string
	image   bool
	pairs   int
	slice   time.Duration
	groups  []int
	records int
	iops    int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	var o options
	var groups string
	flag.StringVar(&o.dir, "dir", "", "`folder` on the medium that is to be measured; the system's temporary one")
	flag.BoolVar(&o.image, "image", os.Geteuid() == 0, "measure in a file system of its own")
	flag.IntVar(&o.pairs, "pairs", 5, "pairs of turns of each way")
	flag.DurationVar(&o.slice, "slice", 400*time.Millisecond, "length of a turn")
	flag.StringVar(&groups, "groups", "1,10,100", "records a commit, by `numbers`")
	flag.IntVar(&o.records, "records", 10_000_000, "records of the spool that is opened; 0: none")
	flag.IntVar(&o.iops, "iops", 0, "writes a second that the device takes; 0: all")
	flag.Parse()
	for _, g := range strings.Split(groups, ",") {
		n, err := strconv.Atoi(g)
		if err != nil || n < 1 || n > 1000 {
			fmt.Fprintf(os.Stderr, "groups: %q is no number from 1 to 1000\n", g)
			os.Exit(2)
		}
		o.groups = append(o.groups, n)
	}
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp(o.dir, "bench-spool-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := commits(ctx, os.Stdout, dir, o); err != nil || o.records == 0 {
		return err
	}
	return opens(os.Stdout, dir, o.records)
}
