package frame

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/devices/telemetry"
)

// mixed is a frame with every kind of column in it.
func mixed() *Frame {
	f := &Frame{Gateway: "wh-1", Epoch: 0x1122334455667788, Lane: telemetry.Track, Prev: [32]byte{9}}
	add := func(format string, args ...any) {
		n := len(f.Records)
		f.Records = append(f.Records, Record{
			Seq: uint64(7 + n), Type: TypeReading, Quality: telemetry.NTP, Boot: Boot{byte(1 + n/40)},
			MonoNS: int64(n)*1_000_000_000 + 5_000_000, WallMS: 1_790_000_000_000 + int64(n)*1000 + int64(n%3), Payload: fmt.Appendf(nil, format, args...),
		})
	}
	for i := range 24 {
		add(`{"device":"gps","kind":"position","at":"2026-09-21T13:33:%02d.000Z","tq":"gnss","body":{"lat":%s,"lon":103.25,"altitude_m":%d.5,"valid":true}}`,
			20+i, appendDecimal(nil, divide(int64(18_300_000+i*i)*5000, 3), 9, true), 700-i)
		add(`{"device":"t%d","kind":"tag","tq":"rtc","n":"ab%06x-%d","body":{"epc":"urn:epc:id:sscc:9521141.%010d","epc_hex":"3156451FD4%06X86A7000000","rssi_dbm":-%d}}`,
			i%3, 0xabcdef, i, i*i, i*77777, 40+i%7)
		add(`{"weight_kg":%d.50,"text":"p %c"}`, i, 'a'+i)
	}
	add(`{"ends":[]}`)
	return f
}

func TestGoldenVersion2(t *testing.T) {
	golden(t, "v2.frame", 2, sample())
	golden(t, "v2-mixed.frame", 2, mixed())
}

func TestAnOldReaderGetsVersion1(t *testing.T) {
	e, d := coders(t)
	for newest, want := range map[int]int{-1: 1, 0: 1, 1: 1, 2: 2, 3: 2, 99: 2} {
		b, err := e.EncodeAs(newest, sample())
		require.NoError(t, err)
		h, err := ReadHeader(b)
		require.NoError(t, err)
		require.Equal(t, want, h.Version)
		got, err := d.Decode(b)
		require.NoError(t, err)
		require.Equal(t, sample(), got)
	}
	b, err := e.Encode(sample())
	require.NoError(t, err)
	b[3] = 3
	_, err = ReadHeader(b)
	require.ErrorIs(t, err, ErrFormat)
}

