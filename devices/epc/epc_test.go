package epc

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The vectors of TDS 1.13 and 2.3, annex E.3, and one of a tag in the field (partition 0).
var vectors = []struct{ hex, tag, id, element string }{
	{"3074257BF7194E4000001A85", "urn:epc:tag:sgtin-96:3.0614141.812345.6789", "urn:epc:id:sgtin:0614141.812345.6789", "(01)80614141123458(21)6789"},
	{"3674257BF6B7A659B2C2BF100000000000000000000000000000", "urn:epc:tag:sgtin-198:3.0614141.712345.32a%2Fb", "urn:epc:id:sgtin:0614141.712345.32a%2Fb", "(01)70614141123451(21)32a/b"},
	{"3174257BF4499602D2000000", "urn:epc:tag:sscc-96:3.0614141.1234567890", "urn:epc:id:sscc:0614141.1234567890", "(00)106141412345678908"},
	{"3274257BF46072000000162E", "urn:epc:tag:sgln-96:3.0614141.12345.5678", "urn:epc:id:sgln:0614141.12345.5678", "(414)0614141123452(254)5678"},
	{"3374257BF40C0E400000162E", "urn:epc:tag:grai-96:3.0614141.12345.5678", "urn:epc:id:grai:0614141.12345.5678", "(8003)006141411234525678"},
	{"3774257BF40C0E59B2C2BF100000000000000000000", "urn:epc:tag:grai-170:3.0614141.12345.32a%2Fb", "urn:epc:id:grai:0614141.12345.32a%2Fb", "(8003)0061414112345232a/b"},
	{"3474257BF40000000000162E", "urn:epc:tag:giai-96:3.0614141.5678", "urn:epc:id:giai:0614141.5678", "(8004)06141415678"},
	{"3874257BF59B2C2BF10000000000000000000000000000000000", "urn:epc:tag:giai-202:3.0614141.32a%2Fb", "urn:epc:id:giai:0614141.32a%2Fb", "(8004)061414132a/b"},
	{"3066C4409047E140075BCD15", "urn:epc:tag:sgtin-96:3.95060001343.05.123456789", "urn:epc:id:sgtin:95060001343.05.123456789", "(01)09506000134352(21)123456789"},
	{"311BA1B300CE0A6A83000000", "urn:epc:tag:sscc-96:0.952012.03456789123", "urn:epc:id:sscc:952012.03456789123", "(00)095201234567891235"},
	{"3376451FD40C0E400000162E", "urn:epc:tag:grai-96:3.9521141.12345.5678", "urn:epc:id:grai:9521141.12345.5678", "(8003)095211411234545678"},
	{"3476451FD40000000000162E", "urn:epc:tag:giai-96:3.9521141.5678", "urn:epc:id:giai:9521141.5678", "(8004)95211415678"},
	{"30204ED9496334000000006E", "urn:epc:tag:sgtin-96:1.084663228621.0.110", "urn:epc:id:sgtin:084663228621.0.110", "(01)00846632286210(21)110"},
}

func TestVectorsBothWays(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.tag, func(t *testing.T) {
			e, err := FromHex(v.hex)
			require.NoError(t, err)
			require.Equal(t, v.tag, e.TagURI())
			require.Equal(t, v.id, e.URI())
			require.Equal(t, v.element, e.ElementString())

			back, err := FromURI(v.tag)
			require.NoError(t, err)
			require.Equal(t, e, back)
			require.Equal(t, strings.TrimRight(v.hex, "0"), strings.TrimRight(back.Hex(), "0"))

			id, err := FromURI(v.id)
			require.NoError(t, err)
			require.Equal(t, v.id, id.URI())
			require.Equal(t, e.Scheme(), id.Scheme())
			require.Zero(t, id.Filter())

			lower, err := FromHex(strings.ToLower(v.hex))
			require.NoError(t, err)
			require.Equal(t, e, lower)
		})
	}
}

