package devices_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
)

func TestBadFramesKeepsTheLast(t *testing.T) {
	var kept struct{ devices.BadFrames }
	var _ devices.Suspecting = &kept
	require.Empty(t, kept.LastBad())

	buf := []byte{0}
	for i := range 50 {
		buf[0] = byte(i)
		kept.Add("resync", buf)
	}
	buf[0] = 0xff // the ring holds copies

	got := kept.LastBad()
	require.Len(t, got, devices.BadFramesKept)
	require.Equal(t, devices.BadFrame{N: 31, Reason: "resync", Hex: "1e"}, got[0])
	require.Equal(t, devices.BadFrame{N: 50, Reason: "resync", Hex: "31"}, got[19])

	kept.Add("bad_checksum", bytes.Repeat([]byte{1}, 5000))
	require.Len(t, kept.LastBad()[19].Hex, 2*devices.BadFrameBytes)
}
