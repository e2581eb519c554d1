package uhf

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

func TestCommandVectors(t *testing.T) {
	for _, c := range []struct {
		name, want string
		got        []byte
	}{
		{"bb7e single poll", "BB 00 22 00 00 22 7E", bbFrame(bbPoll).frame},
		{"bb7e 10000 polls", "BB 00 27 00 03 22 27 10 83 7E", bbFrame(bbMultiPoll, bbPoll, 0x27, 0x10).frame},
		{"bb7e stop", "BB 00 28 00 00 28 7E", bbFrame(bbStop).frame},
		{"bb7e set 20.00 dBm", "BB 00 B6 00 02 07 D0 8F 7E", bbFrame(bbSetPower, 0x07, 0xD0).frame},
		{"bb7e region China 900", "BB 00 07 00 01 01 09 7E", bbFrame(bbSetRegion, bbChina900).frame},
		{"bb7e hardware", "BB 00 03 00 01 00 04 7E", bbFrame(bbInfo, 0).frame},
		{"a0 real-time inventory", "A0 04 01 89 01 D1", a0Frame(1, a0RealTime, 1).frame},
		{"a0 firmware", "A0 03 01 72 EA", a0Frame(1, a0Firmware).frame},
		{"lenadr inventory, any address", "04 FF 01 1B B4", laFrame(broadcast, laInventory).frame},
		{"lenadr inventory", "04 00 01 DB 4B", laFrame(0, laInventory).frame},
		{"lenadr info", "04 00 21 D9 6A", laFrame(0, laInfo).frame},
		{"lenadr inventory with Q and session", "06 00 01 04 00 AC 36", laFrame(0, laInventory, 4, 0).frame},
		{"swct inventory", "53 57 00 03 FF 01 53", swFrame(broadcast, swInventory).frame},
		{"swct information", "53 57 00 03 FF 10 44", swFrame(broadcast, swInfo).frame},
		{"swct 7 dBm", "53 57 00 05 FF 24 05 07 22", swFrame(broadcast, swSetParam, swPower, 7).frame},
		{"swct answers when asked", "53 57 00 05 FF 24 02 00 2C", swFrame(broadcast, swSetParam, swMode, swAnswers).frame},
		{"swct region US", "53 57 00 05 FF 3F 31 80 62", swFrame(broadcast, swSetRegion, 0x31, 0x80).frame},
	} {
		require.Equal(t, unhex(t, c.want), c.got, c.name)
	}
}

// seen is what a reading is compared with.
type seen struct {
	epc     string
	antenna int
	rssi    float64
	raw     string
}

func TestAnswerVectors(t *testing.T) {
	for _, c := range []struct {
		name, fam, hex string
		kind           kind
		cmd, code      byte
		done           bool
		tags           []seen
	}{
		{"bb7e tag, -55 dBm", "bb7e", "BB 02 22 00 11 C9 34 00 30 75 1F EB 70 5C 59 04 E3 D5 0D 70 3A 76 EF 7E", report, bbPoll, 0, false, []seen{{"30751FEB705C5904E3D50D70", 1, -55, "C9"}}},
		{"bb7e tag, -60 dBm", "bb7e", "BB 02 22 00 11 C4 30 00 E2 00 00 1D 73 15 01 65 21 40 8F C6 B8 3E C2 7E", report, bbPoll, 0, false, []seen{{"E200001D7315016521408FC6", 1, -60, "C4"}}},
		{"bb7e no tag", "bb7e", "BB 01 FF 00 01 15 16 7E", report, bbError, 0, true, nil},
		{"bb7e command error", "bb7e", "BB 01 FF 00 01 17 18 7E", refused, 0, 0x17, false, nil},
		{"bb7e stopped", "bb7e", "BB 01 28 00 01 00 2A 7E", answer, bbStop, 0, false, nil},
		{"a0 tag", "a0", "A0 13 01 89 74 30 00 E2 00 40 74 85 0A 01 03 16 30 70 E1 36 29", report, a0RealTime, 0, false, []seen{{"E2004074850A0103163070E1", 1, -75, "36"}}},
		{"a0 round end", "a0", "A0 0A 01 89 00 00 11 00 00 00 05 B6", report, a0RealTime, 0, true, nil},
		{"a0 firmware 1.9", "a0", "A0 05 01 72 01 09 DE", answer, a0Firmware, 0, false, nil},
		{"a0 antenna set", "a0", "A0 04 01 74 10 D7", answer, a0SetAntenna, 0, false, nil},
		{"a0 antenna missing", "a0", "A0 04 01 89 22 B0", refused, a0RealTime, 0x22, false, nil},
		{"swct no tag", "swct", "43 54 00 04 00 01 00 64", report, swInventory, 0, true, nil},
		{"swct parameters set", "swct", "43 54 00 04 00 21 01 43", answer, 0x21, 0, false, nil},
		{"swct inventory ends empty", "swct", "43 54 00 04 00 41 01 23", answer, 0x41, 0, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, ok := familyOf(c.fam)
			require.True(t, ok)
			b := unhex(t, c.hex)
			for n := 1; n < len(b); n++ {
				_, v := f.cut(b[:n])
				require.Equal(t, short, v, "%d bytes", n)
			}
			size, v := f.cut(append(b, 0x55))
			require.Equal(t, whole, v)
			require.Equal(t, len(b), size)
			for i := range b { // any byte damaged: no frame
				b[i] ^= 0x10
				_, v := f.cut(b)
				require.NotEqual(t, whole, v, "byte %d", i)
				b[i] ^= 0x10
			}
			var m message
			require.True(t, f.parse(b, &m))
			require.Equal(t, c.kind, m.kind)
			require.Equal(t, c.code, m.code)
			require.Equal(t, c.done, m.done)
			if c.kind != refused {
				require.Equal(t, c.cmd, m.cmd)
			}
			requireTags(t, f, c.tags, m.tags)
		})
	}
}

