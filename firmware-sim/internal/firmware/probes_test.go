package firmware

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestScratchpads(t *testing.T) {
	// Protocol vectors; the reserved bytes are those of the maker's own probes.
	require.Equal(t, [9]byte{0x73, 0x01, 0x4B, 0x46, 0x7F, 0xFF, 0x0D, 0x10, 0x41}, padOf(23.1875))
	require.Equal(t, [9]byte{0x72, 0x01, 0x4B, 0x46, 0x7F, 0xFF, 0x0E, 0x10, 0x57}, padOf(23.125))
	require.Equal(t, [9]byte{0x5E, 0xFF, 0x4B, 0x46, 0x7F, 0xFF, 0x02, 0x10, 0xB6}, padOf(-10.125))
}

func TestThermometers(t *testing.T) {
	const address = "28-0316a2795e50"
	dir := t.TempDir()
	celsius := 23.1875
	b := &Thermometers{Dir: dir}
	require.NoError(t, b.Plug(address, func(time.Time) float64 { return celsius }))
	file := filepath.Join(dir, address, "w1_slave")
	text := func() string {
		out, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(out)
	}
	const warm, good = "73 01 4b 46 7f ff 0d 10 41 : crc=41 YES\n", "73 01 4b 46 7f ff 0d 10 41 t=23187\n"
	require.Equal(t, warm+good, text())

	celsius = -10.125
	require.NoError(t, b.SetFault(address, ProbeNoisy))
	require.Equal(t, "4e ff 4b 46 7f ff 02 10 b6 : crc=e2 NO\n"+good, text(), "the older value below")
	require.NoError(t, b.SetFault(address, ProbeBrownOut))
	require.Equal(t, "50 05 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 05 4b 46 7f ff 0c 10 1c t=85000\n", text())
	require.NoError(t, b.SetFault(address, ProbeShorted))
	require.Equal(t, "00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n", text())
	require.NoError(t, b.SetFault(address, ProbeOpen))
	require.Contains(t, text(), "ff ff ff ff ff ff ff ff ff : crc=c9 NO\n")
	require.NoError(t, b.SetFault(address, ProbeUnreadable))
	_, err := os.ReadFile(file)
	require.Error(t, err)
	require.NoError(t, b.SetFault(address, ProbeWell))
	require.NoError(t, b.refresh(time.Now()))
	require.Contains(t, text(), "t=-10125\n")
	require.NoError(t, b.Unplug(address))
	_, err = os.Stat(filepath.Join(dir, address))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Error(t, b.SetFault(address, ProbeWell))
}

// An SHT3x behind its bridge, byte by byte.
func TestBridge(t *testing.T) {
	now := time.Unix(1, 0)
	s := &SHT3x{Measure: func(time.Time) (float64, float64) { return 25, 50 }}
	m := bridgeMaster{devices: map[byte]i2cDevice{0x44: s}, regs: map[byte]byte{}}
	say := func(hex string) string { return fmt.Sprintf("%X", m.take(unhex(t, hex), now)) }
	const status = "52 0A 50"
	require.Equal(t, "F0", say("53 88 02 24 00 50"+status))
	require.Empty(t, say("53 89 06 50"), "it measures")
	require.Equal(t, "F1", say(status))
	now = now.Add(15 * time.Millisecond)
	require.Equal(t, "6666938000A2", say("53 89 06 50"))
	require.Equal(t, "F0", say(status))
	require.Empty(t, say("53 89 06 50"), "fetched once")
	require.Equal(t, "F1", say("53 8A 02 24 00 50"+status), "nobody at 45")
	require.Equal(t, "F2", say("53 88 02 12 34 50"+status), "no command")
	require.Equal(t, "0010", say("53 88 02 F3 2D 53 89 03 50")[:4], "repeated start; reset since power-on")
	require.Equal(t, "F0", say("53 88 02 30 41 50"+status))
	require.Equal(t, "000081", say("53 88 02 F3 2D 50 53 89 03 50"))
	require.Empty(t, say("57 09 66 50 00 01"), "a register, then what is no command")
	require.EqualValues(t, 0x66, m.regs[9])

	s.SetFault(SensorNoisy)
	say("53 88 02 24 16 50")
	now = now.Add(4 * time.Millisecond)
	require.Equal(t, "6666938020A2", say("53 89 06 50"))
	s.SetFault(SensorDead)
	require.Equal(t, "F2", say("53 88 02 24 00 50"+status))
	s.SetFault(SensorWell)
	s.PowerCut()
	require.Equal(t, "0010", say("53 88 02 F3 2D 50 53 89 03 50")[:4])
}

