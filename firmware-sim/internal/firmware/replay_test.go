package firmware

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReplayKeepsTheLogsPace(t *testing.T) {
	log := []byte("$GNRMC,235958.000,A,,,,,,,010126,,,A*00\r\n$GNGGA,235958.000,,,,,0,,,,,,,,*00\r\n" +
		"$GNVTG,,T,,M,,N,,K*00\r\n$GNRMC,000000.000,A,,,,,,,020126,,,A*00\r\ncut")
	for _, tt := range []struct {
		speed float64
		want  time.Duration
	}{{1, 2 * time.Second}, {4, 500 * time.Millisecond}, {0, 0}} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			start := time.Now()
			require.NoError(t, Replay(t.Context(), &out, log, 9600, tt.speed))
			require.Equal(t, string(log), out.String())
			require.Equal(t, tt.want, time.Since(start), "midnight lies between")
		})
	}
}

func TestReplayOfABinaryLogGoesAtBaud(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		start := time.Now()
		require.NoError(t, Replay(t.Context(), &out, make([]byte, 960), 9600, 1))
		require.InDelta(t, time.Second, time.Since(start), float64(time.Microsecond))
		require.Len(t, out.Bytes(), 960)
	})
}
