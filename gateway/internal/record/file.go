package record

import (
	"fmt"
	"io"
	"strings"

	"yizhan/devices/devicestest/transcript"
)

// A File makes a recording of the events of one connection after the other.
type File struct {
	raw    io.Writer // gets the device's bytes alone; nil: a transcript is written
	script *transcript.Writer
	peer   string

	conn     int // whose events are kept, 0: none yet
	passed   map[int]bool
	From, To int // bytes kept
	Lost     uint64
}

// NewFile writes a transcript to w, or with raw only what the device sent. peer picks one of several connections
// by a part of its address.
func NewFile(w io.Writer, raw bool, peer string) *File {
	f := &File{script: transcript.NewWriter(w), peer: peer, passed: map[int]bool{}}
	if raw {
		f.raw = w
	}
	return f
}

// Note writes a comment.
func (f *File) Note(text string) {
	if f.raw == nil {
		f.script.Note(text)
	}
}

// Add takes the next event.
func (f *File) Add(e Event) error {
	speaks := e.What == FromDevice || e.What == ToDevice
	switch {
	case e.What == Lost:
		f.Lost += e.N
		f.Note(fmt.Sprintf("%d pieces were lost here: the recording was too slow", e.N))
		return nil
	case f.conn == 0 && speaks && strings.Contains(e.Addr, f.peer):
		f.conn = e.Conn
		f.Note(fmt.Sprintf("%v: %s", e.At.Round(1e6), e.Addr))
	case e.Conn != f.conn:
		f.passed[e.Conn] = f.passed[e.Conn] || speaks
		return nil
	}
	switch e.What {
	case Closed:
		f.Note(fmt.Sprintf("%v: closed", e.At.Round(1e6)))
		f.conn = 0
	case FromDevice:
		f.From += len(e.Data)
		if f.raw != nil {
			_, err := f.raw.Write(e.Data)
			return err
		}
		f.script.FromDevice(e.At, e.Data)
	case ToDevice:
		f.To += len(e.Data)
		if f.raw == nil {
			f.script.ToDevice(e.At, e.Data)
		}
	}
	return nil
}

// LeftOut is how many other connections spoke.
func (f *File) LeftOut() (n int) {
	for _, spoke := range f.passed {
		if spoke {
			n++
		}
	}
	return n
}

// Close writes what is kept.
func (f *File) Close() error {
	if n := f.LeftOut(); n > 0 {
		f.Note(fmt.Sprintf("%d other connections spoke and are left out", n))
	}
	return f.script.Close()
}