func requireTags(t *testing.T, f family, want []seen, got []tag) {
	t.Helper()
	require.Len(t, got, len(want))
	for i, w := range want {
		g := got[i]
		require.Equal(t, unhex(t, w.epc), g.epc)
		require.Equal(t, w.antenna, g.antenna)
		require.NotEqual(t, crcWrong, g.crc)
		dbm, ok := RSSI{}.withDefaults().dBm(f, &g).Get()
		require.Equal(t, w.raw != "", ok)
		if ok {
			require.Equal(t, w.rssi, dbm)
			require.Equal(t, unhex(t, w.raw)[0], g.rssi)
		}
	}
}

// Answers to an inventory in the ways that firmware of this family knows.
func TestLenAdrLists(t *testing.T) {
	const e1, e2 = "E2004074850A0103163070E1", "30751FEB705C5904E3D50D70"
	one := []seen{{epc: e1}}
	for _, c := range []struct {
		name   string
		cmd    byte
		status byte
		data   string
		done   bool
		tags   []seen
	}{
		{"one tag, one port", laInventory, laDone, "01 0C" + e1, true, one},
		{"two tags", laInventory, laDone, "02 0C" + e1 + "0C" + e2, true, []seen{{epc: e1}, {epc: e2}}},
		{"more follow", laInventory, laMore, "01 0C" + e1, false, one},
		{"time is up", laInventory, laTimeout, "01 0C" + e1, true, one},
		{"antenna 3, with strength", laInventory, laDone, "04 01 0C" + e1 + "62", true, []seen{{e1, 3, -31, "62"}}},
		{"antenna 1, two tags", laInventory, laDone, "01 02 0C" + e1 + "62 0C" + e2 + "1F", true, []seen{{e1, 1, -31, "62"}, {e2, 1, -98, "1F"}}},
		{"antenna, no strength", laInventory, laDone, "01 01 0C" + e1, true, []seen{{epc: e1, antenna: 1}}},
		{"strength, no antenna", laInventory, laDone, "01 0C" + e1 + "62", true, []seen{{e1, 0, -31, "62"}}},
		{"a short EPC", laInventory, laDone, "01 02 ABCD", true, []seen{{epc: "ABCD"}}},
		{"none", laInventory, laDone, "00", true, nil},
		{"none, on antenna 1", laInventory, laDone, "01 00", true, nil},
		{"no tag", laInventory, laNoTag, "", true, nil},
		{"uploaded", laUpload, 0, "02 0C" + e1 + "62", false, []seen{{e1, 2, -31, "62"}}},
		{"uploaded as a list", laUpload, 0, "01 0C" + e1, false, one},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := laFrame(0, c.cmd, append([]byte{c.status}, unhex(t, c.data)...)...).frame
			size, v := lenadr{}.cut(f)
			require.Equal(t, whole, v)
			require.Equal(t, len(f), size)
			var m message
			require.True(t, lenadr{}.parse(f, &m))
			require.Equal(t, report, m.kind)
			require.Equal(t, c.done, m.done)
			requireTags(t, lenadr{}, c.tags, m.tags)
		})
	}
	for name, data := range map[string]string{
		"too few bytes": "01 0C E200", "too many": "01 02 ABCD EF 00", "an odd size": "01 03 ABCDEF", "a size of 64": "01 40" + strings.Repeat("00", 64),
	} {
		var m message
		require.False(t, lenadr{}.parse(laFrame(0, laInventory, append([]byte{laDone}, unhex(t, data)...)...).frame, &m), name)
	}
	var m message
	require.True(t, lenadr{}.parse(laFrame(0, laInventory, laAntennaMissing).frame, &m))
	require.Equal(t, refused, m.kind)
}

