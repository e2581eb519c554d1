package frame

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
)

// The encodings that were compared before version 2 was made, on what the demo county's gateways recorded:
// make bench-encoding prints the table.

const batch = 60

// wire is what a frame of n bytes takes on the way: PUBLISH at QoS 1, TLS 1.3 (RFC 8446, 5.2: 5 bytes of header, 1 of type,
// 16 of tag), TCP with timestamps over IPv4.
func wire(n int) int {
	n += 2 + len(topic.Up("county", telemetry.Track.String())) + 2
	n += 1 + len(binary.AppendUvarint(nil, uint64(n)))
	n += 22
	return n + 52*((n+1447)/1448)
}

// county reads the records of each kind; the files are frames of version 1 that the demo county's gateways sent, put together.
func countyRecords(t testing.TB) map[string][]Record {
	files, err := filepath.Glob("testdata/county/*.frame")
	require.NoError(t, err)
	_, d := coders(t)
	all := map[string][]Record{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		f, err := d.Decode(b)
		require.NoError(t, err)
		all[strings.TrimSuffix(filepath.Base(file), ".frame")] = f.Records
	}
	require.Len(t, all, 5)
	for kind, make := range rare {
		all[kind] = nil
		rng := rand.New(rand.NewPCG(4, 2))
		ms := int64(1_790_000_000_000)
		for i := range 2 * batch {
			ms += 2000 + rng.Int64N(60_000)
			r := telemetry.New("board", time.UnixMilli(ms), telemetry.NTP, make(rng, i))
			if kind == "scan" || kind == "result" {
				r.N = fmt.Sprintf("4CQIWdhg-%d", i)
			}
			all[kind] = append(all[kind], Record{Seq: uint64(i + 2), Type: TypeReading, Quality: telemetry.NTP, Boot: Boot{3}, MonoNS: (ms - 1_780_000_000_000) * 1e6, WallMS: ms + 1, Payload: r.AppendJSON(nil)})
		}
	}
	return all
}

// rare are the kinds of which the county's frames have too few.
var rare = map[string]func(*rand.Rand, int) telemetry.Body{
	"door": func(_ *rand.Rand, i int) telemetry.Body {
		return telemetry.Door{Door: "rear", Open: telemetry.Some(i%2 == 0)}
	},
	"weight": func(rng *rand.Rand, _ int) telemetry.Body {
		return telemetry.Weight{WeightKg: telemetry.Some(float64(rng.IntN(3000)) / 100), Stable: telemetry.Some(true)}
	},
	"scan": func(rng *rand.Rand, i int) telemetry.Body {
		return telemetry.Scan{Symbology: "code128", Text: fmt.Sprintf("YL0001%05d", i*3+rng.IntN(3))}
	},
	"result": func(rng *rand.Rand, _ int) telemetry.Body {
		return telemetry.Result{Command: fmt.Sprintf("c-%016x%08x", rng.Uint64(), rng.Uint32()), Outcome: telemetry.Done, Detail: "opened"}
	},
	"health": func(rng *rand.Rand, i int) telemetry.Body {
		return telemetry.Health{
			{Name: "cpu_temp_c", Value: 48 + float64(rng.IntN(40))/10}, {Name: "devices_down"}, {Name: "disk_free_bytes", Value: 66965921792 - float64(4096*(i*11+rng.IntN(20)))},
			{Name: "goroutines", Value: float64(30 + rng.IntN(3))}, {Name: "heap_bytes", Value: float64(3_400_000 + 8*rng.IntN(100_000))},
			{Name: "rss_bytes", Value: float64(17_400_000 + 4096*rng.IntN(60))}, {Name: "spool_bytes", Value: float64(66076 + 33000*(i/9))},
			{Name: "spool_pending"}, {Name: "uplink_connected", Value: 1},
		}
	},
	"alarm": func(rng *rand.Rand, _ int) telemetry.Body {
		return telemetry.Alarm{Code: []string{"probe_lost", "probe_back"}[rng.IntN(2)], Severity: telemetry.Minor, Detail: fmt.Sprint("probe ", rng.IntN(4))}
	},
}

