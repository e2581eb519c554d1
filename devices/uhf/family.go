package uhf

import (
	"fmt"
	"math"
)

// A kind says what a frame means, in words that all families share.
type kind uint8

const (
	other   kind = iota // nothing the driver waits for
	answer              // to a command, which was obeyed
	refused             // a command was not obeyed
	report              // tags, or that there are none
	alive               // a heartbeat
)

// A message is what a frame says. It aliases the frame.
type message struct {
	kind kind
	cmd  byte   // that it answers; 0 where a refusal doesn't tell
	code byte   // why it was refused
	data []byte // of an answer
	tags []tag  // of a report
	done bool   // this report ends its round
}

// A tag is one read.
type tag struct {
	epc     []byte
	iso     bool // its protocol control word marks it as none of GS1's
	antenna int  // from 1, 0 unknown
	rssi    byte
	strong  bool // rssi is known
	crc     crcState
}

// crcState is what the tag's own CRC-16 says, where the module passes it on.
type crcState uint8

const (
	crcAbsent crcState = iota
	crcRight
	crcWrong
)

const maxEPC = 62 // bytes: a Gen2 EPC has at most 31 words

// A request is a command and the answer it wants.
type request struct {
	frame []byte
	cmd   byte
}

// A setting is something a module must be told, and asked back.
type setting struct {
	name  string
	want  int
	near  int // how far from want what is read back may be
	get   request
	value func(data []byte) (int, bool)
	set   request
	// blind: not every board can tell. Then its word that it obeyed must do.
	blind bool
}

// A turn is one inventory round on one antenna.
type turn struct {
	antenna int     // 0: as the module is set
	pick    request // selects the antenna; no frame: needless
	round   request
	instead request // where round may be refused for its form
}

// A family is one protocol. It keeps no state: all of it is functions over bytes.
type family interface {
	word() string
	baud() int
	antennas() int // the most there are
	profile() string
	cut(b []byte) (size int, v verdict)
	// parse reads a sound frame; false when its contents are senseless. m.tags is reused.
	parse(frame []byte, m *message) bool
	// hello is what is sent to find a module out: whatever must come first, and a question.
	hello(address byte) (first []byte, ask request)
	settings(address byte, c Config) []setting
	// turns are the rounds that follow one another; none where the module polls by itself.
	turns(address byte, c Config) []turn
	codes() map[byte]string
	missing() byte // the code of a refusal for want of an antenna, 0 where the family can't tell
}

// families in the order they are tried.
func families() []family { return []family{bb7e{}, a0{}, swct{}, lenadr{}} }

// Families returns the words for the families, as the config has them.
func Families() (words []string) {
	for _, f := range families() {
		words = append(words, f.word())
	}
	return words
}

func familyOf(word string) (family, bool) {
	for _, f := range families() {
		if f.word() == word {
			return f, true
		}
	}
	return nil, false
}

// A refusedError says that a module doesn't take a setting.
type refusedError struct{ reason string }

// Error implements error.
func (e *refusedError) Error() string { return e.reason }

func refusalText(f family, code byte) string {
	if text, ok := f.codes()[code]; ok {
		return fmt.Sprintf("%s (code %02X)", text, code)
	}
	return fmt.Sprintf("code %02X", code)
}

// broadcast reaches a module whatever its address is.
const broadcast = 0xFF

// wholeDBm rounds a power for the families that know whole dBm only.
func wholeDBm(p float64) int { return int(math.Round(p)) }

// gen2CRC is the CRC-16 that tags send with their PC and EPC (ISO/IEC 18000-63, 6.3.1.5).
func gen2CRC(b []byte) uint16 {
	crc := uint16(0xFFFF)
	for _, c := range b {
		crc ^= uint16(c) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return ^crc
}

// A crcJudge decides whether a module's copies of the tags' own CRC mean anything: there are clones
// that fill in what they like. A module is held to them until it was wrong far more often than right.
type crcJudge struct{ right, wrong uint64 }

// drop takes a tag in and reports whether its bits can't be believed.
func (j *crcJudge) drop(t *tag) bool {
	switch t.crc {
	case crcRight:
		j.right++
	case crcWrong:
		j.wrong++
		return j.wrong <= 8+4*j.right
	}
	return false
}
