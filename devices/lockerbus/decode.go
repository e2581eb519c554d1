package lockerbus

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"yizhan/devices/telemetry"
)

// Options of Decode.
type Options struct {
	Device         string // of the readings; empty: decode
	Family         string // empty: 8a80
	Feedback       string // locked_short (default) or open_short
	BitmapOneMeans string // locked or open; empty: as feedback says of 11
	Doors          int    // of each board; 0: as many as the smallest that is sold, 24 of the family 8a80
	Occupancy      string // infrared, or none (default)
	ItemOneMeans   string // present (default) or absent
}

func (o Options) check() error {
	for _, err := range []error{
		word("family", o.Family, Families()...), word("feedback", o.Feedback, LockedShort, OpenShort), word("bitmap_one_means", o.BitmapOneMeans, Locked, Open),
		word("occupancy", o.Occupancy, None, Infrared), word("item_one_means", o.ItemOneMeans, Present, Absent),
	} {
		if err != nil {
			return err
		}
	}
	if o.Doors < 0 || o.Doors > 56 {
		return fmt.Errorf("doors: %d is outside 1 to 56", o.Doors)
	}
	return nil
}

// Decode reads captured bytes of a line, either direction or both, and emits a locker reading,
// opened or closed, for each answer to read one, each unasked change, and each cell of an answer for all
// doors that differs from the one before. Board 2's lock 1 is the cell after board 1's last door, and the board
// with the family's lowest address has cell 1. What a cell holds is told with occupancy: infrared; whether a door was forced
// takes a driver to tell. Bytes that are no frame go to reject, which may be nil, with their offset; raw is valid during
// the call only. It fails on errors of r, of emit, and on options that make no sense, never on what r holds.
func Decode(r io.Reader, o Options, emit func(telemetry.Reading) error, reject func(offset int64, raw []byte, reason string)) (map[string]uint64, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	f := families[cmp.Or(o.Family, XOR)]
	l := f.limits()
	o.Device, o.Feedback = cmp.Or(o.Device, "decode"), cmp.Or(o.Feedback, LockedShort)
	o.BitmapOneMeans, o.Doors = cmp.Or(o.BitmapOneMeans, oneMeans(o.Feedback)), cmp.Or(o.Doors, l.sizes[0])
	if len(l.sizes) == 1 && o.Doors != l.sizes[0] {
		return nil, fmt.Errorf("doors: %d, and a %s has %d", o.Doors, o.Family, l.sizes[0])
	}
	if reject == nil {
		reject = func(int64, []byte, string) {}
	}
	d := decoder{opt: o, lowest: l.lowest, emit: emit, reject: reject, boards: map[int]told{}}
	d.reader = f.reader(o.Doors, &d.counts)
	err := d.run(r)
	return d.counts.named(), err
}

// A decoder walks a capture.
type decoder struct {
	opt    Options
	reader reader
	lowest int // address of a board
	emit   func(telemetry.Reading) error
	reject func(offset int64, raw []byte, reason string)
	counts counters
	boards map[int]told // the last answer for all doors

	offset int64 // of junk's first byte, or of the next byte
	junk   []byte
	why    string
}

const (
	noFrame = "no frame begins here"
	badSum  = "bad check"
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
			size, reason := d.reader.frame(buf[at:])
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

// pass moves over raw: a good frame when reason is empty, else a byte of junk.
func (d *decoder) pass(raw []byte, reason string) error {
	if reason == "" {
		d.endJunk()
		d.offset += int64(len(raw))
		d.counts.framesOK.Add(1)
		return d.good(raw)
	}
	if reason == badSum {
		d.counts.badChecksum.Add(1)
	}
	if len(d.junk) == 0 || reason == badSum {
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
	t, ok := d.reader.read(f)
	switch {
	case !ok:
		return nil
	case t.lock != 0:
		return d.state(t, t.lock)
	}
	last, seen := d.boards[t.board]
	d.boards[t.board] = t
	for lock := 1; lock <= d.opt.Doors; lock++ {
		same := last.doors.at(lock) == t.doors.at(lock) && (d.opt.Occupancy != Infrared || last.items.at(lock) == t.items.at(lock))
		if seen && same {
			continue
		}
		if err := d.state(t, lock); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) state(t told, lock int) error {
	b := Board{Feedback: d.opt.Feedback, BitmapOneMeans: d.opt.BitmapOneMeans}
	event := telemetry.CellClosed
	if b.open(t, lock) {
		event = telemetry.CellOpened
	}
	cell := (t.board-d.lowest)*d.opt.Doors + lock
	if cell > 1024 { // no locker is that wide
		return nil
	}
	body := telemetry.Locker{Cell: telemetry.Some(cell), Event: event}
	if t.sensed && d.opt.Occupancy == Infrared {
		body.Occupied = telemetry.Some(t.items.at(lock) == (d.opt.ItemOneMeans != Absent))
	}
	return d.emit(telemetry.New(d.opt.Device, time.Time{}, telemetry.Unknown, body))
}