// mix is how many readings of a kind the county made in an hour of its day.
var mix = map[string]int{"position": 600, "terminal": 300, "climate": 320, "tag": 133, "locker": 166, "health": 62, "scan": 40, "result": 20, "door": 10, "weight": 20, "alarm": 2}

// A reading in a batch of 60 takes at most 25 bytes on the way to the cloud, whatever its kind, with all headers and the signature.
func TestAReadingTakesFewBytes(t *testing.T) {
	total, n := 0.0, 0
	for kind, rs := range countyRecords(t) {
		got := perReading(t, rs)
		total += got * float64(mix[kind])
		n += mix[kind]
		limit := 16.0
		if kind == "result" { // random ids
			limit = 25
		}
		require.LessOrEqual(t, got, limit, kind)
		t.Logf("%-9s %5.1f bytes a reading", kind, got)
	}
	t.Logf("%-9s %5.1f bytes a reading", "the mix", total/float64(n))
	require.LessOrEqual(t, total/float64(n), 12.0)
}

func perReading(t testing.TB, rs []Record) float64 {
	e, d := coders(t)
	bytes, n := 0, 0
	for part := range slices.Chunk(rs, batch) {
		if len(part) < batch {
			break
		}
		f := &Frame{Gateway: "county", Epoch: 0x0102030405060708, Lane: telemetry.Track, Prev: [32]byte{1}, Records: part}
		b, err := e.Encode(f)
		require.NoError(t, err)
		got, err := d.Decode(b)
		require.NoError(t, err)
		require.Equal(t, part, got.Records)
		bytes += wire(len(b))
		n += len(part)
	}
	return float64(bytes) / float64(n)
}

// An encoding writes records as a body.
type encoding struct {
	name   string
	encode func([]Record) []byte
}

func encodings() []encoding {
	names := map[string]uint64{}
	return []encoding{
		{"JSON", func(rs []Record) []byte { b, _ := pack1(nil, rs); return b }},
		{"CBOR", func(rs []Record) []byte { return meta(rs, appendCBOR) }},
		{"Protobuf", func(rs []Record) []byte {
			return meta(rs, func(dst []byte, v any) []byte { return appendProto(dst, v, names) })
		}},
		{"columns", func(rs []Record) []byte { b, _ := pack2(nil, rs); return b }},
	}
}

// meta writes records with their payloads encoded anew, and what else they have as version 1 does.
func meta(rs []Record, encode func([]byte, any) []byte) []byte {
	rs = slices.Clone(rs)
	for i := range rs {
		d := json.NewDecoder(strings.NewReader(string(rs[i].Payload)))
		d.UseNumber()
		var v any
		if d.Decode(&v) == nil {
			rs[i].Payload = encode(nil, v)
		}
	}
	b, _ := pack1(nil, rs)
	return b
}

