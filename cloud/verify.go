package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"yizhan/cloud/service"
)

// verify checks the archive of one gateway.
func verify(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("cloud verify", flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("config", "", "configuration `file`")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if *file == "" || flags.NArg() != 1 {
		fmt.Fprintln(stderr, "usage: cloud verify -config FILE GATEWAY")
		return exitUsage
	}
	cfg, err := service.Load(*file)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitConfig
	}
	return tell(stderr, service.Verify(ctx, cfg, flags.Arg(0), stdout))
}
