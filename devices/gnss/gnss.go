package gnss

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

// releaseDate is the year in which this release was made: no receiver that works can report an earlier
// date, and one with a week roll-over is 1024 weeks behind. Raise it once a year.
const releaseDate = "2026-01-01"

// How long the line must pause for an epoch to be over.
const (
	pauseAtFirst = 100 * time.Millisecond
	pauseAtMost  = 500 * time.Millisecond
)

// Config of one receiver.
type Config struct {
	// Port is where it is: serial:/dev/serial/by-id/...?baud=9600 or tcp:host:port.
	Port string `yaml:"port"`
	// AllowMissingChecksum takes sentences without a checksum, for receivers that send none.
	AllowMissingChecksum bool `yaml:"allow_missing_checksum"`
	// NotBefore (2026-01-01) is the earliest date that isn't suspect; the default is this release's.
	NotBefore string `yaml:"not_before"`
	// StaleAfter (5s) without a good sentence gives a reading that isn't valid.
	StaleAfter time.Duration `yaml:"stale_after"`
	// ReopenAfter (30s) without a good sentence gives the port up to be opened anew.
	ReopenAfter time.Duration `yaml:"reopen_after"`
}

// Validate reports every wrong field.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	if err := port.Check(c.Port); err != nil {
		errs = append(errs, fmt.Errorf("port: %w", err))
	}
	if _, err := time.Parse(time.DateOnly, c.NotBefore); err != nil {
		errs = append(errs, fmt.Errorf("not_before: %.20q is no date like 2026-01-01", c.NotBefore))
	}
	if c.StaleAfter < time.Second || c.StaleAfter > time.Hour {
		errs = append(errs, fmt.Errorf("stale_after: %v is not 1s to 1h", c.StaleAfter))
	}
	if c.ReopenAfter < c.StaleAfter || c.ReopenAfter > 24*time.Hour {
		errs = append(errs, fmt.Errorf("reopen_after: %v is not stale_after to 24h", c.ReopenAfter))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.NotBefore == "" {
		c.NotBefore = releaseDate
	}
	if c.StaleAfter == 0 {
		c.StaleAfter = 5 * time.Second
	}
	if c.ReopenAfter == 0 {
		c.ReopenAfter = max(30*time.Second, c.StaleAfter)
	}
	return c
}

// Driver reads one receiver.
type Driver struct {
	config    Config
	notBefore time.Time
	env       devices.Env
	count     counters
	bad       devices.BadFrames
	memory    memory // over Runs: what is replayed comes just after the port is opened anew
}

// New makes a driver without opening anything.
func New(c Config, env devices.Env) (*Driver, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	notBefore, err := time.Parse(time.DateOnly, c.NotBefore)
	if err != nil {
		return nil, err
	}
	return &Driver{config: c, notBefore: notBefore, env: env}, nil
}

// Counters returns what doc.go lists. The counts go on over Runs.
func (d *Driver) Counters() map[string]uint64 { return d.count.snapshot() }

// LastBad returns the last input that was thrown away.
func (d *Driver) LastBad() []devices.BadFrame { return d.bad.LastBad() }

// Run reads the receiver until ctx ends, the port fails, or it has been silent for ReopenAfter.
func (d *Driver) Run(ctx context.Context, emit devices.Emit) error {
	p, err := d.env.Open(ctx, d.config.Port)
	if err != nil {
		return fmt.Errorf("gnss: %w", err)
	}
	defer p.Close()
	defer context.AfterFunc(ctx, func() { p.Close() })()
	err = d.session(ctx, p, emit)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("gnss: %w", err)
}

// A session is one Run with its port open.
type session struct {
	*Driver
	decoder *decoder
	emit    devices.Emit
	pause   time.Duration // of the line, that ends an epoch
	heard   time.Time     // when the last good sentence came
	stale   bool          // told already
	told    bool          // any reading was emitted
}

func (d *Driver) session(ctx context.Context, p port.Port, emit devices.Emit) error {
	s := &session{Driver: d, emit: emit, pause: pauseAtFirst, heard: time.Now()}
	opt := Options{AllowMissingChecksum: d.config.AllowMissingChecksum, NotBefore: d.notBefore}
	s.decoder = newDecoder(opt, &d.count, func(_ int64, raw []byte, why string) { d.bad.Add(why, raw) })
	d.memory.dated()
	s.decoder.memory = &d.memory
	buf := make([]byte, 4096)
	for {
		if err := p.SetReadDeadline(s.deadline(time.Now())); err != nil {
			return err
		}
		split := s.count[splitEpochs].Load()
		n, err := p.Read(buf)
		switch {
		case err == nil:
			s.hear(buf[:n])
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.decoder.flush()
		default:
			return err // what was open may be cut: it isn't told
		}
		if s.count[splitEpochs].Load() != split {
			s.pause = min(2*s.pause, pauseAtMost)
		}
		if err := s.tell(ctx); err != nil {
			return err
		}
		if err := s.watch(ctx, time.Now()); err != nil {
			return err
		}
	}
}

// deadline is when the next thing is due that no byte brings.
func (s *session) deadline(now time.Time) time.Time {
	switch {
	case s.decoder.pending():
		return now.Add(s.pause)
	case !s.stale:
		return s.heard.Add(s.config.StaleAfter)
	}
	return s.heard.Add(s.config.ReopenAfter)
}

func (s *session) hear(b []byte) {
	good := s.count[framesOK].Load()
	s.decoder.feed(b)
	if s.count[framesOK].Load() != good {
		s.heard, s.stale = time.Now(), false
	}
}

// tell emits the finished fixes.
func (s *session) tell(ctx context.Context) error {
	fixes := s.decoder.take()
	if len(fixes) == 0 {
		return nil
	}
	rs := make([]telemetry.Reading, 0, len(fixes))
	for _, f := range fixes {
		if f.position.DateSuspect {
			f.at = time.Time{} // the gateway's own time is nearer to the truth
		}
		rs = append(rs, f.reading(s.env.Name))
	}
	s.told = true
	began := time.Now()
	err := s.emit(ctx, rs...)
	s.heard = s.heard.Add(time.Since(began)) // while emit waited nobody listened
	return err
}

// watch notices silence.
func (s *session) watch(ctx context.Context, now time.Time) error {
	quiet := now.Sub(s.heard)
	if quiet >= s.config.ReopenAfter {
		return fmt.Errorf("%s: no sentence for %v", s.config.Port, quiet.Round(time.Second))
	}
	if quiet < s.config.StaleAfter || s.stale {
		return nil
	}
	s.stale = true
	s.count.add(timeouts)
	if !s.told {
		return nil
	}
	return s.emit(ctx, telemetry.New(s.env.Name, time.Time{}, telemetry.Unknown, telemetry.Position{}))
}
