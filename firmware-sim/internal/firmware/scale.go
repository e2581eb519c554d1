package firmware

import (
	"context"
	"fmt"
	"io"
	"math"
	"sync"
	"time"
)

// Scale is a dock scale's indicator that sends its weight ten times a second.
type Scale struct {
	Line io.Writer
	// Format is how it writes: st-gs, yaohua, reversed, equals, wg, toledo, sics or plain.
	Format string

	mu    sync.Mutex
	load  float64 // kilograms on the pan
	shown float64 // what the cell feels
}

// The scale weighs to 150 kg in steps of 10 g.
const (
	scaleMax  = 150.0
	scaleStep = 0.01
)

// Put lays a load on the pan in place of what was there; 0 empties it.
func (s *Scale) Put(kg float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.load = kg
}

// Run sends until ctx ends.
func (s *Scale) Run(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		frame, err := s.next()
		if err != nil {
			return err
		}
		if _, err := s.Line.Write(frame); err != nil && ctx.Err() == nil {
			return fmt.Errorf("scale: %w", err)
		}
	}
}

// next lets a tenth of a second pass: the pan comes to rest in about one.
func (s *Scale) next() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gap := s.load - s.shown
	s.shown += 0.6 * gap
	if math.Abs(gap) < scaleStep/2 {
		s.shown = s.load
	}
	kg := math.Round(s.shown/scaleStep) * scaleStep
	return scaleFrame(s.Format, kg, math.Abs(gap) < scaleStep/2, s.shown > scaleMax)
}

// scaleFrame is one frame, from the makers' manuals.
func scaleFrame(format string, kg float64, still, over bool) ([]byte, error) {
	n := int(math.Round(kg * 100))
	sign, size := byte('+'), n
	if n < 0 {
		sign, size = '-', -n
	}
	value := fmt.Sprintf("%d.%02d", size/100, size%100)
	switch format {
	case "st-gs":
		head := map[bool]string{true: "ST", false: "US"}[still]
		if over {
			head = "OL"
		}
		return fmt.Appendf(nil, "%s,GS,%c%7skg\r\n", head, sign, value), nil
	case "yaohua":
		body := fmt.Appendf(nil, "%c%06d2", sign, size)
		x := xorOf(body)
		return append(fmt.Appendf([]byte{0x02}, "%s%X%X", body, x>>4, x&15), 0x03), nil
	case "reversed":
		digits := fmt.Sprintf("%07s", value)
		f := []byte{'='}
		for i := len(digits) - 1; i >= 0; i-- {
			f = append(f, digits[i])
		}
		return append(f, map[byte]byte{'+': '0', '-': '-'}[sign]), nil
	case "equals":
		return fmt.Appendf(nil, "=%c%07s", map[byte]byte{'+': '0', '-': '-'}[sign], value), nil
	case "wg":
		body := fmt.Appendf(nil, "WG%07skg", value)
		if sign == '-' {
			body[2] = '-'
		}
		if over {
			body = []byte("         OL")
		}
		x := xorOf(body)
		return fmt.Appendf(body, "%X%X\r\n", x>>4, x&15), nil
	case "toledo":
		return toledoFrame(size, sign == '-', still, over), nil
	case "sics":
		if over {
			return []byte("S +\r\n"), nil
		}
		return fmt.Appendf(nil, "S %c %10.2f kg\r\n", map[bool]byte{true: 'S', false: 'D'}[still], kg), nil
	case "plain":
		return fmt.Appendf(nil, "%8.2f kg\r\n", kg), nil
	}
	return nil, fmt.Errorf("scale: no format %q", format)
}

// toledoFrame is Mettler Toledo's continuous output with its checksum: two decimals, kilograms.
func toledoFrame(size int, negative, still, over bool) []byte {
	b := byte(0b0011_0000)
	for bit, set := range map[int]bool{1: negative, 2: over, 3: !still} {
		if set {
			b |= 1 << bit
		}
	}
	f := fmt.Appendf([]byte{0x02, 0b0010_1100, b, 0b0010_0000}, "%06d000000\r", size)
	sum := 0
	for _, c := range f {
		sum += int(c & 0x7F)
	}
	return append(f, byte(-sum)&0x7F)
}

func xorOf(b []byte) (x byte) {
	for _, c := range b {
		x ^= c
	}
	return x
}
