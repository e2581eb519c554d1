package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/firmware-sim/internal/firmware"
)

// A stand is a test stand with one device: where it is plugged in, and what it was told to be and to suffer.
type stand struct {
	address string
	words   map[string]string
	stdout  io.Writer
}

// A model is a kind of device that the stand takes.
type model struct {
	words []string // that it understands: settings with their defaults behind =, then faults
	run   func(s *stand, ctx context.Context) error
}

// The faults that every serial line has, and every connection that devices are called on.
var (
	lineFaults = []string{"noise", "cut", "wrong_baud", "unplug"}
	callFaults = []string{"noise", "cut", "unplug"}
)

// models lists the devices by the word that stands in a gateway's configuration.
var models = map[string]model{
	"gnss":       {append([]string{"chip=nmea", "lat=30.5", "lon=103.2", "clock_wrong", "brown_out"}, lineFaults...), (*stand).gnss},
	"handheld":   {[]string{"user=handheld", "password=", "text=YL000100001", "clock_wrong", "unplug"}, (*stand).handheld},
	"jt808":      {[]string{"phone=14400000001", "version=2013", "lat=30.5", "lon=103.2", "gcj02", "wrong_check", "noise", "cut", "clock_wrong", "unplug"}, (*stand).jt808},
	"keypad":     {append([]string{"family=panel", "keys=1#000000"}, lineFaults...), (*stand).keypad},
	"llrp":       {append([]string{"tag=" + sampleTag}, callFaults...), (*stand).llrp},
	"lockerbus":  {append([]string{"family=8a80", "cells=12", "echo", "stuck_door", "jam"}, lineFaults...), (*stand).lockerbus},
	"modbus":     {append([]string{"unit=1", "celsius=5", "dead_probe"}, lineFaults...), (*stand).modbus},
	"modem":      {append([]string{"brown_out"}, lineFaults...), (*stand).modem},
	"mqttlocker": {[]string{"user=wall", "password=", "uid=wall", "cells=12", "stuck_door", "jam", "clock_wrong", "unplug"}, (*stand).mqttlocker},
	"onewire":    {[]string{"celsius=5", "noise", "dead_probe", "brown_out", "unplug"}, (*stand).onewire},
	"scale":      {append([]string{"format=st-gs"}, lineFaults...), (*stand).scale},
	"scanner":    {append([]string{"text=YL000100001", "aim"}, lineFaults...), (*stand).scanner},
	"sht3x":      {append([]string{"celsius=5", "dead_probe", "brown_out"}, lineFaults...), (*stand).sht3x},
	"uhf":        {append([]string{"family=bb7e", "ports=1", "tag=" + sampleTag, "brown_out"}, lineFaults...), (*stand).uhf},
}

// sampleTag is an SSCC-96 under the prefix that GS1 keeps for examples.
const sampleTag = "3154455ad500000000010000"

const (
	chance    = 0.05             // of noise, and of a cut
	eachTime  = 20 * time.Second // that a fault comes and goes
	rollover  = -1024 * 7 * 24 * time.Hour
	wrongZone = -8 * time.Hour
)

// device plays one device until ctx ends: at KIND ADDRESS, then words.
func device(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) < 2 {
		return fmt.Errorf("%w\nKIND is one of %s", errUsage, strings.Join(slices.Sorted(maps.Keys(models)), ", "))
	}
	m, ok := models[args[0]]
	if !ok {
		return fmt.Errorf("%w\nKIND %.40q is none of %s", errUsage, args[0], strings.Join(slices.Sorted(maps.Keys(models)), ", "))
	}
	s := &stand{address: args[1], words: map[string]string{}, stdout: stdout}
	for _, w := range m.words {
		if name, value, ok := strings.Cut(w, "="); ok {
			s.words[name] = value
		}
	}
	for _, w := range args[2:] {
		name, value, _ := strings.Cut(w, "=")
		if !slices.ContainsFunc(m.words, func(known string) bool { known, _, _ = strings.Cut(known, "="); return known == name }) {
			return fmt.Errorf("%w\n%s has no %.40q, but %s", errUsage, args[0], name, strings.Join(m.words, ", "))
		}
		s.words[name] = value
	}
	err := s.sessions(ctx, m)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// sessions runs the device; with the fault unplug it is taken off every while, for a quarter of that.
