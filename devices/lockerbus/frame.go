package lockerbus

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
	shortest = 5 // bytes of every frame but read-all answers
)

func bcc(b []byte) (x byte) {
	for _, c := range b {
		x ^= c
	}
	return x
}

func bccOK(frame []byte) bool { return bcc(frame) == 0 }

// A request is one frame to a board. Lock 0 is all of them.
type request struct {
	command, board, lock, function byte
	states                         int // state bytes of a read-all answer
}

func (q request) frame() []byte {
	b := []byte{q.command, q.board, q.lock, q.function, 0}
	b[4] = bcc(b[:4])
	return b
}

func openOne(board, lock byte) request { return request{cmdOpen, board, lock, fnOpen, 0} }
func readOne(board, lock byte) request { return request{cmdRead, board, lock, fnRead, 0} }
func readAll(board, function byte, doors int) request {
	return request{cmdRead, board, 0, function, (doors + 7) / 8}
}

// A verdict says what stands at the start of received bytes.
type verdict int

const (
	more        verdict = iota // the beginning of a frame: read on
	reply                      // what the request asked for
	change                     // a door moved, told unasked
	late                       // an answer nobody waits for
	foreign                    // no frame begins here
	badChecksum                // a frame but for its check
)

// find looks at the start of b for an answer to q (nil: nothing is asked) or an unasked change.
func find(b []byte, q *request) (size int, v verdict) {
	if len(b) == 0 {
		return 0, more
	}
	if q != nil && b[0] == q.command {
		if size, v = q.answer(b); v != foreign {
			return size, v
		}
	}
	switch b[0] {
	case cmdChange:
		v = change
	case cmdOpen, cmdRead:
		v = late
	default:
		return 0, foreign
	}
	switch {
	case len(b) > 1 && (b[1] == 0 || b[1] > maxBoard),
		len(b) > 2 && (b[2] == 0 || b[2] > maxLock),
		len(b) > 3 && b[3] != short && b[3] != broken:
		return 0, foreign
	case len(b) < shortest:
		return 0, more
	case !bccOK(b[:shortest]):
		return shortest, badChecksum
	}
	return shortest, v
}

// answer looks at the start of b, whose first byte is right, for q's answer.
func (q *request) answer(b []byte) (size int, v verdict) {
	size = shortest
	if q.lock == 0 {
		size = 2 + q.states + 2
	}
	if len(b) > 1 && b[1] != q.board {
		return 0, foreign
	}
	if q.lock != 0 && (len(b) > 2 && b[2] != q.lock || len(b) > 3 && b[3] != short && b[3] != broken) {
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

// bit returns lock's bit of the read-all answer b.
func bit(b []byte, lock int) bool {
	states := b[2 : len(b)-2]
	return states[len(states)-1-(lock-1)/8]>>((lock-1)%8)&1 == 1
}
