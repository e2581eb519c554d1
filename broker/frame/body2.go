package frame

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// set is the payloads of one shape.
type set struct {
	shape  string
	rows   []int    // of the frame
	tokens [][]byte // row after row
}

// pack2 writes records as the body of version 2.
func pack2(body []byte, rs []Record) ([]byte, error) {
	n := len(rs)
	var boots bootTable
	var meta [5][]int64 // type, quality, boot, mono, wall above mono
	for k := range meta {
		meta[k] = make([]int64, n)
	}
	wall, fine := make([]int64, n), byte(0)
	for i := range rs {
		r := &rs[i]
		for k, v := range [...]int64{int64(r.Type), int64(qualityByte(r.Quality)), int64(boots.index(r.Boot)), r.MonoNS, r.WallMS - r.MonoNS/1e6} {
			meta[k][i] = v
		}
		wall[i] = r.WallMS
		fine |= bit(r.MonoNS%1e6 != 0)
	}
	if len(boots) > maxBoots {
		return nil, fmt.Errorf("records of %d boots, at most %d", len(boots), maxBoots)
	}
	if fine == 0 {
		for i := range meta[3] {
			meta[3][i] /= 1e6
		}
	}
	body = append(boots.append(body), fine)
	for _, v := range meta {
		body = appendInts(body, v, oneGroup)
	}
	sets, of := sortByShape(rs)
	body = binary.AppendUvarint(body, uint64(len(sets)))
	for _, s := range sets {
		body = appendText(body, []byte(s.shape))
	}
	body = appendInts(body, of, oneGroup)
	w := setWriter{room: make([]int64, n)}
	for _, s := range sets {
		body = w.append(body, s, wall)
	}
	return body, nil
}

// sortByShape cuts the payloads into shapes and values. of is the set of each record. Shapes that come once aren't
// cut: columns of one row cost more than they save.
func sortByShape(rs []Record) (sets []*set, of []int64) {
	of = make([]int64, len(rs))
	index := map[string]int{}
	rest := &set{shape: whole}
	total := 0
	var shape []byte
	var tokens [][]byte
	for i := range rs {
		shape, tokens = cut(rs[i].Payload, shape[:0], tokens[:0])
		k, ok := index[string(shape)]
		if total += len(tokens); string(shape) == whole || total > maxTokens || !ok && len(sets) == maxShapes-1 {
			rest.rows = append(rest.rows, i)
			continue
		}
		if !ok {
			k = len(sets)
			index[string(shape)] = k
			sets = append(sets, &set{shape: string(shape)})
		}
		sets[k].rows = append(sets[k].rows, i)
		sets[k].tokens = append(sets[k].tokens, tokens...)
	}
	sets = slices.DeleteFunc(sets, func(s *set) bool {
		if len(s.rows) == 1 {
			rest.rows = append(rest.rows, s.rows[0])
		}
		return len(s.rows) == 1
	})
	if len(rest.rows) > 0 {
		slices.Sort(rest.rows)
		for _, i := range rest.rows {
			rest.tokens = append(rest.tokens, rs[i].Payload)
		}
		sets = append(sets, rest)
	}
	for k, s := range sets {
		for _, i := range s.rows {
			of[i] = int64(k)
		}
	}
	return sets, of
}

var oneGroup = []int{0}

// setWriter writes the values of a set.
type setWriter struct{ room []int64 }

// maxKeys is how many columns may say in which group a row is.
const maxKeys = 2

// order is an order of rows: those of a group are neighbours.
type order struct {
	keys   []int // slots
	rows   []int
	groups []int
}

// newOrder sorts rows by the words of the key columns, the first key first.
func newOrder(n int, keys []int, words [][]int64) order {
	o := order{keys: keys, rows: make([]int, n), groups: oneGroup}
	for i := range o.rows {
		o.rows[i] = i
	}
	if len(keys) == 0 {
		return o
	}
	compare := func(a, b int) int {
		for _, w := range words {
			if w[a] != w[b] {
				return int(w[a] - w[b])
			}
		}
		return 0
	}
	slices.SortStableFunc(o.rows, compare)
	o.groups = []int{0}
	for i := 1; i < n; i++ {
		if compare(o.rows[i-1], o.rows[i]) != 0 {
			o.groups = append(o.groups, i)
		}
	}
	return o
}

// append writes s: its keys, their columns in the order of the frame, then the other columns group after group.
func (w *setWriter) append(dst []byte, s *set, wall []int64) []byte {
	n := len(s.rows)
	slots := len(s.tokens) / n
	ways := make([][]column, slots)
	walls := make([]int64, n)
	for i, r := range s.rows {
		walls[i] = wall[r]
	}
	tokens := make([][]byte, n)
	for k := range ways {
		for i := range tokens {
			tokens[i] = s.tokens[i*slots+k]
		}
		ways[k] = columns(slices.Clone(tokens), walls)
	}
	o := w.best(ways, n)
	dst = append(dst, byte(len(o.keys)))
	for _, k := range o.keys {
		dst = append(dst, byte(k))
	}
	natural := newOrder(n, nil, nil)
	for _, k := range o.keys {
		dst = ways[k][0].append(dst, natural.rows, natural.groups, w.room)
	}
	for k := range ways {
		if !slices.Contains(o.keys, k) {
			c, _ := w.cheapest(ways[k], &o)
			dst = c.append(dst, o.rows, o.groups, w.room)
		}
	}
	return dst
}

// cheapest is the best of the ways to write a column in an order.
func (w *setWriter) cheapest(ways []column, o *order) (best *column, cost int) {
	for i := range ways {
		if c := ways[i].cost(o.rows, o.groups, w.room); best == nil || c < cost {
			best, cost = &ways[i], c
		}
	}
	return best, cost
}

// best tries which columns of words, such as the device and its probe, tell rows that go on from each other.
func (w *setWriter) best(ways [][]column, n int) order {
	o := newOrder(n, nil, nil)
	cost := w.total(ways, &o)
	for range maxKeys {
		found := false
		for k, tries := 0, 0; k < len(ways) && tries < 4; k++ {
			if c := &ways[k][0]; c.kind != colWords || c.nums == nil || slices.Contains(o.keys, k) || slices.Max(c.nums[0]) > int64(n/2) {
				continue
			}
			tries++
			keys := append(slices.Clone(o.keys), k)
			var words [][]int64
			for _, k := range keys {
				words = append(words, ways[k][0].nums[0])
			}
			if try := newOrder(n, keys, words); len(try.groups) < n {
				if c := w.total(ways, &try); c < cost {
					o, cost, found = try, c, true
					break
				}
			}
		}
		if !found {
			break
		}
	}
	return o
}

func (w *setWriter) total(ways [][]column, o *order) (n int) {
	natural := newOrder(len(o.rows), nil, nil)
	for k := range ways {
		if slices.Contains(o.keys, k) {
			n += ways[k][0].cost(natural.rows, natural.groups, w.room)
			continue
		}
		_, c := w.cheapest(ways[k], o)
		n += c
	}
	return n
}
