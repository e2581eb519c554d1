package lockerbus

// xor is the family "8A/80 XOR".
type xor struct{}

// The first bytes of frames, and functions.
const (
	cmdOpen   = 0x8A
	cmdRead   = 0x80
	cmdChange = 0x81

	fnOpen    = 0x11
	fnRead    = 0x33
	fnReadOld = 0x99 // read all, old boards

	short  = 0x11 // the contact is closed
	broken = 0x00
)

// The family's limits.
const (
	maxBoard = 0x20
	maxLock  = 0x32
	shortest = 5 // bytes of every frame but answers for all doors
)

func (xor) limits() limits {
	return limits{lowest: 1, highest: maxBoard, locks: maxLock, sizes: []int{24, 32, maxLock}}
}

func bcc(b []byte) (x byte) {
	for _, c := range b {
		x ^= c
	}
	return x
}

func bccOK(frame []byte) bool { return bcc(frame) == 0 }

func (xor) ask(o op, b Board, lock int) request {
	command, function := byte(cmdRead), byte(fnRead)
	switch o {
	case opOpen:
		command, function = cmdOpen, fnOpen
	case opReadAll:
		lock = 0
		if b.readOld {
			function = fnReadOld
		}
	}
	f := []byte{command, byte(b.Board), byte(lock), function, 0}
	f[4] = bcc(f[:4])
	return request{op: o, board: b.Board, lock: lock, states: (b.Doors + 7) / 8, frame: f}
}

func (x xor) find(b []byte, q *request) (size int, v verdict, t told) {
	if len(b) == 0 {
		return 0, more, told{}
	}
	if q != nil && b[0] == q.frame[0] {
		if size, v = q.xorAnswer(b); v != foreign {
			if v == reply {
				t = xorTells(b[:size], q.lock == 0)
			}
			return size, v, t
		}
	}
	switch b[0] {
	case cmdChange:
		v = change
	case cmdOpen, cmdRead:
		v = late
	default:
		return 0, foreign, told{}
	}
	switch {
	case len(b) > 1 && (b[1] == 0 || b[1] > maxBoard),
		len(b) > 2 && (b[2] == 0 || b[2] > maxLock),
		len(b) > 3 && b[3] != short && b[3] != broken:
		return 0, foreign, told{}
	case len(b) < shortest:
		return 0, more, told{}
	case !bccOK(b[:shortest]):
		return shortest, badChecksum, told{}
	}
	return shortest, v, xorTells(b[:shortest], false)
}

// xorAnswer looks at the start of b, whose first byte is right, for q's answer.
func (q *request) xorAnswer(b []byte) (size int, v verdict) {
	size = shortest
	if q.lock == 0 {
		size = 2 + q.states + 2
	}
	if len(b) > 1 && int(b[1]) != q.board {
		return 0, foreign
	}
	if q.lock != 0 && (len(b) > 2 && int(b[2]) != q.lock || len(b) > 3 && b[3] != short && b[3] != broken) {
		return 0, foreign
	}
	if n := size - 2; q.lock == 0 && len(b) > n && b[n] != fnRead && b[n] != fnReadOld {
		return 0, foreign
	}
	switch {
	case len(b) < size:
		return 0, more
	case !bccOK(b[:size]):
		return size, badChecksum
	}
	return size, reply
}

// xorTells reads a whole frame. Of all doors the last state byte is 1 to 8.
func xorTells(f []byte, all bool) told {
	t := told{board: int(f[1])}
	if !all {
		t.lock = int(f[2])
		if f[3] == short {
			t.doors = 1 << (t.lock - 1)
		}
		return t
	}
	for _, s := range f[2 : len(f)-2] {
		t.doors = t.doors<<8 | inputs(s)
	}
	return t
}

// xorReader reads captures. An answer for all of eight doors looks like a request for all: the request before
// tells.
type xorReader struct {
	doors  int
	counts *counters
	asked  [4]byte // the request before, zero for none
}

func (xor) reader(doors int, counts *counters) reader {
	return &xorReader{doors: doors, counts: counts}
}

func (x *xorReader) frame(b []byte) (int, string) {
	switch b[0] {
	case cmdOpen, cmdRead, cmdChange:
	default:
		return 1, noFrame
	}
	if len(b) > 1 && (b[1] == 0 || b[1] > maxBoard) || len(b) > 2 && b[0] == cmdChange && (b[2] == 0 || b[2] > maxLock) {
		return 1, noFrame
	}
	all := foreign
	if b[0] == cmdRead && len(b) > 1 && x.doors > 8 {
		q := xor{}.ask(opReadAll, Board{Board: int(b[1]), Doors: x.doors}, 0)
		var size int
		if size, all = q.xorAnswer(b); all == reply {
			return size, ""
		}
		if all == more && x.asked[0] == cmdRead && x.asked[1] == b[1] && x.asked[2] == 0 {
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
		return 1, badSum
	case b[2] > maxLock && x.doors > 8, !known(b[0], b[3]):
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

func (x *xorReader) read(f []byte) (told, bool) {
	before := x.asked
	x.asked = [4]byte{}
	all := len(f) > shortest || // with eight doors or less only the request before tells
		x.doors <= 8 && f[0] == cmdRead && f[3] == fnRead && before == [4]byte{cmdRead, f[1], 0, fnRead}
	switch {
	case all:
		return xorTells(f, true), true
	case f[0] == cmdChange:
		x.counts.changes.Add(1)
		return xorTells(f, false), true
	case f[0] == cmdRead && f[2] != 0 && (f[3] == short || f[3] == broken):
		return xorTells(f, false), true
	case f[0] == cmdOpen && f[3] == fnOpen && before != [4]byte(f):
		x.counts.pulses.Add(1)
	}
	x.asked = [4]byte(f)
	return told{}, false
}