func TestFields(t *testing.T) {
	e, err := FromHex("3674257BF6B7A659B2C2BF100000000000000000000000000000")
	require.NoError(t, err)
	require.Equal(t, SGTIN198, e.Scheme())
	require.Equal(t, uint8(3), e.Filter())
	require.Equal(t, "0614141", e.Company())
	require.Equal(t, "712345", e.Reference())
	require.Equal(t, "32a/b", e.Serial())
}

// with sets bits in a valid EPC, so that each rule is broken alone.
func with(t *testing.T, h string, at, n int, v uint64) []byte {
	t.Helper()
	b, err := hex.DecodeString(h)
	require.NoError(t, err)
	for i := range n {
		b[(at+i)/8] &^= 1 << (7 - (at+i)%8)
	}
	put(b, at, n, v)
	return b
}

func TestRefusedBitsKeepTheirHex(t *testing.T) {
	const sgtin, long = "3074257BF7194E4000001A85", "3674257BF6B7A659B2C2BF100000000000000000000000000000"
	const sscc, sgln, giai = "3174257BF4499602D2000000", "3274257BF46072000000162E", "3874257BF59B2C2BF10000000000000000000000000000000000"
	for name, c := range map[string]struct {
		bits []byte
		err  error
	}{
		"nothing":                      {nil, ErrShort},
		"blank tag":                    {make([]byte, 12), ErrHeader},
		"tid class byte":               {with(t, sgtin, 0, 8, 0xE2), ErrHeader},
		"gid-96":                       {with(t, sgtin, 0, 8, 0x35), ErrHeader},
		"tds 2 sgtin+":                 {with(t, sgtin, 0, 8, 0xF7), ErrHeader},
		"cut":                          {with(t, sgtin, 0, 0, 0)[:11], ErrShort},
		"198 bits cut at 192":          {with(t, long, 0, 0, 0)[:24], ErrShort},
		"partition 7":                  {with(t, sgtin, 11, 3, 7), ErrPartition},
		"company of 10^7":              {with(t, sgtin, 14, 24, 10_000_000), ErrCompany},
		"item of 10^6":                 {with(t, sgtin, 38, 20, 1_000_000), ErrReference},
		"sscc reference of 10^10":      {with(t, sscc, 38, 34, 10_000_000_000), ErrReference},
		"location of 10^5":             {with(t, sgln, 38, 17, 100_000), ErrReference},
		"sscc with bits behind":        {with(t, sscc, 95, 1, 1), ErrPadding},
		"96 bits with bits behind":     {append(with(t, sgtin, 0, 0, 0), 0, 1), ErrPadding},
		"serial empty":                 {with(t, long, 58, 7, 0), ErrSerial},
		"serial with a space":          {with(t, long, 58, 7, ' '), ErrSerial},
		"serial with a hash":           {with(t, long, 58, 7, '#'), ErrSerial},
		"serial goes on behind end":    {with(t, long, 65, 7, 0), ErrPadding},
		"bit behind the 198":           {with(t, long, 198, 1, 1), ErrPadding},
		"giai longer than 30 in total": {with(t, giai, 14+24+7*23, 3, 7), ErrPadding},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := FromBytes(c.bits)
			require.ErrorIs(t, err, c.err)
			got, hex := Name(c.bits, false)
			require.Equal(t, hex, got)
		})
	}
}

func TestISOContentKeepsItsHex(t *testing.T) {
	b := with(t, "3074257BF7194E4000001A85", 0, 0, 0)
	name, hex := Name(b, true)
	require.Equal(t, "3074257BF7194E4000001A85", name)
	require.Equal(t, hex, name)
}

func TestTagReadWithMoreWordsThanItNeeds(t *testing.T) {
	e, err := FromHex("3074257BF7194E4000001A8500000000")
	require.NoError(t, err)
	require.Equal(t, "urn:epc:id:sgtin:0614141.812345.6789", e.URI())
}

