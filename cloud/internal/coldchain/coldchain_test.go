package coldchain

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

func TestOutOfLimits(t *testing.T) {
	box := county.ColdBox{MinC: 2, MaxC: 8}
	t0 := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		celsius telemetry.Opt[float64]
		quality telemetry.ClimateQuality
		out     bool
		since   int
	}{
		{telemetry.Some(2.0), "", false, 0},
		{telemetry.Some(8.0), telemetry.ClimateOK, false, 0},
		{telemetry.Some(8.1), telemetry.ClimateOK, true, 2},
		{telemetry.Some(5.0), telemetry.ClimateSuspect, true, 2}, // not trusted to end it
		{telemetry.Opt[float64]{}, telemetry.ClimateFault, true, 2},
		{telemetry.Some(9.0), telemetry.ClimateOK, true, 2},
		{telemetry.Some(7.9), telemetry.ClimateOK, false, 0},
		{telemetry.Some(-40.0), telemetry.ClimateSuspect, false, 0}, // nor to begin it
		{telemetry.Some(1.9), "", true, 8},
	} {
		at := t0.Add(time.Duration(i) * time.Minute)
		box = Measure(box, telemetry.Climate{TemperatureC: c.celsius, Quality: c.quality}, at, telemetry.NTP)
		require.Equal(t, c.out, box.Out, i)
		require.Equal(t, at, box.Climate.At, i)
		require.Equal(t, c.celsius.Known(), box.Climate.Value.TemperatureC != nil, "unknown is not zero")
		if c.out {
			require.Equal(t, t0.Add(time.Duration(c.since)*time.Minute), *box.OutFrom, i)
		} else {
			require.Nil(t, box.OutFrom, i)
		}
	}
}
