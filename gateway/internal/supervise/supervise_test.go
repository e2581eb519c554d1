package supervise_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/gateway/internal/supervise"
)

// noJitter takes nothing off a pause.
func noJitter() float64 { return 0 }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestPausesDoubleAndStartOverAfterAGoodMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := supervise.New(noJitter)
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		var starts []time.Duration
		go s.Keep(ctx, supervise.Part{Name: "gps", Kind: "gnss", Log: quiet(), Run: func(ctx context.Context) error {
			starts = append(starts, time.Since(began))
			if len(starts) == 9 {
				time.Sleep(supervise.Good)
			}
			return context.DeadlineExceeded // looks like ours and is the driver's
		}})
		time.Sleep(5*time.Minute + 10*time.Second)
		cancel()
		synctest.Wait()
		sec := func(n int) time.Duration { return time.Duration(n) * time.Second }
		require.Equal(t, []time.Duration{0, sec(1), sec(3), sec(7), sec(15), sec(31), sec(63), sec(123), sec(183), sec(244), sec(246), sec(250), sec(258), sec(274), sec(306)}, starts)
		st := s.States()[0]
		require.Equal(t, supervise.Stopped, st.Status)
		require.Equal(t, uint64(14), st.Restarts)
	})
}

func TestPanicIsAFailureAndOthersLiveOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := supervise.New(noJitter)
		ctx, cancel := context.WithCancel(t.Context())
		go s.Keep(ctx, supervise.Part{Name: "bad", Kind: "x", Log: quiet(), Run: func(context.Context) error { panic("out of range") }})
		go s.Keep(ctx, supervise.Part{Name: "good", Kind: "x", Log: quiet(), Run: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
		time.Sleep(3500 * time.Millisecond)
		st := s.States()
		require.Equal(t, uint64(3), st[0].Panics)
		require.Equal(t, "panic: out of range", st[0].Err)
		require.Equal(t, supervise.Waiting, st[0].Status)
		require.Equal(t, supervise.Running, st[1].Status)
		require.Zero(t, st[1].Restarts)
		cancel()
		synctest.Wait()
	})
}

func TestPermanentParksUntilRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := supervise.New(nil)
		ctx, cancel := context.WithCancel(t.Context())
		runs := 0
		go s.Keep(ctx, supervise.Part{Name: "lock", Kind: "lockerbus", Log: quiet(), Run: func(ctx context.Context) error {
			if runs++; runs == 1 {
				return fmt.Errorf("board 2 answers for board 1: %w", devices.ErrPermanent)
			}
			<-ctx.Done()
			return ctx.Err()
		}})
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, 1, runs)
		require.Equal(t, supervise.Parked, s.States()[0].Status)
		require.True(t, s.Restart("lock"))
		require.False(t, s.Restart("nobody"))
		synctest.Wait()
		require.Equal(t, supervise.Running, s.States()[0].Status)
		require.True(t, s.Restart("lock"), "a running part is ended and run again at once")
		synctest.Wait()
		require.Equal(t, 3, runs)
		require.Equal(t, uint64(2), s.States()[0].Restarts)
		cancel()
		synctest.Wait()
	})
}

func TestSameFailureIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := supervise.New(noJitter)
		ctx, cancel := context.WithCancel(t.Context())
		fail := errors.New("no such port")
		n := 0
		go s.Keep(ctx, supervise.Part{Name: "gps", Kind: "gnss", Log: slog.New(slog.NewTextHandler(&log, nil)), Run: func(ctx context.Context) error {
			switch n++; n {
			case 3:
				return errors.New("hung up")
			case 5:
				time.Sleep(2 * time.Minute)
			}
			return fail
		}})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Equal(t, 3, strings.Count(log.String(), "no such port"), "at first, after another failure, and after a good minute:\n%s", log.String())
		require.Equal(t, 1, strings.Count(log.String(), "hung up"))
		cancel()
		synctest.Wait()
	})
}

// A driver that worked and then hangs is restarted, once; one that is silent by nature is left alone, and one that doesn't
// even end is shown.
func TestHungPartsAreRestarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := supervise.New(noJitter)
		ctx, cancel := context.WithCancel(t.Context())
		var polls atomic.Uint64
		wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		work := func(minutes int) func(context.Context) error {
			return func(ctx context.Context) error {
				for range minutes * 6 {
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-time.After(9900 * time.Millisecond): // never at the same moment as a look
						polls.Add(1)
					}
				}
				return wait(ctx)
			}
		}
		release := make(chan struct{})
		runs := 0
		go s.Keep(ctx, supervise.Part{Name: "a-hangs", Kind: "x", Log: quiet(), Progress: polls.Load, Run: func(ctx context.Context) error {
			if runs++; runs == 1 {
				return work(20)(ctx)
			}
			return wait(ctx)
		}})
		go s.Keep(ctx, supervise.Part{Name: "b-silent", Kind: "x", Log: quiet(), Progress: func() uint64 { return 0 }, Run: wait})
		go s.Keep(ctx, supervise.Part{Name: "c-deaf", Kind: "x", Log: quiet(), Run: func(context.Context) error { <-release; return nil }})
		time.Sleep(24 * time.Minute)
		synctest.Wait()
		require.Zero(t, s.States()[0].Restarts)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, uint64(1), s.States()[0].Restarts)
		require.Contains(t, s.States()[0].Err, "hung")
		require.Equal(t, supervise.Running, s.States()[0].Status)
		require.True(t, s.Restart("c-deaf"))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, supervise.Stuck, s.States()[2].Status)
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		require.Equal(t, uint64(1), s.States()[0].Restarts, "it is silent, and was restarted for it")
		require.Zero(t, s.States()[1].Restarts)
		close(release)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.NotEqual(t, supervise.Stuck, s.States()[2].Status)
		require.NotZero(t, s.States()[2].Restarts)
		cancel()
		synctest.Wait()
	})
}
