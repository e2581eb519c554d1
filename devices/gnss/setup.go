package gnss

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"time"
)

// What a receiver may be asked to send.
const (
	sendNMEA = "nmea" // RMC GGA GSA VTG
	sendUBX  = "ubx"  // NAV-PVT, and no sentences
)

// How long an answer may take, and how often a question is asked.
const (
	answerTime  = time.Second
	askedAtMost = 3
)

// A setup brings a receiver to send what the config says, as often as it says. It speaks only to
// receivers that answer MON-VER, one question at a time, and keeps nothing in them beyond a power
// cut. It starts no goroutine and asks no clock.
type setup struct {
	every    time.Duration // 0: as it is
	messages string        // "": as they are
	count    *counters

	steps []step // not yet acknowledged, the first is asked
	tries int    // of the first step
	due   time.Time
	asked bool // a question is open

	known, finished bool
	done            int // settings acknowledged
}

// A step is one setting.
type step struct {
	class, id byte
	payload   []byte
	needed    bool // refused or unanswered, it ends the setup
}

// wanted reports whether the config asks for anything.
func (c Config) wanted() bool { return c.Every > 0 || c.Messages != "" }

func newSetup(c Config, count *counters) *setup {
	return &setup{every: c.Every, messages: c.Messages, count: count, finished: !c.wanted()}
}

// begin starts over: the receiver may have lost power.
func (s *setup) begin(now time.Time) {
	if s.every == 0 && s.messages == "" {
		return
	}
	*s = setup{every: s.every, messages: s.messages, count: s.count, due: now}
	s.steps = []step{{class: classMON, id: monVER, needed: true}}
}

// next returns what is to be sent now, nil when nothing is.
func (s *setup) next(now time.Time) []byte {
	for !s.finished && !now.Before(s.due) {
		if s.asked && s.tries >= askedAtMost {
			s.count.add(setUpUnanswered)
			s.pass(false)
			continue
		}
		if len(s.steps) == 0 {
			s.finished = true
			break
		}
		s.asked = true
		s.tries++
		s.due = now.Add(answerTime)
		q := s.steps[0]
		return appendUBX(nil, q.class, q.id, q.payload...)
	}
	return nil
}

// pass goes on to the next step.
func (s *setup) pass(ok bool) {
	stop := s.steps[0].needed && !ok
	s.steps = s.steps[1:]
	s.asked, s.tries, s.due = false, 0, time.Time{}
	if stop {
		s.steps = nil
	}
}

// hear takes an answer of the receiver.
func (s *setup) hear(class, id byte, payload []byte) {
	if !s.asked || s.finished {
		return
	}
	q := s.steps[0]
	switch {
	case class == classMON && id == monVER && q.class == classMON:
		if v, ok := protocol(payload); ok {
			s.known = true
			s.pass(true)
			s.steps = s.plan(v)
		}
	case class == classACK && len(payload) == 2 && payload[0] == q.class && payload[1] == q.id:
		if id == ackACK {
			s.count.add(setUp)
			s.done++
		} else {
			s.count.add(setUpRefused)
		}
		s.pass(id == ackACK)
	}
}

// MON-VER: texts of fixed lengths, zero-terminated; the first two are software and hardware.
const verSoftware, verHardware, verExtension = 30, 10, 30

// protocol reads the version of the receiver's protocol out of MON-VER; receivers before u-blox 7 don't
// tell it, for them it is 0.
func protocol(p []byte) (version float64, ok bool) {
	if len(p) < verSoftware+verHardware {
		return 0, false
	}
	for p = p[verSoftware+verHardware:]; len(p) >= verExtension; p = p[verExtension:] {
		text, _, _ := bytes.Cut(p[:verExtension], []byte{0})
		if rest, found := bytes.CutPrefix(text, []byte("PROTVER")); found {
			v, err := strconv.ParseFloat(string(bytes.Trim(rest, "= ")), 64)
			return v, err == nil
		}
	}
	return 0, true
}

