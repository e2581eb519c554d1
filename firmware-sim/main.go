package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"yizhan/firmware-sim/internal/firmware"
)

// version is set by the build.
var version = "dev"

const usage = `usage: firmware-sim county -data DIR -bin DIR [flags]
       firmware-sim power -data DIR UNIT kill|pause|resume|off|on|cut|mend
       firmware-sim key -data DIR LOCKER CELL CODE
       firmware-sim device KIND ADDRESS [FAULT[=VALUE] ...]
       firmware-sim replay DEVICE FILE [-speed N]
       firmware-sim version`

var errUsage = errors.New(usage)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // the second signal kills
	os.Exit(status(os.Stderr, run(ctx, os.Args[1:], os.Stdout, os.Stderr)))
}

func status(stderr io.Writer, err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintln(stderr, err)
		return 2
	}
	slog.New(slog.NewTextHandler(stderr, nil)).Error("firmware-sim failed", "err", err)
	return 1
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet("firmware-sim "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	switch args[0] {
	case "county":
		var o options
		o.flags(flags)
		if err := flags.Parse(args[1:]); err != nil || flags.NArg() > 0 {
			return errors.Join(errUsage, err)
		}
		return county(ctx, o, stdout, slog.New(slog.NewTextHandler(stderr, nil)))
	case "power", "key":
		return tell(ctx, flags, args, stdout)
	case "device":
		return device(ctx, args[1:], stdout)
	case "replay":
		speed := flags.Float64("speed", 1, "times the log's own pace; 0 is as fast as it goes")
		baud := flags.Int("baud", 9600, "pace of a log without times")
		rest := args[1:]
		if len(rest) < 2 {
			return errUsage
		}
		if err := flags.Parse(rest[2:]); err != nil || flags.NArg() > 0 || strings.HasPrefix(rest[0], "-") || *baud < 1 {
			return errors.Join(errUsage, err)
		}
		return replay(ctx, rest[1], *baud, *speed, stdout)
	case "version":
		_, err := fmt.Fprintln(stdout, version)
		return err
	}
	return errUsage
}

// replay plays a log onto a pty. The line stays there after the log's end until ctx ends.
func replay(ctx context.Context, file string, baud int, speed float64, stdout io.Writer) error {
	log, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	line, err := firmware.OpenLine()
	if err != nil {
		return err
	}
	defer line.Close()
	if _, err := fmt.Fprintln(stdout, line.Path); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return firmware.Replay(ctx, line, log, baud, speed) })
	g.Go(func() error {
		<-ctx.Done()
		return nil
	})
	return g.Wait()
}
