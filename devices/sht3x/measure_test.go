package sht3x

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

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

// The datasheet's example, and the checksums of the vectors.
func TestChecksum(t *testing.T) {
	for text, want := range map[string]byte{"BE EF": 0x92, "66 66": 0x93, "80 00": 0xA2, "2A AA": 0x94, "CC CC": 0xA5, "5E 3F": 0xE0, "72 B0": 0xDC} {
		require.Equal(t, want, crc8(unhex(t, text)...), text)
	}
}

func TestConversion(t *testing.T) {
	require.InDelta(t, 25.000, celsius(0x6666), 5e-4)
	require.InDelta(t, -15.83, celsius(0x2AAA), 5e-3)
	require.InDelta(t, 50.0, humidity(0x8000), 5e-3)
	require.InDelta(t, 80.0, humidity(0xCCCC), 5e-3)
	require.InDelta(t, 19.43, celsius(0x5E3F), 5e-3)
	require.InDelta(t, 44.80, humidity(0x72B0), 5e-3)
}

func decoded(t testing.TB, r io.Reader) (bodies, rejects []string, counters map[string]uint64) {
	counters, err := Decode(r, Options{}, func(r telemetry.Reading) error {
		bodies = append(bodies, string(r.Body))
		return r.Validate()
	}, func(offset int64, raw []byte, reason string) {
		rejects = append(rejects, fmt.Sprintf("%d %X %s", offset, raw, reason))
	})
	require.NoError(t, err)
	return bodies, rejects, counters
}

func TestDecode(t *testing.T) {
	const good, body = "5E 3F E0 72 B0 DC", `{"probe":"sht3x","temperature_c":19.427,"humidity_pct":44.8,"quality":"ok"}`
	for _, c := range []struct {
		name, hex string
		want      []string
		rejects   []string
	}{
		{"one", good, []string{body}, nil},
		{"two", good + good, []string{body, body}, nil},
		{"one checksum wrong drops both values", "5E 3F E0 72 B0 DD", nil, []string{"0 5E3FE072B0DD no measurement begins here"}},
		{"the other one", "5E 3F E1 72 B0 DC", nil, []string{"0 5E3FE172B0DC no measurement begins here"}},
		{"after noise", "FF 00" + good, []string{body}, []string{"0 FF00 no measurement begins here"}},
		{"cut", good + "5E 3F", []string{body}, []string{"6 5E3F no measurement begins here"}},
		{"a bus stuck high", "FF FF FF FF FF FF", nil, []string{"0 FFFFFFFFFFFF no measurement begins here"}},
		{"a bus stuck low", "00 00 00 00 00 00", nil, []string{"0 000000000000 no measurement begins here"}},
		{"out of range", "FF FF AC 80 00 A2", nil, []string{"0 FFFFAC8000A2 out_of_range"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(t, c.hex)
			bodies, rejects, _ := decoded(t, bytes.NewReader(b))
			require.Equal(t, c.want, bodies)
			require.Equal(t, c.rejects, rejects)
			again, rejectsAgain, _ := decoded(t, iotest.OneByteReader(bytes.NewReader(b)))
			require.Equal(t, bodies, again, "byte by byte")
			require.Equal(t, rejects, rejectsAgain, "byte by byte")
		})
	}
	_, err := Decode(iotest.ErrReader(io.ErrClosedPipe), Options{}, nil, nil)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	full := errors.New("full")
	_, err = Decode(bytes.NewReader(unhex(t, good)), Options{}, func(telemetry.Reading) error { return full }, nil)
	require.ErrorIs(t, err, full)
}

// Whatever comes: valid readings, and every byte is either in a measurement or rejected, in order.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"5E 3F E0 72 B0 DC", "66 66 93 80 00 A2", "2A AA 94 CC CC A5", "00 5E 3F E0 72 B0 DC 5E", "FF FF AC FF FF AC"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var at, lost int64
		counters, err := Decode(bytes.NewReader(b), Options{}, func(r telemetry.Reading) error { return r.Validate() },
			func(offset int64, raw []byte, reason string) {
				require.GreaterOrEqual(t, offset, at)
				at = offset + int64(len(raw))
				require.LessOrEqual(t, at, int64(len(b)))
				require.Equal(t, b[offset:at], raw)
				lost += int64(len(raw))
			})
		require.NoError(t, err)
		require.EqualValues(t, len(b), uint64(lost)+frameSize*counters["frames_ok"])
	})
}
