package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"yizhan/cloud/internal/state"
	"yizhan/devices/telemetry"
)

// ErrBroken says that an archive isn't what the gateway signed and the store committed.
var ErrBroken = errors.New("the archive is broken")

// Verify verifies the archive of a gateway, prints what it found, and fails with ErrBroken where that isn't sound.
func Verify(ctx context.Context, cfg Config, gateway string, stdout io.Writer) error {
	if !telemetry.ValidID(gateway) {
		return fmt.Errorf("%w: verify: %.40q is no gateway", ErrUsage, gateway)
	}
	store, err := state.Open(ctx, cfg.State, state.Options{})
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	audit, err := store.Verify(ctx, gateway)
	if err = errors.Join(err, store.Close()); err != nil {
		return fmt.Errorf("verify %s: %w", gateway, err)
	}
	fmt.Fprintf(stdout, "gateway %s: %d frames with %d records in %d lanes, keys %d\n", gateway, audit.Frames, audit.Records, audit.Lanes, audit.Keys)
	fmt.Fprintf(stdout, "pruned: %d records, %d signed checkpoints\n", audit.Pruned, audit.Checkpoints)
	if audit.Unlinked > 0 {
		fmt.Fprintf(stdout, "unlinked: %d frames name no record before theirs\n", audit.Unlinked)
	}
	for _, b := range audit.Breaks {
		fmt.Fprintf(stdout, "break: epoch %v lane %s seq %d: %s\n", b.Epoch, b.Lane, b.Seq, b.Reason)
	}
	if audit.Broken > 0 {
		return fmt.Errorf("verify %s: %w in %d places", gateway, ErrBroken, audit.Broken)
	}
	fmt.Fprintln(stdout, "sound")
	return nil
}

// noteKey keeps the key that frames of a connected gateway are verified with. A failure costs nothing but
// time: the next hello notes it.
func (s *Service) noteKey(ctx context.Context, gateway string) {
	key, ok := s.gateways.Key(gateway)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.store.NoteKey(ctx, gateway, key); err != nil && ctx.Err() == nil {
		s.env.Log.Warn("key not noted", "gateway", gateway, "err", err)
	}
}
