package broker

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// A thousand terminals that report for hours don't fill a small board's memory, and each is still
// remembered for what it told last.
func TestWindowIsBoundedOverAllDevices(t *testing.T) {
	var w window
	for n := range 40 {
		for d := range 3 * maxWindows / 2 {
			w.see(fmt.Sprintf("t%d", d), fmt.Sprint(n))
		}
	}
	require.Len(t, w.devices, maxWindows)
	total := 0
	for _, r := range w.devices {
		require.EqualValues(t, r.next-r.first, len(r.serial))
		total += len(r.ring)
	}
	require.LessOrEqual(t, total, 2*maxTold)
	last := fmt.Sprintf("t%d", 3*maxWindows/2-1)
	_, again := w.see(last, "39")
	require.True(t, again)
	_, again = w.see("t0", "39")
	require.False(t, again, "the one that was silent longest is forgotten")
}

// A reading whose commit failed counts when it is told again, and is then remembered like any other.
func TestWindowForgetsWhatWasLost(t *testing.T) {
	var w window
	lost, _ := w.see("lk1", "n1")
	w.settle([]mark{lost}, fmt.Errorf("no room"))
	kept, again := w.see("lk1", "n1")
	require.False(t, again)
	w.settle([]mark{kept}, nil)
	for n := range windowSize - 1 { // pushes the lost one out of the line, not the kept one
		w.see("lk1", fmt.Sprint("x", n))
	}
	_, again = w.see("lk1", "n1")
	require.True(t, again)
}
