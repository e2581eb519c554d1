package mqttlocker

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"yizhan/devices/telemetry"
)

// Options of Decode.
type Options struct {
	Device    string // of the readings; empty: decode
	Shape     string // open-locker (default) or lkaas
	UID       string // level of the topics; empty: that of the first line
	Cells     int    // 0: 1024
	ZeroBased bool
}

// longest is the longest line of a capture.
const longest = 512 << 10

// Decode reads what a locker published, a line each: the topic, a space, the payload, as mosquitto_sub -v prints it. It emits the
// readings that a driver would make after a login. Lines that say nothing go to reject, which may be nil, with their offset; raw is
// valid during the call only. It fails on errors of r, of emit, and on options that make no sense, never on what r holds.
func Decode(r io.Reader, o Options, emit func(telemetry.Reading) error, reject func(offset int64, raw []byte, reason string)) (map[string]uint64, error) {
	if o.Device == "" {
		o.Device = "decode"
	}
	if o.Shape == "" {
		o.Shape = OpenLocker
	}
	if o.Cells == 0 {
		o.Cells = 1024
	}
	if reject == nil {
		reject = func(int64, []byte, string) {}
	}
	cfg := Config{User: "decode", Shape: o.Shape, UID: o.UID, Cells: o.Cells, ZeroBased: o.ZeroBased}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	d := decoder{cfg: cfg, emit: emit, reject: reject, state: newState(o.Device)}
	err := d.run(r)
	return d.counts.named(), err
}

type decoder struct {
	cfg    Config
	emit   func(telemetry.Reading) error
	reject func(offset int64, raw []byte, reason string)
	reader *reader
	state  state
	counts counters
}

func (d *decoder) run(r io.Reader) error {
	in := bufio.NewReaderSize(r, longest)
	var offset int64
	for {
		line, err := in.ReadSlice('\n')
		if len(line) > 0 {
			if err := d.line(offset, line, errors.Is(err, bufio.ErrBufferFull)); err != nil {
				return err
			}
		}
		offset += int64(len(line))
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of a line that is too long
			line, err = in.ReadSlice('\n')
			offset += int64(len(line))
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
	}
}

// line reads one line.
func (d *decoder) line(offset int64, line []byte, cut bool) error {
	text := bytes.TrimRight(line, "\r\n")
	if len(text) == 0 {
		return nil
	}
	topic, payload, ok := bytes.Cut(text, []byte(" "))
	why := ""
	var m message
	switch {
	case cut:
		why = "line is too long"
	case !ok:
		why = "no topic and payload"
	default:
		var err error
		if m, err = d.read(string(topic), payload); err != nil {
			why = err.Error()
		}
	}
	if why != "" {
		d.counts.rejected.Add(1)
		d.reject(offset, text, why)
		return nil
	}
	d.counts.messages.Add(1)
	for _, r := range d.state.fold(m) {
		if err := d.emit(r); err != nil {
			return err
		}
	}
	return nil
}

// read reads a message; the first one that fits any locker says which locker it is.
func (d *decoder) read(topic string, payload []byte) (message, error) {
	if d.reader != nil {
		return d.reader.message(topic, payload)
	}
	cfg := d.cfg
	if cfg.UID == "" {
		place := 1 // locker/{uid}/..
		if cfg.Shape == LKAAS {
			place = 0
		}
		levels := bytes.Split([]byte(topic), []byte("/"))
		if len(levels) <= place || len(levels[place]) == 0 || len(levels[place]) > 64 {
			return message{}, errTopic
		}
		cfg.UID = string(levels[place])
	}
	r := newReader(cfg.withDefaults())
	m, err := r.message(topic, payload)
	if err == nil {
		d.reader = r
	}
	return m, err
}
