package modbus

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

// decoded are the bodies, the rejects as "offset hex reason", and the counters.
func decoded(t testing.TB, r io.Reader, o Options) (bodies, rejects []string, counters map[string]uint64) {
	t.Helper()
	counters, err := Decode(r, o, func(r telemetry.Reading) error {
		bodies = append(bodies, string(r.Body))
		return r.Validate()
	}, func(offset int64, raw []byte, reason string) {
		rejects = append(rejects, fmt.Sprintf("%d %X %s", offset, raw, reason))
	})
	require.NoError(t, err)
	return bodies, rejects, counters
}

func TestDecode(t *testing.T) {
	const (
		ask   = "01 04 00 01 00 02 20 0B"
		warm  = `{"probe":"unit-1","temperature_c":28.5,"humidity_pct":63.9,"quality":"ok"}`
		fault = `{"probe":"unit-1","quality":"fault"}`
	)
	for _, c := range []struct {
		name    string
		hex     string
		o       Options
		want    []string
		rejects []string
	}{
		{"a pair", ask + "01 04 04 01 1D 02 7F 2A FE", Options{}, []string{warm}, nil},
		{"half a profile", "01 04 00 01 00 01 60 0A 01 04 02 01 31 79 74", Options{}, []string{`{"probe":"unit-1","temperature_c":30.5,"quality":"ok"}`}, nil},
		{"frost", ask + "01 04 04 FF 33 02 22 BA E6", Options{}, []string{`{"probe":"unit-1","temperature_c":-20.5,"humidity_pct":54.6,"quality":"ok"}`}, nil},
		{"an exception", ask + "01 84 02 C2 C1", Options{}, []string{fault}, nil},
		{"no request", "01 04 04 01 1D 02 7F 2A FE", Options{}, nil, []string{"0 010404011D027F2AFE reply without its request"}},
		{"another request's answer", ask + "01 04 02 01 31 79 74", Options{}, nil, []string{"8 01040201317974 reply without its request"}},
		{"answered once", ask + "01 04 04 01 1D 02 7F 2A FE 01 04 04 01 1D 02 7F 2A FE", Options{}, []string{warm}, []string{"17 010404011D027F2AFE reply without its request"}},
		{"registers of no profile", "11 03 00 7C 00 02 07 43 11 03 04 00 8D 00 8E FB BD", Options{}, nil, nil},
		{"another profile", "11 03 00 7C 00 02 07 43 11 03 04 00 8D 00 8E FB BD",
			Options{Profile: "own", Known: map[string]Profile{"own": {Values: []Value{{Field: temperature, Function: 3, Address: 0x7D, Type: "int16", Scale: 0.1}}}}},
			[]string{`{"probe":"unit-17","temperature_c":14.2,"quality":"ok"}`}, nil},
		{"noise", "00 FF" + ask + "00" + "01 04 04 01 1D 02 7F 2A FE", Options{}, []string{warm}, []string{"0 00FF no frame begins here", "10 00 no frame begins here"}},
		{"a bad check", ask + "01 04 04 01 1D 02 7F 2A FF", Options{}, nil, []string{"8 010404011D027F2AFF bad crc"}},
		{"another master writes", "01 06 01 01 00 02 58 37" + ask + "01 04 04 01 1D 02 7F 2A FE", Options{}, []string{warm}, nil},
		{"text", "32 38 2E 35 43 2C 36 33 2E 39 0D 0A", Options{}, nil, []string{"0 32382E35432C36332E390D0A text, no frame"}},
		{"over TCP", "00 09 00 00 00 06 01 04 00 01 00 02 00 09 00 00 00 07 01 04 04 01 1D 02 7F", Options{Framing: "tcp"}, []string{warm}, nil},
		{"over TCP, out of order", "00 09 00 00 00 06 01 04 00 01 00 02 00 0A 00 00 00 06 01 04 00 01 00 01" +
			"00 0A 00 00 00 05 01 04 02 01 31 00 09 00 00 00 07 01 04 04 01 1D 02 7F", Options{Framing: "tcp"},
			[]string{`{"probe":"unit-1","temperature_c":30.5,"quality":"ok"}`, warm}, nil},
		{"over TCP, an exception", "00 09 00 00 00 06 01 04 00 01 00 02 00 09 00 00 00 03 01 84 0B", Options{Framing: "tcp"}, []string{fault}, nil},
		{"over TCP, noise", "01 02 03 00 09 00 00 00 06 01 04 00 01 00 02 00 09 00 00 00 07 01 04 04 01 1D 02 7F", Options{Framing: "tcp"}, []string{warm}, []string{"0 010203 no frame begins here"}},
		{"over TCP, cut", "00 09 00 00 00 06 01 04", Options{Framing: "tcp"}, nil, []string{"0 0009000000060104 no frame begins here"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(t, c.hex)
			bodies, rejects, _ := decoded(t, bytes.NewReader(b), c.o)
			require.Equal(t, c.want, bodies)
			require.Equal(t, c.rejects, rejects)

			again, rejectsAgain, _ := decoded(t, iotest.OneByteReader(bytes.NewReader(b)), c.o)
			require.Equal(t, bodies, again, "byte by byte")
			require.Equal(t, rejects, rejectsAgain, "byte by byte")
		})
	}
}

