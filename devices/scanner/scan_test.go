package scanner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

func decoded(t testing.TB, r io.Reader, o Options) (bodies, rejects []string, counters map[string]uint64) {
	counters, err := Decode(r, o, func(r telemetry.Reading) error {
		bodies = append(bodies, string(r.Body))
		return r.Validate()
	}, func(offset int64, raw []byte, reason string) {
		rejects = append(rejects, fmt.Sprintf("%d %q %s", offset, raw, reason))
	})
	require.NoError(t, err)
	return bodies, rejects, counters
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
		rejects    []string
	}{
		{"line ends of all kinds", "abc\rdef\nghi\r\njkl", []string{`{"text":"abc"}`, `{"text":"def"}`, `{"text":"ghi"}`, `{"text":"jkl"}`}, nil},
		{"the same twice is two scans", "abc\r\nabc\r\n", []string{`{"text":"abc"}`, `{"text":"abc"}`}, nil},
		{"code 128", "]C0YT2608050017\r", []string{`{"symbology":"code128","text":"YT2608050017","aim":"C0"}`}, nil},
		{"ean", "]E06901234567892\r]E496385074\r", []string{`{"symbology":"ean13","text":"6901234567892","aim":"E0"}`, `{"symbology":"ean8","text":"96385074","aim":"E4"}`}, nil},
		{"qr in Chinese", "]Q1驿站\r", []string{`{"symbology":"qr","text":"驿站","aim":"Q1"}`}, nil},
		{"a bracket that is no identifier", "]]x\r]y0z\r]C\r", []string{`{"text":"]]x"}`, `{"text":"]y0z"}`, `{"text":"]C"}`}, nil},
		{"GS1-128", "]C10106901234567892" + "10A1\x1d" + "17261231\r", []string{
			`{"symbology":"gs1-128","text":"010690123456789210A1\u001d17261231","aim":"C1","gs1":{"01":"06901234567892","10":"A1","17":"261231"}}`,
		}, nil},
		{"GS1 QR with its own FNC1", "]Q3\x1d00006141411234567890\r", []string{
			`{"symbology":"gs1-qr","text":"\u001d00006141411234567890","aim":"Q3","gs1":{"00":"006141411234567890"}}`,
		}, nil},
		{"GS1 that isn't", "]C1YT2608050017\r", []string{`{"symbology":"gs1-128","text":"YT2608050017","aim":"C1"}`}, nil},
		{"GBK", "]Q1\xe6\xe4\xd5\xbe\r", []string{`{"symbology":"qr","text":"e6e4d5be","encoding":"hex","aim":"Q1"}`}, nil},
		{"controls", "ab\x00c\r\x02abc\x03\rabc\r", []string{`{"text":"abc"}`}, []string{`0 "ab\x00c" malformed`, `5 "\x02abc\x03" malformed`}},
		{"an identifier alone", "]C0\rabc\r", []string{`{"text":"abc"}`}, []string{`0 "]C0" malformed`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bodies, rejects, counters := decoded(t, strings.NewReader(c.text), Options{})
			require.Equal(t, c.want, bodies)
			require.Equal(t, c.rejects, rejects)
			require.EqualValues(t, len(c.want), counters["frames_ok"])
			again, rejectsAgain, _ := decoded(t, iotest.OneByteReader(strings.NewReader(c.text)), Options{})
			require.Equal(t, bodies, again, "byte by byte")
			require.Equal(t, rejects, rejectsAgain, "byte by byte")
		})
	}
	bodies, _, _ := decoded(t, strings.NewReader("caf\xe9\r"), Options{Encoding: "latin-1"})
	require.Equal(t, []string{`{"text":"café"}`}, bodies)
	_, rejects, _ := decoded(t, strings.NewReader("caf\xe9\r"), Options{Encoding: "utf-8"})
	require.Equal(t, []string{`0 "caf\xe9" bad_encoding`}, rejects)

	long := strings.Repeat("x", maxText)
	bodies, _, _ = decoded(t, strings.NewReader("]C0"+long+"\r"), Options{})
	require.Len(t, bodies, 1)
	_, rejects, counters := decoded(t, strings.NewReader(long+"y\r"+strings.Repeat("z", 5000)+"\rabc\r"), Options{})
	require.Len(t, rejects, 2)
	require.EqualValues(t, 2, counters["too_long"])
	require.EqualValues(t, 1, counters["frames_ok"])

	_, err := Decode(iotest.ErrReader(io.ErrClosedPipe), Options{}, nil, nil)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	full := errors.New("full")
	_, err = Decode(strings.NewReader("abc\r"), Options{}, func(telemetry.Reading) error { return full }, nil)
	require.ErrorIs(t, err, full)
}

