package sample

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"yizhan/devices"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

const maxLine, silence = 64, 30 * time.Second

// Config is what stands in the gateway's configuration beside id and kind.
type Config struct {
	Port  string `yaml:"port"`
	Probe string `yaml:"probe"` // the name in the readings
}

// Validate reports every wrong field at once.
func (c Config) Validate() (err error) {
	if e := port.Check(c.Port); e != nil {
		err = fmt.Errorf("port: %w", e)
	}
	if c.Probe == "" {
		err = errors.Join(err, errors.New("probe: is missing"))
	}
	return err
}

// Driver reads one thermometer.
type Driver struct {
	devices.BadFrames // gives LastBad

	cfg    Config
	env    devices.Env
	counts counts
}

// New makes the driver of a valid config. It does no I/O.
func New(c Config, env devices.Env) (*Driver, error) { return &Driver{cfg: c, env: env}, nil }

// Counters returns the counters of doc.go.
func (d *Driver) Counters() map[string]uint64 { return d.counts.named() }

// Run reads until ctx ends or the port fails: it has no retries, the runtime runs it again.
func (d *Driver) Run(ctx context.Context, emit devices.Emit) error {
	p, err := d.env.Open(ctx, d.cfg.Port)
	if err != nil {
		return err
	}
	defer p.Close()
	defer context.AfterFunc(ctx, func() { _ = p.Close() })() // ends a Read that waits
	err = read(p, func() error { return p.SetReadDeadline(time.Now().Add(silence)) }, &decoder{
		device: d.env.Name, probe: d.cfg.Probe, counts: &d.counts,
		emit:   func(r telemetry.Reading) error { return emit(ctx, r) },
		reject: func(_ int64, raw []byte, why string) { d.Add(why, raw) },
	})
	return cmp.Or(ctx.Err(), fmt.Errorf("sample: %w", err))
}

// Decode reads captured bytes to their end, for `gateway decode`; it fails only on errors of r and emit.
func Decode(r io.Reader, emit func(telemetry.Reading) error, reject func(offset int64, raw []byte, reason string)) (map[string]uint64, error) {
	var n counts
	err := read(r, func() error { return nil }, &decoder{device: "decode", probe: "decode", counts: &n, emit: emit, reject: reject})
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n.named(), err
}

func read(r io.Reader, before func() error, d *decoder) error {
	for buf := make([]byte, 256); ; {
		if err := before(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if err := errors.Join(d.feed(buf[:n]), err); err != nil {
			return err
		}
	}
}

// counts may be read while Run counts; one place for each of names.
type counts [len(names)]atomic.Uint64

const framesOK, badChecksum, malformed = 0, 1, 2

var names = [...]string{framesOK: "frames_ok", badChecksum: "bad_checksum", malformed: "malformed"}

func (c *counts) named() map[string]uint64 {
	m := map[string]uint64{}
	for i, name := range names {
		m[name] = c[i].Load()
	}
	return m
}

// A decoder is the codec: bytes in, readings out, however they are chunked; no port, no clock.
type decoder struct {
	device, probe string
	counts        *counts
	emit          func(telemetry.Reading) error
	reject        func(offset int64, raw []byte, reason string)

	line   []byte
	offset int64 // of the next byte
}

func (d *decoder) feed(b []byte) (err error) {
	for _, c := range b {
		d.offset++
		if d.line = append(d.line, c); c != '\n' && len(d.line) < maxLine {
			continue
		}
		v, why := parse(string(d.line))
		if d.counts[why].Add(1); why == framesOK {
			v.Probe = d.probe
			err = errors.Join(err, d.emit(telemetry.New(d.device, time.Time{}, telemetry.Unknown, v)))
		} else {
			d.reject(d.offset-int64(len(d.line)), d.line, names[why])
		}
		d.line = d.line[:0]
	}
	return err
}

// parse reads one line, T=23.5,H=45*2B, and says why it can't.
func parse(line string) (v telemetry.Climate, why int) {
	body, sum, _ := strings.Cut(strings.TrimRight(line, "\r\n"), "*")
	xor := byte(0)
	for i := range len(body) {
		xor ^= body[i]
	}
	var t, h float64
	if fmt.Sprintf("%02X", xor) != sum {
		return v, badChecksum
	}
	if n, _ := fmt.Sscanf(body, "T=%f,H=%f", &t, &h); n != 2 || !(t >= -40 && t <= 85 && h >= 0 && h <= 100) {
		return v, malformed
	}
	return telemetry.Climate{TemperatureC: telemetry.Some(t), HumidityPct: telemetry.Some(h), Quality: telemetry.ClimateOK}, framesOK
}
