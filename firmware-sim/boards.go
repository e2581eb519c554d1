package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"yizhan/firmware-sim/internal/firmware"
	"yizhan/firmware-sim/internal/scenario"
)

// board is a gateway's surroundings: its address, and the devices wired to it.
type board struct {
	id      string
	addr    string // its own loopback address
	dir     string
	devices []string                          // entries of its configuration
	users   []*firmware.Handheld              // the devices that log in to its broker
	run     []func(ctx context.Context) error // the devices' firmware
}

// yard holds what the story moves things in front of.
type yard struct {
	county *scenario.County
	boards []*board
	doors  map[string]*firmware.Reader // by boundary
	vans   map[string]scenario.Reader  // by vehicle
	racks  map[string]scenario.Rack    // by locker
	lines  []*firmware.Line
	story  *scenario.Story
}

// wire makes the devices that the registry binds to a board's things. Nothing runs yet.
func (y *yard) wire(b *board, world *scenario.World) error {
	var cabinet *firmware.Cabinet
	var locker *scenario.Locker
	var hand *firmware.Handheld
	for _, bind := range y.county.Bindings {
		device, ok := strings.CutPrefix(bind.Device, b.id+"/")
		if !ok {
			continue
		}
		kind, thing, _ := strings.Cut(bind.Thing, "/")
		var err error
		switch {
		case kind == "boundary":
			y.doors[thing], err = y.reader(b, device, 2, 100*time.Millisecond, "antennas: [{port: 1, role: outer}, {port: 2, role: inner}]")
		case kind == "vehicle" && device == "gps":
			err = y.gps(b, device, thing)
		case kind == "vehicle":
			y.vans[thing], err = y.reader(b, device, 1, 500*time.Millisecond, "raw_interval: 10s")
		case kind == "coldbox":
			err = y.climate(b, device, thing)
		case kind == "locker":
			locker = y.county.Locker(thing)
			cabinet, err = y.cabinet(b, device, locker, world)
		case kind == "courier":
			hand = b.handheld(device)
		default:
			err = fmt.Errorf("%s: no device for a %s", bind.Device, kind)
		}
		if err != nil {
			return err
		}
	}
	if locker != nil && hand != nil {
		y.racks[locker.ID] = scenario.Rack{Cabinet: cabinet, Scanner: hand, Board: b.id + "/board"}
	}
	return nil
}

// line makes a serial cable whose name in the configuration stays the same.
func (y *yard) line(b *board, device string) (l *firmware.Line, port string, err error) {
	if l, err = firmware.OpenLine(); err != nil {
		return nil, "", err
	}
	y.lines = append(y.lines, l)
	name := filepath.Join(b.dir, "tty-"+device)
	return l, "serial:" + name + "?baud=9600", l.Plug(name)
}

func (y *yard) gps(b *board, device, vehicle string) error {
	l, port, err := y.line(b, device)
	if err != nil {
		return err
	}
	b.add(device, "gnss", port, "")
	gps := firmware.GPS{Line: l, Where: func(now time.Time) firmware.Fix {
		p := y.story.Where(vehicle, now)
		return firmware.Fix{
			Lat: p.Lat, Lon: p.Lon, AltitudeM: p.AltitudeM, SpeedMPS: p.SpeedMPS, HeadingDeg: p.HeadingDeg,
			Satellites: 11 + int(now.Unix()/30%5),
		}
	}}
	b.run = append(b.run, gps.Run)
	return nil
}

func (y *yard) climate(b *board, device, coldbox string) error {
	l, port, err := y.line(b, device)
	if err != nil {
		return err
	}
	box, index := y.county.ColdBox(coldbox)
	if box == nil {
		return fmt.Errorf("%s/%s: there is no cold box %s", b.id, device, coldbox)
	}
	b.add(device, "modbus", port, "every: 5s, units: [{unit: 1, probe: air, profile: xy-md02}]")
	unit := &firmware.Climate{Line: l, Address: 1, Measure: func(now time.Time) (float64, float64) {
		return y.story.Climate(box, index, now)
	}}
	b.run = append(b.run, unit.Run)
	return nil
}

func (y *yard) cabinet(b *board, device string, locker *scenario.Locker, world *scenario.World) (*firmware.Cabinet, error) {
	if locker == nil {
		return nil, fmt.Errorf("%s/%s: there is no such locker", b.id, device)
	}
	l, port, err := y.line(b, device)
	if err != nil {
		return nil, err
	}
	b.add(device, "lockerbus", port, fmt.Sprintf(
		"feedback: locked_short, occupancy: second_board, boards: [{board: 1, cells: %d, item_board: 2}]", len(locker.Cells)))
	c := firmware.NewCabinet(l, len(locker.Cells), 1, 2)
	c.Stock(world.Cells(locker.ID))
	b.run = append(b.run, c.Run)
	return c, nil
}

func (y *yard) reader(b *board, device string, antennas int, round time.Duration, settings string) (*firmware.Reader, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(b.addr, "0"))
	if err != nil {
		return nil, err
	}
	b.add(device, "llrp", "tcp:"+l.Addr().String(), settings)
	r := &firmware.Reader{Antennas: antennas, Round: round}
	b.run = append(b.run, func(ctx context.Context) error { return r.Serve(ctx, l) })
	return r, nil
}

// handheld adds a device that logs in to the board's broker.
func (b *board) handheld(device string) *firmware.Handheld {
	h := &firmware.Handheld{Addr: b.broker(), Device: device, Password: secret(), Boot: secret()[:8]}
	b.users = append(b.users, h)
	b.run = append(b.run, h.Run)
	return h
}

func (b *board) add(id, kind, port, settings string) {
	if settings != "" {
		settings = ", " + settings
	}
	b.devices = append(b.devices, fmt.Sprintf("{id: %s, kind: %s, port: %q%s}", id, kind, port, settings))
}

func (b *board) broker() string { return net.JoinHostPort(b.addr, "1883") }

func (b *board) status() string { return net.JoinHostPort(b.addr, "9101") }

func (b *board) file(name string) string { return filepath.Join(b.dir, name) }