func TestBridgeOnALine(t *testing.T) {
	end := plugged(t, func(ctx context.Context, l *Line) error {
		b := &Bridge{Line: l, Devices: map[byte]*SHT3x{0x44: {Measure: func(time.Time) (float64, float64) { return 25, 50 }}}}
		return b.Run(ctx)
	})
	got := make([]byte, 2)
	_, err := io.ReadFull(end, got)
	require.NoError(t, err)
	require.Equal(t, "OK", string(got))
	_, err = end.Write([]byte{'S', 0x88, 2, 0x2C, 0x06, 'P', 'S', 0x89, 6, 'P'})
	require.NoError(t, err)
	got = make([]byte, 6)
	_, err = io.ReadFull(end, got)
	require.NoError(t, err)
	require.Equal(t, unhex(t, "66 66 93 80 00 A2"), got)
}

func TestScaleFrames(t *testing.T) {
	for _, c := range []struct {
		format      string
		kg          float64
		still, over bool
		want        string
	}{
		{"st-gs", 12.34, true, false, "ST,GS,+  12.34kg\r\n"},
		{"st-gs", -0.5, false, false, "US,GS,-   0.50kg\r\n"},
		{"yaohua", 20, true, false, "\x02+0020002\x31B\x03"}, // a weighbridge's manual
		{"reversed", -1, true, false, "=00.1000-"},           // XK3190-A26's manual
		{"equals", -1, true, false, "=-0001.00"},
		{"equals", 3, true, false, "=00003.00"},
		{"wg", 150.01, true, true, "         OL23\r\n"}, // XK3190-A12E's manual
		{"toledo", -0.5, false, false, "\x02\x2c\x3a\x20" + "000050000000\r" + "\x26"},
		{"sics", 100, true, false, "S S     100.00 kg\r\n"},
		{"plain", 12.34, true, false, "   12.34 kg\r\n"},
	} {
		got, err := scaleFrame(c.format, c.kg, c.still, c.over)
		require.NoError(t, err)
		require.Equal(t, c.want, string(got), c.format)
	}
	_, err := scaleFrame("toledo-8142", 1, true, false)
	require.Error(t, err)
}

func TestScaleComesToRest(t *testing.T) {
	s := &Scale{Format: "st-gs"}
	s.Put(12.34)
	var frames []string
	for range 15 {
		f, err := s.next()
		require.NoError(t, err)
		frames = append(frames, string(f))
	}
	require.Contains(t, frames[0], "US,GS,")
	require.Equal(t, "ST,GS,+  12.34kg\r\n", frames[14])
	s.Put(200)
	for range 15 {
		f, err := s.next()
		require.NoError(t, err)
		frames = append(frames, string(f))
	}
	require.Contains(t, frames[29], "OL,GS,")
}

func TestScaleSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- (&Scale{Line: w, Format: "plain"}).Run(ctx) }()
		began := time.Now()
		_, err := io.ReadFull(r, make([]byte, 10*13))
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(began))
		cancel()
		_ = r.Close()
		require.NoError(t, <-done)
	})
}

func TestScanner(t *testing.T) {
	r, w := io.Pipe()
	go func() {
		s := &Scanner{Line: w, AIM: true}
		_ = s.Scan("C1", GS1([2]string{"01", "06901234567892"}, [2]string{"10", "A1"}, [2]string{"17", "261231"}))
		s.AIM, s.Suffix = false, "\r"
		_ = s.Scan("C0", "YT2608050017")
		_ = w.Close()
	}()
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "]C1010690123456789210A1\x1d17261231\r\nYT2608050017\r", string(got))
	require.Error(t, (&Scanner{Line: w}).Scan("C0", "x"))
}
