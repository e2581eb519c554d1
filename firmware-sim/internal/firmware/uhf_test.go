package firmware

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/passage"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
	"yizhan/devices/uhf"
)

var parcelTag = [12]byte{0xE2, 0x00, 0x40, 0x74, 0x85, 0x0A, 0x01, 0x03, 0x16, 0x30, 0x70, 0xE1}

// What modules say to the commands of the protocol page.
func TestModuleVectors(t *testing.T) {
	for _, c := range []struct {
		name, family string
		ports        int
		set          func(*Module)
		ask          string
		want         []string
	}{
		{"stop", "bb7e", 1, nil, "BB 00 28 00 00 28 7E", []string{"BB 01 28 00 01 00 2A 7E"}},
		{"no tag", "bb7e", 1, nil, "BB 00 22 00 00 22 7E", []string{"BB 01 FF 00 01 15 16 7E"}},
		{"20 dBm", "bb7e", 1, nil, "BB 00 B6 00 02 07 D0 8F 7E", []string{"BB 01 B6 00 01 00 B8 7E"}},
		{"busy", "bb7e", 1, func(m *Module) { m.state.rounds = 9 }, "BB 00 22 00 00 22 7E", nil},
		{"a tag", "bb7e", 1, func(m *Module) {
			m.Enter([12]byte{0xE2, 0, 0, 0x1D, 0x73, 0x15, 0x01, 0x65, 0x21, 0x40, 0x8F, 0xC6}, 1, -60)
		}, "BB 00 22 00 00 22 7E", []string{"BB 02 22 00 11 C4 30 00 E2 00 00 1D 73 15 01 65 21 40 8F C6 B8 3E C2 7E"}},
		{"a damaged command", "bb7e", 1, nil, "BB 00 22 00 00 23 7E", nil},
		{"set antenna", "a0", 4, nil, "A0 04 01 74 00 E7", []string{"A0 04 01 74 10 D7"}},
		{"an antenna too many", "a0", 4, nil, "A0 04 01 74 04 E3", []string{"A0 04 01 74 22 C5"}},
		{"a tag", "a0", 4, func(m *Module) { m.Enter(parcelTag, 1, -75) }, "A0 04 01 89 01 D1",
			[]string{"A0 13 01 89 A0 30 00 E2 00 40 74 85 0A 01 03 16 30 70 E1 36 FD", "A0 0A 01 89 00 00 14 00 00 00 01 B7"}},
		{"for another address", "a0", 4, nil, "A0 04 02 89 01 D0", nil},
		{"no tag", "lenadr", 1, nil, "04 FF 01 1B B4", []string{"05 00 01 FB F2 3D"}},
		{"no tag", "swct", 1, func(m *Module) { m.state.mode = 0 }, "53 57 00 03 FF 01 53", []string{"43 54 00 04 00 01 00 64"}},
		{"7 dBm", "swct", 1, nil, "53 57 00 05 FF 24 05 07 22", []string{"43 54 00 04 00 24 01 40"}},
	} {
		t.Run(c.family+" "+c.name, func(t *testing.T) {
			m, err := NewModule(nil, c.family, c.ports)
			require.NoError(t, err)
			if c.set != nil {
				c.set(m)
			}
			ask := unhex(t, c.ask)
			for n := 1; n < len(ask); n++ {
				used, _, _, _ := m.wire.frame(ask[:n])
				require.Zero(t, used, "%d bytes", n)
			}
			var got [][]byte
			for len(ask) > 0 {
				used, cmd, data, ok := m.wire.frame(ask)
				if used == 0 {
					break
				}
				if ok {
					got = append(got, m.wire.answer(m, cmd, data)...)
				}
				ask = ask[used:]
			}
			require.Len(t, got, len(c.want))
			for i, w := range c.want {
				require.Equal(t, unhex(t, w), got[i])
			}
		})
	}
	_, err := NewModule(nil, "bluetooth", 1)
	require.Error(t, err)
}

// A post is a module on a cable and the gateway's driver at its other end.
type post struct {
	m *Module

	mu   sync.Mutex
	told []string
}

func (p *post) emit(_ context.Context, rs ...telemetry.Reading) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range rs {
		switch {
		case r.RawRead():
		case r.Kind == telemetry.KindTag:
			tag, err := telemetry.As[telemetry.Tag](r)
			if err != nil {
				return err
			}
			p.told = append(p.told, string(tag.Passage))
		case r.Kind == telemetry.KindAlarm:
			a, err := telemetry.As[telemetry.Alarm](r)
			if err != nil {
				return err
			}
			p.told = append(p.told, a.Code)
		}
	}
	return nil
}

func (p *post) said(t *testing.T, want ...string) {
	t.Helper()
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return strings.Join(p.told, " ") == strings.Join(want, " ")
	}, time.Minute, 20*time.Millisecond, "want %v, told %v", want, p.told)
}

