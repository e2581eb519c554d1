package clock

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

type fake struct {
	mono         int64
	wall         time.Time
	synced, chip bool
}

func (f *fake) Boot() frame.Boot   { return frame.Boot{7} }
func (f *fake) Mono() int64        { return f.mono }
func (f *fake) Wall() time.Time    { return f.wall }
func (f *fake) Synchronised() bool { return f.synced }
func (f *fake) HasClockChip() bool { return f.chip }

func (f *fake) pass(d time.Duration) {
	f.mono += int64(d)
	f.wall = f.wall.Add(d)
}

func fix(at time.Time) telemetry.Reading {
	return telemetry.New("gps", at, telemetry.GNSS, telemetry.Position{Lat: telemetry.Some(30.5), Lon: telemetry.Some(103.2), Valid: true})
}

var noon = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

func TestQualityOfTheSystemClock(t *testing.T) {
	for name, c := range map[string]struct {
		f    fake
		rtc  string
		want telemetry.Quality
	}{
		"ntp":                        {fake{wall: noon, synced: true}, "auto", telemetry.NTP},
		"chip":                       {fake{wall: noon, chip: true}, "auto", telemetry.RTC},
		"no chip":                    {fake{wall: noon}, "auto", telemetry.Unknown},
		"no chip, trusted":           {fake{wall: noon}, "trust", telemetry.RTC},
		"chip, ignored":              {fake{wall: noon, chip: true}, "ignore", telemetry.Unknown},
		"chip with an empty battery": {fake{wall: time.Unix(1000, 0), chip: true}, "auto", telemetry.Unknown},
		"ntp of 1970":                {fake{wall: time.Unix(1000, 0), synced: true}, "auto", telemetry.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			c.f.mono = 5_999_999
			k := New(&c.f, c.rtc)
			boot, mono, wall, q := k.Stamp()
			require.Equal(t, c.want, q)
			require.Equal(t, frame.Boot{7}, boot)
			require.Equal(t, int64(5_000_000), mono, "whole milliseconds")
			now, _ := k.Now()
			if c.want == telemetry.Unknown {
				require.Zero(t, wall)
				require.True(t, now.IsZero())
			} else {
				require.Equal(t, noon.UnixMilli(), wall)
				require.Equal(t, noon, now)
			}
		})
	}
}

func TestSatelliteAnchors(t *testing.T) {
	f := &fake{wall: time.Unix(100, 0), mono: 1}
	k := New(f, "auto")
	k.Observe(fix(noon))
	_, _, _, q := k.Stamp()
	require.Equal(t, telemetry.Unknown, q, "one fix is no anchor")
	f.pass(time.Second)
	k.Observe(fix(noon.Add(time.Second)))
	f.pass(10 * time.Minute)
	now, q := k.Now()
	require.Equal(t, telemetry.GNSS, q)
	require.Equal(t, noon.Add(10*time.Minute+time.Second), now, "CLOCK_BOOTTIME counts on from the anchor")

	f.pass(2 * time.Hour)
	f.synced, f.wall = true, noon.Add(3*time.Hour)
	now, q = k.Now()
	require.Equal(t, telemetry.NTP, q, "an old anchor is worse than NTP")
	require.Equal(t, noon.Add(3*time.Hour), now)
}

func TestWrongDatesAnchorNothing(t *testing.T) {
	suspect := telemetry.New("gps", noon, telemetry.GNSS, telemetry.Position{Lat: telemetry.Some(30.5), Lon: telemetry.Some(103.2), Valid: true, DateSuspect: true})
	noFix := telemetry.New("gps", noon, telemetry.GNSS, telemetry.Position{Fix: telemetry.FixNone})
	own := fix(noon)
	own.TQ = telemetry.RTC
	for name, r := range map[string]telemetry.Reading{
		"week roll-over": fix(noon.AddDate(0, 0, -7*1024)), "marked suspect": suspect, "no fix": noFix, "device's own clock": own,
		"far future": fix(noon.AddDate(90, 0, 0)), "no time": telemetry.New("gps", time.Time{}, telemetry.GNSS, telemetry.Position{}),
		"other kind": telemetry.New("x", noon, telemetry.GNSS, telemetry.Climate{TemperatureC: telemetry.Some(1.0)}),
	} {
		f := &fake{mono: 1}
		k := New(f, "auto")
		for range 5 {
			k.Observe(r)
			f.pass(time.Second)
			if !r.At.IsZero() {
				r.At = r.At.Add(time.Second)
			}
		}
		_, _, _, q := k.Stamp()
		require.Equal(t, telemetry.Unknown, q, name)
	}
}

func TestARecordingPlayedBackAnchorsNothing(t *testing.T) {
	f := &fake{mono: 1}
	k := New(f, "auto")
	for i := range 100 { // a minute of fixes every second
		k.Observe(fix(noon.Add(time.Duration(i) * time.Minute)))
		f.pass(time.Second)
	}
	for i := range 100 { // many fixes at once
		k.Observe(fix(noon.Add(time.Duration(i) * time.Second)))
	}
	_, _, _, q := k.Stamp()
	require.Equal(t, telemetry.Unknown, q)
}

func TestCloudTime(t *testing.T) {
	f := &fake{mono: 1, wall: noon.AddDate(-1, 0, 0)}
	k := New(f, "auto")
	k.ObserveCloud(time.Unix(5, 0))
	_, _, _, q := k.Stamp()
	require.Equal(t, telemetry.Unknown, q)
	k.ObserveCloud(noon)
	f.pass(time.Minute)
	now, q := k.Now()
	require.Equal(t, telemetry.Cloud, q)
	require.Equal(t, noon.Add(time.Minute), now)
}

func TestSystem(t *testing.T) {
	s, err := Open()
	require.NoError(t, err)
	require.NotZero(t, s.Boot())
	a := s.Mono()
	require.Positive(t, a)
	require.GreaterOrEqual(t, s.Mono(), a)
	_ = s.Synchronised()

	dir := t.TempDir()
	require.True(t, clockChip(dir, dir), "a machine without a device tree")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "device-tree"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "device-tree", "model"), []byte("Some Board"), 0o644))
	require.False(t, clockChip(dir, dir), "a board without a clock chip")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "class", "rtc", "rtc0"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "class", "rtc", "rtc0", "hctosys"), []byte("1\n"), 0o644))
	require.True(t, clockChip(dir, dir))
}
