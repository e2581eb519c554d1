package modbus

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

func TestCRC(t *testing.T) {
	require.Equal(t, uint16(0x4B37), crc16([]byte("123456789")))
	require.Equal(t, uint16(0xDBE2), crc16(unhex(t, "12 34 23 45 34 56 45 67"))) // E2 DB as sent
}

// The request and reply bytes of real units and of the vendor's manual.
var vectors = []struct {
	name           string
	q              request
	request, reply string
	want           []uint16
	err            error
}{
	{"manual, 30.5 C", request{1, 4, 1, 1}, "01 04 00 01 00 01 60 0A", "01 04 02 01 31 79 74", []uint16{305}, nil},
	{"real unit, 28.5 C 63.9 %", request{1, 4, 1, 2}, "01 04 00 01 00 02 20 0B", "01 04 04 01 1D 02 7F 2A FE", []uint16{285, 639}, nil},
	{"manual, 30.5 C 54.6 %", request{1, 4, 1, 2}, "01 04 00 01 00 02 20 0B", "01 04 04 01 31 02 22 2A CE", []uint16{305, 546}, nil},
	{"manual, 54.6 %", request{1, 4, 2, 1}, "01 04 00 02 00 01 90 0A", "01 04 02 02 22 38 49", []uint16{546}, nil},
	{"holding registers", request{0x11, 3, 0x7C, 2}, "11 03 00 7C 00 02 07 43", "11 03 04 00 8D 00 8E FB BD", []uint16{0x8D, 0x8E}, nil},
	{"exception of function 3", request{0x11, 3, 0x7C, 2}, "11 03 00 7C 00 02 07 43", "11 83 02 C1 34", nil, Exception(2)},
	{"-20.5 C", request{1, 4, 1, 2}, "01 04 00 01 00 02 20 0B", "01 04 04 FF 33 02 22 BA E6", []uint16{0xFF33, 546}, nil},
	{"exception of function 4", request{1, 4, 1, 2}, "01 04 00 01 00 02 20 0B", "01 84 02 C2 C1", nil, Exception(2)},
}

func TestVectorsRTU(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			require.Equal(t, unhex(t, v.request), rtu{}.appendRequest(nil, v.q, 9))

			reply := unhex(t, v.reply)
			for n := range reply {
				_, _, got := rtu{}.find(reply[:n], v.q, 9)
				require.Equal(t, more, got, "%d bytes", n)
			}
			size, pdu, got := rtu{}.find(append(reply, 0xAA), v.q, 9)
			require.Equal(t, whole, got)
			require.Equal(t, len(reply), size)
			regs, err := registers(pdu)
			require.Equal(t, v.err, err)
			require.Equal(t, v.want, regs)
		})
	}
}

// The same conversations over TCP: a header instead of the check.
func TestVectorsTCP(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			adu := unhex(t, v.request)
			want := append([]byte{0x12, 0x34, 0, 0, 0, 6}, adu[:6]...)
			require.Equal(t, want, tcp{}.appendRequest(nil, v.q, 0x1234))

			body := unhex(t, v.reply)
			body = body[:len(body)-2]
			reply := append([]byte{0x12, 0x34, 0, 0, 0, byte(len(body))}, body...)
			for n := range reply {
				_, _, got := tcp{}.find(reply[:n], v.q, 0x1234)
				require.Equal(t, more, got, "%d bytes", n)
			}
			size, pdu, got := tcp{}.find(reply, v.q, 0x1234)
			require.Equal(t, whole, got)
			require.Equal(t, len(reply), size)
			regs, err := registers(pdu)
			require.Equal(t, v.err, err)
			require.Equal(t, v.want, regs)
		})
	}
}

// A vendor's manual prints these check bytes; a unit that sent them would be wrong.
func TestWrongCheckBytesOfTheManual(t *testing.T) {
	_, _, v := rtu{}.find(unhex(t, "01 04 02 02 22 D1 BA"), request{1, 4, 2, 1}, 0)
	require.Equal(t, badChecksum, v)
}

func TestForeignFrames(t *testing.T) {
	q := request{1, 4, 1, 2}
	for name, b := range map[string]string{
		"other unit":       "02 04 04 01 1D 02 7F 19 FE",
		"other function":   "01 03 04 01 1D 02 7F 2B 49",
		"other byte count": "01 04 02 01 31 79 74",
		"own request":      "01 04 00 01 00 02 20 0B",
		"other exception":  "01 83 02 C0 F1",
	} {
		_, _, v := rtu{}.find(unhex(t, b), q, 0)
		require.Equal(t, foreign, v, name)
	}
	for name, b := range map[string]struct {
		hex  string
		want verdict
	}{
		"reply of the last transaction": {"00 06 00 00 00 07 01 04 04 01 1D 02 7F", late},
		"reply of no transaction":       {"10 06 00 00 00 07 01 04 04 01 1D 02 7F", foreign},
		"other protocol":                {"00 07 00 01 00 07 01 04 04 01 1D 02 7F", foreign},
		"length that lies":              {"00 07 00 00 00 09 01 04 04 01 1D 02 7F 00 00", foreign},
		"length 0":                      {"00 07 00 00 00 00 01 04 04 01 1D 02 7F", foreign},
		"length 255":                    {"00 07 00 00 00 FF 01 04 04 01 1D 02 7F", foreign},
		"other unit":                    {"00 07 00 00 00 07 02 04 04 01 1D 02 7F", foreign},
	} {
		_, _, v := tcp{}.find(unhex(t, b.hex), q, 7)
		require.Equal(t, b.want, v, name)
	}
}

func TestExceptionsAreNamed(t *testing.T) {
	require.EqualError(t, Exception(1), "exception 1: illegal function")
	require.EqualError(t, Exception(11), "exception 11: gateway target did not answer")
	require.EqualError(t, Exception(77), "exception 77: unknown")
	require.False(t, Exception(2).passing())
	require.True(t, Exception(6).passing())
}
