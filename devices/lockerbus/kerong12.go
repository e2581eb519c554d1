package lockerbus

// kerong12 is a KR-CU12 or one of the newer boards: a head of eight bytes, and after its sum the data.
//
//	02 ADDR LOCK CMD ASK LEN 03 SUM data
//
// Boards are met whose sum is of the head alone and boards whose sum is of head and data; both are taken. The states of the
// first kind are under no check.
type kerong12 struct{}

const (
	newStatus = 0x80
	newUnlock = 0x81

	head    = 8
	newData = 32 // bytes of data that any board has, at most
	newLast = 0x9F
)

func (kerong12) limits() limits {
	return limits{highest: 0xEF, locks: 56, sizes: []int{12, 24, 48}, infrared: true, twice: true}
}

func (kerong12) ask(o op, b Board, lock int) request {
	q := request{op: o, board: b.Board, lock: lock, states: (b.Doors + 7) / 8}
	command := byte(newStatus)
	if o == opOpen {
		command, q.quiet = newUnlock, true
	} else {
		lock = 1
	}
	q.frame = []byte{stx, byte(b.Board), byte(lock - 1), command, 0, 0, etx}
	q.frame = append(q.frame, sum(q.frame))
	return q
}

// measure returns the size of the frame at the start of b when its head is one, 0 when more is needed.
func (kerong12) measure(b []byte) (size int, v verdict) {
	switch {
	case len(b) == 0:
		return 0, more
	case b[0] != stx, len(b) > 3 && (b[3] < newStatus || b[3] > newLast), len(b) > 5 && b[5] > newData, len(b) > 6 && b[6] != etx:
		return 0, foreign
	case len(b) < head, len(b) < head+int(b[5]):
		return 0, more
	}
	size = head + int(b[5])
	if s := sum(b[:head-1]); s != b[head-1] && s+sum(b[head:size]) != b[head-1] {
		return size, badChecksum
	}
	return size, late
}

func (k kerong12) find(b []byte, q *request) (int, verdict, told) {
	size, v := k.measure(b)
	if v != late || q == nil || q.board != int(b[1]) || q.op == opOpen && b[3] != newUnlock {
		return size, v, told{}
	}
	if q.op == opOpen {
		return size, reply, told{}
	}
	if b[3] != newStatus || int(b[5]) < q.states {
		return size, late, told{} // a refusal, or an echo
	}
	return size, reply, k.tells(b[:size], q.states)
}

// tells reads an answer: the doors' states, then as many of items where there are sensors.
func (kerong12) tells(f []byte, states int) told {
	t := told{board: int(f[1]), doors: ascending(f[head : head+states])}
	if len(f) >= head+2*states {
		t.items, t.sensed = ascending(f[head+states:head+2*states]), true
	}
	return t
}

// kerong12Reader reads captures.
type kerong12Reader struct {
	kerong12
	states int
	counts *counters
}

func (k kerong12) reader(doors int, counts *counters) reader {
	return kerong12Reader{k, (doors + 7) / 8, counts}
}

func (k kerong12Reader) frame(b []byte) (int, string) {
	switch size, v := k.measure(b); v {
	case more:
		return 0, ""
	case late:
		return size, ""
	case badChecksum:
		return 1, badSum
	}
	return 1, noFrame
}

func (k kerong12Reader) read(f []byte) (told, bool) {
	switch {
	case f[3] == newStatus && int(f[5]) >= k.states:
		return k.tells(f, k.states), true
	case f[3] == newUnlock && f[4] == 0:
		k.counts.pulses.Add(1)
	}
	return told{}, false
}