func TestRefusedURIs(t *testing.T) {
	for uri, want := range map[string]error{
		"":                                                      ErrURI,
		"urn:epc:id:gid:1.2.3":                                  ErrURI,
		"urn:epc:tag::3.0614141.812345.1":                       ErrURI,
		"urn:epc:tag:gid-96:1.2.3":                              ErrURI,
		"urn:epc:id:sgtin:0614141":                              ErrURI,
		"urn:epc:id:sgtin:0614141.812345":                       ErrURI,
		"urn:epc:id:sgtin:061414.812345.1":                      ErrReference,
		"urn:epc:id:sgtin:06141.81234567.1":                     ErrCompany,
		"urn:epc:id:sgtin:0614141.81234x.1":                     ErrReference,
		"urn:epc:id:sgtin:0614141.812345.":                      ErrSerial,
		"urn:epc:id:sgtin:0614141.812345.a b":                   ErrSerial,
		"urn:epc:id:sgtin:0614141.812345.a/b":                   ErrURI,
		"urn:epc:id:sgtin:0614141.812345.a%2":                   ErrURI,
		"urn:epc:id:sgtin:0614141.812345.a%00":                  ErrSerial,
		"urn:epc:tag:sgtin-96:8.0614141.812345.1":               ErrFilter,
		"urn:epc:tag:sgtin-96:3.0614141.812345.01":              ErrSerial,
		"urn:epc:tag:sgtin-96:3.0614141.812345.274877906944":    ErrSerial,
		"urn:epc:tag:sscc-96:3.0614141.1234567890.1":            ErrReference,
		"urn:epc:id:sgtin:0614141.812345.123456789012345678901": ErrSerial,
		"urn:epc:id:giai:061414100000.1234567890123456789":      ErrSerial,
	} {
		_, err := FromURI(uri)
		require.ErrorIs(t, err, want, uri)
	}
}

func TestPureIdentityTakesTheLongSchemeOnlyWhenItMust(t *testing.T) {
	for uri, want := range map[string]Scheme{
		"urn:epc:id:sgtin:0614141.812345.0":            SGTIN96,
		"urn:epc:id:sgtin:0614141.812345.274877906943": SGTIN96,
		"urn:epc:id:sgtin:0614141.812345.274877906944": SGTIN198,
		"urn:epc:id:sgtin:0614141.812345.007":          SGTIN198,
		"urn:epc:id:sgtin:0614141.812345.a.b":          SGTIN198,
		"urn:epc:id:sgln:061414100001..0":              SGLN96,
		"urn:epc:id:sgln:061414100001..A1":             SGLN195,
		"urn:epc:id:grai:061414100001..7":              GRAI96,
		"urn:epc:id:giai:061414100001.X":               GIAI202,
	} {
		e, err := FromURI(uri)
		require.NoError(t, err, uri)
		require.Equal(t, want, e.Scheme(), uri)
		require.Equal(t, uri, e.URI())
	}
}

func TestCheckDigitsAndElementStrings(t *testing.T) {
	d, ok := CheckDigit("8061414112345")
	require.True(t, ok)
	require.Equal(t, byte('8'), d)
	for s, want := range map[string]bool{"80614141123458": true, "80614141123459": false, "106141412345678908": true, "": false, "8": false, "8x": false} {
		require.Equal(t, want, ValidCheck(s), s)
	}

	e, err := FromGTIN14("80614141123458", 7, 3, "6789")
	require.NoError(t, err)
	require.Equal(t, "3074257BF7194E4000001A85", e.Hex())
	e, err = FromGTIN14("70614141123451", 7, 3, "32a/b")
	require.NoError(t, err)
	require.Equal(t, SGTIN198, e.Scheme())
	e, err = FromSSCC18("106141412345678908", 7, 3)
	require.NoError(t, err)
	require.Equal(t, "3174257BF4499602D2000000", e.Hex())

	_, err = FromGTIN14("80614141123459", 7, 3, "1")
	require.ErrorIs(t, err, ErrCheck)
	_, err = FromSSCC18("106141412345678908", 13, 3)
	require.ErrorIs(t, err, ErrCompany)

	e, err = FromURI("urn:epc:id:sgln:0614141.12345.0")
	require.NoError(t, err)
	require.Equal(t, "(414)0614141123452", e.ElementString())
	require.Empty(t, EPC{}.ElementString()+EPC{}.URI()+EPC{}.Hex()+EPC{}.Serial()+EPC{}.Reference()+EPC{}.Company())
}

