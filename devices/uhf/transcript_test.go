package uhf

import (
	"bytes"
	"context"
	"flag"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/devicestest"
	"yizhan/devices/passage"
	"yizhan/devices/port"
	"yizhan/devices/port/porttest"
	"yizhan/devices/telemetry"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

// The transcripts hold the driver to every byte it sends, and say what it tells.
func TestTranscripts(t *testing.T) {
	twenty := 20.0
	for _, c := range []struct {
		cfg  Config
		runs time.Duration
	}{
		{Config{Family: "bb7e", PowerDBm: &twenty}, 4300 * time.Millisecond},
		{Config{Family: "a0", Antennas: []passage.Antenna{{Port: 1}, {Port: 2}}}, 14 * time.Second},
		{Config{Family: "lenadr", PowerDBm: &twenty}, 6 * time.Second},
		{Config{Family: "swct"}, 6 * time.Second},
	} {
		t.Run(c.cfg.Family, func(t *testing.T) {
			path := "testdata/" + c.cfg.Family
			var told bytes.Buffer
			synctest.Test(t, func(t *testing.T) { told = playTranscript(t, path+".transcript", c.cfg, c.runs) })
			golden(t, path+".run.json", told.Bytes())

			var out bytes.Buffer
			in := devicestest.Load(t, path+".transcript").FromDevice()
			_, err := Decode(bytes.NewReader(in), Options{}, func(r telemetry.Reading) error {
				out.Write(append(r.AppendJSON(nil), '\n'))
				return nil
			}, nil)
			require.NoError(t, err)
			golden(t, path+".decode.json", out.Bytes())
		})
	}
}

func playTranscript(t *testing.T, path string, cfg Config, runs time.Duration) (told bytes.Buffer) {
	idle(time.Until(time.Date(2026, 8, 5, 6, 0, 0, 0, time.UTC)))
	cfg.Port, cfg.Bauds, cfg.Interval = "serial:/dev/ttyUSB0", []int{57600}, 500*time.Millisecond
	driver, device := porttest.Pipe()
	d := testDriver(t, cfg, func(context.Context, string) (port.Port, error) { return driver, nil })
	ctx, cancel := context.WithTimeout(context.Background(), runs)
	defer cancel()
	playing, stop := context.WithCancel(context.Background())
	played := make(chan struct{})
	go func() {
		defer close(played)
		devicestest.Play(t, path)(playing, device)
	}()
	err := d.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
		for _, r := range rs {
			require.NoError(t, r.Validate())
			require.Equal(t, r.RawRead(), r.N == "")
			if r.N != "" { // begins with a random word
				r.N = r.N[strings.IndexByte(r.N, '-'):]
			}
			told.Write(append(r.AppendJSON(nil), '\n'))
		}
		return nil
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	stop()
	device.Close()
	<-played
	require.EqualValues(t, 1, d.Counters()["connects"])
	return told
}
