package gnss

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"yizhan/devices"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

// releaseDate is the year in which this release was made: no receiver that works can report an earlier
// date, and one with a week roll-over is 1024 weeks behind. Raise it once a year.
const releaseDate = "2026-01-01"

// What may be spoken on the port.
const (
	Receiver = "receiver" // NMEA 0183 and UBX, mixed as they come
	GPSD     = "gpsd"     // the JSON of a gpsd that owns the receiver
)

// How long the line must pause for an epoch to be over.
const (
	pauseAtFirst = 100 * time.Millisecond
	pauseAtMost  = 500 * time.Millisecond
)

// Config of one receiver.
type Config struct {
	// Port is where it is: serial:/dev/serial/by-id/...?baud=9600 or tcp:host:port.
	Port string `yaml:"port"`
	// Protocol is what is spoken there: receiver (the default) or gpsd.
	Protocol string `yaml:"protocol"`
	// GPSDDevice names one of gpsd's receivers by its path: /dev/ttyACM0. Without it all are read.
	GPSDDevice string `yaml:"gpsd_device"`
	// Every sets how often a receiver of u-blox tells its position, 50ms to 1m; unset: as it is.
	Every time.Duration `yaml:"every"`
	// Messages sets what a receiver of u-blox sends, nmea or ubx; unset: what it sends by itself.
	Messages string `yaml:"messages"`
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
	errs = append(errs, c.checkProtocol()...)
	if c.ReopenAfter < c.StaleAfter || c.ReopenAfter > 24*time.Hour {
		errs = append(errs, fmt.Errorf("reopen_after: %v is not stale_after to 24h", c.ReopenAfter))
	}
	return errors.Join(errs...)
}

func (c Config) checkProtocol() (errs []error) {
	switch c.Protocol {
	case Receiver:
		if c.GPSDDevice != "" {
			errs = append(errs, errors.New("gpsd_device: is for protocol gpsd"))
		}
	case GPSD:
		if !strings.HasPrefix(c.Port, "tcp:") {
			errs = append(errs, errors.New("port: gpsd is spoken to at tcp:host:2947"))
		}
		if c.wanted() {
			errs = append(errs, errors.New("every, messages: are gpsd's to set"))
		}
	default:
		errs = append(errs, fmt.Errorf("protocol: %.20q is neither receiver nor gpsd", c.Protocol))
	}
	if c.Every != 0 && (c.Every < 50*time.Millisecond || c.Every > time.Minute || c.Every%time.Millisecond != 0) {
		errs = append(errs, fmt.Errorf("every: %v is not 50ms to 1m in whole milliseconds", c.Every))
	}
	if c.StaleAfter <= c.Every {
		errs = append(errs, errors.New("stale_after: must be longer than every"))
	}
	switch c.Messages {
	case "", sendNMEA, sendUBX:
	default:
		errs = append(errs, fmt.Errorf("messages: %.20q is neither nmea nor ubx", c.Messages))
	}
	return errs
}

func (c Config) withDefaults() Config {
	if c.Protocol == "" {
		c.Protocol = Receiver
	}
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
	port    port.Port
	decoder *decoder
	setup   *setup
	emit    devices.Emit
	pause   time.Duration // of the line, that ends an epoch
	last    time.Time     // when the last byte came
	heard   time.Time     // when the last good sentence came
	stale   bool          // told already
	told    bool          // any reading was emitted
	noted   bool          // how the setup went was logged
}

func (d *Driver) session(ctx context.Context, p port.Port, emit devices.Emit) error {
	s := &session{Driver: d, port: p, emit: emit, pause: pauseAtFirst, heard: time.Now(), setup: newSetup(d.config, &d.count)}
	opt := Options{
		AllowMissingChecksum: d.config.AllowMissingChecksum, NotBefore: d.notBefore,
		Protocol: d.config.Protocol, Receiver: d.config.GPSDDevice,
	}
	s.decoder = newDecoder(opt, &d.count, func(_ int64, raw []byte, why string) { d.bad.Add(why, raw) })
	d.memory.dated()
	s.decoder.memory = &d.memory
	s.decoder.answer = s.setup.hear
	s.setup.begin(s.heard)
	if d.config.Protocol == GPSD {
		if _, err := p.Write(watch(d.config.GPSDDevice)); err != nil {
			return err
		}
	}
	buf := make([]byte, 4096)
	for {
		if err := s.ask(time.Now()); err != nil {
			return err
		}
		if err := p.SetReadDeadline(s.deadline()); err != nil {
			return err
		}
		split := s.count[splitEpochs].Load()
		n, err := p.Read(buf)
		switch {
		case err == nil:
			s.hear(buf[:n])
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.paused(time.Now())
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

// ask sends what the setup has to say.
func (s *session) ask(now time.Time) error {
	if q := s.setup.next(now); q != nil {
		_, err := s.port.Write(q)
		return err
	}
	if s.setup.finished && !s.noted && s.config.wanted() {
		s.noted = true
		switch {
		case !s.setup.known:
			s.env.Log.Info("receiver of an unknown make left as it is")
		case s.setup.done == 0:
			s.env.Log.Warn("receiver takes no setting")
		default:
			s.env.Log.Info("receiver set up", "n", s.setup.done)
		}
	}
	return nil
}

// deadline is when the next thing is due that no byte brings.
func (s *session) deadline() time.Time {
	due := s.heard.Add(s.config.ReopenAfter)
	switch {
	case s.decoder.pending():
		due = s.last.Add(s.pause)
	case s.decoder.held > 0:
		due = s.last.Add(pauseAtMost)
	case !s.stale:
		due = s.heard.Add(s.config.StaleAfter)
	}
	if !s.setup.finished && s.setup.due.Before(due) {
		return s.setup.due
	}
	return due
}

// paused is called when no byte came until the deadline.
func (s *session) paused(now time.Time) {
	switch quiet := now.Sub(s.last); {
	case s.decoder.pending() && quiet >= s.pause:
		s.decoder.flush()
	case s.decoder.held > 0 && quiet >= pauseAtMost:
		s.decoder.giveUp() // bytes were lost: what follows isn't the frame's
	}
}

func (s *session) hear(b []byte) {
	good := s.count[framesOK].Load()
	s.last = time.Now()
	s.decoder.feed(b)
	if s.count[framesOK].Load() != good {
		if s.stale {
			s.setup.begin(s.last) // it may have lost power
			s.noted = false
		}
		s.heard, s.stale = s.last, false
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
	waited := time.Since(began) // and nobody listened
	s.heard, s.last = s.heard.Add(waited), s.last.Add(waited)
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