func TestSwctTags(t *testing.T) {
	const e = "E2004074850A0103163070E1"
	body := "0F 01 02" + e + "BC"
	for name, c := range map[string]struct {
		cmd  byte
		data string
		done bool
	}{
		"asked":    {swInventory, "0001" + body, true},
		"uploaded": {swUpload, "C3851401020304 01" + body, false},
	} {
		f := swFrame(0, c.cmd, append([]byte{swOK}, unhex(t, c.data)...)...).frame
		f[0], f[1] = 0x43, 0x54
		f[len(f)-1] = 0
		f[len(f)-1] = -sum(f)
		_, v := swct{}.cut(f)
		require.Equal(t, whole, v, name)
		var m message
		require.True(t, swct{}.parse(f, &m), name)
		require.Equal(t, c.done, m.done)
		requireTags(t, swct{}, []seen{{e, 2, -68, "BC"}}, m.tags)
		f[7+8]++ // neither the number of tags nor a size may lie
		swct{}.parse(f, &m)
	}
	var m message
	bad := swFrame(0, swInventory, append([]byte{swOK, 0, 2}, unhex(t, body)...)...).frame
	bad[0] = 0x43
	require.False(t, swct{}.parse(bad, &m))
	require.True(t, swct{}.parse([]byte{0x43, 0x54, 0, 4, 0, swHeartbeat, 1, 0x65}, &m))
	require.Equal(t, alive, m.kind)
}

func TestA0UpperPorts(t *testing.T) {
	epc := "30751FEB705C5904E3D50D70"
	f := a0Frame(1, a0RealTime, unhex(t, "02 3000"+epc+"B6")...).frame
	var m message
	require.True(t, a0{}.parse(f, &m))
	requireTags(t, a0{}, []seen{{epc, 7, -75, "36"}}, m.tags)
	short := a0Frame(1, a0RealTime, unhex(t, "02 3400"+epc+"B6")...).frame // seven words announced... and six sent
	short[5] = 0x38
	require.False(t, a0{}.parse(short, &m))
}

func TestRSSI(t *testing.T) {
	for _, c := range []struct {
		r    RSSI
		raw  byte
		want float64
		ok   bool
	}{
		{RSSI{Profile: profileSigned}, 0xC9, -55, true},
		{RSSI{Profile: profileSigned}, 0x36, 0, false},
		{RSSI{Profile: profileMinus129}, 0x36, -75, true},
		{RSSI{Profile: profileLinear, Scale: 0.5, Offset: -110}, 100, -60, true},
		{RSSI{Profile: profileNone}, 0x36, 0, false},
	} {
		v, ok := c.r.dBm(bb7e{}, &tag{rssi: c.raw, strong: true}).Get()
		require.Equal(t, c.ok, ok)
		require.Equal(t, c.want, v)
	}
}

// A module whose CRCs are mostly right is held to them; one that never sends a right one isn't.
func TestTheTagsOwnCRC(t *testing.T) {
	var sound, clone crcJudge
	for range 100 {
		require.False(t, sound.drop(&tag{crc: crcRight}))
		require.True(t, sound.drop(&tag{crc: crcWrong}))
	}
	dropped := 0
	for range 100 {
		if clone.drop(&tag{crc: crcWrong}) {
			dropped++
		}
	}
	require.Equal(t, 8, dropped)
}

type rejected struct {
	offset int64
	raw    []byte
	reason string
}

func decodeAll(t testing.TB, in []byte, fam string) (rs []telemetry.Reading, bad []rejected, c map[string]uint64) {
	t.Helper()
	c, err := Decode(bytes.NewReader(in), Options{Family: fam}, func(r telemetry.Reading) error {
		require.NoError(t, r.Validate())
		rs = append(rs, r)
		return nil
	}, func(offset int64, raw []byte, reason string) {
		bad = append(bad, rejected{offset, bytes.Clone(raw), reason})
	})
	require.NoError(t, err)
	return rs, bad, c
}

