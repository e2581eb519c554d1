package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/firmware-sim/internal/firmware"
)

// keypad is one at which somebody types the same every while; what a panel shows is printed.
func (s *stand) keypad(ctx context.Context) error {
	family := s.words["family"]
	if family != "panel" && family != "keys" {
		return wrongWord("family", family, "panel or keys")
	}
	return s.cable(ctx, func(ctx context.Context, line *firmware.Faulty) error {
		k := firmware.NewKeypad(line)
		k.Plain = family == "keys"
		k.Heard = func(word string, cell int, wait time.Duration) { _, _ = fmt.Fprintln(s.stdout, word, cell, wait) }
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return k.Run(ctx) })
		g.Go(func() error {
			for wait(ctx, scanEach) == nil {
				if err := k.Type(s.words["keys"]); err != nil {
					return err
				}
			}
			return nil
		})
		return g.Wait()
	})
}