// appendCBOR writes JSON as CBOR (RFC 8949): times as milliseconds, numbers in their shortest form.
func appendCBOR(dst []byte, v any) []byte {
	head := func(major byte, n uint64) {
		switch {
		case n < 24:
			dst = append(dst, major<<5|byte(n))
		case n <= math.MaxUint8:
			dst = append(dst, major<<5|24, byte(n))
		case n <= math.MaxUint16:
			dst = binary.BigEndian.AppendUint16(append(dst, major<<5|25), uint16(n))
		case n <= math.MaxUint32:
			dst = binary.BigEndian.AppendUint32(append(dst, major<<5|26), uint32(n))
		default:
			dst = binary.BigEndian.AppendUint64(append(dst, major<<5|27), n)
		}
	}
	switch v := v.(type) {
	case string:
		if at, err := time.Parse(telemetry.TimeLayout, v); err == nil {
			head(0, uint64(at.UnixMilli()))
			return dst
		}
		head(3, uint64(len(v)))
		return append(dst, v...)
	case bool:
		return append(dst, 0xf4+bit(v))
	case json.Number:
		if n, err := v.Int64(); err == nil {
			if n < 0 {
				head(1, uint64(-n-1))
			} else {
				head(0, uint64(n))
			}
			return dst
		}
		f, _ := v.Float64()
		if float64(float32(f)) == f {
			return binary.BigEndian.AppendUint32(append(dst, 0xfa), math.Float32bits(float32(f)))
		}
		return binary.BigEndian.AppendUint64(append(dst, 0xfb), math.Float64bits(f))
	case map[string]any:
		head(5, uint64(len(v)))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			head(3, uint64(len(k)))
			dst = appendCBOR(append(dst, k...), v[k])
		}
	}
	return dst
}

// appendProto writes JSON as a Protobuf message whose fields are numbered as they come: times and numbers with up to
// nine places as sint64 of their mantissa, as a schema made for them would.
func appendProto(dst []byte, v any, names map[string]uint64) []byte {
	m, _ := v.(map[string]any)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if names[k] == 0 {
			names[k] = uint64(len(names) + 1)
		}
		field := names[k] << 3
		switch x := m[k].(type) {
		case string:
			if at, err := time.Parse(telemetry.TimeLayout, x); err == nil {
				dst = binary.AppendVarint(binary.AppendUvarint(dst, field), at.UnixMilli())
				continue
			}
			dst = appendText(binary.AppendUvarint(dst, field|2), []byte(x))
		case bool:
			dst = append(binary.AppendUvarint(dst, field), bit(x))
		case json.Number:
			mantissa, _, _ := readDecimal([]byte(x))
			dst = binary.AppendVarint(binary.AppendUvarint(dst, field), mantissa)
		case map[string]any:
			dst = appendText(binary.AppendUvarint(dst, field|2), appendProto(nil, x, names))
		}
	}
	return dst
}

// BenchmarkEncodings prints the bytes a reading of each kind in each encoding: of the body as it is, packed with zstd, and packed
// with a dictionary; without the 120 bytes of a frame's header and signature. ns/reading is of the mix.
func BenchmarkEncodings(b *testing.B) {
	all := countyRecords(b)
	for _, e := range encodings() {
		b.Run(e.name, func(b *testing.B) {
			var samples []byte
			for _, kind := range slices.Sorted(maps.Keys(all)) {
				samples = append(samples, e.encode(all[kind][:min(8, len(all[kind]))])...)
			}
			if e.name == "columns" {
				samples = dictionary
			}
			var packers []*zstd.Encoder
			for _, o := range [][]zstd.EOption{{}, {zstd.WithEncoderDictRaw(dictID, samples)}} {
				z, err := zstd.NewWriter(nil, append(o, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))...)
				require.NoError(b, err)
				packers = append(packers, z)
			}
			var mixed []Record
			for _, kind := range slices.Sorted(maps.Keys(all)) {
				mixed = append(mixed, all[kind][8:8+batch]...)
			}
			n := 0
			for b.Loop() {
				for part := range slices.Chunk(mixed, batch) {
					packers[1].EncodeAll(e.encode(part), nil)
					n += len(part)
				}
			}
			for part := range slices.Chunk(mixed, batch) {
				good, _ := telemetry.Parse(part[0].Payload, "", "")
				name := string(good[0].Device) + "/" + string(good[0].Kind)
				body := e.encode(part)
				b.ReportMetric(float64(len(body))/batch, name+"-B")
				for i, packed := range []string{"-zstd-B", "-dict-B"} {
					b.ReportMetric(float64(len(packers[i].EncodeAll(body, nil)))/batch, name+packed)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/reading")
			b.ReportMetric(0, "ns/op")
		})
	}
}
