package jt808

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"time"

	"yizhan/devices/telemetry"
)

// The words of the settings.
const (
	Refuse = "refuse" // unknown: terminals that the config doesn't list are turned away
	Accept = "accept" // unknown: they are taken under an id made of their number

	AuthCode = "code" // auth: the code that their registration was answered with
	AuthAny  = "any"  // auth: any code, for a terminal that keeps one of another platform
	AuthNone = "none" // auth: none needed, for a terminal that never sends 0x0102

	AckWhole = "whole" // ack_fragments: when the whole message is durable
	AckEach  = "each"  // ack_fragments: each as it comes, for a terminal that waits for it
)

// Config of one listener and the terminals that report to it.
type Config struct {
	// Listen is the TCP address, such as 0.0.0.0:6808.
	Listen string `yaml:"listen" strict:"required"`
	// SecretFile holds the secret that auth codes are made with, by absolute path. It is made when it doesn't exist.
	SecretFile string `yaml:"secret_file" strict:"required"`
	// Unknown says what becomes of terminals that aren't listed: refuse (default) or accept.
	Unknown string `yaml:"unknown"`
	// Terminals by phone number, leading zeros as you like.
	Terminals map[string]Terminal `yaml:"terminals"`

	MaxConnections int           `yaml:"max_connections"` // 2000
	Heartbeat      time.Duration `yaml:"heartbeat"`       // the longest a healthy terminal is silent: 60s; a connection silent for three ends
	LoginWithin    time.Duration `yaml:"login_within"`    // of a new connection: 30s
	ReplyWithin    time.Duration `yaml:"reply_within"`    // of a terminal to a command, before it is repeated or given up: 5s
}

// Terminal is the profile of one terminal: its id, and how dirty it is.
type Terminal struct {
	ID              string         `yaml:"id"`               // of its readings; empty: t and the padded number
	GCJ02           bool           `yaml:"gcj02"`            // sends GCJ-02 coordinates
	LenientChecksum bool           `yaml:"lenient_checksum"` // frames with a wrong check are taken
	LenientLength   bool           `yaml:"lenient_length"`   // the length in the header is not believed
	YueBiao         bool           `yaml:"yue_biao"`         // items 64 to 70 have a DWORD for their length
	UTCOffset       *time.Duration `yaml:"utc_offset"`       // of its times: 8h
	Auth            string         `yaml:"auth"`             // code (default), any or none
	AckFragments    string         `yaml:"ack_fragments"`    // whole (default) or each
}

// Validate reports every wrong field.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, p, err := net.SplitHostPort(c.Listen); err != nil || p == "" {
		fail("listen: %.60q is no address like 0.0.0.0:6808", c.Listen)
	}
	if !filepath.IsAbs(c.SecretFile) {
		fail("secret_file: %.60q is no absolute path", c.SecretFile)
	}
	if c.Unknown != Refuse && c.Unknown != Accept {
		fail("unknown: %.40q is neither %s nor %s", c.Unknown, Refuse, Accept)
	}
	if c.Unknown == Refuse && len(c.Terminals) == 0 {
		fail("terminals: is empty, and unknown: refuse turns all others away")
	}
	if c.MaxConnections < 1 || c.MaxConnections > 60000 {
		fail("max_connections: %d is outside 1 to 60000", c.MaxConnections)
	}
	span := func(key string, v, lo, hi time.Duration) {
		if v < lo || v > hi {
			fail("%s: %v is outside %v to %v", key, v, lo, hi)
		}
	}
	span("heartbeat", c.Heartbeat, 5*time.Second, time.Hour)
	span("login_within", c.LoginWithin, time.Second, 10*time.Minute)
	span("reply_within", c.ReplyWithin, 100*time.Millisecond, time.Minute)
	return errors.Join(append(errs, c.validateTerminals())...)
}

func (c Config) validateTerminals() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	phones, ids := map[phone]string{}, map[string]string{}
	for _, key := range sortedKeys(c.Terminals) {
		t := c.Terminals[key]
		at := fmt.Sprintf("terminals.%.24q", key)
		p, ok := parsePhone(key)
		if !ok {
			fail("%s: is no number of 1 to 20 digits", at)
			continue
		}
		if by, taken := phones[p]; taken {
			fail("%s: is the same number as %q", at, by)
		}
		phones[p] = key
		id := cmp.Or(t.ID, p.device())
		if !telemetry.ValidID(id) {
			fail("%s.id: %.40q is not 1 to 32 of a-z, 0-9 and '-'", at, id)
		}
		if by, taken := ids[id]; taken {
			fail("%s.id: %q is taken by %q", at, id, by)
		}
		if other, is := numberOf(id); is && other != p {
			fail("%s.id: %q is the id of another number", at, id)
		}
		ids[id] = key
		if o := t.UTCOffset; o != nil && (*o < -14*time.Hour || *o > 14*time.Hour) {
			fail("%s.utc_offset: %v is outside -14h to 14h", at, *o)
		}
		if !slices.Contains([]string{"", AuthCode, AuthAny, AuthNone}, t.Auth) {
			fail("%s.auth: %.40q is none of %s, %s, %s", at, t.Auth, AuthCode, AuthAny, AuthNone)
		}
		if !slices.Contains([]string{"", AckWhole, AckEach}, t.AckFragments) {
			fail("%s.ack_fragments: %.40q is neither %s nor %s", at, t.AckFragments, AckWhole, AckEach)
		}
	}
	return errors.Join(errs...)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// numberOf reads an id that is made of a number.
func numberOf(id string) (p phone, ok bool) {
	if len(id) < 2 || id[0] != 't' {
		return p, false
	}
	p, ok = parsePhone(id[1:])
	return p, ok && p.device() == id
}

func (c Config) withDefaults() Config {
	c.Unknown = cmp.Or(c.Unknown, Refuse)
	c.MaxConnections = cmp.Or(c.MaxConnections, 2000)
	c.Heartbeat = cmp.Or(c.Heartbeat, time.Minute)
	c.LoginWithin = cmp.Or(c.LoginWithin, 30*time.Second)
	c.ReplyWithin = cmp.Or(c.ReplyWithin, 5*time.Second)
	return c
}

// A profile is how one terminal is read.
type profile struct {
	device                         string
	offset                         time.Duration
	gcj02, yueBiao                 bool
	lenientChecksum, lenientLength bool
	auth                           string
	ackEach                        bool
}

// beijing is the standard's own time.
const beijing = 8 * time.Hour

func (t Terminal) profile(p phone) *profile {
	made := &profile{
		device: cmp.Or(t.ID, p.device()), offset: beijing, gcj02: t.GCJ02, yueBiao: t.YueBiao,
		lenientChecksum: t.LenientChecksum, lenientLength: t.LenientLength, auth: cmp.Or(t.Auth, AuthCode), ackEach: t.AckFragments == AckEach,
	}
	if t.UTCOffset != nil {
		made.offset = *t.UTCOffset
	}
	return made
}
