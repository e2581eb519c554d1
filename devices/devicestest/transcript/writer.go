package transcript

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// How a Writer cuts what it hears.
const (
	together  = 2 * time.Millisecond // pieces that come sooner are one
	hexLine   = 32                   // bytes of a line in hex
	textLine  = 120                  // of a line in quotes
	pieceSize = 4096                 // that are kept before they are written
	marked    = 10 * time.Second     // of silence, after which a comment tells the time
)

// A Writer writes a conversation down as a transcript while it happens. Of the pauses it tells those before the device
// speaks: before the driver speaks the player waits anyway. Its first error stays.
type Writer struct {
	w   io.Writer
	err error

	dir    byte // '<' or '>' of piece
	piece  []byte
	at     time.Duration // when piece began
	last   time.Duration // when the last byte before piece came
	heard  time.Duration // when the last byte of piece came
	spoken bool          // anything was written or kept
}

// NewWriter returns a Writer onto w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// FromDevice writes what the device sent, at a time since some beginning.
func (w *Writer) FromDevice(at time.Duration, b []byte) { w.add('<', at, b) }

// ToDevice writes what the driver sent.
func (w *Writer) ToDevice(at time.Duration, b []byte) { w.add('>', at, b) }

// Note writes a comment.
func (w *Writer) Note(text string) {
	w.flush()
	for line := range strings.Lines(text) {
		w.line("# " + strings.TrimSpace(line))
	}
}

// Close writes what is kept.
func (w *Writer) Close() error {
	w.flush()
	return w.err
}

func (w *Writer) add(dir byte, at time.Duration, b []byte) {
	if len(b) == 0 {
		return
	}
	if len(w.piece) > 0 && (dir != w.dir || at-w.heard >= together || len(w.piece)+len(b) > pieceSize) {
		w.flush()
	}
	if len(w.piece) == 0 {
		w.dir, w.at = dir, at
	}
	w.piece = append(w.piece, b...)
	w.heard = at
}

func (w *Writer) flush() {
	if len(w.piece) == 0 {
		return
	}
	if pause := (w.at - w.last).Round(time.Millisecond); w.spoken && pause > 0 {
		if pause >= marked {
			w.line(fmt.Sprintf("# %v", w.at.Round(time.Millisecond)))
		}
		if w.dir == '<' {
			w.line(fmt.Sprintf("~ %v", pause))
		}
	}
	w.spoken = true
	w.last = w.heard
	for b := w.piece; len(b) > 0; {
		var n int
		var text string
		if readable(w.piece) {
			if n = bytes.IndexByte(b, '\n') + 1; n == 0 || n > textLine {
				n = min(len(b), textLine)
			}
			text = strconv.QuoteToASCII(string(b[:n]))
		} else {
			n = min(len(b), hexLine)
			text = strings.ToUpper(fmt.Sprintf("% x", b[:n]))
		}
		w.line(string(w.dir) + " " + text)
		b = b[n:]
	}
	w.piece = w.piece[:0]
}

// readable reports whether b is text for the most part.
func readable(b []byte) bool {
	odd := 0
	for _, c := range b {
		if (c < ' ' || c > '~') && c != '\r' && c != '\n' && c != '\t' {
			odd++
		}
	}
	return odd*10 < len(b)
}

func (w *Writer) line(s string) {
	if w.err == nil {
		_, w.err = io.WriteString(w.w, s+"\n")
	}
}
