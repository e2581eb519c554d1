package frame

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// maxNumbers bounds what the columns of a frame unfold to: a column of equal numbers takes no room in the frame.
const maxNumbers = maxTokens*maxRuns + 4*MaxRecords

// reader reads a body of version 2.
type reader struct {
	cursor
	numbers int // that may still be unfolded
	text    int // bytes of payload that may still be written
}

func (r *reader) nums(n int, groups []int, field string) []int64 {
	if r.numbers -= n; r.numbers < 0 {
		r.fail(field)
		return make([]int64, n)
	}
	return r.ints(n, groups, field)
}

// read2 reads the records of a body of version 2 into f.Records.
func read2(f *Frame, body []byte) error {
	r := reader{cursor: cursor{b: body}, numbers: maxNumbers, text: MaxBody}
	n := len(f.Records)
	boots := r.boots()
	unit := int64(1e6)
	if r.take(1, "unit")[0] == 1 {
		unit = 1
	}
	var meta [5][]int64
	for k, field := range [...]string{"type", "quality", "boot index", "mono", "wall"} {
		meta[k] = r.ints(n, oneGroup, field)
	}
	if r.err != nil {
		return r.err
	}
	wall := make([]int64, n)
	for i := range f.Records {
		rec := &f.Records[i]
		typ, q, boot := meta[0][i], meta[1][i], meta[2][i]
		if typ < int64(TypeReading) || typ > int64(TypeQuarantine) || q < 0 || q >= int64(len(qualities)) || boot < 0 || boot >= int64(len(boots)) {
			return fmt.Errorf("%w: record %d: type %d, quality %d, boot %d of %d", ErrFormat, i, typ, q, boot, len(boots))
		}
		rec.Type, rec.Quality, rec.Boot, rec.MonoNS = Type(typ), qualities[q], boots[boot], meta[3][i]*unit
		rec.WallMS = meta[4][i] + rec.MonoNS/1e6
		wall[i] = rec.WallMS
	}
	sets, err := r.sets(n)
	if err != nil {
		return err
	}
	for _, s := range sets {
		if err := r.set(f, s, wall); err != nil {
			return err
		}
	}
	if r.i != len(body) {
		return fmt.Errorf("%w: byte %d of the body: bytes after the last record", ErrFormat, r.i)
	}
	return nil
}

// sets reads the shapes and which rows are of which.
func (r *reader) sets(n int) ([]*set, error) {
	sets := make([]*set, r.count("shapes", maxShapes))
	for i := range sets {
		sets[i] = &set{shape: string(r.take(r.count("shape", MaxBody), "shape"))}
	}
	of := r.ints(n, oneGroup, "shape of a record")
	if r.err != nil {
		return nil, r.err
	}
	for i, k := range of {
		if k < 0 || k >= int64(len(sets)) {
			return nil, fmt.Errorf("%w: record %d: shape %d of %d", ErrFormat, i, k, len(sets))
		}
		sets[k].rows = append(sets[k].rows, i)
	}
	return sets, nil
}

// A field is a column as it is read: it writes the value of its k-th row.
type field func(dst []byte, k int) []byte

// set reads the columns of s and writes the payloads of its rows.
func (r *reader) set(f *Frame, s *set, wall []int64) error {
	n, slots := len(s.rows), bytes.Count([]byte(s.shape), []byte{slot})
	if n == 0 || slots == 0 || slots > maxSlots {
		return fmt.Errorf("%w: byte %d of the body: %d rows of a shape with %d values", ErrFormat, r.i, n, slots)
	}
	natural := newOrder(n, nil, nil)
	keys := make([]int, r.count("keys", maxKeys))
	for i := range keys {
		keys[i] = int(r.take(1, "key")[0])
	}
	fields, places := make([]field, slots), make([]*order, slots)
	words := make([][]int64, len(keys))
	for i, k := range keys {
		if k >= slots || fields[k] != nil {
			r.fail("key")
			return r.err
		}
		if r.peek() != colWords {
			r.fail("key")
			return r.err
		}
		fields[k], words[i] = r.column(s, &natural, wall)
		places[k] = &natural
	}
	if r.err != nil {
		return r.err
	}
	o := newOrder(n, keys, words)
	for k := range fields {
		if fields[k] == nil && r.err == nil {
			fields[k], _ = r.column(s, &o, wall)
			places[k] = &o
		}
	}
	if r.err != nil {
		return r.err
	}
	return r.render(f, s, fields, places)
}

func (r *reader) peek() int {
	if r.err != nil || r.i >= len(r.b) {
		return -1
	}
	return int(r.b[r.i])
}

