package modbus

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConfigDefaults(t *testing.T) {
	c := oneUnit()
	require.NoError(t, c.Validate())
	c = c.withDefaults()
	require.Equal(t, "rtu", c.Framing)
	require.Equal(t, 10*time.Second, c.Every)
	require.Equal(t, 20*time.Millisecond, c.Silence)

	c = oneUnit()
	c.Port = "tcp:192.0.2.7:502"
	c = c.withDefaults()
	require.Equal(t, "tcp", c.Framing)
	require.Zero(t, c.Silence)

	c = oneUnit()
	c.Port, c.Framing = "tcp:192.0.2.7:4001", "rtu" // a serial server
	require.NoError(t, c.Validate())
	require.Equal(t, 20*time.Millisecond, c.withDefaults().Silence)
}

// A slow line needs more silence than a hasty technician allows.
func TestSilenceIsNeverUnder3AndAHalfCharacters(t *testing.T) {
	for addr, want := range map[string]time.Duration{
		"serial:/dev/ttyUSB0":             4010416 * time.Nanosecond,
		"serial:/dev/ttyUSB0?baud=1200":   32083333 * time.Nanosecond,
		"serial:/dev/ttyUSB0?baud=115200": 1750 * time.Microsecond,
	} {
		c := oneUnit()
		c.Port, c.Silence = addr, time.Millisecond
		require.NoError(t, c.Validate())
		require.Equal(t, want, c.withDefaults().Silence, addr)
	}
}

func TestConfigErrorsNameTheirKeys(t *testing.T) {
	value := Value{Field: temperature, Function: 3, Type: "int16"}
	own := func(edit func(*Value)) func(*Config) {
		return func(c *Config) {
			v := value
			edit(&v)
			c.Profiles = map[string]Profile{"own": {Values: []Value{v}}}
		}
	}
	for _, c := range []struct {
		name string
		edit func(*Config)
		want []string
	}{
		{"nothing set", func(c *Config) { *c = Config{} }, []string{"port: ", "units: is empty"}},
		{"framing", func(c *Config) { c.Framing = "ascii" }, []string{`framing: "ascii"`}},
		{"times out of range", func(c *Config) {
			c.Every, c.Timeout, c.Silence, c.FaultEvery, c.StuckAfter = 1, time.Hour, time.Hour, 1, 1
		}, []string{"every: ", "timeout: ", "silence: ", "fault_every: ", "stuck_after: "}},
		{"unit", func(c *Config) { c.Units[0].Unit = 248 }, []string{"units[0].unit: 248 is outside 1 to 247"}},
		{"probe", func(c *Config) { c.Units[0].Probe = "Kühlbox" }, []string{"units[0].probe: "}},
		{"probe twice", func(c *Config) { c.Units = append(c.Units, c.Units[0]) }, []string{`units[1].probe: "cold-1" is taken`}},
		{"profile", func(c *Config) { c.Units[0].Profile = "xy" }, []string{`units[0].profile: "xy" is unknown; there are xy-md02`}},
		{"our profile", func(c *Config) { c.Profiles = map[string]Profile{"xy-md02": {Values: []Value{value}}} }, []string{"profiles.xy-md02: comes with the driver"}},
		{"empty profile", func(c *Config) { c.Profiles = map[string]Profile{"own": {}} }, []string{"profiles.own.values: is empty"}},
		{"field", own(func(v *Value) { v.Field = "weight" }), []string{`profiles.own.values[0].field: "weight"`}},
		{"function", own(func(v *Value) { v.Function = 6 }), []string{"profiles.own.values[0].function: 6"}},
		{"type", own(func(v *Value) { v.Type = "float" }), []string{`profiles.own.values[0].type: "float"`}},
		{"past the end", own(func(v *Value) { v.Type, v.Address = "int32", 65535 }), []string{"profiles.own.values[0].address: 65535"}},
		{"word order", own(func(v *Value) { v.WordOrder = "middle" }), []string{`profiles.own.values[0].word_order: "middle"`}},
		{"range", own(func(v *Value) { v.Min, v.Max = some(5), some(4) }), []string{"profiles.own.values[0].min: 5 is above max 4"}},
		{"fault", own(func(v *Value) { v.Fault = []uint32{0x10000} }), []string{"profiles.own.values[0].fault[0]: 0x10000"}},
		{"own probe", own(func(v *Value) { v.Probe = "A B" }), []string{"profiles.own.values[0].probe: "}},
		{"field twice", func(c *Config) { c.Profiles = map[string]Profile{"own": {Values: []Value{value, value}}} }, []string{"profiles.own.values[1].field: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := oneUnit()
			c.edit(&cfg)
			err := cfg.Validate()
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(c.want), err)
			for i, w := range c.want {
				require.True(t, strings.HasPrefix(lines[i], w), "%q begins no %q", w, lines[i])
			}
		})
	}
}