// valsetSince is the protocol version whose receivers (M9, F9, M10) are set by key.
const valsetSince = 27

func (s *setup) plan(version float64) []step {
	if version >= valsetSince {
		return s.planKeys()
	}
	return s.planMessages()
}

// Keys of CFG-VALSET, of the first serial port and of USB.
const (
	keyRateMeasure = 0x30210001 // milliseconds
	keyRateNav     = 0x30210002 // measurements a solution
)

// A keyPort holds the keys of one of the receiver's ports. Which one leads here can't be told.
type keyPort struct{ outUBX, outNMEA, pvt, rmc, gga, gsa, vtg, gsv, gll uint32 }

var keyPorts = [...]keyPort{
	{0x10740001, 0x10740002, 0x20910007, 0x209100ac, 0x209100bb, 0x209100c0, 0x209100b1, 0x209100c5, 0x209100ca}, // UART1
	{0x10780001, 0x10780002, 0x20910009, 0x209100ae, 0x209100bd, 0x209100c2, 0x209100b3, 0x209100c7, 0x209100cc}, // USB
}

// planKeys sets by key, in the layer that a power cut forgets. A request is taken whole or not at all, and is refused where
// the chip lacks the port.
func (s *setup) planKeys() (steps []step) {
	set := func(pairs ...uint32) {
		payload := []byte{0, 1, 0, 0} // version 0, layer RAM
		for i := 0; i < len(pairs); i += 2 {
			payload = binary.LittleEndian.AppendUint32(payload, pairs[i])
			payload = append(payload, byte(pairs[i+1]))
			if pairs[i]>>28 == 3 { // the key tells its value's size
				payload = append(payload, byte(pairs[i+1]>>8))
			}
		}
		steps = append(steps, step{class: classCFG, id: valset, payload: payload})
	}
	for _, k := range keyPorts {
		switch s.messages {
		case sendUBX:
			set(k.outUBX, 1, k.pvt, 1, k.outNMEA, 0)
		case sendNMEA:
			set(k.outNMEA, 1, k.rmc, 1, k.gga, 1, k.gsa, 1, k.vtg, 1, k.gsv, 0, k.gll, 0, k.pvt, 0)
		}
	}
	if s.every > 0 {
		set(keyRateMeasure, uint32(s.every.Milliseconds()), keyRateNav, 1)
	}
	return steps
}

// The class and ids of standard sentences.
const classNMEA = 0xf0

const idGGA, idGLL, idGSA, idGSV, idRMC, idVTG, idZDA, idGNS = 0, 1, 2, 3, 4, 5, 8, 13

// planMessages sets message by message, on the port that leads here. What replaces comes first, and unless it was
// acknowledged nothing is switched off.
func (s *setup) planMessages() (steps []step) {
	rate := func(needed bool, times, class byte, ids ...byte) {
		for _, id := range ids {
			steps = append(steps, step{class: classCFG, id: cfgMSG, payload: []byte{class, id, times}, needed: needed})
		}
	}
	if s.every > 0 {
		p := binary.LittleEndian.AppendUint16(nil, uint16(s.every.Milliseconds()))
		steps = append(steps, step{class: classCFG, id: cfgRATE, payload: append(p, 1, 0, 1, 0)}) // every measurement, by GPS time
	}
	switch s.messages {
	case sendUBX:
		rate(true, 1, classNAV, navPVT)
		rate(false, 0, classNMEA, idGGA, idGLL, idGSA, idGSV, idRMC, idVTG, idZDA, idGNS)
	case sendNMEA:
		rate(true, 1, classNMEA, idRMC, idGGA)
		rate(false, 1, classNMEA, idGSA, idVTG)
		rate(false, 0, classNMEA, idGSV, idGLL)
		rate(false, 0, classNAV, navPVT)
	}
	return steps
}
