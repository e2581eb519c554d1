package broker

import (
	"crypto/sha256"
	"sync"

	"yizhan/devices/telemetry"
)

const (
	windowSize = 1024  // readings remembered of a device, when there are few devices
	windowLeft = 32    // and at least, when there are many
	maxTold    = 32768 // readings remembered in all, about
	maxWindows = 1024  // devices remembered; the one that told nothing for longest is forgotten first
)

// window remembers what each device told last, so that what it tells twice is kept once.
type window struct {
	mu      sync.Mutex
	devices map[string]*recent
	now     uint64 // counts what was seen
}

// recent is the last readings of one device, in a ring: a reading has a serial number, and stands at that number modulo
// the ring's length, which is a power of two.
type recent struct {
	serial  map[string]uint64 // by key
	ring    []told
	first   uint64                   // serial of the oldest
	next    uint64                   // and of the next one
	waiting map[uint64][]func(error) // who told again what isn't durable yet
	seen    uint64                   // window.now when it told something
}

// told is one reading.
type told struct {
	key     string // empty when it was lost
	durable bool
}

// What identifies a reading within its device begins with a control character, which no n holds, unless it is n.
const (
	keyOfTime   = "\x01"
	keyOfRefuse = "\x02"
)

// key identifies a reading within its device as telemetry's Reading.Same does; empty when nothing tells a
// second telling from a second event.
func key(r *telemetry.Reading) string {
	if r.N != "" {
		return r.N
	}
	if r.At.IsZero() {
		return ""
	}
	b := append(make([]byte, 0, 512), r.Kind...)
	b = r.At.AppendFormat(b, telemetry.TimeLayout)
	sum := sha256.Sum256(append(b, r.Body...))
	return keyOfTime + string(sum[:16])
}

// keyOf identifies refused input.
func keyOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return keyOfRefuse + string(sum[:16])
}

// mark is a reading that is on its way into the log.
type mark struct {
	of     *recent
	serial uint64
}

// see notes a reading and returns its mark, and whether it was there before. mu is held.
func (w *window) see(device, key string) (m mark, again bool) {
	r := w.of(device)
	w.now++
	r.seen = w.now
	if n, ok := r.serial[key]; ok {
		return mark{r, n}, true
	}
	r.fit(w.share())
	n := r.next
	r.next++
	r.ring[n%uint64(len(r.ring))] = told{key: key}
	r.serial[key] = n
	return mark{r, n}, false
}

// share is how many readings of one device are remembered.
func (w *window) share() int { return max(windowLeft, min(windowSize, maxTold/len(w.devices))) }

// fit makes room for one more reading: no more than share are remembered, the oldest go.
func (r *recent) fit(share int) {
	for r.next-r.first >= uint64(share) {
		if old := r.at(r.first); old.key != "" && r.serial[old.key] == r.first {
			delete(r.serial, old.key)
		}
		r.first++
	}
	size := len(r.ring)
	switch {
	case r.next-r.first == uint64(size):
		size = max(windowLeft, 2*size)
	case size >= 4*share:
		size /= 2
	default:
		return
	}
	ring := make([]told, size)
	for n := r.first; n < r.next; n++ {
		ring[n%uint64(size)] = *r.at(n)
	}
	r.ring = ring
}

func (r *recent) at(serial uint64) *told { return &r.ring[serial%uint64(len(r.ring))] }

// holds reports whether a reading is still remembered.
func (r *recent) holds(serial uint64) bool { return serial >= r.first && serial < r.next }

// wait lets f be called when a reading that was seen before is durable or lost; false when it is durable. mu is held.
func (m mark) wait(f func(error)) bool {
	if m.of.at(m.serial).durable {
		return false
	}
	if m.of.waiting == nil {
		m.of.waiting = map[uint64][]func(error){}
	}
	m.of.waiting[m.serial] = append(m.of.waiting[m.serial], f)
	return true
}

// of returns what is remembered of a device. mu is held.
func (w *window) of(device string) *recent {
	if r := w.devices[device]; r != nil {
		return r
	}
	if w.devices == nil {
		w.devices = map[string]*recent{}
	}
	if len(w.devices) >= maxWindows {
		silent, since := "", w.now+1
		for d, r := range w.devices {
			if r.seen < since {
				silent, since = d, r.seen
			}
		}
		delete(w.devices, silent)
	}
	r := &recent{serial: map[string]uint64{}}
	w.devices[device] = r
	return r
}

// settle says what became of readings: with an error they are forgotten, so that telling them again counts.
func (w *window) settle(marks []mark, err error) {
	var wake []func(error)
	w.mu.Lock()
	for _, m := range marks {
		r := m.of
		if fs := r.waiting[m.serial]; fs != nil {
			wake = append(wake, fs...)
			delete(r.waiting, m.serial)
		}
		if !r.holds(m.serial) {
			continue
		}
		t := r.at(m.serial)
		if t.durable = err == nil; err != nil {
			delete(r.serial, t.key)
			t.key = ""
		}
	}
	w.mu.Unlock()
	for _, f := range wake {
		f(err)
	}
}
