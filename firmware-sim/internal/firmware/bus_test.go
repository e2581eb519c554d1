package firmware

import (
	"context"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

func TestClimateAnswers(t *testing.T) {
	temp, rh := 28.5, 63.9
	c := &Climate{Address: 1, Measure: func(time.Time) (float64, float64) { return temp, rh }}
	ask := func(s string) string { return hex.EncodeToString(c.answer(unhex(t, s), time.Time{})) }
	// Protocol vectors: a real unit's log, then values computed from the manual.
	require.Equal(t, "010404011d027f2afe", ask("01 04 00 01 00 02 20 0B"))
	temp, rh = 30.5, 54.6
	require.Equal(t, "01040201317974", ask("01 04 00 01 00 01 60 0A"))
	require.Equal(t, "010404013102222ace", ask("01 04 00 01 00 02 20 0B"))
	require.Equal(t, "01040202223849", ask("01 04 00 02 00 01 90 0A"))
	temp = -20.5
	require.Equal(t, "010404ff330222bae6", ask("01 04 00 01 00 02 20 0B"))
	require.Equal(t, "018402c2c1", hex.EncodeToString(c.answer(withCRC(unhex(t, "01 04 00 00 00 01")), time.Time{})))
	require.Empty(t, ask("01 04 00 01 00 02 20 0C"), "a wrong CRC is answered by silence")
	require.Empty(t, c.answer(withCRC(unhex(t, "02 04 00 01 00 02")), time.Time{}), "another unit's request")
	require.Equal(t, byte(illegalFunction), c.answer(withCRC(unhex(t, "01 06 00 01 00 02")), time.Time{})[2])
	require.Equal(t, byte(illegalValue), c.answer(withCRC(unhex(t, "01 04 00 01 00 00")), time.Time{})[2])
	c.SetFault(true)
	require.Equal(t, "7fff7fff", ask("01 04 00 01 00 02 20 0B")[6:14])
}

// plugged is a line with a device on it and the gateway's end open.
func plugged(t *testing.T, run func(context.Context, *Line) error) *os.File {
	t.Helper()
	l, err := OpenLine()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, l) }()
	end := openEnd(t, l.Path)
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, end.Close())
		require.NoError(t, l.Close())
	})
	return end
}

func openEnd(t *testing.T, path string) *os.File {
	t.Helper()
	end, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	require.NoError(t, err)
	return end
}

// ask writes a request and reads an answer of the given size.
func ask(t *testing.T, end *os.File, request string, size int) string {
	t.Helper()
	_, err := end.Write(unhex(t, request))
	require.NoError(t, err)
	require.NoError(t, end.SetReadDeadline(time.Now().Add(2*time.Second)))
	buf := make([]byte, size)
	for n := 0; n < size; {
		k, err := end.Read(buf[n:])
		require.NoError(t, err, "after % x", buf[:n])
		n += k
	}
	return hex.EncodeToString(buf)
}

func TestClimateOnALine(t *testing.T) {
	end := plugged(t, func(ctx context.Context, l *Line) error {
		return (&Climate{Line: l, Address: 1, Measure: func(time.Time) (float64, float64) { return 30.5, 54.6 }}).Run(ctx)
	})
	require.Equal(t, "010404013102222ace", ask(t, end, "010400010002200b", 9))
	require.Equal(t, "010404013102222ace", ask(t, end, "010400010002200b", 9))
}

func TestCabinetOnALine(t *testing.T) {
	var c *Cabinet
	ready := make(chan struct{})
	end := plugged(t, func(ctx context.Context, l *Line) error {
		c = NewCabinet(l, 24, 1, 2)
		close(ready)
		return c.Run(ctx)
	})
	<-ready
	// All closed: three bytes of ones; the item board says all empty.
	require.Equal(t, "8001ffffff334d", ask(t, end, "80010033b2", 7))
	require.Equal(t, "800200000033b1", ask(t, end, "80020033b1", 7))
	// Garbage and another board's request before a good one: resync, one answer.
	require.Equal(t, "8a010c0087", ask(t, end, "ff00"+"8a010c1196", 5))
	require.NoError(t, c.AwaitOpen(t.Context(), 12))
	require.Equal(t, 1, c.Pulses(12))
	require.NoError(t, c.Put(12, true))
	c.Shut(12)
	require.Equal(t, "80010c119c", ask(t, end, "80010c33be", 5))
	require.Equal(t, "800200080033b9", ask(t, end, "80020033b1", 7), "door 12 is bit 3 of the middle byte")
	require.ErrorContains(t, c.Put(12, false), "shut")
	// A jammed door is pulsed and stays shut: the answer says locked.
	c.Jam(1, true)
	require.Equal(t, "8a0101119b", ask(t, end, "8a0101119b", 5))
	require.Equal(t, 1, c.Pulses(1))
}

func TestLineOutlivesItsReader(t *testing.T) {
	l, err := OpenLine()
	require.NoError(t, err)
	defer l.Close()
	// Nobody reads: the line overruns and doesn't block. Linux has up to 64 KiB on their way on a busy machine.
	const writes = 100_000
	for i := range writes {
		_, err := l.Write([]byte{byte(i), byte(i >> 8)})
		require.NoError(t, err)
	}
	first := openEnd(t, l.Path)
	require.NoError(t, control(first, func(fd int) error { return unix.IoctlSetInt(fd, unix.TIOCEXCL, 0) }))
	require.NoError(t, first.Close())
	_, err = l.Write([]byte("\xff\xffend"))
	require.NoError(t, err)
	second := openEnd(t, l.Path)
	defer second.Close()
	require.NoError(t, second.SetReadDeadline(time.Now().Add(2*time.Second)))
	var got []byte
	for buf := make([]byte, 512); !strings.HasSuffix(string(got), "end"); {
		n, err := second.Read(buf)
		require.NoError(t, err)
		got = append(got, buf[:n]...)
	}
	require.Less(t, len(got), writes, "of twice as many bytes the old ones were lost")
}
