package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/firmware-sim/internal/firmware"
	"yizhan/firmware-sim/internal/scenario"
)

// circling goes round a point, 100 m away, once in a minute.
func (s *stand) circling() (func(now time.Time) firmware.Fix, error) {
	lat, err := s.number("lat", 0)
	if err != nil {
		return nil, err
	}
	lon, err := s.number("lon", 0)
	if err != nil {
		return nil, err
	}
	if math.Abs(lat) > 85 || math.Abs(lon) > 180 {
		return nil, fmt.Errorf("%w\nlat must be -85 to 85, lon -180 to 180", errUsage)
	}
	return func(now time.Time) firmware.Fix {
		const radius, metresPerDegree = 100.0, 111_195.0
		turn := 2 * math.Pi * float64(now.UnixMilli()%60_000) / 60_000
		return firmware.Fix{
			Lat:       lat + radius/metresPerDegree*math.Cos(turn),
			Lon:       lon + radius/metresPerDegree*math.Sin(turn)/math.Cos(lat*math.Pi/180),
			AltitudeM: 520, SpeedMPS: 2 * math.Pi * radius / 60, HeadingDeg: math.Mod(turn*180/math.Pi+90, 360), Satellites: 12,
		}
	}, nil
}

func (s *stand) gnss(ctx context.Context) error {
	where, err := s.circling()
	if err != nil {
		return err
	}
	offset := time.Duration(0)
	if s.has("clock_wrong") {
		if offset, err = s.duration("clock_wrong", rollover); err != nil {
			return err
		}
	}
	chips := map[string]firmware.Generation{"nmea": 0, "m8": firmware.M8, "m10": firmware.M10}
	chip, ok := chips[s.words["chip"]]
	if !ok {
		return wrongWord("chip", s.words["chip"], "nmea, m8 or m10")
	}
	if chip == 0 && s.has("brown_out") || chip != 0 && s.has("clock_wrong") {
		return fmt.Errorf("%w\nclock_wrong is of chip=nmea, brown_out of the others", errUsage)
	}
	return s.cable(ctx, func(ctx context.Context, line *firmware.Faulty) error {
		if chip == 0 {
			return firmware.GPS{Line: line, Where: where, Offset: offset}.Run(ctx)
		}
		u := &firmware.UBlox{Line: line, Where: where, Chip: chip}
		return s.beside(ctx, "brown_out", u.PowerOn, u.Run)
	})
}

func (s *stand) handheld(ctx context.Context) error {
	off := time.Duration(0)
	if s.has("clock_wrong") {
		var err error
		if off, err = s.duration("clock_wrong", wrongZone); err != nil {
			return err
		}
	}
	h := &firmware.Handheld{Addr: s.address, Device: s.words["user"], Password: s.words["password"], Boot: secret()[:8]}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.Run(ctx) })
	g.Go(func() error {
		for wait(ctx, scanEach) == nil {
			if _, err := h.Queue("scan", time.Now().Add(off), map[string]string{"symbology": "code128", "text": s.words["text"]}); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// scanEach is how often somebody scans, steps in front of an antenna, or puts something on a scale.
const scanEach = 5 * time.Second

func (s *stand) jt808(ctx context.Context) error {
	where, err := s.circling()
	if err != nil {
		return err
	}
	f, err := s.faults()
	if err != nil {
		return err
	}
	t := &firmware.Terminal{
		Addr: s.address, Phone: s.words["phone"], Plate: "岭A·20311", Where: where, Every: 2 * time.Second,
		Faults: firmware.TerminalFaults{GCJ02: s.has("gcj02"), WrongCheck: s.has("wrong_check"), Noise: f.Noise, Cut: f.Cut},
	}
	versions := map[string]int{"2011": 2011, "2013": 2013, "2019": 2019}
	if t.Version = versions[s.words["version"]]; t.Version == 0 {
		return wrongWord("version", s.words["version"], "2011, 2013 or 2019")
	}
	digits := 12
	if t.Version == 2019 {
		digits = 20
	}
	if _, err := hex.DecodeString(fmt.Sprintf("%0*s", digits, t.Phone)); err != nil || len(t.Phone) > digits || len(t.Phone) < 7 {
		return wrongWord("phone", t.Phone, fmt.Sprintf("number of 7 to %d digits", digits))
	}
	if s.has("clock_wrong") {
		if t.Faults.ClockOffset, err = s.duration("clock_wrong", wrongZone); err != nil {
			return err
		}
	}
	return t.Run(ctx)
}

// walk brings a tag before each antenna in turn, and away.
func walk(ctx context.Context, r interface {
	Enter(epc [12]byte, antenna int, rssi int8)
	Leave(epc [12]byte, antenna int)
}, tag [12]byte, antennas int) error {
	for {
		for a := 1; a <= antennas; a++ {
			r.Enter(tag, a, -55)
			err := wait(ctx, scanEach/5)
			r.Leave(tag, a)
			if err != nil {
				return nil // the day is over
			}
		}
		if wait(ctx, scanEach) != nil {
			return nil
		}
	}
}

func (s *stand) tag() (epc [12]byte, err error) {
	b, err := hex.DecodeString(s.words["tag"])
	if err != nil || len(b) != len(epc) {
		return epc, wrongWord("tag", s.words["tag"], "EPC of 24 hexadecimal digits")
	}
	return [12]byte(b), nil
}

func (s *stand) llrp(ctx context.Context) error {
	tag, err := s.tag()
	if err != nil {
		return err
	}
	ln, err := s.listen()
	if err != nil {
		return err
	}
	r := &firmware.Reader{Antennas: 2}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.Serve(ctx, ln) })
	g.Go(func() error { return walk(ctx, r, tag, 2) })
	return g.Wait()
}

func (s *stand) uhf(ctx context.Context) error {
	tag, err := s.tag()
	if err != nil {
		return err
	}
	ports, err := s.count("ports", 1, 8)
	if err != nil {
		return err
	}
	if _, err := firmware.NewModule(nil, s.words["family"], ports); err != nil {
		return wrongWord("family", s.words["family"], "bb7e, a0, lenadr or swct")
	}
	return s.cable(ctx, func(ctx context.Context, line *firmware.Faulty) error {
		m, err := firmware.NewModule(line, s.words["family"], ports)
		if err != nil {
			return err
		}
		if line.WrongBaud { // not the factory's speed: who looks for it, finds it
			m.Baud, line.WrongBaud = 38400, s.onTCP()
		}
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return s.beside(ctx, "brown_out", m.BrownOut, m.Run) })
		g.Go(func() error { return walk(ctx, m, tag, ports) })
		return g.Wait()
	})
}

