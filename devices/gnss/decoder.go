package gnss

import (
	"errors"
	"io"
	"time"

	"yizhan/devices/telemetry"
)

// Options of Decode.
type Options struct {
	Device               string    // of the readings; "decode" when empty
	AllowMissingChecksum bool      // take whole sentences that have no checksum
	NotBefore            time.Time // an earlier date is flagged date_suspect; zero: none is
	Protocol             string    // GPSD: the stream is gpsd's; else NMEA 0183 and UBX
	Receiver             string    // of several that a gpsd tells of, by its path; "" is any
}

// Decode reads a recorded byte stream to its end and emits one reading an epoch; without a fix
// Valid is false and there is no position. Epochs are closed by their times alone. reject, which
// may be nil, gets the first 256 bytes of what was thrown away, where it began and why; raw is valid
// during the call only. Decode never fails on garbage, only on errors of r or emit.
func Decode(r io.Reader, opt Options, emit func(telemetry.Reading) error, reject func(offset int64, raw []byte, reason string)) (map[string]uint64, error) {
	if opt.Device == "" {
		opt.Device = "decode"
	}
	var count counters
	d := newDecoder(opt, &count, reject)
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		d.feed(buf[:n])
		if err != nil {
			d.finish()
		}
		for _, f := range d.take() {
			if err := emit(f.reading(opt.Device)); err != nil {
				return count.snapshot(), err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return count.snapshot(), nil
		case err != nil:
			return count.snapshot(), err
		}
	}
}

// remembered is how many epochs are known again when they are told twice: a few seconds at 10 Hz.
const remembered = 32

// A memory holds the times of the last epochs, or their times of day where there is no date.
type memory struct {
	recent  [remembered]int64
	written int
}

// again reports whether an epoch of this time was finished lately, and remembers it.
func (m *memory) again(t int64) bool {
	for _, old := range m.recent[:min(m.written, remembered)] {
		if old == t {
			return true
		}
	}
	m.recent[m.written%remembered] = t
	m.written++
	return false
}

// dated forgets times of day: they come again every day.
func (m *memory) dated() {
	for i, t := range m.recent {
		if t < 2*day {
			m.recent[i] = -1
		}
	}
}

// A decoder turns bytes into fixes. It starts no goroutine and asks no clock.
type decoder struct {
	framer
	opt      Options
	epoch    epoch
	calendar calendar
	fields   fields
	fixes    []fix // finished, not yet taken

	memory  *memory
	flushed telemetry.Opt[int64] // time of day of an epoch that flush closed
	inView  [len(talkers)]uint64 // satellites by talker
	counted bool                 // satellites are told by NAV-SAT or gpsd, which talkers would double

	answer func(class, id byte, payload []byte) // hears what isn't about a position; may be nil
	gpsd   *objects                             // nil: NMEA 0183 and UBX
}

func newDecoder(opt Options, count *counters, reject func(offset int64, raw []byte, reason string)) *decoder {
	d := &decoder{opt: opt, memory: new(memory)}
	d.count = count
	count[satellitesInView].Store(0)
	d.loose = opt.AllowMissingChecksum
	d.framer.sentence = d.sentence
	d.framer.message = d.message
	d.framer.reject = func(why counter, offset int64, raw []byte) {
		if reject != nil {
			reject(offset, raw, counterNames[why])
		}
	}
	if opt.Protocol == GPSD {
		d.gpsd = new(objects)
	}
	return d
}

// feed takes the next bytes of the stream.
func (d *decoder) feed(b []byte) {
	if d.gpsd != nil {
		d.lines(b)
		return
	}
	d.framer.feed(b)
}

// take returns the finished fixes; they are valid until the next feed.
func (d *decoder) take() []fix {
	f := d.fixes
	d.fixes = d.fixes[:0]
	return f
}

// pending reports whether an epoch is open that would make a reading.
func (d *decoder) pending() bool { return d.epoch.located() }

// flush closes the open epoch because the line has paused.
func (d *decoder) flush() {
	tod := d.epoch.tod
	d.close()
	d.flushed = tod
}

