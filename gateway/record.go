package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"yizhan/gateway/edge"
)

const recordUsage = `usage: gateway record -config FILE [-for 1m] [-raw] [-peer ADDRESS] [-private] DEVICE FILE

Writes what passes between a device and its driver as a transcript, a test's input: "<" from the device, ">" to it, "~" a
pause. It listens in on the gateway that runs; if none does, it runs the driver itself. FILE must be new; - is the standard
output. The file may hold what people typed: keep it as such.

`

// capture records a device and returns the exit status.
func capture(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("gateway record", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, recordUsage)
		flags.PrintDefaults()
	}
	config := flags.String("config", "", "configuration `file` of the gateway")
	limit := flags.Duration("for", 0, "how long; until interrupted unless given")
	raw := flags.Bool("raw", false, "only the bytes from the device, as gateway decode takes them")
	peer := flags.String("peer", "", "of several connections, one whose `address` holds this")
	private := flags.Bool("private", false, "record even where what passes is a person's, as at a modem")
	words, err := positional(flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case len(words) != 2 || *config == "" || *limit < 0:
		flags.Usage()
		return exitUsage
	}
	cfg, err := edge.Load(*config, kinds())
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitConfig
	}
	if *limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *limit)
		defer cancel()
	}
	out, closed := stdout, func() error { return nil }
	if words[1] != "-" {
		f, err := os.OpenFile(words[1], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return report(stderr, err)
		}
		out, closed = f, f.Close
	}
	file := edge.NewRecording(out, *raw, *peer)
	env := edge.Env{Kinds: kinds(), Version: version, Logger: newLogger(stderr, cfg.Log)}
	began := time.Now()
	err = edge.Record(ctx, &cfg, env, edge.Asked{Device: words[0], Private: *private}, file, func(s string) { fmt.Fprintln(stderr, s) })
	err = errors.Join(err, file.Close(), closed())
	fmt.Fprintf(stderr, "%d bytes from the device, %d to it, in %v\n", file.From, file.To, time.Since(began).Round(time.Second))
	if n := file.LeftOut(); n > 0 {
		fmt.Fprintf(stderr, "%d other connections spoke and are left out: -peer picks one\n", n)
	}
	return report(stderr, err)
}
