package scale

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

func unhex(t testing.TB, s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return string(b)
}

func decoded(t testing.TB, r io.Reader, o Options) (bodies, rejects []string, counters map[string]uint64) {
	counters, err := Decode(r, o, func(r telemetry.Reading) error {
		bodies = append(bodies, strings.NewReplacer(`{"weight_kg":`, "", "}", "", `,"stable":`, " ").Replace(string(r.Body)))
		return r.Validate()
	}, func(offset int64, raw []byte, reason string) {
		rejects = append(rejects, fmt.Sprintf("%d %q %s", offset, raw, reason))
	})
	require.NoError(t, err)
	return bodies, rejects, counters
}

// toledo is a frame of Toledo's continuous output without its checksum.
func toledo(a, b, c byte, weight string) string {
	return string([]byte{stx, a, b, c}) + weight + "000000\r"
}

func summed(frame string) string { return frame + string(rune(checkToledo([]byte(frame)))) }

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		name    string
		o       Options
		text    string
		want    []string // kilograms, and whether at rest
		rejects []string
	}{
		{"st-gs", Options{}, "ST,GS,+  12.34kg\r\nUS,NT,-   0.50kg\r\n", []string{"12.34 true", "-0.5 false"}, nil},
		{"st-gs of other makers", Options{}, "ST,GS,   245.6 g\r\nST,+00123.45  g\r\nST,NT,+ 1.5,kg\r\nST,GS,+0001.00lb\nST,GS,+1.0jin\r", []string{"0.2456 true", "0.1235 true", "1.5 true", "0.4536 true", "0.5 true"}, nil},
		{"st-gs overloaded", Options{}, "OL,GS,+  99.99kg\r\nST,GS,+ 1.00kg\r\n", []string{"1 true"}, nil},
		{"st-gs tare", Options{}, "ST,TR,+   0.50kg\r\n", nil, nil},
		{"st-gs in stones", Options{}, "ST,GS,+  12.34st\r\n", nil, []string{`0 "ST,GS,+  12.34st\r" unknown_unit`}},
		{"st-gs cut", Options{}, "2.34kg\r\nST,GS,+  12.34kg\r\nST,GS,+  1", []string{"12.34 true"}, []string{`0 "2.34kg\r" malformed`, `26 "ST,GS,+  1" no frame begins here`}},
		{"a bad byte spoils its line", Options{}, "ST,GS,+ \xff2.34kg\r\nST,GS,+  12.34kg\r\n", []string{"12.34 true"}, []string{`0 "ST,GS,+ \xff2.34kg" no frame begins here`}},

		// XK3190-A26's manual: 3.000 and -1.00. Older ones have seven places and no sign.
		{"reversed", Options{Format: "reversed"}, "=000.3000=000.3000=00.1000-=00.1000-=00.0123\r\n", []string{"3", "3", "-1", "-1", "3210"}, nil},
		{"equals", Options{Format: "equals"}, "=0003.000=-0001.00=-0001.00=", []string{"3", "-1", "-1"}, []string{`27 "=" no frame begins here`}},
		{"equals with a byte too many or too few", Options{Format: "equals"}, "=00003.0000=003.00=0003.000\r\n", []string{"3"}, []string{`0 "=00003.0000" no frame begins here`, `11 "=003.00" malformed`}},
		{"grams", Options{Format: "equals", Unit: "g"}, "=0003500\r\n", []string{"3.5"}, nil},

		// A weighbridge's manual: +20.00 has checksum 1B.
		{"yaohua", Options{Format: "yaohua"}, unhex(t, "02 2B 30 30 32 30 30 30 32 31 42 03"), []string{"20"}, nil},
		{"yaohua, the middle of a frame first", Options{Format: "yaohua"}, unhex(t, "30 32 31 42 03 02 2B 30 30 32 30 30 30 32 31 42 03"), []string{"20"}, []string{`0 "021B\x03" no frame begins here`}},
		{"yaohua, one bit wrong", Options{Format: "yaohua"}, unhex(t, "02 2B 30 30 33 30 30 30 32 31 42 03"), nil, []string{`0 "\x02+00300021B\x03" bad_checksum`}},

		// XK3190-A12E's manual.
		{"wg", Options{Format: "wg"}, "WG004.139kg3D\r\n         OL23\x0d\n", []string{"4.139"}, nil},
		{"wg, one digit wrong", Options{Format: "wg"}, "WG004.138kg3D\r\n", nil, []string{`0 "WG004.138kg3D\r" bad_checksum`}},

		{"toledo", Options{Format: "toledo"}, toledo(0x24, 0x30, 0x20, "001234") + toledo(0x24, 0x3A, 0x20, "000050") + toledo(0x22, 0x20, 0x20, "   100") + "\x02",
			[]string{"12.34 true", "-0.5 false", "45.3592 true"}, []string{`51 "\x02" no frame begins here`}},
		{"toledo with its checksum", Options{Format: "toledo"}, summed(toledo(0x25, 0x30, 0x20, "001234")) + summed(toledo(0x25, 0x30, 0x21, "001234")) + "x", []string{"1.234 true", "0.0012 true"}, []string{`36 "x" no frame begins here`}},
		{"toledo, a wrong checksum", Options{Format: "toledo"}, toledo(0x24, 0x30, 0x20, "001234") + "!", nil, []string{`0 "` + `\x02$0 001234000000\r!" bad_checksum`}},
		{"toledo, out of range", Options{Format: "toledo"}, summed(toledo(0x24, 0x34, 0x20, "001234")), nil, nil},

		{"sics", Options{Format: "sics"}, "S S     100.00 g\r\nS D     129.07 g\r\nS I\r\nS +\r\n", []string{"0.1 true", "0.1291 false"}, nil},
		{"plain", Options{Format: "plain"}, "  12.34 kg\r\n12.34\r\n-0.5kg\r\n+ 1.0\r\n1.2.3\r\nkg\r\n", []string{"12.34", "12.34", "-0.5", "1"}, []string{`34 "1.2.3\r" malformed`, `41 "kg\r" malformed`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bodies, rejects, counters := decoded(t, strings.NewReader(c.text), c.o)
			require.Equal(t, c.want, bodies)
			require.Equal(t, c.rejects, rejects)
			require.EqualValues(t, len(c.want), counters["frames_ok"]-counters["overloads"])
			again, rejectsAgain, _ := decoded(t, iotest.OneByteReader(strings.NewReader(c.text)), c.o)
			require.Equal(t, bodies, again, "byte by byte")
			require.Equal(t, rejects, rejectsAgain, "byte by byte")
		})
	}
}

