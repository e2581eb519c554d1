package firmware

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAngle(t *testing.T) {
	tests := []struct {
		deg      float64
		digits   int
		pos, neg string
		want     string
	}{
		{47.661981667, 2, "N", "S", "4739.71890,N"},
		{-122.326393667, 3, "E", "W", "12219.58362,W"},
		{-37.784788333, 2, "N", "S", "3747.08730,S"},
		{30.99999999999, 2, "N", "S", "3100.00000,N"},
		{5.5, 3, "E", "W", "00530.00000,E"},
		{0, 2, "N", "S", "0000.00000,N"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, angle(tt.deg, tt.digits, tt.pos, tt.neg))
	}
}

func TestEpochSentences(t *testing.T) {
	at := time.Date(2026, 8, 5, 5, 52, 34, 0, time.FixedZone("CST", 8*3600)).Add(8 * time.Hour)
	out := string(Epoch(at, Fix{Lat: 47.661981667, Lon: -122.326393667, SpeedMPS: 10, HeadingDeg: 286.35, AltitudeM: 76.5, Satellites: 14}))
	require.True(t, strings.HasPrefix(out, "$GNRMC,055234.000,A,4739.71890,N,12219.58362,W,19.44,286.35,050826,,,A,V*"), out)
	for _, line := range strings.Split(strings.TrimSuffix(out, "\r\n"), "\r\n") {
		var sum byte
		body, hex, ok := strings.Cut(line[1:], "*")
		require.True(t, ok)
		for _, c := range []byte(body) {
			sum ^= c
		}
		require.Equal(t, hex, strings.ToUpper(string("0123456789abcdef"[sum>>4])+string("0123456789abcdef"[sum&15])))
		require.LessOrEqual(t, len(line)+2, 82, "the standard's longest sentence")
	}
	// A checksum of the standard's own kind, from a recorded receiver.
	var b strings.Builder
	sentence(&b, "GNVTG,286.35,T,,M,0.00,N,0.00,K,A")
	require.Equal(t, "$GNVTG,286.35,T,,M,0.00,N,0.00,K,A*29\r\n", b.String())
}

func TestEpochKeepsWithinTheStandard(t *testing.T) {
	out := string(Epoch(time.Unix(0, 0), Fix{HeadingDeg: 359.999, SpeedMPS: 1e6}))
	require.Contains(t, out, ",999.90,0.00,010170,")
	out = string(Epoch(time.Unix(0, 0), Fix{None: true}))
	require.Contains(t, out, "$GNRMC,000000.000,V,,,,,,,010170,,,N,V*")
	require.Contains(t, out, "$GNGGA,000000.000,,,,,0,00,")
}

func TestGPSSendsAtFullSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		g := GPS{Line: &out, Where: func(time.Time) Fix { return Fix{Lat: 30, Lon: 103} }}
		require.NoError(t, g.Run(ctx))
		require.Equal(t, 3, strings.Count(out.String(), "$GNRMC,"))
	})
}
