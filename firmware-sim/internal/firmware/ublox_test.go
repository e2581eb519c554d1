package firmware

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A frame of a real receiver, built anew from what it says.
func TestUBXFrame(t *testing.T) {
	payload := unhex(t, "e0ae610fe607051817282a3716000000dd9100000303ea1e5bf0b0b7f15d441a74ef1000da4211005b0100000502000007000000faffffff19000000090000000000000019000000552257006c0000006c18423e0000000000000000")
	require.Equal(t, "763e", hex.EncodeToString(ubx(navPVT, payload)[6+92:]))
	at := time.Date(2022, 5, 24, 23, 40, 42, 0, time.UTC)
	ours := solution(at, Fix{Lat: 44.0688113, Lon: -121.3140901, AltitudeM: 1131.226, SpeedMPS: 0.009, Satellites: 30})
	for _, f := range []struct {
		name     string
		from, to int
	}{{"time of week", 0, 4}, {"date and time", 4, 11}, {"fix type", 20, 21}, {"satellites", 23, 24}, {"position", 24, 32}, {"height above the sea", 36, 40}, {"speed and heading", 60, 68}} {
		require.Equal(t, payload[f.from:f.to], ours[f.from:f.to], f.name)
	}
}

func asked(t *testing.T, u *UBlox, class, id byte, payload string) string {
	t.Helper()
	return hex.EncodeToString(u.answer(ubxID{class, id}, unhex(t, payload)))
}

func TestUBloxAnswers(t *testing.T) {
	ack := func(id, m byte) string { return hex.EncodeToString(ubx(ubxID{5, id}, []byte{6, m})) }
	u := &UBlox{Chip: M8, Where: func(time.Time) Fix { return Fix{Lat: 30, Lon: 103, Satellites: 9} }}
	u.PowerOn()
	require.Contains(t, asked(t, u, 0x0A, 4, ""), hex.EncodeToString([]byte("PROTVER=18.00")))
	require.Equal(t, ack(1, 8), asked(t, u, 6, 8, "C800 0100 0100"))
	require.Equal(t, 200*time.Millisecond, u.interval)
	require.Equal(t, ack(0, 8), asked(t, u, 6, 8, "0100 0100 0100"), "too fast")
	require.Equal(t, ack(1, 1), asked(t, u, 6, 1, "01 07 02"))
	require.Equal(t, ack(1, 1), asked(t, u, 6, 1, "F0 04 00 00 00 00 00 00"))
	require.Equal(t, ack(0, 1), asked(t, u, 6, 1, "01 22 01"), "a message it hasn't")
	require.Equal(t, hex.EncodeToString(ubx(cfgMSG, unhex(t, "01 07 00 02 00 00 00 00")))+ack(1, 1), asked(t, u, 6, 1, "01 07"))
	require.Equal(t, ack(0, 0x8A), asked(t, u, 6, 0x8A, "00 01 00 00 01 00 74 10 01"), "keys came later")
	at := time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)
	first, second := string(u.epoch(at)), string(u.epoch(at))
	require.NotContains(t, first, "RMC")
	require.Equal(t, []int{0, 1}, []int{strings.Count(first, "\xb5\x62\x01\x07"), strings.Count(second, "\xb5\x62\x01\x07")}, "each second epoch")
	u.PowerOn()
	require.Contains(t, string(u.epoch(at)), "RMC", "forgotten")
}

func TestUBloxKeys(t *testing.T) {
	u := &UBlox{Chip: M10, Where: func(time.Time) Fix { return Fix{None: true} }}
	u.PowerOn()
	const yes, no = "b5620501020006 8a 98c1", "b5620500020006 8a 97bc" // ACK-ACK and ACK-NAK of CFG-VALSET
	plain := func(s string) string { return strings.ReplaceAll(s, " ", "") }
	require.Equal(t, "b5620500020006010e33", asked(t, u, 6, 1, "01 07 01"), "messages are set by key")
	require.Equal(t, plain(no), asked(t, u, 6, 0x8A, "00 01 00 00 07 00 91 20 01 01 00 78 10 01"), "no USB, so nothing of it")
	require.Zero(t, u.rates[navPVT])
	for _, bad := range []string{"00 01 00", "00 02 00 00 07 00 91 20 01", "00 01 00 00 07 00 91", "00 01 00 00 01 00 21 30 01", "00 01 00 00 01 00 21 00 01"} {
		require.Equal(t, plain(no), asked(t, u, 6, 0x8A, bad), bad)
	}
	require.Equal(t, plain(yes), asked(t, u, 6, 0x8A, "00 01 00 00 07 00 91 20 01 02 00 74 10 00 01 00 21 30 E8 03"))
	require.EqualValues(t, 1, u.rates[navPVT])
	out := u.epoch(time.Now())
	require.Equal(t, "b5620107", hex.EncodeToString(out[:4]), "frames, and no sentences")
	require.Zero(t, out[6+20], "no fix")
}

// Garbage before, between and in requests costs the requests it hits.
func TestUBloxRequests(t *testing.T) {
	u := &UBlox{Chip: M8}
	u.PowerOn()
	line := &memoryLine{}
	u.Line = line
	ask := ubx(monVER, nil)
	broken := append([]byte{}, ask...)
	broken[7] ^= 1
	stream := append([]byte("$PUBX\xb5"), ask...)
	stream = append(append(stream, broken...), 0xB5, 0x62, 0x0A, 0x04, 0xFF, 0xFF)
	stream = append(stream, ask...)
	var rest []byte
	for _, b := range stream {
		rest = u.requests(append(rest, b))
	}
	require.Empty(t, rest)
	require.Equal(t, 2, strings.Count(string(line.out), "PROTVER"))
}

// memoryLine keeps what a device wrote.
type memoryLine struct {
	cable
	out []byte
}

func (m *memoryLine) Write(b []byte) (int, error) {
	m.out = append(m.out, b...)
	return len(b), nil
}
