package lockerbus

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

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
	all := func(e string, n int) (list []string) {
		for i := range n {
			list = append(list, event(i+1, e))
		}
		return list
	}
	for _, c := range []struct {
		name    string
		hex     string
		o       Options
		want    []string
		rejects []string
	}{
		{"read one", "80010133B3 8001010080", Options{}, []string{event(1, "opened")}, nil},
		{"read one, the other feedback", "80010133B3 8001010080", Options{Feedback: OpenShort}, []string{event(1, "closed")}, nil},
		{"answer without its request", "8001011191", Options{}, []string{event(1, "closed")}, nil},
		{"unasked", "8101010081 8101011190", Options{}, []string{event(1, "opened"), event(1, "closed")}, nil},
		{"a pulse tells nothing by itself", "8A0101119B 8A0101008A", Options{}, nil, nil},
		{"open all", "8A0100119A", Options{}, nil, nil},
		{"read all, then what changed", "80010033B2 8001FFFFFF334D 80010033B2 8001FFFFFB3349", Options{}, append(all("closed", 24), event(3, "opened")), nil},
		{"the other bitmap", "8001FFFFFF334D", Options{BitmapOneMeans: Open}, all("opened", 24), nil},
		{"8 doors need the request", "80010033B2 8001FF334D 80010033B2 80010033B2", Options{Doors: 8}, append(all("closed", 8), all("opened", 8)...), nil},
		{"12 doors", "80010033B2 80010FFF3342", Options{Doors: 12}, all("closed", 12), nil},
		{"old function", "8001009918 8001FFFFFF99E7", Options{}, all("closed", 24), nil},
		{"second board", "8102010082", Options{}, []string{event(25, "opened")}, nil},
		{"garbage between", "8101010081 55AA81 8101011190", Options{}, []string{event(1, "opened"), event(1, "closed")}, []string{"5 55AA81 no frame begins here"}},
		{"bad check", "8101010082", Options{}, nil, []string{"0 8101010082 bad check"}},
		{"cut at the end", "8101010081 810101", Options{}, []string{event(1, "opened")}, []string{"5 810101 cut off"}},
		{"another family", "0200300335 0200310336", Options{}, nil, []string{"0 02003003350200310336 no frame begins here"}},
		{"impossible cell", "8120010 0A0", Options{Doors: 50}, nil, nil},
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
	for _, o := range []Options{{Feedback: "x"}, {BitmapOneMeans: "x"}, {Doors: 99}, {Doors: -1}, {Family: "x"}, {Family: KRCU16, Doors: 24}, {Occupancy: SecondBoard}, {ItemOneMeans: "x"}} {
		_, err := Decode(bytes.NewReader(nil), o, nil, nil)
		require.Error(t, err, "%+v", o)
	}
	_, err := Decode(iotest.ErrReader(io.ErrClosedPipe), Options{}, nil, nil)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	full := errors.New("full")
	_, err = Decode(bytes.NewReader(unhex(t, "8101010081")), Options{}, func(telemetry.Reading) error { return full }, nil)
	require.ErrorIs(t, err, full)
}

// captures seed the fuzzers, by family.
var captures = map[string][]string{
	XOR: {
		"80010133B3 8001010080", "80010033B2 8001FFFFFF334D 80010033B2 8001FFFFFB3349", "8A0101119B 8A0101008A", "8101010081 55AA81 8101011190",
		"80010033B2 8001FF334D", "8001009918", "0200300335", "",
	},
	KRCU16: {"0200300335 020035FFFF0000033800 0200310336 0205310338 02F0320327 020035FFFF000003", "8A0101119B"},
	KRCU24: {"020000500355 020000510356 020000650000000365FFFFFF"},
	KRCU48: {"020000600365 020000610366 02000075FFFFFFFFFFFF0374"},
	KRCU12: {"0200008000000385 02000080100403990FFF0F0000 0200008100000386"},
}

// Whatever comes: valid readings, and every byte is either in a frame or rejected, in order.
func FuzzDecode(f *testing.F) {
	for name, all := range captures {
		for _, s := range all {
			f.Add(unhex(f, s), slices.Index(Families(), name), byte(24), false)
			f.Add(unhex(f, s), slices.Index(Families(), name), byte(8), true)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, n int, doors byte, openShort bool) {
		o := Options{Family: Families()[uint(n)%uint(len(families))], Occupancy: Infrared}
		if len(families[o.Family].limits().sizes) > 1 {
			o.Doors = int(doors%56) + 1
		}
		if openShort {
			o.Feedback = OpenShort
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

// The line's own parser: in any chunks nothing but what the limits allow comes out, and the buffer stays bounded.
func FuzzScan(f *testing.F) {
	f.Add(unhex(f, "81010100 81 8101011190 800101118A"), 0, uint64(1))
	f.Add(unhex(f, "80 01 80 02 01 33 31"), 0, uint64(2))
	for name, all := range captures {
		f.Add(unhex(f, all[0]), slices.Index(Families(), name), uint64(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, n int, seed uint64) {
		var d Driver
		l := &line{family: families[Families()[uint(n)%uint(len(families))]], counts: &counters{}, bad: &d.BadFrames}
		limits := l.family.limits()
		rng := rand.New(rand.NewPCG(seed, 1))
		q := l.family.ask(opReadAll, Board{Board: 1, Doors: limits.sizes[0]}, 0)
		for len(b) > 0 {
			n := min(1+rng.IntN(40), len(b))
			require.NoError(t, l.feed(b[:n], true))
			b = b[n:]
			if a, ok := l.scan(&q); ok {
				require.Equal(t, 1, a.board)
				require.Zero(t, a.lock)
			}
			for _, c := range l.changes {
				require.True(t, c.board >= limits.lowest && c.board <= limits.highest && c.lock >= 1 && c.lock <= limits.locks)
			}
			require.Less(t, len(l.buf), kept+300)
		}
	})
}
