package clock

import (
	"sync"
	"time"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// Floor is a time that is surely past: no date before it is believed. It is raised with releases.
var Floor = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

var ceiling = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// Source is what the machine knows of time.
type Source interface {
	Boot() frame.Boot
	Mono() int64        // CLOCK_BOOTTIME in nanoseconds
	Wall() time.Time    // the system's clock, right or wrong
	Synchronised() bool // the system's clock is kept by NTP
	HasClockChip() bool // it runs on while the power is off
}

const (
	fresh   = int64(time.Hour)       // a satellite anchor younger than this beats NTP
	agree   = int64(2 * time.Second) // how far two satellite times may differ
	apart   = int64(time.Second)     // how far apart they must be
	recent  = int64(time.Minute)     // and how close
	recheck = int64(time.Second)     // Synchronised is asked this often
)

// Clock implements the spool's Clock. Its methods may be called from any goroutine.
type Clock struct {
	src  Source
	rtc  bool
	boot frame.Boot

	mu        sync.Mutex
	gnss      anchor
	candidate anchor // a satellite time that waits for a second one
	cloud     anchor
	synced    bool
	checked   int64 // Mono when synced was asked, 0 never
}

// anchor is a wall time at a monotonic one; wall is zero when there is none.
type anchor struct{ mono, wall int64 }

func (a anchor) at(mono int64) int64 { return a.wall + mono - a.mono }

// New returns a Clock over src. rtc is the configuration's word: trust or ignore the system's clock when nobody
// synchronises it, or auto: trust it if there is a clock chip.
func New(src Source, rtc string) *Clock {
	return &Clock{src: src, boot: src.Boot(), rtc: rtc == "trust" || rtc == "auto" && src.HasClockChip()}
}

// Stamp returns the boot, the monotonic time in whole milliseconds and, where one can be trusted, the wall time in Unix
// milliseconds; 0 and Unknown otherwise.
func (c *Clock) Stamp() (boot frame.Boot, monoNS, wallMS int64, q telemetry.Quality) {
	mono := c.src.Mono()
	wall, q := c.wall(mono)
	return c.boot, mono - mono%int64(time.Millisecond), wall / int64(time.Millisecond), q
}

// Now returns the wall time, zero and Unknown when there is none that can be trusted.
func (c *Clock) Now() (time.Time, telemetry.Quality) {
	wall, q := c.wall(c.src.Mono())
	if q == telemetry.Unknown {
		return time.Time{}, q
	}
	return time.Unix(0, wall).UTC(), q
}

// Mono returns the boot and the monotonic time.
func (c *Clock) Mono() (frame.Boot, int64) { return c.boot, c.src.Mono() }

func (c *Clock) wall(mono int64) (int64, telemetry.Quality) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gnss.wall != 0 && mono-c.gnss.mono < fresh {
		return c.gnss.at(mono), telemetry.GNSS
	}
	if c.checked == 0 || mono-c.checked >= recheck {
		c.synced, c.checked = c.src.Synchronised(), mono
	}
	system := c.src.Wall()
	sane := believable(system)
	switch {
	case c.synced && sane:
		return system.UnixNano(), telemetry.NTP
	case c.gnss.wall != 0:
		return c.gnss.at(mono), telemetry.GNSS
	case c.cloud.wall != 0:
		return c.cloud.at(mono), telemetry.Cloud
	case c.rtc && sane:
		return system.UnixNano(), telemetry.RTC
	}
	return 0, telemetry.Unknown
}

func believable(t time.Time) bool { return t.After(Floor) && t.Before(ceiling) }

// Observe takes an anchor from a satellite fix of a driver of this gateway. Other readings are passed over.
func (c *Clock) Observe(r telemetry.Reading) {
	if r.Kind != telemetry.KindPosition || r.TQ != telemetry.GNSS || !believable(r.At) {
		return
	}
	p, err := telemetry.As[telemetry.Position](r)
	if err != nil || !p.Valid || p.DateSuspect {
		return
	}
	now := anchor{mono: c.src.Mono(), wall: r.At.UnixNano()}
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.candidate
	if last.wall != 0 && now.mono-last.mono < apart {
		return // the first of a burst stays the candidate
	}
	c.candidate = now
	if last.wall == 0 || now.mono-last.mono > recent {
		return
	}
	if d := now.wall - last.at(now.mono); d > -agree && d < agree {
		c.gnss = now
	}
}

// ObserveCloud takes an anchor from the cloud's time, which is late by the way it took.
func (c *Clock) ObserveCloud(t time.Time) {
	if !believable(t) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cloud = anchor{mono: c.src.Mono(), wall: t.UnixNano()}
}
