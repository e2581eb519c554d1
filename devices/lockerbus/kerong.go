package lockerbus

// Every KERONG frame begins with stx; etx and the sum of all bytes before it end the head.
const (
	stx = 0x02
	etx = 0x03
)

func sum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}

// kerong is a KR-CU16, 24 or 48: stx, address (and lock), command, states, etx, sum. The KR-CU16 has board and lock
// in one byte; locks count from 0 on the wire.
type kerong struct {
	locks          int
	at             int // where the command stands
	status, unlock byte
	answer         byte
	states, items  int            // bytes of an answer
	others         map[byte][]int // sizes of the frames of other commands
}

func (k kerong) limits() limits {
	l := limits{highest: 0xEF, locks: k.locks, sizes: []int{k.locks}, infrared: k.items > 0}
	if k.at == 2 {
		l.highest = 0x0E // 0F is for all boards
	}
	return l
}

func (k kerong) ask(o op, b Board, lock int) request {
	q := request{op: o, board: b.Board, lock: lock, states: k.states}
	command := k.status
	if o == opOpen {
		command, q.quiet = k.unlock, true
	} else {
		lock = 1 // a board tells all its doors or none
	}
	if k.at == 2 {
		q.frame = []byte{stx, byte(b.Board<<4 | (lock - 1)), command, etx}
	} else {
		q.frame = []byte{stx, byte(b.Board), byte(lock - 1), command, etx}
	}
	q.frame = append(q.frame, sum(q.frame))
	return q
}

// long is the size of an answer.
func (k kerong) long() int { return k.at + 1 + k.states + k.items + 2 }

func (k kerong) board(f []byte) int {
	if k.at == 2 {
		return int(f[1] >> 4)
	}
	return int(f[1])
}

func (k kerong) find(b []byte, q *request) (int, verdict, told) {
	size := k.long()
	switch {
	case len(b) == 0:
		return 0, more, told{}
	case b[0] != stx, len(b) > k.at && b[k.at] != k.answer, len(b) >= size-1 && b[size-2] != etx:
		return 0, foreign, told{}
	case len(b) < size:
		return 0, more, told{}
	case sum(b[:size-1]) != b[size-1]:
		return size, badChecksum, told{}
	case q == nil || q.board != k.board(b):
		return size, late, told{}
	}
	return size, reply, k.tells(b[:size])
}

// tells reads a whole answer: the first byte is locks 1 to 8.
func (k kerong) tells(f []byte) told {
	t := told{board: k.board(f), sensed: k.items > 0}
	s := f[k.at+1:]
	t.doors = ascending(s[:k.states])
	t.items = ascending(s[k.states : k.states+k.items])
	return t
}

// ascending reads states whose first byte is the lowest.
func ascending(b []byte) (s inputs) {
	for i, c := range b {
		s |= inputs(c) << (8 * i)
	}
	return s
}

// kerongReader reads captures.
type kerongReader struct {
	kerong
	counts *counters
}

func (k kerong) reader(_ int, counts *counters) reader { return kerongReader{k, counts} }

// sizes are those of frames with a command, ascending.
func (k kerong) sizes(command byte) []int {
	switch command {
	case k.status, k.unlock:
		return []int{k.at + 3}
	case k.answer:
		return []int{k.long()}
	}
	return k.others[command]
}

func (k kerongReader) frame(b []byte) (int, string) {
	if b[0] != stx {
		return 1, noFrame
	}
	if len(b) <= k.at {
		return 0, ""
	}
	reason := noFrame
	for _, size := range k.sizes(b[k.at]) {
		switch {
		case len(b) < size:
			return 0, ""
		case b[size-2] != etx:
		case sum(b[:size-1]) == b[size-1]:
			return size, ""
		default:
			reason = badSum
		}
	}
	return 1, reason
}

func (k kerongReader) read(f []byte) (told, bool) {
	switch f[k.at] {
	case k.answer:
		return k.tells(f), true
	case k.unlock:
		k.counts.pulses.Add(1)
	}
	return told{}, false
}
