package uhf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/devicestest"
	"yizhan/devices/passage"
	"yizhan/devices/port"
	"yizhan/devices/port/porttest"
	"yizhan/devices/telemetry"
)

const speed = "baud=57600" // of every module on a serial gate

func testDriver(t testing.TB, cfg Config, open port.Opener) *Driver {
	t.Helper()
	if cfg.Port == "" {
		cfg.Port = "serial:/dev/ttyUSB0"
	}
	require.NoError(t, cfg.Validate())
	d, err := New(cfg, devices.Env{Name: "gate", Log: slog.New(slog.DiscardHandler), Open: open})
	require.NoError(t, err)
	return d
}

// A gate is a driver wired to a module, and the spool that takes its readings.
type gate struct {
	t      *testing.T
	d      *Driver
	m      *module
	cancel context.CancelFunc
	done   chan error
	plugs  []func()
	wg     sync.WaitGroup
	opened []string

	mu       sync.Mutex
	readings []telemetry.Reading
	refuse   func([]telemetry.Reading) error // what emit answers
}

// deaf is what a module at another speed is: it hears and sends noise.
func deaf(ctx context.Context, conn devicestest.Conn) {
	b := make([]byte, 64)
	for ctx.Err() == nil {
		n, err := conn.Read(b)
		if err != nil {
			return
		}
		for i := range b[:n] {
			b[i] = b[i]<<3 ^ 0xA5
		}
		if _, err := conn.Write(b[:n]); err != nil {
			return
		}
	}
}

func newGate(t *testing.T, cfg Config, m *module) *gate {
	g := &gate{t: t, m: m}
	idle(time.Until(time.Date(2026, 8, 5, 6, 0, 0, 0, time.UTC))) // bubbles begin in 2000, which no clock of ours shows
	g.d = testDriver(t, cfg, func(_ context.Context, addr string) (port.Port, error) {
		g.opened = append(g.opened, addr)
		driver, device := porttest.Pipe()
		ctx, cancel := context.WithCancel(context.Background())
		unplug := sync.OnceFunc(func() { cancel(); device.Close() })
		g.plugs = append(g.plugs, unplug)
		g.wg.Go(func() {
			defer unplug()
			if strings.HasPrefix(addr, "serial:") && !strings.Contains(addr, speed) {
				deaf(ctx, device)
				return
			}
			m.run(ctx, device)
		})
		return driver, nil
	})
	t.Cleanup(func() {
		if g.cancel != nil {
			g.cancel()
		}
		g.unplug()
	})
	return g
}

func (g *gate) start() {
	var ctx context.Context
	ctx, g.cancel = context.WithCancel(context.Background())
	g.done = make(chan error, 1)
	g.wg.Go(func() { g.done <- g.d.Run(ctx, g.emit) })
}

func (g *gate) emit(ctx context.Context, rs ...telemetry.Reading) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range rs {
		require.NoError(g.t, r.Validate())
		require.Equal(g.t, "gate", r.Device)
	}
	if g.refuse != nil {
		if err := g.refuse(rs); err != nil {
			return err
		}
	}
	g.readings = append(g.readings, rs...)
	return ctx.Err()
}

func (g *gate) ended() error {
	g.t.Helper()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	select {
	case err := <-g.done:
		return err
	case <-timer.C:
		require.FailNow(g.t, "Run goes on")
		return nil
	}
}

func (g *gate) stop() {
	g.t.Helper()
	began := time.Now()
	g.cancel()
	require.ErrorIs(g.t, g.ended(), context.Canceled)
	require.Less(g.t, time.Since(began), time.Second)
	g.unplug()
	g.wg.Wait()
}

func (g *gate) unplug() {
	for _, f := range g.plugs {
		f()
	}
	g.plugs = nil
}

func (g *gate) of(kind telemetry.Kind, raw bool) (out []telemetry.Reading) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.readings {
		if r.Kind == kind && r.RawRead() == raw {
			out = append(out, r)
		}
	}
	return out
}

// passages as "arrive 1 E1", alarms as "module_reset".
func (g *gate) told() (out []string) {
	for _, r := range g.of(telemetry.KindTag, false) {
		tag, err := telemetry.As[telemetry.Tag](r)
		require.NoError(g.t, err)
		out = append(out, fmt.Sprintf("%s %d %s", tag.Passage, tag.Antenna.Or(0), tag.EPCHex[22:]))
	}
	return out
}

