package edge

import (
	"os"
	"path/filepath"
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

// The keys of the configuration reach the spool: a mirror is made and shown, and is the gateway's own.
func TestTheMirrorOfTheConfigurationIsWritten(t *testing.T) {
	dir := t.TempDir()
	cfg, err := Parse(filepath.Join(dir, "gateway.yaml"), []byte(`gateway: van-03
data: data
uplink: {url: "tls://127.0.0.1:1", ca: ca.pem, cert: cert.pem, key: key.pem}
spool: {mirror: stick, keep: 48h, card_tbw: 60}
`), nil)
	require.NoError(t, err)
	e, err := New(cfg, Env{})
	require.NoError(t, err)
	e.spool.Step()
	r := e.Report()
	require.Equal(t, "ok", r.Spool.Mirror)
	require.NotContains(t, r.Degraded, "spool mirror lost")
	require.NoError(t, e.Close())
	owner, err := os.ReadFile(filepath.Join(dir, "stick", "owner"))
	require.NoError(t, err)
	require.Equal(t, "van-03", string(owner))
	segments, err := filepath.Glob(filepath.Join(dir, "stick", "keep-*.seg"))
	require.NoError(t, err)
	require.NotEmpty(t, segments)
}