func TestElements(t *testing.T) {
	for text, want := range map[string][]element{
		"0106901234567892":                      {{"01", "06901234567892"}},
		"00006141411234567890":                  {{"00", "006141411234567890"}},
		"10A1|2112345":                          {{"10", "A1"}, {"21", "12345"}},
		"3103001234" + "37" + "5":               {{"3103", "001234"}, {"37", "5"}},
		"3103001234|375|":                       {{"3103", "001234"}, {"37", "5"}},
		"4106901234567892" + "420610000":        {{"410", "6901234567892"}, {"420", "610000"}},
		"40206141411234567890":                  {{"402", "06141411234567890"}},
		"402061414112345678901":                 nil, // a digit too many
		"4010614141ABC|403CD1":                  {{"401", "0614141ABC"}, {"403", "CD1"}},
		"8005000365":                            {{"8005", "000365"}},
		"91" + strings.Repeat("a", 90):          {{"91", strings.Repeat("a", 90)}},
		"":                                      nil,
		"|":                                     nil,
		"01":                                    nil,
		"0106901234567893":                      nil, // the check digit
		"010690123456789":                       nil, // cut
		"01069012345678921":                     nil, // one digit of nothing
		"0106901234567892010690123456789":       nil,
		"01069012345678920106901234567892":      {{"01", "06901234567892"}},
		"0106901234567892" + "0100614141999996": nil, // two goods on one label
		"10" + strings.Repeat("a", 21):          nil,
		"10|21A":                                nil,
		"17ABCDEF":                              nil,
		"04123":                                 nil, // no such identifier
		"10a b":                                 nil,
	} {
		got, err := elements([]byte(strings.ReplaceAll(text, "|", "\x1d")))
		require.Equal(t, want == nil, err != nil, text)
		if err == nil {
			require.Equal(t, want, got, text)
		}
	}
}

// An identifier said twice with the same data is one key of the body.
func TestRepeatedElement(t *testing.T) {
	bodies, _, _ := decoded(t, strings.NewReader("]C101069012345678920106901234567892\r"), Options{})
	require.Equal(t, 1, strings.Count(bodies[0], `"01":`), bodies[0])
}

// Any bytes: valid readings whose body is JSON, a bounded buffer, rejects of the input and in order.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"abc\r\n", "]C0YT2608050017\r", "]C1010690123456789210A1\x1d17261231\r", "]Q1驿站\r", "]Q1\xe6\xe4\r", "]e0\x1d00006141411234567890\n", "]C1]C1\r"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var at int64
		_, err := Decode(bytes.NewReader(b), Options{}, func(r telemetry.Reading) error {
			require.True(t, json.Valid(r.Body), "%s", r.Body)
			return r.Validate()
		}, func(offset int64, raw []byte, reason string) {
			require.GreaterOrEqual(t, offset, at)
			at = offset + int64(len(raw))
			require.LessOrEqual(t, at, int64(len(b)))
			require.Equal(t, b[offset:at], raw)
		})
		require.NoError(t, err)
	})
}

// Elements put together again are the text.
func FuzzElements(f *testing.F) {
	f.Add([]byte("010690123456789210A1\x1d17261231"))
	f.Add([]byte("00006141411234567890"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := elements(b)
		if err != nil {
			return
		}
		var joined strings.Builder
		for _, e := range all {
			joined.WriteString(e.ai + e.data)
		}
		if !bytes.Contains(b, []byte{fnc1}) && len(all) > 0 {
			require.LessOrEqual(t, joined.Len(), len(b))
		}
		require.LessOrEqual(t, len(all), maxElements)
	})
}
