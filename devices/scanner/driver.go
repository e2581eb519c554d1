package scanner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"yizhan/devices"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

// Config is one scanner.
type Config struct {
	Port      string `yaml:"port" strict:"required"`
	End       string `yaml:"end"`        // of a scan: line or pause; line
	Encoding  string `yaml:"encoding"`   // of what isn't ASCII: utf-8, latin-1 or hex; utf-8
	MinLength int    `yaml:"min_length"` // of a scan's text; 3
}

// Validate reports every wrong field.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	if err := port.Check(c.Port); err != nil {
		errs = append(errs, fmt.Errorf("port: %w", err))
	}
	if c.End != "line" && c.End != "pause" {
		errs = append(errs, fmt.Errorf("end: %.20q is neither line nor pause", c.End))
	}
	if c.Encoding != "utf-8" && c.Encoding != "latin-1" && c.Encoding != "hex" {
		errs = append(errs, fmt.Errorf("encoding: %.20q is none of utf-8, latin-1, hex", c.Encoding))
	}
	if c.MinLength < 1 || c.MinLength > maxText {
		errs = append(errs, fmt.Errorf("min_length: %d is outside 1 to %d", c.MinLength, maxText))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.End == "" {
		c.End = "line"
	}
	if c.Encoding == "" {
		c.Encoding = "utf-8"
	}
	if c.MinLength == 0 {
		c.MinLength = 3
	}
	return c
}

// quiet is how long a line may pause in the middle of a scan.
const quiet = time.Second

// gap ends a scan where the scanner sends no line end: at 9600 baud a character takes 1 ms.
const gap = 50 * time.Millisecond

// Driver reads one scanner.
type Driver struct {
	devices.BadFrames

	cfg    Config
	env    devices.Env
	counts counters
}

// New makes the driver of a valid config.
func New(c Config, env devices.Env) (*Driver, error) {
	return &Driver{cfg: c.withDefaults(), env: env}, nil
}

// Counters returns the counters of doc.go.
func (d *Driver) Counters() map[string]uint64 { return d.counts.named() }

// Run tells scans until ctx ends or the port fails.
func (d *Driver) Run(ctx context.Context, emit devices.Emit) error {
	p, err := d.env.Open(ctx, d.cfg.Port)
	if err != nil {
		return fmt.Errorf("scanner: %w", err)
	}
	defer p.Close()
	defer context.AfterFunc(ctx, func() { _ = p.Close() })()
	err = d.listen(ctx, p, emit)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("scanner: %w", err)
}

func (d *Driver) listen(ctx context.Context, p port.Port, emit devices.Emit) error {
	var scans []telemetry.Reading
	f := &framer{encoding: d.cfg.Encoding, minLength: d.cfg.MinLength, counts: &d.counts}
	f.scan = func(s scan) { scans = append(scans, s.reading(d.env.Name)) }
	f.reject = func(_ int64, raw []byte, reason string) { d.Add(reason, raw) }
	buf := make([]byte, 1024)
	for {
		if err := p.SetReadDeadline(d.patience(f)); err != nil {
			return err
		}
		n, err := p.Read(buf)
		f.feed(buf[:n])
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			f.cut()
			return err
		case d.cfg.End == "pause":
			f.line()
		default:
			f.cut()
		}
		if len(scans) == 0 {
			continue
		}
		if err := emit(ctx, scans...); err != nil {
			return err
		}
		scans = nil
	}
}

// patience is until when the rest of a line may come.
func (d *Driver) patience(f *framer) time.Time {
	switch {
	case !f.pending():
		return time.Time{}
	case d.cfg.End == "pause":
		return time.Now().Add(gap)
	}
	return time.Now().Add(quiet)
}
