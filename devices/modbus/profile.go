package modbus

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"yizhan/devices/telemetry"
)

// A Profile says what a unit's registers mean.
type Profile struct {
	Values []Value `yaml:"values"`
}

// A Value is one measured value in one or two registers.
type Value struct {
	Probe    string `yaml:"probe"`    // empty: the unit's probe; else a probe of its own
	Field    string `yaml:"field"`    // temperature_c or humidity_pct
	Function int    `yaml:"function"` // 3 holding, 4 input
	Address  uint16 `yaml:"address"`  // as it stands on the wire, from 0
	Type     string `yaml:"type"`     // int16, uint16, int32, uint32, float32

	// WordOrder of 32-bit types: big (default), high word in the lower register; or little.
	WordOrder string `yaml:"word_order"`

	// The value is raw*scale + offset; a scale of 0 is 1.
	Scale  float64 `yaml:"scale"`
	Offset float64 `yaml:"offset"`

	// Outside Min to Max a value is a fault.
	Min *float64 `yaml:"min"`
	Max *float64 `yaml:"max"`

	// Fault are raw values that mean no probe. Absent: 7FFF 8000 FFFF, or 7FFFFFFF 80000000
	// FFFFFFFF; a float that is no number is always a fault.
	Fault []uint32 `yaml:"fault"`
}

// The fields of a climate reading.
const (
	temperature = "temperature_c"
	humidity    = "humidity_pct"
)

// tolerance is how far humidity may lie past its ends: the formula of capacitive sensors
// gives such values near condensation.
const tolerance = 5

func some(v float64) *float64 { return &v }

// profiles come with the package.
var profiles = map[string]Profile{
	// XY-MD02: an SHT20 on RS-485, 9600 8N1, unit 1 as delivered. Some clones want function 3.
	"xy-md02": {Values: []Value{
		{Field: temperature, Function: readInput, Address: 1, Type: "int16", Scale: 0.1, Min: some(-40), Max: some(125), Fault: []uint32{0x7FFF, 0x8000}},
		{Field: humidity, Function: readInput, Address: 2, Type: "uint16", Scale: 0.1, Min: some(-tolerance), Max: some(100 + tolerance), Fault: []uint32{0x7FFF, 0x8000, 0xFFFF}},
	}},
}

var (
	words = map[string]uint16{"int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2}

	faults16 = []uint32{0x7FFF, 0x8000, 0xFFFF}
	faults32 = []uint32{0x7FFFFFFF, 0x80000000, 0xFFFFFFFF}
)

func (p Profile) validate(path string) error {
	var errs []error
	if len(p.Values) == 0 {
		errs = append(errs, fmt.Errorf("%s.values: is empty", path))
	}
	seen := map[[2]string]bool{}
	for i, v := range p.Values {
		at := fmt.Sprintf("%s.values[%d]", path, i)
		errs = append(errs, v.validate(at))
		key := [2]string{v.Probe, v.Field}
		if seen[key] {
			errs = append(errs, fmt.Errorf("%s.field: %q is given twice for one probe", at, v.Field))
		}
		seen[key] = true
	}
	return errors.Join(errs...)
}

func (v Value) validate(at string) error {
	var errs []error
	fail := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s.%s: %s", at, key, fmt.Sprintf(format, args...)))
	}
	if v.Probe != "" && !telemetry.ValidID(v.Probe) {
		fail("probe", "%.40q must be 1 to 32 of a-z, 0-9 and '-'", v.Probe)
	}
	if v.Field != temperature && v.Field != humidity {
		fail("field", "%.40q is neither %s nor %s", v.Field, temperature, humidity)
	}
	if v.Function != readHolding && v.Function != readInput {
		fail("function", "%d is neither 3 nor 4", v.Function)
	}
	n, ok := words[v.Type]
	if !ok {
		fail("type", "%.40q is none of int16, uint16, int32, uint32, float32", v.Type)
	}
	if int(v.Address)+int(n) > 1<<16 {
		fail("address", "%d reaches past register 65535", v.Address)
	}
	switch v.WordOrder {
	case "", "big", "little":
	default:
		fail("word_order", "%.40q is neither big nor little", v.WordOrder)
	}
	if v.Min != nil && v.Max != nil && *v.Min > *v.Max {
		fail("min", "%v is above max %v", *v.Min, *v.Max)
	}
	for i, f := range v.Fault {
		if n == 1 && f > 0xFFFF {
			fail(fmt.Sprintf("fault[%d]", i), "%#x doesn't fit 16 bits", f)
		}
	}
	return errors.Join(errs...)
}

