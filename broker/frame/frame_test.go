package frame

import (
	"bytes"
	"crypto/ed25519"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/devices/telemetry"
)

var update = flag.Bool("update", false, "write golden frames that aren't there; those that are were released and stay")

// golden reads the frame of a version in a file of testdata.
func golden(t *testing.T, name string, version int, f *Frame) {
	file := filepath.Join("testdata", name)
	b, err := os.ReadFile(file)
	if os.IsNotExist(err) && *update {
		e, _ := coders(t)
		b, err = e.EncodeAs(version, f)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, b, 0o644))
	}
	require.NoError(t, err)
	h, err := ReadHeader(b)
	require.NoError(t, err)
	require.Equal(t, version, h.Version)
	require.NoError(t, h.Verify(testKey().Public().(ed25519.PublicKey)))
	_, d := coders(t)
	got, err := d.Decode(b)
	require.NoError(t, err)
	require.Equal(t, f, got)
}

func testKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
}

func coders(t testing.TB) (*Encoder, *Decoder) {
	e, err := NewEncoder(testKey())
	require.NoError(t, err)
	d, err := NewDecoder()
	require.NoError(t, err)
	return e, d
}

func sample() *Frame {
	return &Frame{
		Gateway: "van-03", Epoch: 0x0102030405060708, Lane: telemetry.Track, Prev: [32]byte{1, 2, 3},
		Records: []Record{
			{Seq: 41, Type: TypeReading, Quality: telemetry.GNSS, Boot: Boot{9}, MonoNS: 5_000_000_000, WallMS: 1_790_000_000_000, Payload: []byte(`{"device":"gps","kind":"position","at":"2026-09-21T13:33:20.000Z","tq":"gnss","body":{"lat":30.5,"lon":103.25,"valid":true}}`)},
			{Seq: 42, Type: TypeTombstone, Quality: telemetry.Unknown, Boot: Boot{10}, MonoNS: 3, Payload: []byte(`{"epoch":"0102030405060708","count":3,"reason":"thinned"}`)},
		},
	}
}

func TestGoldenVersion1(t *testing.T) { golden(t, "v1.frame", 1, sample()) }

func TestAnyChangedByteIsSeen(t *testing.T) {
	e, d := coders(t)
	b, err := e.Encode(sample())
	require.NoError(t, err)
	pub := testKey().Public().(ed25519.PublicKey)
	for i := range b {
		for _, flip := range []byte{1, 0x80} {
			c := bytes.Clone(b)
			c[i] ^= flip
			h, err := ReadHeader(c)
			if err == nil {
				err = h.Verify(pub)
			}
			require.Error(t, err, "byte %d", i)
			_, _ = d.Decode(c)
		}
		_, err := ReadHeader(b[:i])
		require.ErrorIs(t, err, ErrFormat, "cut at %d", i)
	}
	_, err = ReadHeader(append(bytes.Clone(b), 0))
	require.ErrorIs(t, err, ErrFormat)
}

func TestEncodeRefusesWhatDecodeWould(t *testing.T) {
	e, _ := coders(t)
	for name, spoil := range map[string]func(*Frame){
		"gateway": func(f *Frame) { f.Gateway = "Van 3" },
		"epoch":   func(f *Frame) { f.Epoch = 0 },
		"lane":    func(f *Frame) { f.Lane = 5 },
		"empty":   func(f *Frame) { f.Records = nil },
		"gap":     func(f *Frame) { f.Records[1].Seq = 44 },
		"type":    func(f *Frame) { f.Records[1].Type = 0 },
		"prev":    func(f *Frame) { f.Records = f.Records[:1]; f.Records[0].Seq = 1 },
	} {
		f := sample()
		spoil(f)
		_, err := e.Encode(f)
		require.Error(t, err, name)
	}
}

func TestHashDependsOnEveryField(t *testing.T) {
	base := sample().Records[0]
	seen := map[[32]byte]bool{base.Hash(1, 1): true}
	for i, change := range []func(*Record){
		func(r *Record) { r.Seq++ }, func(r *Record) { r.Type++ }, func(r *Record) { r.Quality = telemetry.NTP },
		func(r *Record) { r.Boot[0]++ }, func(r *Record) { r.MonoNS++ }, func(r *Record) { r.WallMS++ },
		func(r *Record) { r.Payload = append(bytes.Clone(r.Payload), ' ') },
	} {
		r := base
		change(&r)
		h := r.Hash(1, 1)
		require.False(t, seen[h], "change %d", i)
		seen[h] = true
	}
	require.False(t, seen[base.Hash(2, 1)])
	require.False(t, seen[base.Hash(1, 2)])
}

func TestRoundTrip(t *testing.T) {
	e, d := coders(t)
	rapid.Check(t, func(t *rapid.T) {
		f := &Frame{
			Gateway: rapid.StringMatching(`[a-z0-9-]{1,32}`).Draw(t, "gateway"),
			Epoch:   Epoch(rapid.Uint64Min(1).Draw(t, "epoch")),
			Lane:    rapid.SampledFrom(telemetry.Lanes[:]).Draw(t, "lane"),
		}
		first := rapid.Uint64Range(2, 1<<62).Draw(t, "first")
		n := rapid.IntRange(1, 40).Draw(t, "n")
		for i := range n {
			f.Records = append(f.Records, Record{
				Seq: first + uint64(i), Type: Type(rapid.IntRange(1, 4).Draw(t, "type")),
				Quality: rapid.SampledFrom(qualities[:]).Draw(t, "q"),
				Boot:    Boot{byte(rapid.IntRange(0, 5).Draw(t, "boot"))},
				MonoNS:  rapid.Int64().Draw(t, "mono"), WallMS: rapid.Int64().Draw(t, "wall"),
				Payload: rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "payload"),
			})
		}
		b, err := e.Encode(f)
		require.NoError(t, err)
		got, err := d.Decode(b)
		require.NoError(t, err)
		require.Equal(t, len(f.Records), len(got.Records))
		for i := range f.Records {
			require.Equal(t, f.Records[i].Hash(f.Epoch, f.Lane), got.Records[i].Hash(f.Epoch, f.Lane))
		}
	})
}

func FuzzDecode(f *testing.F) {
	e, d := coders(f)
	b, err := e.Encode(sample())
	require.NoError(f, err)
	f.Add(b)
	f.Add(b[:40])
	f.Add([]byte("YZF\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := d.Decode(b)
		if err != nil {
			require.ErrorIs(t, err, ErrFormat)
			return
		}
		require.NoError(t, fr.check())
	})
}
