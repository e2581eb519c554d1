package onewire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

func decoded(t testing.TB, r io.Reader) (bodies, rejects []string, counters map[string]uint64) {
	counters, err := Decode(r, Options{}, func(r telemetry.Reading) error {
		bodies = append(bodies, string(r.Body))
		return r.Validate()
	}, func(offset int64, raw []byte, reason string) {
		rejects = append(rejects, fmt.Sprintf("%d %s %s", offset, raw, reason))
	})
	require.NoError(t, err)
	return bodies, rejects, counters
}

func TestDecode(t *testing.T) {
	v := vectors[1]
	one := w1(v.bytes, v.milli)
	first, second, _ := strings.Cut(one, "\n")
	const body = `{"probe":"w1","temperature_c":23.188,"quality":"ok"}`
	const path = "/sys/bus/w1/devices/28-0316a2795e50/w1_slave:"
	for _, c := range []struct {
		name, text string
		want       []string
		rejects    []string
	}{
		{"two", one + one, []string{body, body}, nil},
		{"no last line end", strings.TrimSuffix(one, "\n"), []string{body}, nil},
		{"carriage returns", strings.ReplaceAll(one, "\n", "\r\n"), []string{body}, nil},
		{"as grep prints them", path + first + "\n" + path + second, []string{strings.Replace(body, "w1", "28-0316a2795e50", 1)}, nil},
		{"of two probes", path + first + "\n" + second, nil, []string{"0 " + path + first + " malformed", fmt.Sprintf("%d %s malformed", len(path+first)+1, second[:len(second)-1])}},
		{"a prompt between", "$ cat w1_slave\n" + one, []string{body}, []string{"0 $ cat w1_slave malformed"}},
		{"cut", first + "\n", nil, []string{"0 " + first + " malformed"}},
		{"power-on, then a value", w1(powered, 85000) + one, []string{body}, []string{"0 " + powered + " : crc=1c YES power_on"}},
		{"a shorted bus", w1("00 00 00 00 00 00 00 00 00", 0), nil, []string{"0 00 00 00 00 00 00 00 00 00 : crc=00 YES all_zero"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bodies, rejects, counters := decoded(t, strings.NewReader(c.text))
			require.Equal(t, c.want, bodies)
			require.Equal(t, c.rejects, rejects)
			require.EqualValues(t, len(c.want), counters["frames_ok"])
			again, rejectsAgain, _ := decoded(t, iotest.OneByteReader(strings.NewReader(c.text)))
			require.Equal(t, bodies, again, "byte by byte")
			require.Equal(t, rejects, rejectsAgain, "byte by byte")
		})
	}
	_, err := Decode(iotest.ErrReader(io.ErrClosedPipe), Options{}, nil, nil)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	full := errors.New("full")
	_, err = Decode(strings.NewReader(one), Options{}, func(telemetry.Reading) error { return full }, nil)
	require.ErrorIs(t, err, full)
}

// Any bytes: valid readings, rejects in order and of the input.
func FuzzDecode(f *testing.F) {
	for _, v := range vectors {
		f.Add([]byte(w1(v.bytes, v.milli)))
	}
	f.Add([]byte("x/28-0316a2795e50/w1_slave:" + w1(powered, 85000)))
	f.Fuzz(func(t *testing.T, b []byte) {
		at := int64(-1)
		_, err := Decode(bytes.NewReader(b), Options{}, func(r telemetry.Reading) error { return r.Validate() },
			func(offset int64, raw []byte, reason string) {
				require.Greater(t, offset, at)
				at = offset
				require.LessOrEqual(t, offset+int64(len(raw)), int64(len(b)))
				require.Equal(t, b[offset:offset+int64(len(raw))], raw)
			})
		require.NoError(t, err)
	})
}