func TestDecode(t *testing.T) {
	line := unhex(t, "FF 00 BB 7E"+ // garbage with a head and a tail
		"BB 00 27 00 03 22 27 10 83 7E"+
		"BB 02 22 00 11 C9 34 00 30 75 1F EB 70 5C 59 04 E3 D5 0D 70 3A 76 EF 7E"+
		"BB 01 FF 00 01 15 16 7E"+
		"BB 02 22 00 11 C9 34 00 30 75 1F EB 70 5C 59 04 E3 D5 0D 70 3A 77 EF 7E"+ // a bit flipped
		"BB 02 22 00 11 C4 30 00 E2 00 00 1D 73 15 01 65 21 40 8F C6 B8 3E C2 7E"+
		"BB 02 22 00") // cut
	for _, fam := range []string{"bb7e", "auto", ""} {
		rs, bad, c := decodeAll(t, line, fam)
		require.Len(t, rs, 2)
		require.Equal(t, `{"device":"decode","kind":"tag","tq":"unknown","body":{"epc":"urn:epc:id:sgtin:4717276.094564.21002259824","epc_hex":"30751FEB705C5904E3D50D70","antenna":1,"rssi_dbm":-55,"reads":1,"rssi_raw":201}}`,
			string(rs[0].AppendJSON(nil)))
		require.EqualValues(t, 2, c["tag_reads"])
		require.EqualValues(t, 4, c["frames_ok"])
		require.EqualValues(t, 1, c["bad_checksum"])
		require.EqualValues(t, 3, c["resync"])
		require.Len(t, bad, 4)
		require.Equal(t, rejected{0, unhex(t, "FF00BB7E"), "resync"}, bad[0])
		require.Equal(t, "bad_checksum", bad[1].reason)
		require.EqualValues(t, 46, bad[1].offset)
	}
}

func TestDecodeFindsTheFamily(t *testing.T) {
	for fam, line := range map[string]string{
		"bb7e":   "BB 02 22 00 11 C9 34 00 30 75 1F EB 70 5C 59 04 E3 D5 0D 70 3A 76 EF 7E",
		"a0":     "A0 13 01 89 74 30 00 E2 00 40 74 85 0A 01 03 16 30 70 E1 36 29",
		"lenadr": hex.EncodeToString(laFrame(0, laInventory, unhex(t, "01 01 0C E2004074850A0103163070E1")...).frame),
		"swct":   "43 54 00 1C 00 45 01 C3 85 14 01 02 03 04 01 0F 01 01 E2 00 40 74 85 0A 01 03 16 30 70 E1 BC 13",
	} {
		for _, n := range []int{1, 40} {
			in := bytes.Repeat(unhex(t, line), n)
			in = append([]byte("\x00\xff noise \xa0\xbb"), in...)
			got, _, c := decodeAll(t, in, "auto")
			require.Len(t, got, n, fam)
			want, _, wc := decodeAll(t, in, fam)
			require.Equal(t, want, got)
			require.Equal(t, wc, c)
			again, err := Decode(iotest.OneByteReader(bytes.NewReader(in)), Options{}, func(telemetry.Reading) error { return nil }, nil)
			require.NoError(t, err)
			require.Equal(t, c, again)
		}
	}
}

func fuzzFamily(f *testing.F, fam string, seeds ...string) {
	for _, s := range seeds {
		f.Add(unhex(f, s))
		f.Add(append([]byte{0xBB, 0xA0, 0x05, 0x43}, append(unhex(f, s), unhex(f, s)...)...))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		rs, _, c := decodeAll(t, in, fam)
		require.EqualValues(t, len(in), c["garbage_bytes"]+c["frame_bytes"])
		require.EqualValues(t, len(rs), c["tag_reads"])
		again, err := Decode(iotest.HalfReader(bytes.NewReader(in)), Options{Family: fam}, func(telemetry.Reading) error { return nil }, nil)
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}

func FuzzBB7E(f *testing.F) {
	fuzzFamily(f, "bb7e", "BB 02 22 00 11 C9 34 00 30 75 1F EB 70 5C 59 04 E3 D5 0D 70 3A 76 EF 7E", "BB 01 FF 00 01 15 16 7E", "BB 00 27 00 03 22 27 10 83 7E")
}

func FuzzA0(f *testing.F) {
	fuzzFamily(f, "a0", "A0 13 01 89 74 30 00 E2 00 40 74 85 0A 01 03 16 30 70 E1 36 29", "A0 0A 01 89 00 00 11 00 00 00 05 B6", "A0 05 01 72 01 09 DE")
}

func FuzzLenAdr(f *testing.F) {
	fuzzFamily(f, "lenadr", "04 FF 01 1B B4", hex.EncodeToString(laFrame(0, laInventory, unhex(f, "01 01 01 0C E2004074850A0103163070E1 62")...).frame),
		hex.EncodeToString(laFrame(0, laUpload, unhex(f, "00 02 0C E2004074850A0103163070E1 62")...).frame))
}

func FuzzSWCT(f *testing.F) {
	fuzzFamily(f, "swct", "53 57 00 03 FF 01 53", "43 54 00 04 00 01 00 64", "43 54 00 1C 00 45 01 C3 85 14 01 02 03 04 01 0F 01 01 E2 00 40 74 85 0A 01 03 16 30 70 E1 BC 13")
}

func FuzzAuto(f *testing.F) {
	fuzzFamily(f, "auto", "A0 05 01 72 01 09 DE", "43 54 00 04 00 01 00 64")
}
