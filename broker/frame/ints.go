package frame

import (
	"encoding/binary"
	"math/bits"
)

// Whole numbers of a column, as the package comment says: in groups of rows, each group predicted by itself.

// packing is how a column of numbers is written.
type packing struct {
	order int    // of the differences: 0, 1 or 2
	width int    // bits of each difference above the smallest; varints when asVarints
	base  int64  // the smallest difference
	cost  int    // bytes
	diffs uint64 // how many there are
}

const asVarints = 63

// ends returns where the group ends that starts at groups[g].
func ends(groups []int, g, n int) int {
	if g+1 < len(groups) {
		return groups[g+1]
	}
	return n
}

// difference is the order-th difference at row i of its group, which has at least order rows before it.
func difference(v []int64, i, order int) int64 {
	switch order {
	case 0:
		return v[i]
	case 1:
		return v[i] - v[i-1]
	}
	return v[i] - 2*v[i-1] + v[i-2]
}

// plan finds the cheapest way to write v.
func plan(v []int64, groups []int) packing {
	best := planOrder(v, groups, 0)
	for order := 1; order <= 2; order++ {
		if p := planOrder(v, groups, order); p.cost < best.cost {
			best = p
		}
	}
	return best
}

func planOrder(v []int64, groups []int, order int) packing {
	p := packing{order: order, cost: 1}
	var firsts [2]int64
	each := func(f func(d int64)) {
		for g, from := range groups {
			for i := from + order; i < ends(groups, g, len(v)); i++ {
				f(difference(v, i, order))
			}
		}
	}
	for g, from := range groups {
		for k := range min(order, ends(groups, g, len(v))-from) {
			x := difference(v, from+k, k)
			p.cost += svarintLen(x - firsts[k])
			firsts[k] = x
		}
	}
	each(func(d int64) {
		if p.diffs == 0 || d < p.base {
			p.base = d
		}
		p.diffs++
	})
	if p.diffs == 0 {
		return p
	}
	long := 0
	each(func(d int64) {
		x := uint64(d) - uint64(p.base)
		p.width = max(p.width, bits.Len64(x))
		long += uvarintLen(x)
	})
	p.cost += svarintLen(p.base)
	if packed := (p.width*int(p.diffs) + 7) / 8; p.width < asVarints && packed <= long {
		p.cost += packed
	} else {
		p.width = asVarints
		p.cost += long
	}
	return p
}

func uvarintLen(x uint64) int { return (bits.Len64(x|1) + 6) / 7 }

func svarintLen(x int64) int { return uvarintLen(uint64(x<<1) ^ uint64(x>>63)) }

// appendInts writes v, of which each group starts at a row of groups.
func appendInts(dst []byte, v []int64, groups []int) []byte {
	if len(v) == 0 {
		return dst
	}
	p := plan(v, groups)
	dst = append(dst, byte(p.order<<6|p.width))
	var firsts [2]int64
	for g, from := range groups {
		for k := range min(p.order, ends(groups, g, len(v))-from) {
			x := difference(v, from+k, k)
			dst = binary.AppendVarint(dst, x-firsts[k])
			firsts[k] = x
		}
	}
	if p.diffs == 0 {
		return dst
	}
	dst = binary.AppendVarint(dst, p.base)
	if p.width == 0 {
		return dst
	}
	w := bitWriter{dst: dst}
	for g, from := range groups {
		for i := from + p.order; i < ends(groups, g, len(v)); i++ {
			x := uint64(difference(v, i, p.order)) - uint64(p.base)
			if p.width == asVarints {
				w.dst = binary.AppendUvarint(w.dst, x)
			} else {
				w.put(x, p.width)
			}
		}
	}
	return w.flush()
}

// ints reads n numbers that appendInts wrote.
func (c *cursor) ints(n int, groups []int, field string) []int64 {
	v := make([]int64, n)
	if n == 0 || c.err != nil {
		return v
	}
	head := c.take(1, field)[0]
	order, width := int(head>>6), int(head&63)
	if order > 2 {
		c.fail(field)
		return v
	}
	diffs := 0
	var firsts [2]int64
	for g, from := range groups {
		end := ends(groups, g, n)
		for k := range min(order, end-from) {
			firsts[k] += c.varint(field)
			v[from+k] = firsts[k]
			if k == 1 {
				v[from+k] += v[from]
			}
		}
		diffs += max(0, end-from-order)
	}
	if diffs == 0 || c.err != nil {
		return v
	}
	base := c.varint(field)
	var r bitReader
	if width > 0 && width < asVarints {
		r.b = c.take((width*diffs+7)/8, field)
	}
	if c.err != nil {
		return v
	}
	for g, from := range groups {
		for i := from + order; i < ends(groups, g, n); i++ {
			var x uint64
			if width == asVarints {
				x = c.uvarint(field)
			} else {
				x = r.get(width)
			}
			d := int64(x + uint64(base))
			switch order {
			case 1:
				d += v[i-1]
			case 2:
				d += 2*v[i-1] - v[i-2]
			}
			v[i] = d
		}
	}
	return v
}

// bitWriter puts numbers of up to 62 bits one behind the other, the lowest bit first.
type bitWriter struct {
	dst  []byte
	hold uint64
	n    int
}

func (w *bitWriter) put(x uint64, width int) {
	for width > 0 {
		k := min(width, 8-w.n)
		w.hold |= (x & (1<<k - 1)) << w.n
		x >>= k
		width -= k
		if w.n += k; w.n == 8 {
			w.dst = append(w.dst, byte(w.hold))
			w.hold, w.n = 0, 0
		}
	}
}

func (w *bitWriter) flush() []byte {
	if w.n > 0 {
		w.dst = append(w.dst, byte(w.hold))
	}
	return w.dst
}

// bitReader reads what a bitWriter wrote; behind the end it reads zeros.
type bitReader struct {
	b   []byte
	bit int
}

func (r *bitReader) get(width int) (x uint64) {
	for got := 0; got < width; {
		if r.bit>>3 >= len(r.b) {
			return x
		}
		k := min(width-got, 8-r.bit&7)
		part := uint64(r.b[r.bit>>3]>>(r.bit&7)) & (1<<k - 1)
		x |= part << got
		got += k
		r.bit += k
	}
	return x
}