func (g *gate) alarms() (out []string) {
	for _, r := range g.of(telemetry.KindAlarm, false) {
		a, err := telemetry.As[telemetry.Alarm](r)
		require.NoError(g.t, err)
		out = append(out, a.Code)
	}
	return out
}

func idle(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

var twoSides = []passage.Antenna{{Port: 1, Role: passage.Outer}, {Port: 2, Role: passage.Inner}}

func eachFamily(t *testing.T, test func(t *testing.T, f family)) {
	for _, f := range families() {
		t.Run(f.word(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, f) })
		})
	}
}

func ptr(v float64) *float64 { return &v }

// present puts tag E1 into the field of antenna 1 from one moment to another.
func present(from, to time.Duration) func(int) []int {
	began := time.Now()
	return func(antenna int) []int {
		if at := time.Since(began); antenna == 1 && at >= from && at < to {
			return []int{0xE1}
		}
		return nil
	}
}

func TestAParcelStandsInTheField(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		m := &module{fam: f}
		g := newGate(t, Config{PowerDBm: ptr(26)}, m)
		m.field = present(30*time.Second, 50*time.Second)
		g.start()
		idle(2 * time.Minute)
		g.stop()

		a := 1
		if f.word() == "lenadr" {
			a = 0 // single-port firmware doesn't say
		}
		require.Equal(t, []string{fmt.Sprintf("arrive %d E1", a), fmt.Sprintf("depart %d E1", a)}, g.told())
		for _, r := range g.of(telemetry.KindTag, false) {
			require.True(t, r.At.IsZero(), "modules have no clock")
			require.NotEmpty(t, r.N)
		}
		depart := g.of(telemetry.KindTag, false)[1]
		require.InDelta(t, 3000, depart.ErrMS, 400)
		raw := g.of(telemetry.KindTag, true)
		require.InDelta(t, 20, len(raw), 2, "raw reads are one a second for tag and antenna")
		tag, err := telemetry.As[telemetry.Tag](raw[5])
		require.NoError(t, err)
		if f.word() != "lenadr" { // single-port firmware doesn't say
			require.Equal(t, telemetry.Some(-46.0), tag.RSSIDBm)
			require.Contains(t, string(raw[5].Body), `"rssi_raw":`)
		}

		c := g.d.Counters()
		require.Empty(t, g.alarms())
		require.EqualValues(t, 1, c["connects"])
		require.Zero(t, c["resets"]+c["restarts"]+c["bad_checksum"]+c["refusals"]+c["timeouts"]+c["bad_report"])
		require.NotZero(t, c["rounds"])
		require.Equal(t, 0, m.polls, "the transmitter is off")
		m.do(func() {
			region, power := map[string]string{"bb7e": "\x01", "a0": "\x03\x2b\x35", "lenadr": "\x13\x40", "swct": "\x2c\xa3"}, map[string]int{"bb7e": 2600}
			require.Equal(t, region[f.word()], string(m.region))
			if want := power[f.word()]; want != 0 {
				require.Equal(t, want, m.power)
			} else {
				require.Equal(t, 26, m.power)
			}
		})
		require.True(t, strings.Contains(g.opened[len(g.opened)-1], speed))

		// The next Run knows where the module is, and writes nothing that is set already.
		g.opened, m.commands = nil, nil
		g.start()
		idle(5 * time.Second)
		g.stop()
		require.Len(t, g.opened, 1)
		for _, write := range []byte{bbSetPower, a0SetPower, laSetPower, bbSetRegion, a0SetRegion, laSetRegion} {
			require.NotContains(t, m.said()[1:], write)
		}
	})
}

func TestTwoAntennasTellTheWay(t *testing.T) {
	for _, f := range []family{a0{}, lenadr{}} {
		synctest.Test(t, func(t *testing.T) {
			m := &module{fam: f}
			g := newGate(t, Config{Antennas: twoSides, Family: f.word()}, m)
			began := time.Now()
			m.field = func(antenna int) []int {
				at := time.Since(began)
				if at > 10*time.Second && at < 12*time.Second && antenna == 1 || at > 11*time.Second && at < 13*time.Second && antenna == 2 {
					return []int{7}
				}
				return nil
			}
			g.start()
			idle(time.Minute)
			g.stop()
			require.Equal(t, []string{"arrive 1 07", "in 2 07", "depart 2 07"}, g.told(), f.word())
		})
	}
}

