// Command cloud is the service of a county: it takes what gateways send, commits it, and shows it.
//
//	cloud -config FILE             run until SIGTERM; a second one ends it at once
//	cloud -check -config FILE      check the configuration and print it as it is in effect
//	cloud ca init DIR              make the county's certificate authority
//	cloud ca server DIR HOST...    make the certificate of the listener for gateways
//	cloud ca sign DIR CSR.pem      print the certificate of a gateway
//	cloud ca locker DIR LOCKER [GENERATION]  make the key file of a locker's board
//	cloud frame FILE               print a frame as JSON
//	cloud verify -config FILE GATEWAY  verify the archive of a gateway: signatures, chain, nothing missing
//	cloud version
//
// Exit status: 0 asked to stop, 1 failed, 2 wrong usage, 78 bad configuration (don't start it again).
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
	"syscall"

	"yizhan/cloud/service"
)

// version is set by the build.
var version = "dev"

const exitOK, exitFailed, exitUsage, exitConfig = 0, 1, 2, 78

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // the second signal kills
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "ca", "frame":
			return tell(stderr, service.Tool(args, stdout))
		case "verify":
			return verify(ctx, args[1:], stdout, stderr)
		case "version":
			fmt.Fprintln(stdout, version)
			return exitOK
		}
	}
	flags := flag.NewFlagSet("cloud", flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("config", "", "configuration `file`")
	check := flags.Bool("check", false, "check the configuration, print it and exit")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if *file == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: cloud [-check] -config FILE | cloud ca init|server|sign|locker ... | cloud frame FILE | cloud verify -config FILE GATEWAY | cloud version")
		return exitUsage
	}
	cfg, err := service.Load(*file)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitConfig
	}
	if *check {
		if err := service.Check(cfg); err != nil {
			fmt.Fprintln(stderr, err)
			return exitConfig
		}
		fmt.Fprint(stdout, cfg.Print())
		return exitOK
	}
	return tell(stderr, serve(ctx, cfg, stdout, stderr))
}

func serve(ctx context.Context, cfg service.Config, stdout, stderr io.Writer) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Log)); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	s, err := service.New(ctx, cfg, service.Env{Log: log, Version: version})
	if err != nil {
		return err
	}
	log.Info("cloud up", "addr", s.Addr().String())
	if cfg.Demo && terminal(stdout) {
		fmt.Fprintln(stdout, s.Link())
	}
	err = s.Run(ctx)
	log.Info("cloud down")
	return err
}

// terminal reports whether a person reads w: a link that logs in is for people, and for no log file.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// tell prints an error and turns it into an exit status.
func tell(stderr io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, err)
	if errors.Is(err, service.ErrUsage) {
		return exitUsage
	}
	return exitFailed
}