// A register is where a value stands.
type register struct {
	function byte
	address  uint16
}

// An image is what was read of a unit.
type image map[register]uint16

func (m image) put(q request, regs []uint16) {
	for i, r := range regs {
		m[register{q.function, q.address + uint16(i)}] = r
	}
}

// raw returns the value's bits; ok is false when they were not read.
func (v Value) raw(m image) (bits uint32, ok bool) {
	first, ok := m[register{byte(v.Function), v.Address}]
	if !ok || words[v.Type] == 1 {
		return uint32(first), ok
	}
	second, ok := m[register{byte(v.Function), v.Address + 1}]
	if v.WordOrder == "little" {
		first, second = second, first
	}
	return uint32(first)<<16 | uint32(second), ok
}

var (
	errFault = errors.New("fault value")
	errRange = errors.New("out of range")
)

// measured turns bits into the field's unit.
func (v Value) measured(bits uint32) (float64, error) {
	faults := v.Fault
	if faults == nil {
		if faults = faults32; words[v.Type] == 1 {
			faults = faults16
		}
	}
	if slices.Contains(faults, bits) {
		return 0, errFault
	}
	var x float64
	switch v.Type {
	case "int16":
		x = float64(int16(bits))
	case "int32":
		x = float64(int32(bits))
	case "float32":
		x = float64(math.Float32frombits(bits))
	default:
		x = float64(bits)
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, errFault
	}
	if v.Scale != 0 {
		x *= v.Scale
	}
	x += v.Offset
	if v.Min != nil && x < *v.Min || v.Max != nil && x > *v.Max {
		return 0, errRange
	}
	return v.bounded(x)
}

// bounded keeps x within what the field can mean at all.
func (v Value) bounded(x float64) (float64, error) {
	switch {
	case v.Field == humidity && x >= -tolerance && x <= 100+tolerance:
		return min(max(x, 0), 100), nil
	case v.Field == temperature && x >= -273.15 && x <= 1000:
		return x, nil
	}
	return 0, errRange
}

// A probe is one place that is measured: the values of one unit that make one reading.
type probe struct {
	name   string
	values []Value
}

// probes groups the profile's values; name is the unit's probe.
func (p Profile) probes(name string) []probe {
	var all []probe
	for _, v := range p.Values {
		full := name
		if v.Probe != "" {
			full = name + "-" + v.Probe
		}
		i := slices.IndexFunc(all, func(p probe) bool { return p.name == full })
		if i < 0 {
			i = len(all)
			all = append(all, probe{name: full})
		}
		all[i].values = append(all[i].values, v)
	}
	return all
}

// climate evaluates the probe's values that are in m. One bad value spoils the probe: they
// come from one sensor. read is how many values m held.
func (p probe) climate(m image) (c telemetry.Climate, read int, err error) {
	c = telemetry.Climate{Probe: p.name, Quality: telemetry.ClimateOK}
	for _, v := range p.values {
		bits, ok := v.raw(m)
		if !ok {
			continue
		}
		read++
		x, bad := v.measured(bits)
		if bad != nil {
			err = errors.Join(err, fmt.Errorf("%s %#x: %w", v.Field, bits, bad))
		}
		if v.Field == humidity {
			c.HumidityPct = telemetry.Some(x)
		} else {
			c.TemperatureC = telemetry.Some(x)
		}
	}
	if err != nil {
		c = faulty(p.name)
	}
	return c, read, err
}

func faulty(probe string) telemetry.Climate {
	return telemetry.Climate{Probe: probe, Quality: telemetry.ClimateFault}
}

// blocks are the requests that read the profile: adjacent registers of one function together.
// Gaps are not read over, for many boards refuse addresses that they don't have.
func (p Profile) blocks(unit byte) []request {
	values := slices.SortedFunc(slices.Values(p.Values), func(a, b Value) int {
		if a.Function != b.Function {
			return a.Function - b.Function
		}
		return int(a.Address) - int(b.Address)
	})
	var all []request
	for _, v := range values {
		end := int(v.Address) + int(words[v.Type])
		if n := len(all) - 1; n >= 0 {
			q := &all[n]
			covered := int(q.address) + int(q.count)
			if q.function == byte(v.Function) && int(v.Address) <= covered && end-int(q.address) <= maxRegisters {
				q.count = uint16(max(covered, end) - int(q.address))
				continue
			}
		}
		all = append(all, request{unit, byte(v.Function), v.Address, words[v.Type]})
	}
	return all
}
