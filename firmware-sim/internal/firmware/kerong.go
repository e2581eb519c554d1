package firmware

import (
	"context"
	"time"
)

// Model is a KERONG lock board.
type Model int

// The models, by how many locks they switch.
const (
	KRCU12 Model = 12
	KRCU16 Model = 16
	KRCU24 Model = 24
	KRCU48 Model = 48
)

// Kerong is one or more KERONG lock boards of a model on one RS-485 line (KERONG's manuals of the KR-CU series: STX, ETX,
// low byte of the sum). Its doors are a cabinet's: those of the first board come first. An infrared sensor looks into
// each cell where the model has them (KR-CU12, KR-CU16).
type Kerong struct {
	*Cabinet
	Model  Model
	Baud   int  // the speed that the boards are set to; any where zero
	Echo   bool // the adapter on the line echoes what it is sent
	Sticky bool // after an unlock the board is busy until another command
	busy   map[byte]bool
}

// NewKerong makes boards with the addresses first, first+1 and so on, all doors closed and all cells empty.
func NewKerong(line cable, model Model, boards int, first byte) *Kerong {
	return &Kerong{Cabinet: NewCabinet(line, boards*int(model), first, 0), Model: model, busy: map[byte]bool{}}
}

const (
	krSTX = 0x02
	krETX = 0x03
)

// Run answers requests until ctx ends or the line breaks.
func (k *Kerong) Run(ctx context.Context) error {
	var in []byte
	took := func(b []byte) {
		if l, ok := k.Line.(interface{ Speed() int }); ok && k.Baud != 0 && l.Speed() != k.Baud {
			_, _ = k.Line.Write([]byte{0x00, 0x82, 0xFC}) // what is heard at another speed
			return
		}
		if k.Echo {
			_, _ = k.Line.Write(b)
		}
		in = append(in, b...)
		for n := k.size(); len(in) >= n; {
			if !krFrame(in[:n]) {
				in = in[1:]
				continue
			}
			k.handle(in[:n])
			in = in[n:]
		}
	}
	return pump(ctx, k.Line, boardGap, took, func() { in = in[:0] })
}

// size is that of a request.
func (k *Kerong) size() int {
	switch k.Model {
	case KRCU16:
		return 5
	case KRCU12:
		return 8
	}
	return 6
}

func krSum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}

func krFrame(f []byte) bool {
	n := len(f)
	return f[0] == krSTX && f[n-2] == krETX && krSum(f[:n-1]) == f[n-1]
}

// handle does what a request asks.
func (k *Kerong) handle(f []byte) {
	board, lock, command := f[1], int(f[2]), f[3]
	if k.Model == KRCU16 {
		board, lock, command = f[1]>>4, int(f[1]&0x0F), f[2]
	}
	boards := len(k.cells) / int(k.Model)
	if board < k.Address || int(board-k.Address) >= boards || lock >= int(k.Model) {
		return
	}
	status := map[Model]byte{KRCU12: 0x80, KRCU16: 0x30, KRCU24: 0x50, KRCU48: 0x60}[k.Model]
	switch command {
	case status:
		k.busy[board] = false
		k.answer(func() []byte { return k.states(board) })
	case status + 1:
		if k.Sticky && k.busy[board] {
			return
		}
		k.busy[board] = true
		k.pulse(int(board-k.Address)*int(k.Model) + lock + 1)
		if k.Model == KRCU12 {
			k.answer(func() []byte { return krSeal(krSTX, board, f[2], command, 0x10, 0, krETX) })
		}
	default:
		k.busy[board] = false
	}
}

func (k *Kerong) answer(frame func() []byte) {
	time.AfterFunc(turnaround, func() { _, _ = k.Line.Write(frame()) })
}

func krSeal(b ...byte) []byte { return append(b, krSum(b)) }

// states is a board's answer: hooks that are closed, and items.
func (k *Kerong) states(board byte) []byte {
	size := (int(k.Model) + 7) / 8
	hooks, items := make([]byte, size), make([]byte, size)
	k.mu.Lock()
	for i := range int(k.Model) {
		c := k.cells[int(board-k.Address)*int(k.Model)+i]
		if !c.open {
			hooks[i/8] |= 1 << (i % 8)
		}
		if c.item {
			items[i/8] |= 1 << (i % 8)
		}
	}
	k.mu.Unlock()
	switch k.Model {
	case KRCU16:
		return krSeal(append(append(append([]byte{krSTX, board << 4, 0x35}, hooks...), items...), krETX)...)
	case KRCU12:
		return append(krSeal(krSTX, board, 0, 0x80, 0x10, byte(2*size), krETX), append(hooks, items...)...)
	case KRCU24:
		return krSeal(append(append([]byte{krSTX, board, 0, 0x65}, hooks...), krETX)...)
	}
	return krSeal(append(append([]byte{krSTX, board, 0, 0x75}, hooks...), krETX)...)
}
