package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type options struct {
	dir      string
	pairs    int
	slice    time.Duration
	patience time.Duration
	profile  string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if len(os.Args) == 5 && os.Args[1] == "serve" {
		exit(serve(ctx, os.Args[2], os.Args[3], os.Args[4]))
	}
	var o options
	flag.StringVar(&o.dir, "dir", "", "`folder` on the medium that is to be measured; the system's temporary one")
	flag.IntVar(&o.pairs, "pairs", 7, "samples of each row")
	flag.DurationVar(&o.slice, "slice", 1200*time.Millisecond, "length of a sample")
	flag.DurationVar(&o.patience, "patience", 10*time.Second, "how long to wait for a calm machine before a sample")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of our broker's process to a `file`")
	flag.Parse()
	exit(acks(ctx, os.Stdout, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
