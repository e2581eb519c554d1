package lockerbus

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/devicestest"
	"yizhan/devices/port"
	"yizhan/devices/port/porttest"
	"yizhan/devices/telemetry"
)

// transcript plays a file against the driver and returns the bodies it told, after so many of them.
func transcript(t *testing.T, file string, c Config, n int) (got []string, counters map[string]uint64) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		play := devicestest.Play(t, file)
		d, err := New(c, devices.Env{Name: "board", Log: slog.New(slog.DiscardHandler), Open: func(context.Context, string) (port.Port, error) {
			driver, device := porttest.Pipe()
			go play(ctx, device)
			context.AfterFunc(ctx, func() { _ = device.Close() })
			return driver, nil
		}})
		require.NoError(t, err)
		err = d.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
			for _, r := range rs {
				got = append(got, string(r.Body))
			}
			if len(got) == n {
				cancel()
			}
			return nil
		})
		require.ErrorIs(t, err, context.Canceled)
		counters = d.Counters()
	})
	return got, counters
}

func TestTranscript(t *testing.T) {
	got, counters := transcript(t, "testdata/day.txt", withItems(), 5)
	require.Equal(t, []string{
		holding(1, "closed", false), holding(2, "closed", false), holding(3, "closed", true),
		holding(1, "forced", false),
		holding(1, "deposited", true),
	}, got)
	require.EqualValues(t, 1, counters["bad_checksum"])
	require.EqualValues(t, 2, counters["timeouts"])
}

func TestKerongTranscript(t *testing.T) {
	got, counters := transcript(t, "testdata/kr-cu16.txt", kerongs(KRCU16), 6)
	require.Equal(t, []string{
		holding(1, "closed", false), holding(2, "closed", false), holding(3, "closed", true),
		holding(1, "forced", false),
		holding(1, "deposited", true),
		holding(3, "emptied", false),
	}, got)
	require.EqualValues(t, 1, counters["bad_checksum"])
	require.EqualValues(t, 2, counters["timeouts"])
}
