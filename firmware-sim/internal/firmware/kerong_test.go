package firmware

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKerongOnALine(t *testing.T) {
	for _, c := range []struct {
		model             Model
		ask, unlock, shut string // of board 0, lock 1
		open, item        string
	}{
		{KRCU16, "0200300335", "0200310336", "020035ffff00000338", "020035feff00000337", "020035feff01000338"},
		{KRCU24, "020000500355", "020000510356", "02000065ffffff0367", "02000065feffff0366", "02000065feffff0366"},
		{KRCU48, "020000600365", "020000610366", "02000075ffffffffffff0374", "02000075feffffffffff0373", "02000075feffffffffff0373"},
		{KRCU12, "0200008000000385", "0200008100000386", "0200008010040399ff0f0000", "0200008010040399fe0f0000", "0200008010040399fe0f0100"},
	} {
		t.Run(fmt.Sprint(int(c.model)), func(t *testing.T) {
			var k *Kerong
			ready := make(chan struct{})
			end := plugged(t, func(ctx context.Context, l *Line) error {
				k = NewKerong(l, c.model, 2, 0)
				close(ready)
				return k.Run(ctx)
			})
			<-ready
			size := len(c.shut) / 2
			require.Equal(t, c.shut, ask(t, end, c.ask, size))
			if c.model == KRCU12 {
				require.Equal(t, "0200008110000396", ask(t, end, c.unlock, 8))
			} else {
				_, err := end.Write(unhex(t, c.unlock)) // and no answer
				require.NoError(t, err)
			}
			require.NoError(t, k.AwaitOpen(t.Context(), 1))
			require.Equal(t, 1, k.Pulses(1))
			require.Equal(t, c.open, ask(t, end, "ff02"+c.ask, size), "garbage before")
			require.NoError(t, k.Put(1, true))
			require.Equal(t, c.item, ask(t, end, c.ask, size))
		})
	}
}

func TestKerongAddresses(t *testing.T) {
	k := NewKerong(nowhere{}, KRCU16, 2, 1)
	for _, f := range []string{"023f310375", "021f310355", "022531035b", "02F0320327"} {
		k.handle(unhex(t, f))
	}
	require.Equal(t, []int{1, 1}, []int{k.Pulses(16), k.Pulses(16 + 6)}, "board 1 lock 16, board 2 lock 6, no board 3")
	k.Sticky = true
	k.handle(unhex(t, "022531035b"))
	require.Equal(t, 1, k.Pulses(16+6), "busy")
	k.handle(unhex(t, "0220300355"))
	k.handle(unhex(t, "022531035b"))
	require.Equal(t, 2, k.Pulses(16+6))
}

func FuzzKerong(f *testing.F) {
	seeds(f, "0200300335", "0200310336", "020000600365", "0200008100000386", "02F0320327")
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range []Model{KRCU12, KRCU16, KRCU24, KRCU48} {
			k := NewKerong(nowhere{}, m, 2, 0)
			for n := k.size(); len(b) >= n; b = b[1:] {
				if krFrame(b[:n]) {
					k.handle(b[:n])
				}
			}
		}
	})
}