func TestAMissingAntennaIsToldOnce(t *testing.T) {
	for _, f := range []family{a0{}, lenadr{}} {
		synctest.Test(t, func(t *testing.T) {
			m := &module{fam: f, missing: map[int]bool{2: true}, field: func(int) []int { return []int{1} }}
			g := newGate(t, Config{Antennas: twoSides}, m)
			g.start()
			idle(5 * time.Minute)
			require.Equal(t, []string{"antenna_lost"}, g.alarms())
			m.do(func() { m.missing = nil })
			idle(5 * time.Minute)
			g.stop()
			require.Equal(t, []string{"antenna_lost", "antenna_back"}, g.alarms())
			require.Equal(t, []string{"arrive 1 01"}, g.told())
		})
	}
}

func TestABrownOutIsNoticed(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		m := &module{fam: f, field: func(int) []int { return []int{1} }}
		g := newGate(t, Config{PowerDBm: ptr(20), Passage: passage.Config{Silence: time.Minute, MaxSilence: time.Minute}}, m)
		g.start()
		idle(20 * time.Second)
		m.brownOut()
		idle(time.Minute)
		g.stop()
		c := g.d.Counters()
		require.EqualValues(t, 1, c["resets"])
		require.Equal(t, []string{"module_reset"}, g.alarms())
		require.Len(t, g.told(), 1, "nobody departs")
		require.NotNil(t, m.region)
		require.NotZero(t, m.power)
		require.EqualValues(t, 1, c["connects"])
	})
}

func TestASilentModuleIsGivenUpAndItsTagsStay(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family) {
		m := &module{fam: f, field: func(int) []int { return []int{1} }}
		g := newGate(t, Config{}, m)
		g.start()
		idle(20 * time.Second)
		m.do(func() { m.dead = true })
		began := time.Now()
		err := g.ended()
		require.ErrorContains(t, err, "no sound frame for 10s")
		require.NotErrorIs(t, err, devices.ErrPermanent)
		require.InDelta(t, 10, time.Since(began).Seconds(), 2)
		g.unplug()
		g.start()
		err = g.ended()
		require.ErrorIs(t, err, errNobody)
		require.NotErrorIs(t, err, devices.ErrPermanent)
		g.unplug()
		idle(10 * time.Minute)
		m.do(func() { m.dead = false })
		g.start()
		idle(20 * time.Second)
		g.stop()
		require.Len(t, g.told(), 1, "departed: %v", g.told())
	})
}

func TestRefusedSettingsAreBelievedTheThirdTime(t *testing.T) {
	for name, c := range map[string]struct {
		m    *module
		want string
	}{
		"bb7e region":            {&module{fam: bb7e{}, refuse: map[byte]byte{bbSetRegion: 0x17}}, "region: command error (code 17)"},
		"a0 region":              {&module{fam: a0{}, refuse: map[byte]byte{a0SetRegion: 0x49}}, "region: region out of range (code 49)"},
		"lenadr region":          {&module{fam: lenadr{}, refuse: map[byte]byte{laSetRegion: 0xFF}}, "region: wrong parameter (code FF)"},
		"swct region":            {&module{fam: swct{}, refuse: map[byte]byte{swSetRegion: 0}}, "region: not obeyed (code 00)"},
		"bb7e power is limited":  {&module{fam: bb7e{}, cap: 2000}, "power_dbm: set to BB8, reads back as 7D0"},
		"a0 power is limited":    {&module{fam: a0{}, cap: 26}, "power_dbm: set to 1E, reads back as 1A"},
		"power can't be told":    {&module{fam: bb7e{}, refuse: map[byte]byte{bbGetPower: 0x17}}, "what was set can't be read back"},
		"lenadr has eight ports": {&module{fam: lenadr{}}, "antennas[0].port: 9"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := c.m
				cfg := Config{PowerDBm: ptr(30)}
				if strings.Contains(name, "ports") {
					cfg.Antennas = []passage.Antenna{{Port: 9}}
				}
				g := newGate(t, cfg, m)
				for i := range refusalLimit {
					g.start()
					err := g.ended()
					require.ErrorContains(t, err, c.want)
					require.Equal(t, i == refusalLimit-1, errors.Is(err, devices.ErrPermanent))
					g.unplug()
				}
			})
		})
	}
}

