// Command gateway is the daemon of a board at a site or in a van: it reads devices, keeps what they say, and
// ships it to the cloud.
//
//	gateway -config FILE            run until SIGTERM; a second one ends it at once
//	gateway -check -config FILE     check the configuration and print it as it is in effect
//	gateway key -config FILE        make the board's key if there is none, print the request for its certificate
//	gateway hash                    read a password, print the line for the configuration
//	gateway decode KIND [FILE]      print what a driver makes of captured bytes
//	gateway record DEVICE FILE      write down the bytes between a device and its driver
//	gateway spool PATH              print a spool's folder or one file of it
//	gateway frame FILE              print a frame as JSON
//	gateway version
//
// Exit status: 0 asked to stop, 1 failed, 2 wrong usage, 78 bad configuration (don't start it again).
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"yizhan/broker"
	"yizhan/gateway/edge"
)

// version is set by the build.
var version = "dev"

const exitOK, exitFailed, exitUsage, exitConfig = 0, 1, 2, 78

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // the second signal kills
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	word := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		word, args = args[0], args[1:]
	}
	switch word {
	case "decode":
		return decode(args, stdin, stdout, stderr)
	case "record":
		return capture(ctx, args, stdout, stderr)
	}
	flags := flag.NewFlagSet("gateway "+word, flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("config", "", "configuration `file`")
	check := flags.Bool("check", false, "check the configuration, print it and exit")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	rest := flags.Args()
	switch {
	case word == "version" && len(rest) == 0:
		fmt.Fprintln(stdout, version)
		return exitOK
	case word == "hash" && len(rest) == 0:
		return report(stderr, hash(stdin, stdout))
	case word == "spool" && len(rest) == 1:
		return report(stderr, edge.Dump(stdout, rest[0]))
	case word == "frame" && len(rest) == 1:
		return report(stderr, edge.PrintFrame(stdout, rest[0]))
	case word != "" && word != "key" || len(rest) > 0 || *file == "":
		fmt.Fprintln(stderr, "usage: gateway [-check] -config FILE | key -config FILE | hash | decode KIND [FILE] | record DEVICE FILE | spool PATH | frame FILE | version")
		return exitUsage
	}
	cfg, err := edge.Load(*file, kinds())
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitConfig
	}
	switch {
	case *check:
		fmt.Fprint(stdout, cfg.Print())
		return exitOK
	case word == "key":
		csr, err := edge.Request(&cfg)
		fmt.Fprintf(stdout, "%s", csr)
		return report(stderr, err)
	}
	return report(stderr, serve(ctx, cfg, stderr))
}

func serve(ctx context.Context, cfg edge.Config, stderr io.Writer) error {
	limitMemory()
	log := newLogger(stderr, cfg.Log)
	e, err := edge.New(cfg, edge.Env{Kinds: kinds(), Version: version, Logger: log, Socket: edge.Socket})
	if err != nil {
		return err
	}
	defer notify(ctx, log, e.Stuck)()
	return e.Run(ctx)
}

func hash(stdin io.Reader, stdout io.Writer) error {
	line, err := bufio.NewReader(io.LimitReader(stdin, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	h, err := broker.HashPassword(strings.TrimRight(line, "\r\n"))
	if err == nil {
		_, err = fmt.Fprintln(stdout, h)
	}
	return err
}
