package gnss

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

func rmcAt(clock, date string) string {
	return nmea("GNRMC,"+clock+",A,3032.1234,N,10312.5678,E,12.50,45.0,"+date+",,,A") + "\r\n"
}

func ggaAt(clock string) string {
	return nmea("GNGGA,"+clock+",3032.1234,N,10312.5678,E,1,14,0.8,612.3,M,-42.1,M,,") + "\r\n"
}

func times(rs []telemetry.Reading) (out []string) {
	for _, r := range rs {
		if r.At.IsZero() {
			out = append(out, "")
			continue
		}
		out = append(out, r.At.Format("060102 150405.000"))
	}
	return out
}

func TestDates(t *testing.T) {
	tests := []struct {
		name   string
		stream string
		want   []string
	}{
		{"RMC dates its epoch", ggaAt("101530.0") + rmcAt("101530.00", "051226"), []string{"261205 101530.000"}},
		{"year 80 is 1980, 79 is 2079", rmcAt("101530", "051280") + rmcAt("101531", "051279"),
			[]string{"801205 101530.000", "791205 101531.000"}},
		{"before any date at is unknown", ggaAt("101529") + rmcAt("101530", "051226"),
			[]string{"", "261205 101530.000"}},
		{"GGA rolls before RMC", rmcAt("235959", "311226") + ggaAt("000000") + rmcAt("000000", "010127"),
			[]string{"261231 235959.000", "270101 000000.000"}},
		{"RMC lost at midnight", rmcAt("235959.8", "311226") + ggaAt("000000.0") + ggaAt("000000.2"),
			[]string{"261231 235959.800", "270101 000000.000", "270101 000000.200"}},
		{"RMC rolls a second late", rmcAt("235959", "311226") + rmcAt("000000", "311226") + rmcAt("000001", "010127"),
			[]string{"261231 235959.000", "270101 000000.000", "270101 000001.000"}},
		{"RMC rolls a second early", rmcAt("235958", "311226") + rmcAt("235959", "010127") + rmcAt("000000", "010127"),
			[]string{"261231 235958.000", "261231 235959.000", "270101 000000.000"}},
		{"a day of silence isn't a roll", rmcAt("120000", "311226") + rmcAt("120000", "010127"),
			[]string{"261231 120000.000", "270101 120000.000"}},
		{"ZDA dates where no RMC does", ggaAt("101530") + nmea("GNZDA,101530,05,12,2026,00,00") + ggaAt("101531"),
			[]string{"261205 101530.000", "261205 101531.000"}},
		{"ZDA first in the burst", nmea("GNZDA,235959,05,12,2026,00,00") + ggaAt("235959") + nmea("GNZDA,000000,06,12,2026,00,00") + ggaAt("000000"),
			[]string{"261205 235959.000", "261206 000000.000"}},
		{"an empty ZDA dates nothing", nmea("GNZDA,101530,,,,,") + ggaAt("101530"), []string{""}},
		{"a date without a fix reaches no other epoch", nmea("GNRMC,101529,V,,,,,,,060180,,,N") + ggaAt("101530"),
			[]string{"800106 101529.000", ""}},
		{"date 000000 is unknown", rmcAt("101530", "000000"), []string{""}},
		{"leap second", rmcAt("235960", "311226") + rmcAt("000001", "010127"), []string{"270101 000000.000", "270101 000001.000"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rs, why, _ := decodeAll(t, tt.stream, Options{})
			require.Empty(t, why)
			require.Equal(t, tt.want, times(rs))
		})
	}
}

func TestEpochs(t *testing.T) {
	a := ggaAt("101530") + rmcAt("101530", "051226")
	b := ggaAt("101531") + rmcAt("101531", "051226")
	c := ggaAt("101532") + rmcAt("101532", "051226")
	none := nmea("GPGGA,,,,,,0,,,,,,,,") + "\r\n" + nmea("GPRMC,,V,,,,,,,,,,N") + "\r\n"
	tests := []struct {
		name   string
		stream string
		want   int
		dup    uint64
	}{
		{"one each", a + b + c, 3, 0},
		{"sentences told twice", ggaAt("101530") + a + rmcAt("101530", "051226"), 1, 0},
		{"replayed buffer", a + b + a + b + c, 3, 2},
		{"no time: a kind that comes again begins the next", none + none + none, 3, 0},
		{"time is found", none + none + a, 3, 0},
		{"GSA alone makes no reading", vecGSA + "\r\n" + vecVTG + "\r\n", 0, 0},
		{"foreign sentences make none", nmea("GPTXT,01,01,01,ANTENNA OK") + nmea("PMTK001,604,3") + "!AIVDM,1,1,,A,x,0*00\r\n", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rs, _, counters := decodeAll(t, tt.stream, Options{})
			require.Len(t, rs, tt.want)
			require.Equal(t, tt.dup, counters["duplicate_epochs"])
			require.EqualValues(t, tt.want, counters["epochs"])
		})
	}
}

