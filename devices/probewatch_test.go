package devices

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

func TestProbeWatch(t *testing.T) {
	at := time.Date(2026, 8, 5, 12, 0, 0, 0, time.UTC)
	w := ProbeWatch{FaultEvery: time.Minute, StuckAfter: time.Hour}
	fault := telemetry.Climate{Probe: "p", Quality: telemetry.ClimateFault}
	value := func(c float64) telemetry.Climate {
		return telemetry.Climate{Probe: "p", TemperatureC: telemetry.Some(c), Quality: telemetry.ClimateOK}
	}
	for _, step := range []struct {
		after time.Duration
		give  telemetry.Climate
		told  bool
		want  telemetry.ClimateQuality
	}{
		{0, fault, true, telemetry.ClimateFault},
		{59 * time.Second, fault, false, telemetry.ClimateFault},
		{60 * time.Second, fault, true, telemetry.ClimateFault},
		{61 * time.Second, value(4), true, telemetry.ClimateOK},
		{62 * time.Second, fault, true, telemetry.ClimateFault},
		{63 * time.Second, value(4), true, telemetry.ClimateOK},
		{62*time.Second + time.Hour, value(4), true, telemetry.ClimateOK},
		{63*time.Second + time.Hour, value(4), true, telemetry.ClimateStuck},
		{64*time.Second + time.Hour, value(4), true, telemetry.ClimateStuck},
		{65*time.Second + time.Hour, value(5), true, telemetry.ClimateOK},
	} {
		c := step.give
		require.Equal(t, step.told, w.Tell(&c, at.Add(step.after)), "%v", step.after)
		require.Equal(t, step.want, c.Quality, "%v", step.after)
	}
	var zero ProbeWatch
	require.True(t, zero.Tell(&fault, at))
	require.True(t, zero.Tell(&fault, at))
}