// anyEPC draws a valid EPC of any scheme.
func anyEPC(t *rapid.T) EPC {
	s := rapid.SampledFrom([]Scheme{SGTIN96, SGTIN198, SSCC96, SGLN96, SGLN195, GRAI96, GRAI170, GIAI96, GIAI202}).Draw(t, "scheme")
	l, _ := s.layout()
	n := rapid.IntRange(6, 12).Draw(t, "digits")
	number := func(digits int, name string) string {
		return rapid.StringOfN(rapid.RuneFrom([]rune("0123456789")), digits, digits, -1).Draw(t, name)
	}
	serial := ""
	_, _, width := l.split(n)
	switch {
	case l.chars > 0:
		const set = `!"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz`
		serial = rapid.StringOfN(rapid.RuneFrom([]rune(set)), 1, l.maxChars(n), -1).Draw(t, "serial")
	case width > 0:
		var buf [20]byte
		v := rapid.Uint64Max(1<<width-1).Draw(t, "serial")
		serial = strings.TrimLeft(string(appendPadded(buf[:0], v, 20)), "0")
		if serial == "" {
			serial = "0"
		}
	}
	e, err := New(s, rapid.Uint8Max(7).Draw(t, "filter"), number(n, "company"), number(l.refDigits(n), "ref"), serial)
	require.NoError(t, err)
	return e
}

func TestRoundTripsOfAnyEPC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEPC(t)
		b := e.AppendBytes(nil)
		require.Zero(t, len(b)%2)
		back, err := FromBytes(b)
		require.NoError(t, err)
		require.Equal(t, e, back)
		back, err = FromURI(e.TagURI())
		require.NoError(t, err)
		require.Equal(t, e, back)
		id, err := FromURI(e.URI())
		require.NoError(t, err)
		require.Equal(t, e.URI(), id.URI())
		again, err := New(e.Scheme(), e.Filter(), e.Company(), e.Reference(), e.Serial())
		require.NoError(t, err)
		require.Equal(t, e, again)
	})
}

func FuzzFromBytes(f *testing.F) {
	for _, v := range vectors {
		b, err := parseHex(v.hex)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := FromBytes(b)
		if err != nil {
			return
		}
		back := e.AppendBytes(nil)
		for i := range max(len(b), len(back)) { // equal but for zero padding
			switch {
			case i >= len(b):
				require.Zero(t, back[i])
			case i >= len(back):
				require.Zero(t, b[i])
			default:
				require.Equal(t, b[i], back[i])
			}
		}
		again, err := FromURI(e.TagURI())
		require.NoError(t, err)
		require.Equal(t, e, again)
	})
}

func FuzzFromURI(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.tag)
		f.Add(v.id)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := FromURI(s)
		if err != nil {
			return
		}
		back, err := FromBytes(e.AppendBytes(nil))
		require.NoError(t, err)
		require.Equal(t, e, back)
	})
}

func TestDecodingAllocatesNothing(t *testing.T) {
	b, err := parseHex(vectors[0].hex)
	require.NoError(t, err)
	buf := make([]byte, 0, 128)
	n := testing.AllocsPerRun(100, func() {
		e, err := FromBytes(b)
		if err != nil {
			panic(err)
		}
		buf = e.AppendURI(buf[:0])
	})
	require.Zero(t, n)
}

func BenchmarkFromBytesToURI(b *testing.B) {
	in, _ := parseHex(vectors[0].hex)
	buf := make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		e, _ := FromBytes(in)
		buf = e.AppendURI(buf[:0])
	}
}