// payloads are texts that a careless column would change.
var payloads = []string{
	``, `{}`, `[]`, `null`, `"`, `"\`, `{"a":1`, "\x00", "{\"a\":\"\x00\"}", `{"a":"\u0000"}`, `{"a" : 1 , "b":[1,2,{"c":"d"}]}`,
	`{"a":0}`, `{"a":-0}`, `{"a":-0.0}`, `{"a":0.0}`, `{"a":1.0}`, `{"a":1.50}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e5}`, `{"a":1E+5}`, `{"a":--1}`,
	`{"a":123456789012345678}`, `{"a":1234567890123456789}`, `{"a":-999999999999999999}`, `{"a":0.000000000000000001}`, `{"a":true}`, `{"a":nul}`,
	`{"a":"2026-09-21T13:33:20.000Z"}`, `{"a":"2026-09-21T13:33:20Z"}`, `{"a":"2026-09-31T13:33:20.000Z"}`, `{"a":"0000-01-01T00:00:00.000Z"}`, `{"a":"9999-12-31T23:59:59.999Z"}`,
	`{"a":"2026-09-21T24:33:20.000Z"}`, `{"a":"2026-09-21T23:59:60.000Z"}`, `{"a":"2026-09-21T13:33:20,000Z"}`,
	`{"a":"007"}`, `{"a":"7"}`, `{"a":"07a"}`, `{"a":"00000000000000000001"}`, `{"a":"deadbeef"}`, `{"a":"DEADBEEF"}`, `{"a":"deadBEEF"}`, `{"a":"dead-beef"}`,
	`{"a":"岭A·20408"}`, `{"a":"\ud83d\ude00"}`, "{\"a\":\"\xff\xfe\"}", `{"a":"x\"y"}`, `{"a":"1\\"}`, `{"":""}`, `{"a":{"b":null}}`, `{"a":12.345678901}`, `{"a":30.123456789}`,
}

func TestEveryPayloadComesBackAsItWas(t *testing.T) {
	e, d := coders(t)
	check := func(name string, list ...string) {
		f := sample()
		f.Records = nil
		for i, p := range list {
			f.Records = append(f.Records, Record{Seq: uint64(2 + i), Type: TypeReading, Quality: telemetry.GNSS, MonoNS: int64(i), WallMS: int64(i % 3), Payload: []byte(p)})
		}
		b, err := e.Encode(f)
		require.NoError(t, err, name)
		got, err := d.Decode(b)
		require.NoError(t, err, name)
		for i, r := range got.Records {
			require.Equal(t, list[i], string(r.Payload), name)
			require.Equal(t, f.Records[i].Hash(f.Epoch, f.Lane), r.Hash(f.Epoch, f.Lane))
		}
	}
	check("all", payloads...)
	for _, a := range payloads {
		check(a, a, a, a)
		for _, b := range payloads {
			check(a+b, a, b, a, b, b)
		}
	}
	long := `{"a":"` + strings.Repeat("x", 20_000) + `","b":1}`
	check("long", long, long)
	many := "[" + strings.Repeat("1,", maxSlots) + "1]"
	check("many values", many, many, `[1]`, `[1]`)
	shapes := make([]string, 0, 1500)
	for i := range 750 {
		shapes = append(shapes, fmt.Sprintf(`{"k%d":1}`, i), fmt.Sprintf(`{"k%d":2}`, i))
	}
	check("many shapes", shapes...)
	full := make([]string, MaxRecords)
	for i := range full {
		full[i] = fmt.Sprintf(`{"n":[%d,"1 2 3 4 5 6 7 8",%d.25,"2026-09-21T13:33:20.000Z",1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]}`, i, i)
	}
	check("as many as fit", full...)
}

func TestColumnsChosen(t *testing.T) {
	list := func(f func(i int) string) (out [][]byte) {
		for i := range 40 {
			out = append(out, []byte(f(i)))
		}
		return out
	}
	o := newOrder(40, nil, nil)
	w := setWriter{room: make([]int64, 40)}
	wall := make([]int64, 40)
	for i := range wall {
		wall[i] = int64(1_790_000_000_000) + int64(i*i*7919%100_000)
	}
	for name, c := range map[string]struct {
		tokens [][]byte
		kind   byte
		most   int
	}{
		"the same":      {list(func(int) string { return `"ok"` }), colWords, 8},
		"two words":     {list(func(i int) string { return []string{"true", "false"}[i%2] }), colWords, 22},
		"steady time":   {list(func(i int) string { return string(appendTime(nil, int64(1_790_000_000_000)+int64(i)*1000)) }), colTime, 11},
		"with the wall": {list(func(i int) string { return string(appendTime(nil, wall[i]-3)) }), colSince, 5},
		"decimals":      {list(func(i int) string { return fmt.Sprint(float64(i%16) / 10) }), colDecimal, 26},
		"fixed":         {list(func(i int) string { return fmt.Sprintf("%.2f", float64(i*i)/10) }), colFixed, 30},
		"hex":           {list(func(i int) string { return fmt.Sprintf(`"30AB%06x00"`, i*50_000) }), colHex, 30},
		"counter":       {list(func(i int) string { return fmt.Sprintf(`"ab-%d"`, 1000+i) }), colDigits, 20},
		"minutes": {list(func(i int) string {
			return string(appendDecimal(nil, divide(int64(18_300_000+i*i*i)*5000, 3), 9, true))
		}), colMinutes, 100},
		"texts": {list(func(i int) string { return fmt.Sprintf(`"%c"`, 'a'+i) }), colText, 140},
	} {
		got, cost := w.cheapest(columns(c.tokens, wall), &o)
		require.Equal(t, c.kind, got.kind, name)
		require.LessOrEqual(t, cost, c.most, name)
	}
}

func TestRowsOfADeviceAreNeighbours(t *testing.T) {
	e, _ := coders(t)
	size := func(devices int) int {
		f := sample()
		f.Records = nil
		for i := range 120 {
			k := i % devices
			f.Records = append(f.Records, Record{Seq: uint64(2 + i), Type: TypeReading, Payload: fmt.Appendf(nil, `{"device":"t%d","lat":%d,"lon":%d}`, k, k*1_000_003+i*211, k*-777_777+i*i)})
		}
		_, err := e.Encode(f)
		require.NoError(t, err)
		return len(e.body)
	}
	require.Less(t, size(4), size(1)+120, "four vehicles of a host take little more than one")
}

func TestNumbersOfColumns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 60).Draw(t, "n")
		gen := rapid.SampledFrom([]*rapid.Generator[int64]{
			rapid.Int64(), rapid.Int64Range(-5, 5), rapid.Just(int64(7)), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, 0, -1}), rapid.Int64Range(1<<40, 1<<40+300),
		}).Draw(t, "gen")
		v := make([]int64, n)
		groups := []int{0}
		for i := range v {
			if v[i] = gen.Draw(t, "v"); i > 0 && rapid.IntRange(0, 5).Draw(t, "new group") == 0 {
				groups = append(groups, i)
			}
		}
		b := appendInts(nil, v, groups)
		if p := plan(v, groups); n > 0 {
			require.Equal(t, len(b), p.cost)
		}
		c := cursor{b: b}
		require.Equal(t, v, c.ints(n, groups, "v"))
		require.NoError(t, c.err)
		require.Equal(t, len(b), c.i)
	})
}

// A small body must not unfold to a large frame.
func TestBodiesThatUnfoldAreRefused(t *testing.T) {
	text := func(b []byte, s string) []byte { return appendText(b, []byte(s)) }
	constant := []byte{0, 0} // order 0, width 0, base 0
	meta := func() []byte {
		b := append([]byte{1}, make([]byte, 16)...)
		b = append(b, 0)
		b = append(b, 0, 2) // type 1
		return append(b, bytes.Repeat(constant, 4)...)
	}
	many := append(text(append(meta(), 1), strings.Repeat("\x00", maxSlots)), constant...)
	many = append(many, 0)
	many = append(many, bytes.Repeat([]byte{colHex, 0, 0, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, maxSlots)...)
	wide := append(text(append(meta(), 1), strings.Repeat("x", 4096)+"\x00"), constant...)
	wide = append(wide, 0, colDecimal, 0, 0, 0)
	word := append(text(append(meta(), 1), "\x00"), constant...)
	word = text(append(word, 0, colWords, 1), strings.Repeat("y", 4096))
	for name, body := range map[string][]byte{"numbers": many, "shape": wide, "word": word} {
		f := &Frame{Records: make([]Record, MaxRecords)}
		err := read2(f, body)
		require.ErrorIs(t, err, ErrFormat, name)
		f.Records = f.Records[:2]
		require.NoError(t, read2(f, body), name)
	}
}

// Columns of equal numbers take no room in a frame: all of them together unfold to so many and no more.
func TestNumbersOfAFrameAreBounded(t *testing.T) {
	columns := 2 * maxNumbers / MaxRecords
	r := reader{cursor: cursor{b: make([]byte, 2*columns)}, numbers: maxNumbers}
	read := 0
	for range columns {
		if r.nums(MaxRecords, oneGroup, "x"); r.err == nil {
			read += MaxRecords
		}
	}
	require.ErrorIs(t, r.err, ErrFormat)
	require.Equal(t, maxNumbers, read)
}

func TestPrint(t *testing.T) {
	e, _ := coders(t)
	var outs []string
	for version := 1; version <= Newest; version++ {
		b, err := e.EncodeAs(version, mixed())
		require.NoError(t, err)
		var out bytes.Buffer
		require.NoError(t, Print(&out, b))
		var v struct {
			Version int
			Records []struct {
				Seq     uint64
				Type    string
				Wall    string
				Payload json.RawMessage
			}
		}
		require.NoError(t, json.Unmarshal(out.Bytes(), &v))
		require.Equal(t, version, v.Version)
		require.Len(t, v.Records, 73)
		require.Equal(t, "reading", v.Records[0].Type)
		require.Equal(t, "2026-09-21T14:13:20.000Z", v.Records[0].Wall)
		outs = append(outs, strings.Replace(out.String(), fmt.Sprintf(`"version": %d`, version), "", 1))
	}
	require.Equal(t, outs[0], outs[1], "both versions print the same")
	require.ErrorIs(t, Print(&bytes.Buffer{}, []byte("YZF\x07")), ErrFormat)
}

func FuzzPayloads(f *testing.F) {
	for _, p := range payloads {
		f.Add([]byte(p + "\n" + p + "\n" + p))
	}
	f.Add([]byte(strings.Join(payloads, "\n")))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines := bytes.Split(b, []byte("\n"))
		rs := make([]Record, min(len(lines), MaxRecords))
		for i := range rs {
			rs[i] = Record{Type: TypeReading, Quality: telemetry.Unknown, WallMS: int64(len(lines[i])), Payload: lines[i]}
		}
		body, err := pack2(nil, rs)
		require.NoError(t, err)
		got := &Frame{Records: make([]Record, len(rs))}
		require.NoError(t, read2(got, body))
		for i := range rs {
			require.Equal(t, string(rs[i].Payload), string(got.Records[i].Payload))
		}
	})
}

func FuzzBody2(f *testing.F) {
	for _, fr := range []*Frame{sample(), mixed()} {
		body, err := pack2(nil, fr.Records)
		require.NoError(f, err)
		f.Add(len(fr.Records), body)
		for i := 20; i < len(body); i += 37 {
			spoilt := bytes.Clone(body)
			spoilt[i] ^= 0x41
			f.Add(len(fr.Records), spoilt)
		}
	}
	f.Fuzz(func(t *testing.T, n int, body []byte) {
		if n < 1 || n > MaxRecords || len(body) > MaxBody {
			return
		}
		fr := &Frame{Records: make([]Record, n)}
		if err := read2(fr, body); err != nil {
			require.ErrorIs(t, err, ErrFormat)
			return
		}
		total := 0
		for i := range fr.Records {
			total += len(fr.Records[i].Payload)
		}
		require.LessOrEqual(t, total, MaxBody)
	})
}
