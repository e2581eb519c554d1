package sht3x

import (
	"errors"
	"io"
	"time"

	"yizhan/devices/telemetry"
)

// frameSize is a measurement: temperature, its checksum, humidity, its checksum.
const frameSize = 6

// Where the sensor measures (datasheet table 2).
const (
	minC = -40.0
	maxC = 125.0
)

// Why a measurement isn't taken.
var (
	errChecksum = errors.New("bad_checksum")
	errRange    = errors.New("out_of_range")
)

// crc8 is the checksum of datasheet 4.12: polynomial 31, start FF, not reflected.
func crc8(b ...byte) byte {
	crc := byte(0xFF)
	for _, c := range b {
		crc ^= c
		for range 8 {
			if crc&0x80 != 0 {
				crc = crc<<1 ^ 0x31
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// celsius and humidity convert raw values (datasheet 4.13).
func celsius(raw uint16) float64  { return -45 + 175*float64(raw)/65535 }
func humidity(raw uint16) float64 { return 100 * float64(raw) / 65535 }

// parse reads one measurement; both checksums must be right.
func parse(f [frameSize]byte) (t, rh float64, err error) {
	if crc8(f[0], f[1]) != f[2] || crc8(f[3], f[4]) != f[5] {
		return 0, 0, errChecksum
	}
	t = celsius(uint16(f[0])<<8 | uint16(f[1]))
	if t < minC || t > maxC {
		return 0, 0, errRange
	}
	return t, humidity(uint16(f[3])<<8 | uint16(f[4])), nil
}

func climate(probe string, t, rh float64) telemetry.Climate {
	return telemetry.Climate{
		Probe: probe, TemperatureC: telemetry.Some(t), HumidityPct: telemetry.Some(rh), Quality: telemetry.ClimateOK,
	}
}

// Options of Decode.
type Options struct {
	Device string // of the readings; "decode" when empty
	Probe  string // "sht3x" when empty
}

// Decode reads measurements as they come from the sensor, six bytes each, and emits a climate
// reading for each. Bytes that begin none are skipped one by one and rejected in runs. It never
// fails on garbage, only on errors of r or emit. reject may be nil.
func Decode(r io.Reader, opt Options, emit func(telemetry.Reading) error, reject func(offset int64, raw []byte, reason string)) (map[string]uint64, error) {
	d := decoder{opt: opt, emit: emit, reject: reject}
	if opt.Device == "" {
		d.opt.Device = "decode"
	}
	if opt.Probe == "" {
		d.opt.Probe = "sht3x"
	}
	var chunk [4096]byte
	for {
		n, err := r.Read(chunk[:])
		if feedErr := d.feed(chunk[:n]); feedErr != nil {
			return d.counts.named(), feedErr
		}
		if err != nil {
			d.end()
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return d.counts.named(), err
		}
	}
}

// A decoder finds measurements in a stream.
type decoder struct {
	opt    Options
	emit   func(telemetry.Reading) error
	reject func(offset int64, raw []byte, reason string)
	counts counters

	window [frameSize]byte
	n      int    // bytes in window
	bad    []byte // skipped bytes not yet rejected
	at     int64  // of window[0]
}

// keptBad bounds one reject.
const keptBad = 256

func (d *decoder) feed(b []byte) error {
	for _, c := range b {
		d.window[d.n] = c
		if d.n++; d.n < frameSize {
			continue
		}
		t, rh, err := parse(d.window)
		switch {
		case errors.Is(err, errChecksum):
			d.skip()
			continue
		case err != nil:
			d.flush("no measurement begins here")
			d.counts.outOfRange.Add(1)
			if d.reject != nil {
				d.reject(d.at, d.window[:], err.Error())
			}
		default:
			d.flush("no measurement begins here")
			d.counts.framesOK.Add(1)
			if err := d.emit(telemetry.New(d.opt.Device, time.Time{}, telemetry.Unknown, climate(d.opt.Probe, t, rh))); err != nil {
				return err
			}
		}
		d.at += frameSize
		d.n = 0
	}
	return nil
}

// skip gives the window's first byte up.
func (d *decoder) skip() {
	d.counts.resync.Add(1)
	d.bad = append(d.bad, d.window[0])
	copy(d.window[:], d.window[1:])
	d.n--
	d.at++
	if len(d.bad) == keptBad {
		d.flush("no measurement begins here")
	}
}

func (d *decoder) flush(reason string) {
	if len(d.bad) > 0 && d.reject != nil {
		d.reject(d.at-int64(len(d.bad)), d.bad, reason)
	}
	d.bad = d.bad[:0]
}

// end rejects what is left when the stream ends.
func (d *decoder) end() {
	d.counts.resync.Add(uint64(d.n))
	d.bad = append(d.bad, d.window[:d.n]...)
	d.at += int64(d.n)
	d.n = 0
	d.flush("no measurement begins here")
}