// Sentences that pass their 8-bit checksum by chance must not move a van.
func TestDisagreement(t *testing.T) {
	elsewhere := strings.Replace(ggaAt("101530"), "3032.1234", "3132.1234", 1)
	elsewhere = nmea(elsewhere[1:strings.IndexByte(elsewhere, '*')]) + "\r\n"
	rs, _, counters := decodeAll(t, elsewhere+rmcAt("101530", "051226"), Options{})
	require.Len(t, rs, 1)
	invalid(t, position(t, rs[0]))
	require.EqualValues(t, 1, counters["disagree"])
}

func TestConstellationsWithoutSatellites(t *testing.T) {
	_, p := one(t, rmcAt("101530", "051226"), nmea("GPGSA,A,3,13,27,37,,,,,,,,,,1.5,0.9,1.2"), nmea("BDGSA,A,1,,,,,,,,,,,,,,,"))
	require.Equal(t, telemetry.Fix3D, p.Fix)
	_, p = one(t, rmcAt("101530", "051226"), nmea("GPGSA,A,2,13,27,37,,,,,,,,,,1.5,0.9,1.2"))
	require.Equal(t, telemetry.Fix2D, p.Fix)
}

// One sentence that says there is no fix is believed.
func TestAnyRefusalCounts(t *testing.T) {
	_, p := one(t, ggaAt("101530"), nmea("GNRMC,101530,V,3032.1234,N,10312.5678,E,12.50,45.0,051226,,,N"))
	invalid(t, p)
	require.Equal(t, telemetry.Some(14), p.Satellites)
}

func TestDirt(t *testing.T) {
	good := rmcAt("101530", "051226")
	tests := []struct {
		name   string
		stream string
		want   []string // reasons
		epochs int
	}{
		{"wrong checksum", good[:len(good)-4] + "00\r\n", []string{"bad_checksum"}, 0},
		{"lower-case checksum", good[:len(good)-4] + strings.ToLower(good[len(good)-4:]), nil, 1},
		{"one character changed", strings.Replace(good, "3032", "3132", 1), []string{"bad_checksum"}, 0},
		{"no checksum", good[:len(good)-5] + "\r\n", []string{"no_checksum"}, 0},
		{"half a checksum", good[:len(good)-3] + "\r\n", []string{"bad_checksum"}, 0},
		{"cut, and the next begins", good[:20] + good, []string{"cut"}, 1},
		{"cut by the end", good + good[:20], []string{"cut"}, 1},
		{"no line end", strings.TrimSpace(good) + rmcAt("101531", "051226"), nil, 2},
		{"only CR, only LF, blanks", "\n\n  \r" + strings.TrimSpace(good) + "\r" + strings.TrimSpace(good) + "\n", nil, 1},
		{"words before", "# a comment\r\n \t" + good, []string{"resync"}, 1},
		{"binary before", "\xb5\x62\x01\x07\x5c\x00\xe0\xae" + good, []string{"resync"}, 1},
		{"binary with a dollar", "\xb5\x62$\x01\x07\xba\xce" + good, []string{"resync", "cut", "resync"}, 1},
		{"binary within", good[:20] + "\xb5\x62\x01" + good[20:] + good, []string{"cut", "resync"}, 1},
		{"endless", "$" + strings.Repeat("GPRMC,", 1000) + "\r\n" + good, []string{"too_long", "resync"}, 1},
		{"zeros", strings.Repeat("\x00", 1000) + good, nil, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rs, why, _ := decodeAll(t, tt.stream, Options{})
			require.Equal(t, tt.want, why)
			require.Len(t, rs, tt.epochs)
			for _, r := range rs {
				require.Contains(t, string(r.Body), `"lat":30.53539,"lon":103.209463333`)
			}
		})
	}
}

