package onewire

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// w1 is the text of a healthy w1_slave.
func w1(bytes string, milli int) string {
	return fmt.Sprintf("%s : crc=%s YES\n%s t=%d\n", bytes, bytes[24:], bytes, milli)
}

var vectors = []struct {
	bytes string
	milli int
}{
	{"93 01 7f 80 7f ff 0d 10 bd", 25187}, // a real probe
	{"73 01 4b 46 7f ff 0d 10 41", 23187},
	{"72 01 4b 46 7f ff 0e 10 57", 23125},
	{"51 01 4b 46 7f ff 0c 10 ab", 21062},
	{"1d 01 4b 46 7f ff 0c 10 dd", 17812},
	{"5e ff 4b 46 7f ff 02 10 b6", -10125},
}

const powered = "50 05 4b 46 7f ff 0c 10 1c"

// with is a scratchpad with its checksum.
func with(bytes string) string {
	var s scratchpad
	_, ok := parseBytes([]byte(bytes+" 00 "), &s)
	if !ok {
		panic(bytes)
	}
	return fmt.Sprintf("%s %02x", bytes, crc8(s[:8]))
}

func read(j *judge, text string) (float64, error) {
	h, t, err := parse([]byte(text))
	if err != nil {
		return 0, err
	}
	return j.degrees(h, t)
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		j := newJudge(0x28)
		c, err := read(&j, w1(v.bytes, v.milli))
		require.NoError(t, err, v.bytes)
		require.InDelta(t, float64(v.milli)/1000, c, 1e-3, v.bytes)
	}
}

func TestNoValue(t *testing.T) {
	const good = "73 01 4b 46 7f ff 0d 10 41"
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"the kernel's no, with the older value below", "73 01 4b 46 7f ff 0d 10 42 : crc=41 NO\n" + good + " t=23187\n", errChecksum},
		{"a yes for a checksum that isn't right", "73 01 4b 46 7f ff 0d 10 42 : crc=42 YES\n73 01 4b 46 7f ff 0d 10 42 t=23187\n", errChecksum},
		{"a shorted bus", w1("00 00 00 00 00 00 00 00 00", 0), errZero},
		{"a probe that is gone", "ff ff ff ff ff ff ff ff ff : crc=c9 NO\nff ff ff ff ff ff ff ff ff t=-62\n", errOnes},
		{"a probe that went", w1(with("ff 07 4b 46 7f ff 01 10"), 127937), errOnes},
		{"power-on", w1(powered, 85000), errPowerOn},
		{"power-on bytes with another value", w1(powered, 21312), errDisagree},
		{"bytes that differ", good + " : crc=41 YES\n" + "72 01 4b 46 7f ff 0e 10 57 t=23125\n", errDisagree},
		{"too hot for the probe", w1(with("00 0c 4b 46 7f ff 10 10"), 192000), errRange},
		{"nothing", "", errFormat},
		{"half of it", good + " : crc=41 YES\n", errFormat},
		{"no number", good + " : crc=41 YES\n" + good + " t=warm\n", errFormat},
		{"eight bytes", "73 01 4b 46 7f ff 0d 10 : crc=41 YES\n" + good + " t=23187\n", errFormat},
		{"neither yes nor no", good + " : crc=41 MAYBE\n" + good + " t=23187\n", errFormat},
		{"more of it", w1(good, 23187) + "more\n", errFormat},
	} {
		j := newJudge(0x28)
		_, err := read(&j, c.text)
		require.ErrorIs(t, err, c.want, c.name)
	}
}

// A probe in a sterilizer says 85 like any other value; one that lost power says it out of nowhere.
func TestRealEightyFive(t *testing.T) {
	hot := func(sixteenths int) string {
		return w1(with(fmt.Sprintf("%02x %02x 4b 46 7f ff 0c 10", sixteenths&0xFF, sixteenths>>8)), sixteenths*1000/16)
	}
	j := newJudge(0x28)
	_, err := read(&j, hot(79*16))
	require.NoError(t, err)
	_, err = read(&j, w1(powered, 85000))
	require.ErrorIs(t, err, errPowerOn, "six degrees off")
	_, err = read(&j, w1(powered, 85000))
	require.ErrorIs(t, err, errPowerOn, "said twice is not confirmed")
	for _, sixteenths := range []int{81 * 16, 85 * 16, 85 * 16, 86 * 16} {
		c, err := read(&j, hot(sixteenths))
		require.NoError(t, err)
		require.InDelta(t, float64(sixteenths)/16, c, 1e-9)
	}
}

// A sixteenth below zero is FFFF, which a broken line says too.
func TestMinusOneSixteenth(t *testing.T) {
	j := newJudge(0x28)
	c, err := read(&j, w1(with("ff ff 4b 46 7f ff 01 10"), -62))
	require.NoError(t, err)
	require.InDelta(t, -0.0625, c, 1e-9)
}

func TestResolutionAndFamilies(t *testing.T) {
	for _, c := range []struct {
		family byte
		bytes  string
		milli  int
		want   float64
	}{
		{0x28, "57 01 4b 46 1f ff 0c 10", 21437, 21.0}, // nine bits: the last three are undefined
		{0x28, "57 01 4b 46 3f ff 0c 10", 21437, 21.25},
		{0x28, "57 01 4b 46 5f ff 0c 10", 21437, 21.375},
		{0x28, "57 01 4b 46 7f ff 0c 10", 21437, 21.4375},
		{0x10, "32 00 4b 46 ff ff 0c 10", 25000, 25.0}, // 25 - 0.25 + 4/16
		{0x10, "33 00 4b 46 ff ff 01 10", 25687, 25.6875},
		{0x10, "ce ff 4b 46 ff ff 0c 10", -25000, -25.0},
	} {
		j := newJudge(c.family)
		got, err := read(&j, w1(with(c.bytes), c.milli))
		require.NoError(t, err, c.bytes)
		require.InDelta(t, c.want, got, 1e-9, c.bytes)
	}
	j := newJudge(familyS20)
	_, err := read(&j, w1(with("aa 00 4b 46 ff ff 0c 10"), 85000))
	require.ErrorIs(t, err, errPowerOn, "the DS18S20's power-on value")
}

// Whatever a file holds: a value is one that the probe can measure, from bytes whose checksum is right.
func FuzzParse(f *testing.F) {
	for _, v := range vectors {
		f.Add([]byte(w1(v.bytes, v.milli)), byte(0x28))
	}
	f.Add([]byte(w1(powered, 85000)), byte(0x10))
	f.Add([]byte("00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n"), byte(0x28))
	f.Fuzz(func(t *testing.T, text []byte, family byte) {
		j := newJudge(family)
		h, tl, err := parse(text)
		if err != nil {
			return
		}
		c, err := j.degrees(h, tl)
		if err != nil {
			require.True(t, math.IsNaN(j.last))
			return
		}
		require.True(t, c >= minC && c <= maxC)
		require.Equal(t, h.bytes[8], crc8(h.bytes[:8]))
		require.True(t, strings.Contains(string(text), "YES"))
	})
}
