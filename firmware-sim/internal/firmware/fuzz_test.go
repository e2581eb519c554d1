package firmware

import (
	"encoding/hex"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func seeds(f *testing.F, all ...string) {
	for _, s := range all {
		b, err := hex.DecodeString(s)
		require.NoError(f, err)
		f.Add(b)
	}
}

// nowhere is a line whose other end is cut off.
type nowhere struct{}

func (nowhere) Read([]byte) (int, error)        { return 0, net.ErrClosed }
func (nowhere) Write(b []byte) (int, error)     { return len(b), nil }
func (nowhere) SetReadDeadline(time.Time) error { return nil }
func (nowhere) Idle()                           {}

func FuzzClimate(f *testing.F) {
	seeds(f, "010400010002200b", "010300010002958b", "018402c2c1", "")
	c := &Climate{Address: 1, Measure: func(time.Time) (float64, float64) { return -300, 1e9 }}
	f.Fuzz(func(t *testing.T, b []byte) {
		if a := c.answer(b, time.Time{}); a != nil {
			require.Equal(t, b[0], a[0])
			require.Zero(t, crc16(a), "a frame with its CRC has the CRC 0")
		}
	})
}

func FuzzCabinet(f *testing.F) {
	seeds(f, "8a0101119b", "80010033b2", "8a0101110398", "80020033b1ff8a010c1196", "8a0100119a")
	f.Fuzz(func(t *testing.T, b []byte) {
		c := NewCabinet(nowhere{}, 12, 1, 2)
		for len(b) >= 5 {
			n := requestLength(b)
			if n == 0 {
				b = b[1:]
				continue
			}
			c.handle(b[:n])
			b = b[n:]
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add(uint16(msgAddROSpec), []byte{0, 177, 0, 4})
	seed, err := hex.DecodeString("00b1004600000001000000b2001200b300050000b60009000000000000b700180001000000b80009000000000000ba000700010100ed001201000100ee000b1780015c000580")
	require.NoError(f, err)
	f.Add(uint16(msgAddROSpec), seed)
	f.Add(uint16(msgSetConfig), []byte{0, 0, 0xdc, 0, 9, 1, 0, 0, 0x27, 0x10})
	f.Add(uint16(msgStartROSpec), []byte{0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, typ uint16, body []byte) {
		near, far := net.Pipe()
		require.NoError(t, far.Close())
		s := &session{reader: &Reader{Antennas: 2}, conn: near, specs: make(map[uint32]*rospec)}
		s.reader.Enter([12]byte{1}, 1, -50)
		_ = s.handle(typ&0x3FF, 1, body)
		_ = s.handle(msgEnableROSpec, 2, make([]byte, 4))
		s.round(time.Unix(0, 0))
	})
}

func FuzzSentenceTime(f *testing.F) {
	f.Add([]byte("$GNRMC,055234.200,A,4739.71890,N"))
	f.Add([]byte("$GPGLL,4916.45,N,12311.12,W,225444,A"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, ok := sentenceTime(b); ok {
			require.True(t, d >= 0 && d < 24*time.Hour+time.Second, d)
		}
	})
}