// The longest sentence taken is 256 bytes.
func TestLongestSentence(t *testing.T) {
	pad := func(n int) string { return nmea("GPTXT," + strings.Repeat("x", n-len("$GPTXT,*00"))) }
	require.Len(t, pad(256), 256)
	_, why, counters := decodeAll(t, pad(256), Options{})
	require.Empty(t, why)
	require.EqualValues(t, 1, counters["frames_ok"])
	_, why, _ = decodeAll(t, pad(257), Options{})
	require.Equal(t, []string{"too_long"}, why)
}

func TestRejectedOffsets(t *testing.T) {
	good := rmcAt("101530", "051226")
	stream := "noise" + good + "$GPGGA,1015" + good
	type rejected struct {
		offset int64
		raw    string
		why    string
	}
	var got []rejected
	_, err := Decode(iotest.OneByteReader(strings.NewReader(stream)), Options{}, func(telemetry.Reading) error { return nil },
		func(offset int64, raw []byte, why string) { got = append(got, rejected{offset, string(raw), why}) })
	require.NoError(t, err)
	require.Equal(t, []rejected{
		{0, "noise", "resync"},
		{int64(5 + len(good)), "$GPGGA,1015", "cut"},
	}, got)
}

func TestMissingChecksumAllowed(t *testing.T) {
	bare := strings.Split(rmcAt("101530", "051226"), "*")[0]
	opt := Options{AllowMissingChecksum: true}
	rs, why, _ := decodeAll(t, bare+"\r\n", opt)
	require.Empty(t, why)
	require.Len(t, rs, 1)
	for cut := 1; cut < len(bare)-4; cut++ { // the mode and magnetic fields may be missing, no more
		rs, why, _ := decodeAll(t, bare[:cut]+"\r\n", opt)
		require.Equal(t, []string{"no_checksum"}, why, bare[:cut])
		require.Empty(t, rs)
	}
	_, why, _ = decodeAll(t, rmcAt("101530", "051226")[:30]+"*00\r\n", opt)
	require.Equal(t, []string{"bad_checksum"}, why, "a checksum that is there must be right")
}

func TestSuspectDateInDecode(t *testing.T) {
	opt := Options{Device: "gps", NotBefore: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	rs, _, counters := decodeAll(t, rmcAt("101530", "210407")+rmcAt("101531", "051226"), opt)
	require.Len(t, rs, 2)
	require.Equal(t, "gps", rs[0].Device)
	require.Equal(t, 2007, rs[0].At.Year(), "what the receiver said is shown")
	require.Equal(t, telemetry.Unknown, rs[0].TQ)
	require.Contains(t, string(rs[0].Body), `"date_suspect":true`)
	require.Equal(t, telemetry.GNSS, rs[1].TQ)
	require.NotContains(t, string(rs[1].Body), "date_suspect")
	require.EqualValues(t, 1, counters["date_suspect"])
}

func TestDecodeEndsWithTheErrorOfEmitOrReader(t *testing.T) {
	stop := errors.New("stop")
	stream := rmcAt("101530", "051226")
	_, err := Decode(strings.NewReader(stream), Options{}, func(telemetry.Reading) error { return stop }, nil)
	require.ErrorIs(t, err, stop)
	n := 0
	_, err = Decode(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(stream))), Options{},
		func(telemetry.Reading) error { n++; return nil }, nil)
	require.ErrorIs(t, err, iotest.ErrTimeout)
	require.Zero(t, n)
}

// FuzzDecode: no bytes crash it, no reading is invalid, and chunks don't matter.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		vecRMC, vecGGA + vecGSA + vecVTG, "$*00", "$GPRMC*", "!A*41\r\n$,*2C",
		rmcAt("235959", "311226") + ggaAt("000000"), "\xb5\x62\x01\x07$GPGSV,1,1,1,1,1,1,1,1*00",
		unhex(f, vecM8N) + unhex(f, vecF9P)[:70] + vecRMC, string(appendUBX(nil, classNAV, navSAT, make([]byte, 20)...)),
		nmea("GPGGA,010101,0101,N,00101,E,1,1,1,1,M,1,M,,") + nmea("GNZDA,1,1,1,2000") + nmea("GPGLL,1,S,1,W,1,A"),
	} {
		f.Add([]byte(seed), uint64(1), false)
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64, loose bool) {
		opt := Options{AllowMissingChecksum: loose}
		whole, why, counters := decodeAll(t, string(stream), opt)
		pieces, whyPieces, countersPieces := chunked(t, stream, opt, rand.New(rand.NewPCG(seed, 0)))
		require.Equal(t, whole, pieces)
		require.Equal(t, why, whyPieces)
		require.Equal(t, counters, countersPieces)
	})
}