// render writes the payloads of a set.
func (r *reader) render(f *Frame, s *set, fields []field, places []*order) error {
	n := len(s.rows)
	at := make([]int, n) // where a row is in the order of the groups
	for _, o := range places {
		if len(o.keys) > 0 {
			for k, row := range o.rows {
				at[row] = k
			}
			break
		}
	}
	pieces := bytes.Split([]byte(s.shape), []byte{slot})
	var buf []byte
	cut := make([]int, 0, n+1)
	for row := range n {
		cut = append(cut, len(buf))
		for k, write := range fields {
			buf = append(buf, pieces[k]...)
			if len(places[k].keys) > 0 {
				buf = write(buf, at[row])
			} else {
				buf = write(buf, row)
			}
		}
		if buf = append(buf, pieces[len(fields)]...); len(buf) > r.text {
			return fmt.Errorf("%w: records of more than %d bytes", ErrFormat, MaxBody)
		}
	}
	cut = append(cut, len(buf))
	for i, row := range s.rows {
		f.Records[row].Payload = buf[cut[i]:cut[i+1]:cut[i+1]]
	}
	r.text -= len(buf)
	return nil
}

// column reads a column whose rows are in an order; words are the numbers of a column of words.
func (r *reader) column(s *set, o *order, wall []int64) (write field, words []int64) {
	n := len(s.rows)
	nums := func(field string) []int64 { return r.nums(n, o.groups, field) }
	switch kind := r.take(1, "column")[0]; kind {
	case colText:
		return r.texts(nums("length")), nil
	case colWords:
		list := make([][]byte, r.count("words", n))
		for i := range list {
			list[i] = r.take(r.count("word", MaxBody), "word")
		}
		words = make([]int64, n)
		if len(list) > 1 {
			words = nums("word")
		}
		for _, w := range words {
			if w < 0 || w >= int64(len(list)) {
				r.fail("word")
				return nothing, words
			}
		}
		return func(dst []byte, k int) []byte { return append(dst, list[words[k]]...) }, words
	case colTime, colSince:
		v := nums("time")
		if kind == colSince {
			for k, row := range o.rows {
				v[k] += wall[s.rows[row]]
			}
		}
		return func(dst []byte, k int) []byte { return appendTime(dst, v[k]) }, nil
	case colDecimal, colFixed:
		places := r.count("places", maxDigits)
		v := nums("number")
		return func(dst []byte, k int) []byte { return appendDecimal(dst, v[k], places, kind == colDecimal) }, nil
	case colMinutes:
		up, down := degrees(min(r.count("places", mostMinutes), mostMinutes))
		v := nums("minutes")
		for k := range v {
			v[k] = divide(v[k]*up, down)
		}
		return func(dst []byte, k int) []byte { return appendDecimal(dst, v[k], minutePlaces, true) }, nil
	case colHex:
		return r.hexes(nums), nil
	case colDigits:
		return r.digits(nums), nil
	}
	r.fail("column")
	return nothing, nil
}

func nothing(dst []byte, _ int) []byte { return dst }

func (r *reader) texts(lens []int64) field {
	n := len(lens)
	if r.numbers -= 3 * n; r.numbers < 0 {
		r.fail("text")
		return nothing
	}
	list := make([][]byte, n)
	for k, l := range lens {
		if l < 0 || l > MaxBody {
			r.fail("length")
			return nothing
		}
		list[k] = r.take(int(l), "text")
	}
	return func(dst []byte, k int) []byte { return append(dst, list[k]...) }
}

func (r *reader) hexes(nums func(string) []int64) field {
	before := r.take(r.count("prefix", MaxBody), "prefix")
	after := r.take(r.count("suffix", MaxBody), "suffix")
	n := r.count("digits", chunk*maxRuns)
	alphabet := lower
	if r.take(1, "case")[0] == 1 {
		alphabet = upper
	}
	var chunks [][]int64
	for at := 0; at < n; at += chunk {
		chunks = append(chunks, nums("digits"))
	}
	return func(dst []byte, k int) []byte {
		dst = append(dst, before...)
		for i, v := range chunks {
			dst = appendHex(dst, v[k], min(chunk, n-i*chunk), alphabet)
		}
		return append(dst, after...)
	}
}

func (r *reader) digits(nums func(string) []int64) field {
	shape := r.take(r.count("text", MaxBody), "text")
	pieces := bytes.Split(shape, []byte{slot})
	runs := len(pieces) - 1
	if r.err != nil || runs > maxRuns {
		r.fail("text")
		return nothing
	}
	widths := r.take(runs, "width")
	v := make([][]int64, runs)
	for i := range v {
		if widths[i] > maxDigits {
			r.fail("width")
		}
		v[i] = nums("number")
	}
	return func(dst []byte, k int) []byte {
		for i := range v {
			dst = append(dst, pieces[i]...)
			dst = appendPadded(dst, v[i][k], int(widths[i]))
		}
		return append(dst, pieces[runs]...)
	}
}

// boots reads the table of boots.
func (c *cursor) boots() []Boot {
	boots := make([]Boot, c.count("boots", maxBoots))
	for i := range boots {
		copy(boots[i][:], c.take(16, "boot"))
	}
	return boots
}

// bootTable numbers the boots of a frame.
type bootTable []Boot

func (t *bootTable) index(b Boot) int {
	for i := len(*t) - 1; i >= 0; i-- {
		if (*t)[i] == b {
			return i
		}
	}
	*t = append(*t, b)
	return len(*t) - 1
}

func (t bootTable) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(t)))
	for _, b := range t {
		dst = append(dst, b[:]...)
	}
	return dst
}