func (s *stand) sessions(ctx context.Context, m model) error {
	if !s.has("unplug") {
		return m.run(s, ctx)
	}
	every, err := s.duration("unplug", eachTime)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		session, cancel := context.WithTimeout(ctx, every)
		err := m.run(s, session)
		over := session.Err()
		cancel()
		if over == nil {
			return err
		}
		_ = wait(ctx, every/4)
	}
	return nil
}

func (s *stand) has(word string) bool {
	_, ok := s.words[word]
	return ok
}

func wrongWord(name, value, want string) error {
	return fmt.Errorf("%w\n%s: %.40q is no %s", errUsage, name, value, want)
}

func (s *stand) number(name string, def float64) (float64, error) {
	v := s.words[name]
	if v == "" {
		return def, nil
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || f != f {
		return 0, wrongWord(name, v, "number")
	}
	return f, nil
}

// count reads a whole number of 1 to most.
func (s *stand) count(name string, def, most int) (int, error) {
	v := s.words[name]
	if v == "" {
		return def, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		return 0, wrongWord(name, v, fmt.Sprintf("number of 1 to %d", most))
	}
	return n, nil
}

func (s *stand) duration(name string, def time.Duration) (time.Duration, error) {
	v := s.words[name]
	if v == "" {
		return def, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || name != "clock_wrong" && d <= 0 {
		return 0, wrongWord(name, v, "duration such as 20s")
	}
	return d, nil
}

// faults are those of the wire.
func (s *stand) faults() (f firmware.Faults, err error) {
	for name, into := range map[string]*float64{"noise": &f.Noise, "cut": &f.Cut} {
		if !s.has(name) {
			continue
		}
		if *into, err = s.number(name, chance); err != nil {
			return f, err
		}
		if *into < 0 || *into > 1 {
			return f, wrongWord(name, s.words[name], "chance of 0 to 1")
		}
	}
	f.WrongBaud = s.has("wrong_baud")
	return f, nil
}

// listen takes the stand's address.
func (s *stand) listen() (net.Listener, error) {
	f, err := s.faults()
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", s.address)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintln(s.stdout, ln.Addr()); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return firmware.FaultyListener{Listener: ln, Faults: f}, nil
}

// onTCP reports whether the address is one to listen on, and not a terminal.
func (s *stand) onTCP() bool { return s.address != "pty" && !strings.HasPrefix(s.address, "/") }

// cable runs a device with a serial line: on a pty whose name is printed, on one that gets the name given, or behind a
// serial server.
func (s *stand) cable(ctx context.Context, run func(ctx context.Context, line *firmware.Faulty) error) error {
	f, err := s.faults()
	if err != nil {
		return err
	}
	line, err := firmware.OpenLine()
	if err != nil {
		return err
	}
	defer line.Close()
	g, ctx := errgroup.WithContext(ctx)
	name := line.Path
	switch {
	case s.onTCP():
		ln, err := net.Listen("tcp", s.address)
		if err != nil {
			return err
		}
		name = ln.Addr().String()
		g.Go(func() error { return line.Share(ctx, ln) })
	case s.address != "pty":
		name = s.address
		if err := line.Plug(name); err != nil {
			return err
		}
		defer os.Remove(name)
	}
	g.Go(func() error {
		if _, err := fmt.Fprintln(s.stdout, name); err != nil {
			return err
		}
		return run(ctx, &firmware.Faulty{Line: line, Faults: f})
	})
	return g.Wait()
}

// beside runs f every while beside a device, where the fault was asked for.
func (s *stand) beside(ctx context.Context, fault string, f func(), run func(ctx context.Context) error) error {
	every, err := s.duration(fault, eachTime)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return run(ctx) })
	if s.has(fault) {
		g.Go(func() error {
			for wait(ctx, every) == nil {
				f()
			}
			return nil
		})
	}
	return g.Wait()
}

// wait lets time pass, or fails when ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
