package gnss

// maxSentence is the longest sentence taken, '$' and checksum included. The standard says 82;
// real receivers exceed it.
const maxSentence = 256

// A framer cuts a byte stream into sentences (NMEA 0183, 5.3) and UBX frames. It holds at most
// maxSentence and maxFrame bytes and gives the same however the stream is chunked.
type framer struct {
	sentence func(body []byte)                           // between '$' and '*', checksum good
	message  func(class, id byte, payload []byte) error  // of a UBX frame, checksum good
	reject   func(why counter, offset int64, raw []byte) // raw is valid during the call only
	loose    bool                                        // take sentences without a checksum
	count    *counters

	buf    [maxSentence]byte
	n      int // bytes in buf: a sentence, or foreign bytes
	state  state
	sum    byte    // of the body so far
	star   int     // where '*' stands, 0: not yet
	why    counter // of foreign bytes: resync, or badChecksum when a UBX frame begins them
	offset int64   // of the next byte in the stream
	start  int64   // of buf[0]

	frame [maxFrame]byte // what may be a UBX frame
	held  int            // bytes in frame
}

type state uint8

const (
	between state = iota // sentences
	inside               // a sentence
	foreign              // a run of bytes that are no sentence
)

// feed takes the next bytes of the stream.
func (f *framer) feed(b []byte) {
	for len(b) > 0 {
		if f.held > 0 {
			b = b[f.hold(b):]
		} else {
			b = b[f.scan(b):]
		}
	}
}

// scan takes bytes up to one that may begin a UBX frame, and returns how many.
func (f *framer) scan(b []byte) int {
	for i, c := range b {
		if c == sync1 {
			if f.state == inside {
				f.drop(cut)
			}
			f.frame[0], f.held = c, 1
			f.offset++
			return i + 1
		}
		f.plain(c)
	}
	return len(b)
}

// plain takes one byte that begins no UBX frame.
func (f *framer) plain(c byte) {
	switch {
	case c == '$' || c == '!':
		f.end()
		f.begin(inside, c)
	case f.state == inside:
		f.collect(c)
	case f.state == foreign:
		f.skip(c)
	case c != '\r' && c != '\n' && c != ' ' && c != 0:
		f.begin(foreign, c)
	}
	f.offset++
}

func (f *framer) begin(s state, c byte) {
	f.state, f.start, f.n, f.sum, f.star = s, f.offset, 1, 0, 0
	f.buf[0] = c
	if s == foreign {
		f.why = resync
		f.count.add(skippedBytes)
	}
}

// skip counts a foreign byte and keeps the first ones.
func (f *framer) skip(c byte) {
	f.count.add(skippedBytes)
	if f.n < maxSentence {
		f.buf[f.n] = c
		f.n++
	}
}

// collect takes the next byte of a sentence.
func (f *framer) collect(c byte) {
	if c == '\r' || c == '\n' {
		f.endOfLine()
		return
	}
	if f.n == maxSentence {
		f.drop(tooLong)
		return
	}
	f.buf[f.n] = c
	f.n++
	switch {
	case c < ' ' || c > '~': // a binary protocol cuts in
		f.drop(cut)
	case f.star == 0 && c == '*':
		f.star = f.n - 1
	case f.star == 0:
		f.sum ^= c
	case f.n == f.star+3: // complete: don't wait for a line end that may be lost
		f.checked()
	}
}

func (f *framer) checked() {
	hi, lo := hexDigit(f.buf[f.n-2]), hexDigit(f.buf[f.n-1])
	if hi > 15 || lo > 15 || hi<<4|lo != f.sum {
		f.drop(badChecksum)
		return
	}
	f.state = between
	f.sentence(f.buf[1:f.star])
}

// endOfLine meets a sentence without a whole checksum.
func (f *framer) endOfLine() {
	switch {
	case f.star > 0:
		f.drop(badChecksum)
	case !f.loose:
		f.drop(noChecksum)
	default:
		f.state = between
		f.sentence(f.buf[1:f.n])
	}
}

// end closes what is open because something new begins, or the stream ends.
func (f *framer) end() {
	switch f.state {
	case inside:
		f.drop(cut)
	case foreign:
		f.drop(f.why)
	}
}

func (f *framer) drop(why counter) {
	f.state = between
	f.count.add(why)
	f.reject(why, f.start, f.buf[:f.n])
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}
