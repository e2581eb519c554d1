package county_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

func TestServedFillsWhatTimeDecides(t *testing.T) {
	at := time.Date(2026, 8, 5, 6, 0, 0, 0, time.UTC)
	speed := 9.0
	stored := county.Vehicle{ID: "v01", Position: &county.Live[county.Position]{
		Value: county.Position{SpeedMPS: &speed}, At: at, TQ: telemetry.GNSS,
	}}
	for _, c := range []struct {
		after  time.Duration
		motion county.Motion
		age    int64
	}{
		{-2 * time.Second, county.Moving, 0}, // the device's clock is ahead: never a negative age
		{30 * time.Second, county.Moving, 30},
		{2 * time.Minute, county.Stale, 120},
		{15 * time.Minute, county.Stale, 900},
		{time.Hour, county.Offline, 3600},
	} {
		v := stored.Served(at.Add(c.after))
		require.Equal(t, c.motion, v.Motion, c.after)
		require.Equal(t, c.age, v.Position.AgeS, c.after)
	}
	require.Zero(t, stored.Position.AgeS, "the stored object is shared and must stay as it was")
	require.Equal(t, county.Offline, county.Vehicle{}.Served(at).Motion)
}

func TestServedOnline(t *testing.T) {
	at := time.Date(2026, 8, 5, 6, 0, 0, 0, time.UTC)
	require.True(t, county.Gateway{LastFrame: &at}.Served(at.Add(county.Quiet)).Online)
	require.False(t, county.Gateway{LastFrame: &at, Online: true}.Served(at.Add(county.Quiet+1)).Online)
	require.False(t, county.Gateway{}.Served(at).Online)
	require.True(t, county.Locker{Last: at}.Served(at).Online)
	require.False(t, county.Locker{Online: true}.Served(at).Online)
	g := county.Change{Kind: county.GatewayChanged, Object: county.Gateway{LastFrame: &at}}.Served(at)
	require.True(t, g.(county.Gateway).Online)
}