// chunked decodes in random pieces, as a serial line delivers them.
func chunked(t *testing.T, stream []byte, opt Options, rng *rand.Rand) (rs []telemetry.Reading, why []string, counts map[string]uint64) {
	var c counters
	d := newDecoder(opt, &c, func(_ int64, raw []byte, reason string) {
		require.LessOrEqual(t, len(raw), maxSentence)
		why = append(why, reason)
	})
	take := func() {
		for _, f := range d.take() {
			rs = append(rs, f.reading("decode"))
		}
	}
	for r := bytes.NewBuffer(stream); r.Len() > 0; {
		d.feed(r.Next(1 + rng.IntN(40)))
		take()
	}
	d.finish()
	take()
	return rs, why, c.snapshot()
}

// TestChunks decodes every log in many ways of chunking.
func TestChunks(t *testing.T) {
	for name := range logs {
		stream, err := os.ReadFile(filepath.Join("testdata", name+".log"))
		require.NoError(t, err)
		whole, why, counts := decodeAll(t, string(stream), Options{})
		for seed := range uint64(20) {
			rs, whyPieces, countsPieces := chunked(t, stream, Options{}, rand.New(rand.NewPCG(seed, 1)))
			require.Equal(t, whole, rs)
			require.Equal(t, why, whyPieces)
			require.Equal(t, counts, countsPieces)
		}
	}
}

// TestNoise: whatever byte of a sentence is flipped, lost or doubled, every position that is told is one
// where the receiver was.
func TestNoise(t *testing.T) {
	stream, err := os.ReadFile(filepath.Join("testdata", "moving.log"))
	require.NoError(t, err)
	whole, _, _ := decodeAll(t, string(stream), Options{})
	places := map[time.Time]telemetry.Position{}
	for _, r := range whole {
		places[r.At] = position(t, r)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	told := 0
	for range 50 {
		var noisy []byte
		for line := range bytes.Lines(stream) {
			noisy = append(noisy, damage(line, rng)...)
		}
		rs, _, _ := decodeAll(t, string(noisy), Options{})
		for _, r := range rs {
			p := position(t, r)
			if !p.Valid || r.At.IsZero() {
				continue
			}
			told++
			want, was := places[r.At]
			require.True(t, was, "%v never was", r.At)
			require.Equal(t, want.Lat, p.Lat)
			require.Equal(t, want.Lon, p.Lon)
		}
	}
	require.Greater(t, told, 1000)
}

// damage hurts one byte of every other line.
func damage(line []byte, rng *rand.Rand) []byte {
	i := rng.IntN(2 * len(line))
	if i >= len(line) {
		return line
	}
	out := bytes.Clone(line[:i])
	switch rng.IntN(3) {
	case 0:
		out = append(out, line[i]^1<<rng.IntN(8))
	case 1:
		out = append(out, line[i], line[i])
	}
	return append(out, line[i+1:]...)
}

func position(t *testing.T, r telemetry.Reading) telemetry.Position {
	t.Helper()
	p, err := telemetry.As[telemetry.Position](r)
	require.NoError(t, err)
	return p
}

// The decoder must cost a small board nothing: at least 300,000 sentences a second.
func BenchmarkDecode(b *testing.B) {
	burst := []byte(vecGGA + "\r\n" + vecGSA + "\r\n" + vecRMC + "\r\n" + vecVTG + "\r\n" +
		"$BDGSV,1,1,03,13,19,043,17,27,38,127,33,37,36,091,24,0*49\r\n")
	var count counters
	d := newDecoder(Options{}, &count, nil)
	b.ReportAllocs()
	b.SetBytes(int64(len(burst)))
	for b.Loop() {
		d.feed(burst)
		d.take()
	}
	b.ReportMetric(float64(count[framesOK].Load())/b.Elapsed().Seconds(), "sentences/s")
}

// BenchmarkReading decodes bursts of five sentences with times that go on, readings made.
func BenchmarkReading(b *testing.B) {
	var stream bytes.Buffer
	for i := range 60 {
		clock := "1015" + string([]byte{byte('0' + i/10), byte('0' + i%10)})
		stream.WriteString(ggaAt(clock) + vecGSA + "\r\n" + rmcAt(clock, "051226") + vecVTG + "\r\n")
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		_, err := Decode(bytes.NewReader(stream.Bytes()), Options{}, func(telemetry.Reading) error { n++; return nil }, nil)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(n*4)/b.Elapsed().Seconds(), "sentences/s")
}
