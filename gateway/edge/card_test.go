package edge

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
)

func TestSpoolAlarmsAreToldWhenTheyBeginAndEnd(t *testing.T) {
	told := map[string]bool{}
	codes := func(h spool.Health) (out []string) {
		for _, a := range watchSpool(&h, told) {
			require.NotEmpty(t, a.Detail)
			out = append(out, string(a.Severity)+" "+a.Code)
			require.NoError(t, telemetry.New("gateway", time.Time{}, "", a).Validate())
		}
		return out
	}
	require.Empty(t, codes(spool.Health{MaxBytes: 100, Held: 80, Kept: 90}), "the kept tail fills nothing")
	require.Equal(t, []string{"major spool_full"}, codes(spool.Health{MaxBytes: 100, Held: 81}))
	require.Empty(t, codes(spool.Health{MaxBytes: 100, Held: 95}), "once")
	require.Equal(t, []string{"info spool_full", "major spool_mirror_lost"}, codes(spool.Health{MaxBytes: 100, Mirrored: true, MirrorLost: true}))
	require.Equal(t, []string{"major spool_damaged", "info spool_mirror_lost"}, codes(spool.Health{MaxBytes: 100, Damaged: 1}))
}

func TestWrittenReadsTheKernelsLine(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       float64
		ok         bool
	}{
		{"a card", "    1530      720    75370     1133     2266     1880    47848     5446        0     4552     6916        0        0        0        0      338      337\n", 47848 * 512, true},
		{"before flushes were counted", "1 2 3 4 5 6 7 8 9 10 11", 7 * 512, true},
		{"cut", "1 2 3 4 5 6", 0, false},
		{"no number", "1 2 3 4 5 6 x 8", 0, false},
		{"empty", "", 0, false},
	} {
		got, ok := written(c.line)
		require.Equal(t, c.ok, ok, c.name)
		require.InDelta(t, c.want, got, 0.5, c.name)
	}
}

func TestKeep(t *testing.T) {
	require.Equal(t, time.Hour, keep(time.Hour))
	require.Negative(t, keep(0), "0 in the file keeps nothing; 0 in Options is the default")
}
