package gnss

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

// tpv is what a reference decoder made of a log, in the .chk file beside it.
type tpv struct {
	Class string
	Mode  int
	Time  time.Time
	Lat   float64
	Lon   float64
	Speed *float64 // derived from positions where Track is absent
	Track *float64 // from RMC or VTG
}

// TestReferenceLogs compares with recordings of real receivers where they lie beside the checkout.
func TestReferenceLogs(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "data", "gnss")
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	require.NoError(t, err)
	if len(logs) == 0 {
		t.Logf("no reference logs in %s: nothing compared", dir)
		return
	}
	for _, log := range logs {
		t.Run(filepath.Base(log), func(t *testing.T) { compare(t, log) })
	}
}

func compare(t *testing.T, log string) {
	raw, err := os.ReadFile(log)
	require.NoError(t, err)
	got := map[time.Time]telemetry.Position{}
	noFix := 0
	counters, err := Decode(bytes.NewReader(raw), Options{}, func(r telemetry.Reading) error {
		require.NoError(t, r.Validate())
		p, err := telemetry.As[telemetry.Position](r)
		require.NoError(t, err)
		if !p.Valid {
			noFix++
			require.False(t, p.Lat.Known())
			require.False(t, p.SpeedMPS.Known())
			return nil
		}
		require.Equal(t, telemetry.GNSS, r.TQ)
		require.NotContains(t, got, r.At, "an epoch told twice")
		got[r.At] = p
		return nil
	}, nil)
	require.NoError(t, err)

	want, modes := reference(t, log+".chk")
	require.NotEmpty(t, want)
	for at, w := range want {
		require.Contains(t, got, at)
		p := got[at]
		require.InDelta(t, w.Lat, p.Lat.Or(99), 1e-6, "lat at %v", at)
		require.InDelta(t, w.Lon, p.Lon.Or(999), 1e-6, "lon at %v", at)
		if w.Track == nil {
			require.False(t, p.SpeedMPS.Known(), "speed at %v, though no RMC or VTG gave one", at)
			continue
		}
		require.InDelta(t, *w.Speed, p.SpeedMPS.Or(-1), 1e-3, "speed at %v", at)
		require.Equal(t, map[int]telemetry.Fix{2: telemetry.Fix2D, 3: telemetry.Fix3D}[w.Mode], p.Fix, "fix at %v", at)
	}
	require.LessOrEqual(t, len(got)-len(want), 1, "epochs that the reference doesn't have")
	if modes[1] > 0 {
		require.Positive(t, noFix)
	}
	require.Equal(t, badLines(raw), counters["bad_checksum"])
	t.Logf("%d fixes, %d without: %v", len(got), noFix, counters)
}

// reference returns the last position of each time, and how many there are of each mode.
func reference(t *testing.T, path string) (map[time.Time]tpv, map[int]int) {
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	last, modes := map[time.Time]tpv{}, map[int]int{}
	for line := range bytes.Lines(raw) {
		if line[0] != '{' {
			continue
		}
		var v tpv
		require.NoError(t, json.Unmarshal(line, &v))
		if v.Class != "TPV" {
			continue
		}
		modes[v.Mode]++
		if !v.Time.IsZero() {
			last[v.Time.UTC()] = v
		}
	}
	return last, modes
}

// badLines counts the lines that are a whole sentence with a wrong checksum, in another way than
// the decoder.
func badLines(raw []byte) (n uint64) {
	for line := range bytes.Lines(raw) {
		line = bytes.TrimSpace(line)
		body, sum, ok := bytes.Cut(line, []byte("*"))
		if !ok || !bytes.HasPrefix(body, []byte("$")) || len(sum) < 2 {
			continue
		}
		body = body[bytes.LastIndexByte(body, '$')+1:]
		x := byte(0)
		for _, c := range body {
			x ^= c
		}
		if !strings.EqualFold(string(sum[:2]), string([]byte{hexUpper[x>>4], hexUpper[x&15]})) {
			n++
		}
	}
	return n
}

const hexUpper = "0123456789ABCDEF"
