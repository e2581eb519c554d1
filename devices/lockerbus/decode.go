package lockerbus

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"yizhan/devices/telemetry"
)

// Options of Decode.
type Options struct {
	Device         string // of the readings; empty: decode
	Feedback       string // locked_short (default) or open_short
	BitmapOneMeans string // locked or open; empty: as feedback says of 11
	Doors          int    // of each board; 0: 24
}

// Decode reads captured bytes of a line, either direction or both, and emits a locker reading,
// opened or closed, for each answer to read one, each unasked change, and each cell of a read-all
// answer that differs from the one before. Board 2's lock 1 is the cell after board 1's last door. What a
// cell holds and whether a door was forced takes a driver to tell. Bytes that are no frame go to
// reject, which may be nil, with their offset; raw is valid during the call only. It fails on errors of r, of emit, and on options that make no sense, never
// on what r holds.
func Decode(r io.Reader, o Options, emit func(telemetry.Reading) error, reject func(offset int64, raw []byte, reason string)) (map[string]uint64, error) {
	if o.Device == "" {
		o.Device = "decode"
	}
	if o.Feedback == "" {
		o.Feedback = LockedShort
	}
	if o.BitmapOneMeans == "" {
		o.BitmapOneMeans = oneMeans(o.Feedback)
	}
	if o.Doors == 0 {
		o.Doors = 24
	}
	for _, err := range []error{word("feedback", o.Feedback, LockedShort, OpenShort), word("bitmap_one_means", o.BitmapOneMeans, Locked, Open)} {
		if err != nil {
			return nil, err
		}
	}
	if o.Doors < 1 || o.Doors > 56 {
		return nil, fmt.Errorf("doors: %d is outside 1 to 56", o.Doors)
	}
	if reject == nil {
		reject = func(int64, []byte, string) {}
	}
	d := decoder{opt: o, emit: emit, reject: reject, doors: map[byte][]byte{}}
	err := d.run(r)
	return d.counts.named(), err
}

// A decoder walks a capture.
type decoder struct {
	opt    Options
	emit   func(telemetry.Reading) error
	reject func(offset int64, raw []byte, reason string)
	counts counters

	asked request         // the request before, zero for none
	doors map[byte][]byte // the last read-all answer by board

	offset int64 // of junk's first byte, or of the next byte
	junk   []byte
	why    string
}

const (
	noFrame = "no frame begins here"
	badBCC  = "bad check"
	cut     = "cut off"

	maxJunk = 256 // bytes rejected at once
)

func (d *decoder) run(r io.Reader) error {
	buf := make([]byte, 0, 4<<10)
	for final := false; !final; {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case err == io.EOF:
			final = true
		case err != nil:
			return fmt.Errorf("read: %w", err)
		}
		at := 0
		for at < len(buf) {
			size, reason := d.frame(buf[at:])
			if size == 0 && !final {
				break
			}
			if size == 0 {
				size, reason = 1, cut
			}
			if err := d.pass(buf[at:at+size], reason); err != nil {
				return err
			}
			at += size
		}
		buf = append(buf[:0], buf[at:]...)
	}
	d.endJunk()
	return nil
}

// frame measures the frame at the start of b: 0 when more is needed, 1 and a reason when none
// begins there.
func (d *decoder) frame(b []byte) (int, string) {
	switch b[0] {
	case cmdOpen, cmdRead, cmdChange:
	default:
		return 1, noFrame
	}
	if len(b) > 1 && (b[1] == 0 || b[1] > maxBoard) || len(b) > 2 && b[0] == cmdChange && (b[2] == 0 || b[2] > maxLock) {
		return 1, noFrame
	}
	all := foreign
	if b[0] == cmdRead && len(b) > 1 && d.opt.Doors > 8 {
		q := readAll(b[1], fnRead, d.opt.Doors)
		var size int
		if size, all = q.answer(b); all == reply {
			return size, ""
		}
		if all == more && d.asked.command == cmdRead && d.asked.board == b[1] && d.asked.lock == 0 {
			return 0, ""
		}
	}
	if len(b) < shortest {
		return 0, ""
	}
	switch bad := !bccOK(b[:shortest]); {
	case bad && all == more:
		return 0, ""
	case bad:
		return 1, badBCC
	case b[2] > maxLock && d.opt.Doors > 8, !known(b[0], b[3]):
		return 1, noFrame
	}
	return shortest, ""
}

// known reports whether a frame of command may have fn as its fourth byte: a function or a state.
func known(command, fn byte) bool {
	switch fn {
	case short, broken:
		return true
	case fnRead, fnReadOld:
		return command == cmdRead
	}
	return false
}

// pass moves over raw: a good frame when reason is empty, else a byte of junk.
func (d *decoder) pass(raw []byte, reason string) error {
	if reason == "" {
		d.endJunk()
		d.offset += int64(len(raw))
		d.counts.framesOK.Add(1)
		return d.good(raw)
	}
	if reason == badBCC {
		d.counts.badChecksum.Add(1)
	}
	if len(d.junk) == 0 || reason == badBCC {
		d.why = reason
	}
	d.junk = append(d.junk, raw...)
	d.counts.resync.Add(1)
	if len(d.junk) == maxJunk {
		d.endJunk()
	}
	return nil
}

func (d *decoder) endJunk() {
	if len(d.junk) == 0 {
		return
	}
	d.reject(d.offset, d.junk, d.why)
	d.offset += int64(len(d.junk))
	d.junk = d.junk[:0]
}

// good tells what a frame says.
func (d *decoder) good(f []byte) error {
	before := d.asked
	d.asked = request{}
	all := len(f) > shortest || // with eight doors or less only the request before tells
		d.opt.Doors <= 8 && f[0] == cmdRead && f[3] == fnRead && before == asRequest([]byte{cmdRead, f[1], 0, fnRead})
	switch {
	case all:
		return d.all(f)
	case f[0] == cmdChange:
		d.counts.changes.Add(1)
		return d.state(f[1], f[2], openBy(d.opt.Feedback, f[3]))
	case f[0] == cmdRead && f[2] != 0 && (f[3] == short || f[3] == broken):
		return d.state(f[1], f[2], openBy(d.opt.Feedback, f[3]))
	case f[0] == cmdOpen && f[3] == fnOpen && before != asRequest(f):
		d.counts.pulses.Add(1)
	}
	d.asked = asRequest(f)
	return nil
}

func asRequest(f []byte) request { return request{f[0], f[1], f[2], f[3], 0} }

// all tells the cells of a read-all answer that changed.
func (d *decoder) all(f []byte) error {
	last := d.doors[f[1]]
	d.doors[f[1]] = bytes.Clone(f)
	for lock := 1; lock <= d.opt.Doors; lock++ {
		one := bit(f, lock)
		if last != nil && bit(last, lock) == one {
			continue
		}
		if err := d.state(f[1], byte(lock), one == (d.opt.BitmapOneMeans == Open)); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) state(board, lock byte, open bool) error {
	event := telemetry.CellClosed
	if open {
		event = telemetry.CellOpened
	}
	cell := (int(board)-1)*d.opt.Doors + int(lock)
	if cell > 1024 { // 32 boards of 50 doors: no locker is that wide
		return nil
	}
	return d.emit(telemetry.New(d.opt.Device, time.Time{}, telemetry.Unknown, telemetry.Locker{Cell: telemetry.Some(cell), Event: event}))
}
