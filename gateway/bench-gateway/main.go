package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

type options struct {
	gateway  string
	dir      string
	only     string
	pairs    int
	slice    time.Duration
	length   time.Duration
	patience time.Duration
	records  int
	profile  string
}

func main() {
	runtime.LockOSThread() // a child ends with the thread that started it: it must be one that stays
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if len(os.Args) == 5 && os.Args[1] == "serve" {
		exit(serve(ctx, os.Args[2], os.Args[3], os.Args[4]))
	}
	var o options
	flag.StringVar(&o.gateway, "gateway", "bin/gateway", "the gateway's `program`")
	flag.StringVar(&o.dir, "dir", "", "`folder` on the medium that is to be measured; the system's temporary one")
	flag.StringVar(&o.only, "only", "acks,footprint,backlog", "which tables, by `names`")
	flag.IntVar(&o.pairs, "pairs", 7, "samples of each row beside bare mochi")
	flag.DurationVar(&o.slice, "slice", 1200*time.Millisecond, "length of such a sample")
	flag.DurationVar(&o.length, "length", 6*time.Second, "length of each load on the gateway")
	flag.DurationVar(&o.patience, "patience", 10*time.Second, "how long to wait for a calm machine before a sample")
	flag.IntVar(&o.records, "records", 10_000_000, "records of the backlog")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of our broker's process to a `file`")
	flag.Parse()
	exit(run(ctx, o))
}

func run(ctx context.Context, o options) error {
	tables := map[string]func(context.Context, io.Writer, options) error{"acks": acks, "footprint": footprint, "backlog": backlog}
	for _, name := range strings.Split(o.only, ",") {
		table, ok := tables[name]
		if !ok {
			return fmt.Errorf("there is no table %q", name)
		}
		if err := table(ctx, os.Stdout, o); err != nil {
			return err
		}
	}
	return nil
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