// finish closes what is open because the stream has ended.
func (d *decoder) finish() {
	d.giveUp()
	d.framer.end()
	d.lastLine()
	d.close()
}

// sentence takes one sentence whose checksum is good.
func (d *decoder) sentence(body []byte) {
	k := other
	if d.fields.split(body) && d.buf[0] == '$' {
		k = identify(d.fields.f[0])
	}
	if d.star == 0 && (k == other || d.fields.n < leastFields[k]) {
		d.drop(noChecksum) // nothing says that this is whole
		return
	}
	if k == other {
		d.count.add(framesOK)
		d.count.add(ignored)
		return
	}
	r, err := parse(k, &d.fields)
	if err != nil {
		d.drop(malformed)
		return
	}
	d.count.add(framesOK)
	d.apply(&r)
}

// message takes one UBX frame whose checksum is good.
func (d *decoder) message(class, id byte, payload []byte) error {
	switch {
	case class == classNAV && id == navPVT:
		r, err := parsePVT(payload)
		if err != nil {
			return err
		}
		d.apply(&r)
	case class == classNAV && id == navSAT:
		n, err := parseSAT(payload)
		if err != nil {
			return err
		}
		d.satellites(n)
	case d.answer != nil && (class == classACK || class == classMON):
		d.answer(class, id, payload)
	default:
		d.count.add(ignored)
	}
	return nil
}

// satellites keeps the gauge for sources that tell of all systems at once.
func (d *decoder) satellites(n int) {
	d.counted = true
	d.count[satellitesInView].Store(uint64(n))
}

func (d *decoder) apply(r *report) {
	switch r.kind {
	case gsv:
		if n, ok := r.inView.Get(); ok && !d.counted {
			d.view(n)
		}
		return
	case zda:
		// ZDA neither opens nor closes an epoch: it dates the one it stands in, or the next.
		tod, timed := r.tod.Get()
		if mine, known := d.epoch.tod.Get(); timed && known && mine != tod || !d.epoch.located() {
			if date, ok := r.date.Get(); ok && timed {
				d.calendar.learn(date*day + tod)
			}
			return
		}
	}
	if d.epoch.ends(r) {
		d.close()
	}
	d.epoch.add(r)
}

// view keeps the sum of satellites in view up to date, one count a talker.
func (d *decoder) view(n int) {
	slot := &d.inView[talker(d.fields.f[0])]
	d.count[satellitesInView].Add(uint64(n) - *slot)
	*slot = uint64(n)
}

// close makes a fix of the open epoch and begins the next.
func (d *decoder) close() {
	if !d.epoch.located() {
		return // GSA and VTG that came before their epoch stay
	}
	e := d.epoch
	d.epoch = epoch{}
	position, why := e.position()
	f := fix{position: position, quality: telemetry.GNSS}
	tod, timed := e.tod.Get()
	flushed, paused := d.flushed.Get()
	d.flushed = telemetry.Opt[int64]{}
	var at telemetry.Opt[int64]
	if timed {
		var corrected bool
		if at, corrected = d.calendar.resolve(tod, e.ownDate()); corrected {
			d.count.add(dateCorrected)
		}
		if paused && near(flushed, tod, rounding) {
			d.count.add(splitEpochs)
			if ms, ok := at.Get(); ok && position.Valid {
				d.calendar.learn(ms)
			}
			return
		}
	}
	if timed && d.memory.again(at.Or(tod)) {
		d.count.add(duplicateEpochs)
		return
	}
	d.date(&f, at)
	d.count.add(epochs)
	if why != framesOK {
		d.count.add(why)
	}
	d.fixes = append(d.fixes, f)
}

// date gives the fix its time.
func (d *decoder) date(f *fix, at telemetry.Opt[int64]) {
	ms, dated := at.Get()
	if !dated {
		return
	}
	f.at = time.UnixMilli(ms).UTC()
	if f.at.Before(d.opt.NotBefore) {
		d.count.add(dateSuspect)
		f.position.DateSuspect = true
		f.quality = telemetry.Unknown
	} else if !f.position.Valid {
		f.quality = telemetry.RTC
	}
	if f.position.Valid {
		d.calendar.learn(ms)
	}
}