// cold is a temperature with a ripple.
func (s *stand) cold() (func(now time.Time) (celsius, humidity float64), error) {
	mean, err := s.number("celsius", 5)
	if err != nil {
		return nil, err
	}
	return func(now time.Time) (float64, float64) {
		ripple := math.Sin(float64(now.UnixMilli()%120_000) / 120_000 * 2 * math.Pi)
		return mean + 0.3*ripple, 60 + 5*ripple
	}, nil
}

func (s *stand) modbus(ctx context.Context) error {
	measure, err := s.cold()
	if err != nil {
		return err
	}
	unit, err := s.count("unit", 1, 247)
	if err != nil {
		return err
	}
	c := &firmware.Climate{Address: byte(unit), Measure: measure}
	c.SetFault(s.has("dead_probe"))
	if s.onTCP() {
		ln, err := s.listen()
		if err != nil {
			return err
		}
		return c.Serve(ctx, ln)
	}
	return s.cable(ctx, func(ctx context.Context, line *firmware.Faulty) error {
		c.Line = line
		return c.Run(ctx)
	})
}

func (s *stand) sht3x(ctx context.Context) error {
	measure, err := s.cold()
	if err != nil {
		return err
	}
	sensor := &firmware.SHT3x{Measure: measure}
	if s.has("dead_probe") {
		sensor.SetFault(firmware.SensorDead)
	}
	return s.cable(ctx, func(ctx context.Context, line *firmware.Faulty) error {
		b := &firmware.Bridge{Line: line, Devices: map[byte]*firmware.SHT3x{0x44: sensor}}
		return s.beside(ctx, "brown_out", sensor.PowerCut, b.Run)
	})
}

// onewire is a folder with a probe, which goes when the device is unplugged.
func (s *stand) onewire(ctx context.Context) error {
	measure, err := s.cold()
	if err != nil {
		return err
	}
	f, err := s.faults()
	if err != nil {
		return err
	}
	bus := &firmware.Thermometers{Dir: s.address}
	if err := bus.Plug(w1Probe, func(now time.Time) float64 { c, _ := measure(now); return c }); err != nil {
		return err
	}
	defer func() { _ = bus.Unplug(w1Probe) }()
	if _, err := fmt.Fprintln(s.stdout, s.address); err != nil {
		return err
	}
	every, err := s.duration("brown_out", eachTime)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return bus.Run(ctx) })
	g.Go(func() error {
		for began := time.Now(); ; {
			fault := firmware.ProbeWell
			switch {
			case s.has("dead_probe"):
				fault = firmware.ProbeOpen
			case s.has("brown_out") && time.Since(began) >= every:
				fault, began = firmware.ProbeBrownOut, time.Now()
			case rand.Float64() < f.Noise:
				fault = firmware.ProbeNoisy
			}
			if err := bus.SetFault(w1Probe, fault); err != nil || wait(ctx, time.Second) != nil {
				return err
			}
		}
	})
	return g.Wait()
}

