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

func TestTranscript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		play := devicestest.Play(t, "testdata/day.txt")
		d, err := New(withItems(), devices.Env{Name: "board", Log: slog.New(slog.DiscardHandler), Open: func(context.Context, string) (port.Port, error) {
			driver, device := porttest.Pipe()
			go play(ctx, device)
			context.AfterFunc(ctx, func() { _ = device.Close() })
			return driver, nil
		}})
		require.NoError(t, err)
		var got []string
		err = d.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
			for _, r := range rs {
				got = append(got, string(r.Body))
			}
			if len(got) == 5 {
				cancel()
			}
			return nil
		})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, []string{
			holding(1, "closed", false), holding(2, "closed", false), holding(3, "closed", true),
			holding(1, "forced", false),
			holding(1, "deposited", true),
		}, got)
		require.EqualValues(t, 1, d.Counters()["bad_checksum"])
		require.EqualValues(t, 2, d.Counters()["timeouts"])
	})
}
