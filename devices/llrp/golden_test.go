package llrp

import (
	"bytes"
	"context"
	"flag"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/devicestest"
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

// The transcript holds the driver to every byte it sends, and says what it tells.
func TestTranscript(t *testing.T) {
	const path = "testdata/portal.transcript"
	var told bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		timer := time.NewTimer(time.Until(time.Date(2026, 8, 5, 6, 0, 0, 0, time.UTC)))
		<-timer.C
		power, session := 30.0, 1
		driver, device := porttest.Pipe()
		d := testDriver(t, Config{Antennas: twoSides, PowerDBm: &power, Session: &session},
			func(context.Context, string) (port.Port, error) { return driver, nil })
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		played := make(chan struct{})
		go func() {
			defer close(played)
			defer device.Close()
			playing, stop := context.WithTimeout(ctx, 29*time.Second)
			defer stop()
			devicestest.Play(t, path)(playing, device)
		}()
		err := d.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
			for _, r := range rs {
				require.NoError(t, r.Validate())
				require.Equal(t, r.RawRead(), r.N == "")
				r.N = "" // begins with a random word
				told.Write(append(r.AppendJSON(nil), '\n'))
			}
			return nil
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		<-played
	})
	golden(t, "testdata/portal.run.json", told.Bytes())
}

func TestDecodeOfTheTranscript(t *testing.T) {
	var out bytes.Buffer
	in := devicestest.Load(t, "testdata/portal.transcript").FromDevice()
	_, err := Decode(bytes.NewReader(in), Options{}, func(r telemetry.Reading) error {
		out.Write(append(r.AppendJSON(nil), '\n'))
		return nil
	}, func(offset int64, _ []byte, reason string) { t.Errorf("rejected at %d: %s", offset, reason) })
	require.NoError(t, err)
	golden(t, "testdata/portal.decode.json", out.Bytes())
}