func newPost(t *testing.T, family string, ports int, cfg uhf.Config) *post {
	line, err := OpenLine()
	require.NoError(t, err)
	p := &post{}
	p.m, err = NewModule(line, family, ports)
	require.NoError(t, err)
	p.m.Baud, p.m.Round = 57600, 20*time.Millisecond
	cfg.Port = "serial:" + line.Path
	cfg.Passage = passage.Config{Silence: 500 * time.Millisecond}
	require.NoError(t, cfg.Validate())
	d, err := uhf.New(cfg, devices.Env{Name: "gate", Log: slog.New(slog.DiscardHandler), Open: port.Open})
	require.NoError(t, err)
	power, cut := context.WithCancel(context.Background())
	ctx, cancel := context.WithCancel(context.Background())
	module, running := make(chan error, 1), make(chan error, 1)
	go func() { module <- p.m.Run(power) }()
	go func() { running <- d.Run(ctx, p.emit) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-running, context.Canceled)
		require.False(t, p.m.Polling(), "the transmitter is off")
		cut()
		require.NoError(t, <-module)
		require.NoError(t, line.Close())
	})
	return p
}

// Driver and firmware were written apart: here they meet, on a line whose speed the driver must find.
func TestModulesMeetTheirDriver(t *testing.T) {
	china := map[string][]byte{"bb7e": {1}, "a0": {3, 0x2B, 0x35}, "lenadr": {0x13, 0x40}, "swct": {0x2C, 0xA3}}
	for family, region := range china {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			power := 12.0
			p := newPost(t, family, 1, uhf.Config{PowerDBm: &power})
			p.m.Enter(parcelTag, 1, -50)
			p.said(t, "arrive")
			got, dBm := p.m.Region()
			require.Equal(t, region, got)
			require.InDelta(t, power, dBm, 0.01)
			p.m.Leave(parcelTag, 1)
			p.said(t, "arrive", "depart")
		})
	}
}

func TestModulesWithAntennasMeetTheirDriver(t *testing.T) {
	for _, family := range []string{"a0", "lenadr"} {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			p := newPost(t, family, 8, uhf.Config{Family: family, Antennas: []passage.Antenna{{Port: 1, Role: passage.Outer}, {Port: 6, Role: passage.Inner}}})
			for i := range byte(10) { // more tags than one frame of lenadr holds
				p.m.Enter([12]byte{0xE2, 11: i}, 6, -40)
			}
			arrive := repeated("arrive", 10)
			p.said(t, arrive...)
			p.m.Unseat(6, true)
			p.said(t, append(append(arrive, "antenna_lost"), repeated("depart", 10)...)...)
		})
	}
}

func repeated(word string, n int) (out []string) {
	for range n {
		out = append(out, word)
	}
	return out
}

// Nobody told the driver of the ports.
func TestAModuleOfManyPortsMeetsItsDriver(t *testing.T) {
	t.Parallel()
	p := newPost(t, "lenadr", 4, uhf.Config{Family: "lenadr"})
	p.m.Enter(parcelTag, 1, -50)
	p.said(t, "arrive")
}

// Whatever bytes come, a module finds the command behind them, and takes them off.
func FuzzModule(f *testing.F) {
	for _, s := range []string{
		"\xBB\x00\x27\x00\x03\x22\x27\x10\x83\x7E", "\xA0\x04\x01\x89\x01\xD1", "\x04\xFF\x01\x1B\xB4",
		"\x53\x57\x00\x05\xFF\x24\x05\x07\x22",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, family := range []string{"bb7e", "a0", "lenadr", "swct"} {
			m, err := NewModule(nil, family, 4)
			require.NoError(t, err)
			m.Enter(parcelTag, 1, -50)
			for b := in; len(b) > 0; {
				used, cmd, data, ok := m.wire.frame(b)
				if used == 0 {
					break
				}
				if ok {
					m.wire.answer(m, cmd, data)
				}
				b = b[used:]
			}
		}
	})
}

// The supply of a polling module breaks down: it is set up again, and the parcel never left.
func TestABrownOutMeetsTheDriver(t *testing.T) {
	t.Parallel()
	p := newPost(t, "bb7e", 1, uhf.Config{Family: "bb7e"})
	p.m.Enter(parcelTag, 1, -50)
	p.said(t, "arrive")
	p.m.BrownOut()
	require.Eventually(t, func() bool {
		region, _ := p.m.Region()
		return bytes.Equal(region, []byte{1}) && p.m.Polling()
	}, time.Minute, 20*time.Millisecond)
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return strings.Contains(strings.Join(p.told, " "), "module_reset")
	}, time.Minute, 20*time.Millisecond)
}
