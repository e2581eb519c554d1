package transcript_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/devicestest/transcript"
)

const ms = time.Millisecond

func TestWriter(t *testing.T) {
	var out strings.Builder
	w := transcript.NewWriter(&out)
	w.Note("a line\nof two boards")
	w.FromDevice(500*ms, []byte("$GPRMC,1*00\r\n$GPG"))
	w.FromDevice(501*ms, []byte("GA*00\r\n"))
	w.FromDevice(900*ms, []byte{0x80, 1})
	w.ToDevice(1400*ms, []byte{0x8a, 1, 1, 0x11, 0x9b})
	w.FromDevice(1600*ms, []byte("AT\x00"))
	w.ToDevice(30*time.Second, []byte("x"))
	w.FromDevice(30*time.Second+20*ms, make([]byte, 40))
	w.FromDevice(31*time.Second, nil)
	require.NoError(t, w.Close())
	require.Equal(t, `# a line
# of two boards
< "$GPRMC,1*00\r\n"
< "$GPGGA*00\r\n"
~ 399ms
< 80 01
> 8A 01 01 11 9B
~ 200ms
< 41 54 00
# 30s
> "x"
~ 20ms
< `+strings.TrimSpace(strings.Repeat("00 ", 32))+`
< `+strings.TrimSpace(strings.Repeat("00 ", 8))+"\n", out.String())
}

// Whatever bytes are written, they are read back.
func FuzzWriter(f *testing.F) {
	f.Add([]byte("$GPRMC\r\n\"\\ü\xff"), []byte{0, 1, 2}, uint16(3))
	f.Add([]byte("# no comment\n= again\n"), []byte("~ 1s"), uint16(20000))
	f.Fuzz(func(t *testing.T, from, to []byte, gap uint16) {
		var out strings.Builder
		w := transcript.NewWriter(&out)
		at := time.Duration(0)
		for i := range 5 {
			w.FromDevice(at, from)
			at += time.Duration(gap) * ms / time.Duration(1+i)
			w.ToDevice(at, to)
			w.FromDevice(at, to)
			w.FromDevice(at, from)
		}
		w.Note(string(to))
		require.NoError(t, w.Close())
		s, err := transcript.Parse(strings.NewReader(out.String()))
		require.NoError(t, err, out.String())
		require.Equal(t, strings.Repeat(string(from)+string(to)+string(from), 5), string(s.FromDevice()))
	})
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestWriterKeepsItsError(t *testing.T) {
	w := transcript.NewWriter(full{})
	w.FromDevice(0, []byte("x"))
	w.ToDevice(0, []byte("x"))
	require.ErrorContains(t, w.Close(), "no space left")
}