func TestDecodeRefusesOptionsAndBrokenStreams(t *testing.T) {
	for _, o := range []Options{{Profile: "x"}, {Framing: "x"}} {
		_, err := Decode(bytes.NewReader(nil), o, nil, nil)
		require.Error(t, err, "%+v", o)
	}
	_, err := Decode(iotest.ErrReader(io.ErrClosedPipe), Options{}, nil, nil)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	full := errors.New("full")
	_, err = Decode(bytes.NewReader(unhex(t, "01 04 00 01 00 02 20 0B 01 84 02 C2 C1")), Options{}, func(telemetry.Reading) error { return full }, nil)
	require.ErrorIs(t, err, full)
	require.Equal(t, []string{"xy-md02"}, Profiles())
}

// Whatever comes: valid readings, and every byte is either in a frame or rejected, in order.
func FuzzDecode(f *testing.F) {
	for _, v := range vectors {
		f.Add(append(unhex(f, v.request), unhex(f, v.reply)...), false)
	}
	f.Add(unhex(f, "00 09 00 00 00 06 01 04 00 01 00 02 00 09 00 00 00 07 01 04 04 01 1D 02 7F"), true)
	f.Add([]byte("28.5C,63.9%RH\r\n"), false)
	f.Fuzz(func(t *testing.T, b []byte, overTCP bool) {
		o := Options{Framing: "rtu"}
		if overTCP {
			o.Framing = "tcp"
		}
		var at int64
		counters, err := Decode(bytes.NewReader(b), o, func(r telemetry.Reading) error { return r.Validate() },
			func(offset int64, raw []byte, reason string) {
				require.GreaterOrEqual(t, offset, at)
				at = offset + int64(len(raw))
				require.LessOrEqual(t, at, int64(len(b)))
				require.Equal(t, b[offset:at], raw)
				require.NotEmpty(t, reason)
			})
		require.NoError(t, err)
		require.LessOrEqual(t, counters["resync"], uint64(len(b)))
	})
}

// scripted is a port that plays bytes in chunks and then falls silent.
type scripted struct {
	b   []byte
	rng *rand.Rand
}

func (s *scripted) Read(p []byte) (int, error) {
	n := min(len(s.b), len(p), 1+s.rng.IntN(20))
	if n == 0 {
		return 0, errDeadline{}
	}
	copy(p, s.b[:n])
	s.b = s.b[n:]
	return n, nil
}
func (s *scripted) Write(p []byte) (int, error)     { return len(p), nil }
func (s *scripted) Close() error                    { return nil }
func (s *scripted) Flush() error                    { return nil }
func (s *scripted) SetReadDeadline(time.Time) error { return nil }

type errDeadline struct{}

func (errDeadline) Error() string   { return "i/o timeout" }
func (errDeadline) Is(e error) bool { return e.Error() == "i/o timeout" }

// The line's own parser: registers come out only of a frame that answers.
func FuzzReply(f *testing.F) {
	for i, v := range vectors {
		f.Add(unhex(f, v.reply), uint64(i), false)
	}
	f.Add(unhex(f, "00 00 00 00 00 07 01 04 04 01 1D 02 7F"), uint64(1), true)
	f.Fuzz(func(t *testing.T, b []byte, seed uint64, overTCP bool) {
		c := oneUnit().withDefaults()
		if overTCP {
			c.Framing = "tcp"
		}
		var d Driver
		l := newLine(&scripted{b, rand.New(rand.NewPCG(seed, 1))}, c, &d.counts, &d.BadFrames)
		q := request{1, 4, 1, 2}
		regs, err := l.reply(q)
		if err == nil {
			require.Len(t, regs, 2)
			return
		}
		var no Exception
		require.True(t, errors.Is(err, errTimeout) || errors.As(err, &no), "%v", err)
	})
}
