package clock

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

type file struct {
	b      []byte
	bad    error
	writes int
}

func (f *file) Read() ([]byte, error) { return f.b, f.bad }

func (f *file) Replace(b []byte) error {
	f.writes++
	if f.bad == nil {
		f.b = b
	}
	return f.bad
}

func past(f *file) *Past { return OpenPast(f, slog.New(slog.DiscardHandler)) }

func TestTheLastTimeIsKept(t *testing.T) {
	f := &file{}
	p := past(f)
	require.Equal(t, Floor, p.Time(), "a new board knows when it was made")
	for _, q := range []telemetry.Quality{telemetry.Unknown, telemetry.RTC, telemetry.Retro} {
		p.Note(noon, q, 1)
	}
	p.Note(time.Unix(1000, 0), telemetry.NTP, 1)
	p.Note(noon.AddDate(200, 0, 0), telemetry.GNSS, 1)
	require.Equal(t, Floor, p.Time(), "what is no anchor is no past")
	for i := range 600 { // ten hours
		p.Note(noon.Add(time.Duration(i)*time.Minute), telemetry.Cloud, int64(i)*int64(time.Minute))
	}
	require.Equal(t, 10, f.writes, "a write an hour")
	require.Equal(t, noon.Add(9*time.Hour), p.Time())
	require.Equal(t, noon.Add(9*time.Hour), past(f).Time(), "after a power cut, in 1970")

	p = past(f)
	p.Note(noon.AddDate(30, 0, 0), telemetry.GNSS, 5)
	p = past(f)
	require.Equal(t, 2057, p.Time().Year())
	p.Note(noon.Add(10*time.Hour), telemetry.NTP, 6)
	require.Equal(t, noon.Add(10*time.Hour), p.Time(), "a clock that was wrong by years is put right")
}

func TestTheLastTimeCantBeRead(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "garbage": "\x00\x00", "1970": "1970-01-01T00:00:05Z", "2400": "2400-01-01T00:00:05Z"} {
		require.Equal(t, Floor, past(&file{b: []byte(text)}).Time(), name)
	}
	f := &file{bad: errors.New("input/output error")}
	p := past(f)
	p.Note(noon, telemetry.NTP, 1)
	require.Equal(t, noon, p.Time(), "known while it runs")
}