// A locker is what hands do at its doors, and what is wrong with them.
type locker interface {
	scenario.Cabinet
	Jam(lock int, stuck bool)
	Force(lock int)
}

// doors are the cells that hands and faults reach: the fault jam is a door that doesn't let go when its relay pulls,
// stuck_door one that stands open and never shuts.
type doors struct{ cells, jam, stuck int }

func (s *stand) doors(cells int) (d doors, err error) {
	d.cells = cells
	if s.has("jam") {
		if d.jam, err = s.count("jam", 1, cells); err != nil {
			return d, err
		}
	}
	if s.has("stuck_door") {
		d.stuck, err = s.count("stuck_door", min(2, cells), cells)
	}
	return d, err
}

// hands put something in whatever opens, or take it out, and shut the door.
func (d doors) hands(ctx context.Context, l locker) error {
	if d.jam > 0 {
		l.Jam(d.jam, true)
	}
	if d.stuck > 0 {
		l.Force(d.stuck)
	}
	g, ctx := errgroup.WithContext(ctx)
	for cell := 1; cell <= d.cells; cell++ {
		if cell == d.stuck {
			continue
		}
		g.Go(func() error {
			for item := true; l.AwaitOpen(ctx, cell) == nil && wait(ctx, 3*time.Second) == nil; item = !item {
				if err := l.Put(cell, item); err != nil {
					return err
				}
				l.Shut(cell)
			}
			return nil
		})
	}
	return g.Wait()
}

func (s *stand) lockerbus(ctx context.Context) error {
	models := map[string]firmware.Model{"8a80": 0, "kr-cu12": firmware.KRCU12, "kr-cu16": firmware.KRCU16, "kr-cu24": firmware.KRCU24, "kr-cu48": firmware.KRCU48}
	model, ok := models[s.words["family"]]
	if !ok {
		return wrongWord("family", s.words["family"], "8a80, kr-cu12, kr-cu16, kr-cu24 or kr-cu48")
	}
	if s.has("echo") && model == 0 {
		return fmt.Errorf("%w\necho is of KERONG boards", errUsage)
	}
	cells, err := s.count("cells", 12, 50)
	if err != nil {
		return err
	}
	if model != 0 {
		cells = int(model)
	}
	d, err := s.doors(cells)
	if err != nil {
		return err
	}
	return s.cable(ctx, func(ctx context.Context, line *firmware.Faulty) error {
		g, ctx := errgroup.WithContext(ctx)
		if model == 0 {
			c := firmware.NewCabinet(line, cells, 1, 2)
			g.Go(func() error { return c.Run(ctx) })
			g.Go(func() error { return d.hands(ctx, c) })
			return g.Wait()
		}
		k := firmware.NewKerong(line, model, 1, 1)
		k.Echo = s.has("echo")
		g.Go(func() error { return k.Run(ctx) })
		g.Go(func() error { return d.hands(ctx, k) })
		return g.Wait()
	})
}

func (s *stand) mqttlocker(ctx context.Context) error {
	cells, err := s.count("cells", 12, 200)
	if err != nil {
		return err
	}
	d, err := s.doors(cells)
	if err != nil {
		return err
	}
	off := time.Duration(0)
	if s.has("clock_wrong") {
		if off, err = s.duration("clock_wrong", wrongZone); err != nil {
			return err
		}
	}
	l := firmware.NewLocker(s.address, s.words["user"], s.words["password"], s.words["uid"], cells)
	l.Clock = func() time.Time { return time.Now().Add(off) }
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.Run(ctx) })
	g.Go(func() error { return d.hands(ctx, l) })
	return g.Wait()
}

func (s *stand) modem(ctx context.Context) error {
	return s.cable(ctx, func(ctx context.Context, line *firmware.Faulty) error {
		m := firmware.NewModem(line)
		return s.beside(ctx, "brown_out", m.BrownOut, m.Run)
	})
}

func (s *stand) scale(ctx context.Context) error {
	return s.cable(ctx, func(ctx context.Context, line *firmware.Faulty) error {
		sc := &firmware.Scale{Line: line, Format: s.words["format"]}
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return sc.Run(ctx) })
		g.Go(func() error {
			for kg := 12.34; wait(ctx, scanEach) == nil; kg = 12.34 - kg {
				sc.Put(kg)
			}
			return nil
		})
		return g.Wait()
	})
}

func (s *stand) scanner(ctx context.Context) error {
	return s.cable(ctx, func(ctx context.Context, line *firmware.Faulty) error {
		sc := &firmware.Scanner{Line: line, AIM: s.has("aim")}
		for {
			if err := sc.Scan("C0", s.words["text"]); err != nil || wait(ctx, scanEach) != nil {
				return err
			}
		}
	})
}