func TestAModuleThatDoesNotReadTags(t *testing.T) {
	for name, m := range map[string]*module{
		"a0":     {fam: a0{}, refuse: map[byte]byte{a0RealTime: 0x21}},
		"lenadr": {fam: lenadr{}, refuse: map[byte]byte{laInventory: 0xF9}},
		"bb7e":   {fam: bb7e{}, refuse: map[byte]byte{bbMultiPoll: 0x17}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate(t, Config{}, m)
				g.start()
				err := g.ended()
				require.ErrorContains(t, err, "the module doesn't read tags")
				require.NotErrorIs(t, err, devices.ErrPermanent)
				g.unplug()
			})
		})
	}
}

// Firmware that says nothing while no tag is there is asked again and again, and no reset is told.
func TestAQuietPollIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &module{fam: bb7e{}, quietly: true}
		g := newGate(t, Config{}, m)
		m.field = present(5*time.Minute, 5*time.Minute+5*time.Second)
		g.start()
		idle(6 * time.Minute)
		g.stop()
		require.Equal(t, []string{"arrive 1 E1", "depart 1 E1"}, g.told())
		require.Empty(t, g.alarms())
		require.Greater(t, g.d.Counters()["restarts"], uint64(100))
		// Nothing but a stop follows a poll.
		said := m.said()
		for i, cmd := range said[:len(said)-1] {
			if cmd == bbMultiPoll {
				require.EqualValues(t, bbStop, said[i+1])
			}
		}
	})
}

// A gateway that died left the module polling.
func TestAModuleThatPollsAlready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &module{fam: bb7e{}, polls: 1 << 16, field: func(int) []int { return []int{1, 2, 3} }}
		g := newGate(t, Config{}, m)
		g.start()
		idle(time.Minute)
		g.stop()
		require.Len(t, g.told(), 3)
		require.Zero(t, g.d.Counters()["timeouts"])
	})
}

func TestAModuleThatMakesUpCRCs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &module{fam: bb7e{}, garbled: true, field: func(int) []int { return []int{1} }}
		g := newGate(t, Config{Family: "bb7e"}, m)
		g.start()
		idle(time.Minute)
		g.stop()
		require.Equal(t, []string{"arrive 1 01"}, g.told())
		require.EqualValues(t, 8, g.d.Counters()["bad_tag_crc"])
	})
}

// Firmware of readers with several ports wants Q and session in the question.
func TestAnInventoryInTheLongerForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &module{fam: lenadr{}, wantsQ: true, field: func(int) []int { return []int{1} }}
		g := newGate(t, Config{}, m)
		g.start()
		idle(time.Minute)
		g.stop()
		require.Equal(t, []string{"arrive 0 01"}, g.told())
		require.EqualValues(t, 1, g.d.Counters()["refusals"])
	})
}

func TestBlindSettings(t *testing.T) {
	for name, m := range map[string]*module{
		"refused":    {fam: swct{}, refuse: map[byte]byte{swGetParam: 0}},
		"unanswered": {fam: swct{}, mute: func(cmd byte) bool { return cmd == swGetParam }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m.field = func(int) []int { return []int{1} }
				g := newGate(t, Config{PowerDBm: ptr(12)}, m)
				g.start()
				idle(20 * time.Second)
				g.stop()
				require.Equal(t, []string{"arrive 1 01"}, g.told())
				require.EqualValues(t, 3, g.d.Counters()["unverified"])
				require.Equal(t, 12, m.power)
			})
		})
	}
}

func TestWhatCouldNotBeHandedOverComesFirstAndUnderItsId(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &module{fam: bb7e{}, field: func(int) []int { return []int{1} }}
		g := newGate(t, Config{}, m)
		full := errors.New("the spool is full")
		var lost telemetry.Reading
		g.refuse = func(rs []telemetry.Reading) error {
			if i := slices.IndexFunc(rs, func(r telemetry.Reading) bool { return !r.RawRead() }); i >= 0 {
				lost = rs[i]
				return full
			}
			return nil
		}
		g.start()
		require.ErrorIs(t, g.ended(), full)
		require.Zero(t, m.polls, "the transmitter is off")
		g.unplug()
		g.refuse = nil
		g.start()
		idle(20 * time.Second)
		g.stop()
		got := g.of(telemetry.KindTag, false)
		require.Len(t, got, 1)
		require.True(t, lost.Same(got[0]))
	})
}

func TestTCPHasNoSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &module{fam: a0{}, field: func(int) []int { return []int{1} }}
		g := newGate(t, Config{Port: "tcp:192.168.1.60:4001", RawReads: "off"}, m)
		g.start()
		idle(20 * time.Second)
		g.stop()
		require.Equal(t, []string{"tcp:192.168.1.60:4001"}, g.opened)
		require.Equal(t, []string{"arrive 1 01"}, g.told())
		require.Empty(t, g.of(telemetry.KindTag, true))
	})
}

func TestAddresses(t *testing.T) {
	for p, want := range map[string][]string{
		"serial:/dev/ttyUSB0":                   {"serial:/dev/ttyUSB0?baud=115200", "serial:/dev/ttyUSB0?baud=9600"},
		"serial:/dev/ttyUSB0?baud=9600":         {"serial:/dev/ttyUSB0?baud=9600", "serial:/dev/ttyUSB0?baud=115200"},
		"serial:/dev/ttyS1?parity=E&baud=19200": {"serial:/dev/ttyS1?baud=19200&parity=E", "serial:/dev/ttyS1?baud=115200&parity=E", "serial:/dev/ttyS1?baud=9600&parity=E"},
		"tcp:192.168.1.60:4001":                 {"tcp:192.168.1.60:4001"},
	} {
		got := Config{Port: p, Bauds: []int{115200, 9600}}.withDefaults().addresses()
		require.Equal(t, want, got)
		for _, a := range got {
			require.NoError(t, port.Check(a))
		}
	}
}

func TestTheUsualSpeedIsTriedFirst(t *testing.T) {
	for _, f := range families() {
		require.Equal(t, f.baud(), Config{Family: f.word()}.withDefaults().Bauds[0])
	}
}

func TestConfigNamesEveryWrongField(t *testing.T) {
	power, address := 99.0, 255
	err := Config{
		Port: "nowhere", Family: "bluetooth", Bauds: []int{9600, 9600, 1}, Address: &address, Antennas: []passage.Antenna{{Port: 1, Role: "left"}},
		PowerDBm: &power, RSSI: RSSI{Profile: "linear"}, Interval: 1, Silence: 1, RawReads: "maybe", RawInterval: 1, Passage: passage.Config{MinReads: 99},
	}.Validate()
	for _, field := range []string{"port:", "family", "bauds[1]", "bauds[2]", "address", "antennas[0].role", "power_dbm", "rssi: scale", "interval", "silence",
		"raw_reads", "raw_interval", "passage: min_reads"} {
		require.ErrorContains(t, err, field)
	}
	require.NoError(t, Config{Port: "serial:/dev/ttyUSB0"}.Validate())
	require.ErrorContains(t, Config{Port: "serial:/dev/ttyUSB0", Family: "bb7e", Antennas: []passage.Antenna{{Port: 2}}}.Validate(), "antennas[0].port: 2, modules of family bb7e have at most 1")
	for _, r := range []RSSI{{Profile: "dB"}, {Scale: 2}, {Profile: "signed", Offset: 3}} {
		require.ErrorContains(t, Config{Port: "serial:/dev/ttyUSB0", RSSI: r}.Validate(), "rssi: ")
	}
}

func TestContract(t *testing.T) {
	for _, f := range families() {
		t.Run(f.word(), func(t *testing.T) {
			newDriver := func(open port.Opener) devices.Driver { return testDriver(t, Config{}, open) }
			told := func(open port.Opener) devices.Driver { return testDriver(t, Config{Family: f.word()}, open) }
			device := func(ctx context.Context, conn devicestest.Conn) {
				(&module{fam: f, field: func(int) []int { return []int{1, 2} }}).run(ctx, conn)
			}
			devicestest.Contract(t, newDriver, device)
			devicestest.OnPTY(t, told, device)
			if f.word() != "bb7e" {
				devicestest.OnTCP(t, told, device)
			}
		})
	}
}