func TestDecodeRefusesOptionsAndBrokenStreams(t *testing.T) {
	for _, o := range []Options{{Format: "x"}, {Unit: "st"}} {
		_, err := Decode(strings.NewReader(""), o, nil, nil)
		require.Error(t, err)
	}
	_, err := Decode(iotest.ErrReader(io.ErrClosedPipe), Options{}, nil, nil)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	full := errors.New("full")
	_, err = Decode(strings.NewReader("ST,GS,+  12.34kg\r\n"), Options{}, func(telemetry.Reading) error { return full }, nil)
	require.ErrorIs(t, err, full)
	require.Len(t, formats, len(Formats()))
	require.Len(t, units, len(Units()))
	for _, name := range Formats() {
		require.Contains(t, formats, name)
	}
	for _, name := range Units() {
		require.Contains(t, units, name)
	}
}

// Any bytes in any format: valid readings, a bounded buffer, rejects in order and of the input.
func FuzzDecode(f *testing.F) {
	for i, s := range []string{
		"ST,GS,+  12.34kg\r\nUS,NT,-   0.50lb\r\n", unhex(f, "02 2B 30 30 32 30 30 30 32 31 42 03"), "=000.3000=00.1000-=", "=0003.000=-0001.00=",
		"WG004.139kg3D\r\n", summed(toledo(0x24, 0x30, 0x20, "001234")), "S S     100.00 g\r\n", "  12.34 kg\r\n",
	} {
		f.Add([]byte(s), uint8(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, format uint8) {
		var at int64
		_, err := Decode(bytes.NewReader(b), Options{Format: Formats()[int(format)%len(formats)]},
			func(r telemetry.Reading) error { return r.Validate() },
			func(offset int64, raw []byte, reason string) {
				require.GreaterOrEqual(t, offset, at)
				at = offset + int64(len(raw))
				require.LessOrEqual(t, at, int64(len(b)))
				require.Equal(t, b[offset:at], raw)
				require.NotEmpty(t, reason)
			})
		require.NoError(t, err)
	})
}
