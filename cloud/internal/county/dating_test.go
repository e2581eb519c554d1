package county

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

func TestARecordBetweenTwoBoots(t *testing.T) {
	at := func(h float64) time.Time {
		return time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(h * float64(time.Hour)))
	}
	rec := func(h float64) *frame.Record { return &frame.Record{MonoNS: int64(h * float64(time.Hour))} }
	undated := Dated{At: at(20), TQ: telemetry.Unknown}
	for name, c := range map[string]struct {
		bounds Bounds
		mono   float64
		want   Dated
	}{
		"in the middle":             {Bounds{at(2), at(10)}, 0, Dated{At: at(6), TQ: telemetry.Retro, ErrMS: 4 * 3600_000}},
		"as late as the boot ran":   {Bounds{at(2), at(10)}, 8, Dated{At: at(10), TQ: telemetry.Retro}},
		"later in the boot":         {Bounds{at(2), at(10)}, 4, Dated{At: at(8), TQ: telemetry.Retro, ErrMS: 2 * 3600_000}},
		"not after its receipt":     {Bounds{at(2), at(40)}, 0, Dated{At: at(11), TQ: telemetry.Retro, ErrMS: 9 * 3600_000}},
		"clocks that differ":        {Bounds{at(10), at(9)}, 0, Dated{At: at(9), TQ: telemetry.Retro}},
		"nothing is known before":   {Bounds{To: at(10)}, 0, undated},
		"nothing is known behind":   {Bounds{From: at(10)}, 0, undated},
		"a boot longer than it can": {Bounds{at(2), at(10)}, 100, Dated{At: at(10), TQ: telemetry.Retro}},
	} {
		require.Equal(t, c.want, undated.Between(c.bounds, rec(c.mono)), name)
	}
	require.Equal(t, Dated{At: at(5), TQ: telemetry.Retro}, undated.Since(at(4), rec(1)))
	require.Equal(t, Dated{At: at(20), TQ: telemetry.Retro}, undated.Since(at(4), rec(100)), "never after its receipt")
}

func TestOwnTimeKeepsItsBound(t *testing.T) {
	r := telemetry.Reading{Kind: telemetry.KindScan, At: time.Unix(1_800_000_000, 0), TQ: telemetry.RTC, ErrMS: 700}
	require.Equal(t, int64(700), Date(&r, &frame.Record{}, r.At, Clock{}).ErrMS)
}

// Two minutes is what clocks may differ; a time further ahead is a clock's that is wrong, and the record's own says better.
func TestATimeFromTheFutureIsNotBelieved(t *testing.T) {
	received := time.Unix(1_800_000_000, 0).UTC()
	for ahead, believed := range map[time.Duration]bool{-time.Hour: true, 110 * time.Second: true, 3 * time.Minute: false, 100 * 24 * time.Hour: false} {
		r := telemetry.Reading{Kind: telemetry.KindScan, At: received.Add(ahead), TQ: telemetry.NTP}
		d := Date(&r, &frame.Record{WallMS: received.Add(-time.Second).UnixMilli(), Quality: telemetry.Cloud}, received, Clock{})
		require.Equal(t, !believed, d.Future, ahead)
		if believed {
			require.Equal(t, r.At, d.At, ahead)
		} else {
			require.Equal(t, Dated{At: received.Add(-time.Second), TQ: telemetry.Cloud, Future: true}, d, ahead)
		}
	}
}
