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
	id        string
	addr      string // its own loopback address
	dir       string
	devices   []string                          // entries of its configuration
	users     []login                           // the devices that log in to its broker
	locker    *scenario.Locker                  // that its gateway keeps, or nil
	sim       string                            // the site whose people its SIM tells, or empty
	terminals []string                          // entries of its network of terminals
	run       []func(ctx context.Context) error // the devices' firmware
}

// login is a device that logs in to a board's broker.
type login struct{ name, password string }

// yard holds what the story moves things in front of.
type yard struct {
	county *scenario.County
	boards []*board
	doors  map[string]scenario.Reader // by boundary
	vans   map[string]scenario.Reader // by vehicle
	racks  map[string]scenario.Rack   // by locker
	sims   map[string]*firmware.Modem // by the site whose people are told by it
	lines  []*firmware.Line
	story  *scenario.Story
}

// wire makes the devices that the registry binds to a board's things, each of the make that stands there. Nothing runs
// yet.
func (y *yard) wire(b *board, world *scenario.World) error {
	var rack scenario.Rack
	var locker *scenario.Locker
	for _, bind := range y.county.Bindings {
		device, ok := strings.CutPrefix(bind.Device, b.id+"/")
		if !ok {
			continue
		}
		kind, thing, _ := strings.Cut(bind.Thing, "/")
		var err error
		switch {
		case kind == "boundary":
			y.doors[thing], err = y.door(b, device)
		case kind == "vehicle" && device == "gps":
			err = y.gps(b, device, thing)
		case kind == "vehicle" && strings.HasSuffix(device, "-term"):
			err = y.terminal(b, device, thing)
		case kind == "vehicle":
			y.vans[thing], err = y.reader(b, device, 1, 500*time.Millisecond, "raw_interval: 10s")
		case kind == "coldbox":
			err = y.climate(b, device, thing)
		case kind == "locker":
			locker = y.county.Locker(thing)
			rack.Board = bind.Device
			rack.Cabinet, err = y.cabinet(b, device, locker, world)
		case kind == "courier":
			rack.Scanner = b.handheld(device)
		case kind == "site" && device == "modem":
			err = y.modem(b, device, thing)
		default:
			err = fmt.Errorf("%s: no device for a %s", bind.Device, kind)
		}
		if err != nil {
			return err
		}
	}
	b.gather()
	if locker != nil && kept[b.id] {
		if err := y.keep(b, locker, &rack); err != nil {
			return err
		}
	}
	if locker != nil && rack.Scanner != nil {
		y.racks[locker.ID] = rack
	}
	return nil
}

// line makes a serial cable whose name in the configuration stays the same.
func (y *yard) line(b *board, device string, baud int) (l *firmware.Line, port string, err error) {
	if l, err = firmware.OpenLine(); err != nil {
		return nil, "", err
	}
	y.lines = append(y.lines, l)
	name := filepath.Join(b.dir, "tty-"+device)
	return l, fmt.Sprintf("serial:%s?baud=%d", name, baud), l.Plug(name)
}

// sky is what a receiver in a vehicle sees.
func (y *yard) sky(vehicle string) func(now time.Time) firmware.Fix {
	return func(now time.Time) firmware.Fix {
		p := y.story.Where(vehicle, now)
		return firmware.Fix{
			Lat: p.Lat, Lon: p.Lon, AltitudeM: p.AltitudeM, SpeedMPS: p.SpeedMPS, HeadingDeg: p.HeadingDeg,
			Satellites: 11 + int(now.Unix()/30%5),
		}
	}
}

func (y *yard) gps(b *board, device, vehicle string) error {
	l, port, err := y.line(b, device, 9600)
	if err != nil {
		return err
	}
	b.add(device, "gnss", port, "")
	b.run = append(b.run, firmware.GPS{Line: l, Where: y.sky(vehicle)}.Run)
	return nil
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

// handheld adds a scanner that logs in to the board's broker.
func (b *board) handheld(device string) *firmware.Handheld {
	h := &firmware.Handheld{Addr: b.broker(), Device: device, Password: b.user(device), Boot: secret()[:8]}
	b.run = append(b.run, h.Run)
	return h
}

// user lets a device log in to the board's broker.
func (b *board) user(name string) (password string) {
	u := login{name, secret()}
	b.users = append(b.users, u)
	return u.password
}

func (b *board) add(id, kind, port, settings string) {
	if port != "" {
		port = fmt.Sprintf(", port: %q", port)
	}
	if settings != "" {
		settings = ", " + settings
	}
	b.devices = append(b.devices, fmt.Sprintf("{id: %s, kind: %s%s%s}", id, kind, port, settings))
}

func (b *board) broker() string { return net.JoinHostPort(b.addr, "1883") }

func (b *board) status() string { return net.JoinHostPort(b.addr, "9101") }

func (b *board) file(name string) string { return filepath.Join(b.dir, name) }
