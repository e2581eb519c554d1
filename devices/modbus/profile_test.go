package modbus

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

func TestMeasured(t *testing.T) {
	temp := profiles["xy-md02"].Values[0]
	hum := profiles["xy-md02"].Values[1]
	float := Value{Field: temperature, Type: "float32"}
	for _, c := range []struct {
		name string
		v    Value
		bits uint32
		want float64
		err  error
	}{
		{"warm", temp, 305, 30.5, nil},
		{"freezing", temp, 0xFF33, -20.5, nil},
		{"a tenth below zero", temp, 0xFFFF, -0.1, nil},
		{"disconnected", temp, 0x7FFF, 0, errFault},
		{"disconnected low", temp, 0x8000, 0, errFault},
		{"hotter than the sensor", temp, 1300, 0, errRange},
		{"humid", hum, 546, 54.6, nil},
		{"condensing", hum, 1030, 100, nil},
		{"no humidity", hum, 0xFFFF, 0, errFault},
		{"too humid", hum, 1100, 0, errRange},
		{"default faults", Value{Field: temperature, Type: "int16", Scale: 0.1}, 0xFFFF, 0, errFault},
		{"no faults", Value{Field: temperature, Type: "int16", Scale: 0.1, Fault: []uint32{}}, 0xFFFF, -0.1, nil},
		{"offset", Value{Field: temperature, Type: "uint16", Scale: 0.01, Offset: -40}, 6550, 25.5, nil},
		{"int32", Value{Field: temperature, Type: "int32", Scale: 0.001}, 0xFFFFB1E0, -20, nil},
		{"uint32", Value{Field: temperature, Type: "uint32", Scale: 0.001}, 20000, 20, nil},
		{"fault of 32 bits", Value{Field: temperature, Type: "int32"}, 0x80000000, 0, errFault},
		{"float", float, math.Float32bits(4.5), 4.5, nil},
		{"float that is no number", float, math.Float32bits(float32(math.NaN())), 0, errFault},
		{"infinite float", float, math.Float32bits(float32(math.Inf(-1))), 0, errFault},
		{"below absolute zero", float, math.Float32bits(-300), 0, errRange},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.v.measured(c.bits)
			require.Equal(t, c.err, err)
			require.InDelta(t, c.want, got, 1e-9)
		})
	}
}

func TestWordOrder(t *testing.T) {
	m := image{{4, 10}: 0x4090, {4, 11}: 0x0000}
	bits, ok := Value{Function: 4, Address: 10, Type: "float32"}.raw(m)
	require.True(t, ok)
	require.Equal(t, float32(4.5), math.Float32frombits(bits))

	m = image{{4, 10}: 0x0000, {4, 11}: 0x4090}
	bits, ok = Value{Function: 4, Address: 10, Type: "float32", WordOrder: "little"}.raw(m)
	require.True(t, ok)
	require.Equal(t, float32(4.5), math.Float32frombits(bits))

	_, ok = Value{Function: 3, Address: 10, Type: "float32"}.raw(m)
	require.False(t, ok, "another function's registers")
	_, ok = Value{Function: 4, Address: 11, Type: "float32"}.raw(m)
	require.False(t, ok, "half of it was read")
}

// One bad value spoils its probe, and only its probe.
func TestFaultsStayInTheirProbe(t *testing.T) {
	p := Profile{Values: []Value{
		{Field: temperature, Function: 3, Address: 0, Type: "int16", Scale: 0.1},
		{Field: humidity, Function: 3, Address: 1, Type: "uint16", Scale: 0.1},
		{Probe: "ch2", Field: temperature, Function: 3, Address: 2, Type: "int16", Scale: 0.1},
	}}
	probes := p.probes("rack")
	require.Len(t, probes, 2)
	require.Equal(t, "rack-ch2", probes[1].name)
	m := image{{3, 0}: 50, {3, 1}: 0xFFFF, {3, 2}: 60}
	c, read, err := probes[0].climate(m)
	require.ErrorIs(t, err, errFault)
	require.Equal(t, 2, read)
	require.Equal(t, telemetry.Climate{Probe: "rack", Quality: telemetry.ClimateFault}, c)
	c, _, err = probes[1].climate(m)
	require.NoError(t, err)
	require.Equal(t, 6.0, c.TemperatureC.Or(0))
}

func TestBlocks(t *testing.T) {
	v := func(fn int, addr uint16, typ string) Value { return Value{Function: fn, Address: addr, Type: typ} }
	for _, c := range []struct {
		name   string
		values []Value
		want   []request
	}{
		{"adjacent in any order", []Value{v(4, 2, "int16"), v(4, 1, "int16")}, []request{{7, 4, 1, 2}}},
		{"a gap is not read over", []Value{v(4, 1, "int16"), v(4, 3, "int16")}, []request{{7, 4, 1, 1}, {7, 4, 3, 1}}},
		{"functions apart", []Value{v(3, 1, "int16"), v(4, 2, "int16")}, []request{{7, 3, 1, 1}, {7, 4, 2, 1}}},
		{"overlapping", []Value{v(3, 1, "float32"), v(3, 2, "int16")}, []request{{7, 3, 1, 2}}},
		{"inside", []Value{v(3, 1, "float32"), v(3, 1, "int16"), v(3, 3, "int16")}, []request{{7, 3, 1, 3}}},
		{"last register", []Value{v(3, 65535, "int16")}, []request{{7, 3, 65535, 1}}},
	} {
		require.Equal(t, c.want, Profile{Values: c.values}.blocks(7), c.name)
	}
	var many []Value
	for i := range 200 {
		many = append(many, v(3, uint16(i), "int16"))
	}
	require.Equal(t, []request{{7, 3, 0, 125}, {7, 3, 125, 75}}, Profile{Values: many}.blocks(7))
}

func TestOwnProfilesAreValid(t *testing.T) {
	for name, p := range profiles {
		require.NoError(t, p.validate(name))
	}
}
