package passage

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

func TestRawReadsSumUpAndAreBounded(t *testing.T) {
	w := rawReads{every: time.Second}
	now := time.Date(2026, 8, 5, 6, 0, 0, 0, time.UTC)
	read := func(hex string, rssi float64) Read {
		return Read{EPC: hex, Hex: hex, Antenna: 1, RSSI: telemetry.Some(rssi), Count: 1, First: now, Last: now}
	}
	_, due, _ := w.add(now, read("A", -60))
	require.True(t, due)
	first := now
	for i := range 5 {
		now = now.Add(100 * time.Millisecond)
		_, due, _ = w.add(now, read("A", -60+float64(i%3)))
		require.False(t, due)
	}
	require.Empty(t, w.tick(now))
	now = first.Add(time.Second)
	out := w.tick(now)
	require.Len(t, out, 1)
	require.Equal(t, 5, out[0].Count)
	require.Equal(t, telemetry.Some(-58.0), out[0].RSSI)
	require.Equal(t, first.Add(100*time.Millisecond), out[0].First)
	require.Equal(t, first.Add(500*time.Millisecond), out[0].Last)
	require.Empty(t, w.tick(now.Add(time.Second)))
	require.Empty(t, w.tags)

	for i := range maxRawTags + 1 {
		_, _, dropped := w.add(now, read(fmt.Sprint(i), -60))
		require.Equal(t, i == maxRawTags, dropped)
	}
}
