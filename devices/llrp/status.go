package llrp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A statusError is an LLRPStatus that isn't success (LLRP 1.0.1, 14.2.2).
type statusError struct {
	code   uint16
	detail string
}

var statusNames = map[uint16]string{
	100: "parameter error", 101: "field error", 102: "unexpected parameter", 103: "missing parameter",
	104: "duplicate parameter", 105: "overflow of a parameter", 106: "overflow of a field",
	107: "unknown parameter", 108: "unknown field", 109: "unsupported message",
	110: "unsupported version", 111: "unsupported parameter",
	200: "parameter: parameter error", 201: "parameter: field error", 202: "parameter: unexpected parameter",
	203: "parameter: missing parameter", 204: "parameter: duplicate parameter", 205: "parameter: overflow of a parameter",
	206: "parameter: overflow of a field", 207: "parameter: unknown parameter", 208: "parameter: unknown field",
	209: "parameter: unsupported parameter", 300: "invalid attribute", 301: "attribute out of range",
	401: "device error",
}

// Error implements error.
func (e *statusError) Error() string {
	name, ok := statusNames[e.code]
	if !ok {
		name = "status " + strconv.Itoa(int(e.code))
	}
	if e.detail == "" {
		return name
	}
	return name + ": " + e.detail
}

// deviceError is the one status that the same request may not get again.
const deviceError = 401

var errNoStatus = errors.New("response without status")

// status reads the LLRPStatus of a response; nil is success.
func status(body []byte) error {
	v, ok := find(body, prmStatus)
	if !ok || len(v) < 4 {
		return errNoStatus
	}
	code := binary.BigEndian.Uint16(v)
	if code == 0 {
		return nil
	}
	n := min(int(binary.BigEndian.Uint16(v[2:])), len(v)-4)
	return &statusError{code: code, detail: legible(v[4 : 4+n])}
}

// legible makes words of a device fit for logs and alarms.
func legible(b []byte) string {
	const most = 200
	s := strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(b[:min(len(b), most)]), ""))
	return strings.TrimSpace(s)
}

// capabilities is what is needed of GET_READER_CAPABILITIES_RESPONSE.
type capabilities struct {
	antennas uint16 // 0: not told
	powers   []powerLevel
	hopTable uint16 // for a reader that hops
	hopping  bool
}

type powerLevel struct {
	index uint16
	dBm   float64
}

func parseCapabilities(body []byte) (c capabilities) {
	if v, ok := find(body, prmGeneralCaps); ok && len(v) >= 2 {
		c.antennas = binary.BigEndian.Uint16(v)
	}
	v, ok := find(body, prmRegulatoryCaps)
	if !ok || len(v) < 4 {
		return c
	}
	band, _ := find(v[4:], prmUHFBand)
	for p := (params{rest: band}); p.next(); {
		switch {
		case p.typ == prmPowerLevel && len(p.body) >= 4:
			c.powers = append(c.powers, powerLevel{binary.BigEndian.Uint16(p.body), float64(int16(binary.BigEndian.Uint16(p.body[2:]))) / 100})
		case p.typ == prmFrequency && len(p.body) >= 1:
			c.hopping = p.body[0]&0x80 != 0
			if t, ok := find(p.body[1:], prmHopTable); ok && len(t) >= 1 {
				c.hopTable = uint16(t[0])
			}
		}
	}
	return c
}

// radio chooses the strongest power that isn't above what the config allows.
func (c capabilities) radio(cfg Config) (radio, error) {
	r := radio{session: -1, population: uint16(cfg.TagPopulation)}
	if cfg.Session != nil {
		r.session = *cfg.Session
	}
	if cfg.PowerDBm == nil {
		return r, nil
	}
	best, weakest := -1, -1
	for i, p := range c.powers {
		if p.dBm <= *cfg.PowerDBm && (best < 0 || p.dBm > c.powers[best].dBm) {
			best = i
		}
		if weakest < 0 || p.dBm < c.powers[weakest].dBm {
			weakest = i
		}
	}
	switch {
	case weakest < 0:
		return r, errors.New("power_dbm: the reader names no power levels")
	case best < 0:
		return r, fmt.Errorf("power_dbm: %v is below the reader's least, %v", *cfg.PowerDBm, c.powers[weakest].dBm)
	}
	r.power = c.powers[best].index
	if c.hopping {
		r.hopTable = c.hopTable
	} else {
		r.channel = 1
	}
	return r, nil
}
