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

// recent is the last readings of one device, the oldest first in line.
type recent struct {
	told map[string]*told
	line []entry
	seen uint64 // window.now when it told something
}

type entry struct {
	key  string
	told *told
}

// told is one of them. Until it is durable, those who told it again wait.
type told struct {
	durable bool
	waiting []func(error)
}

// key identifies a reading within its device as telemetry's Reading.Same does; empty when nothing tells a
// second telling from a second event.
func key(r *telemetry.Reading) string {
	if r.N != "" {
		return "n" + r.N
	}
	if r.At.IsZero() {
		return ""
	}
	h := sha256.New()
	h.Write([]byte(r.Kind))
	h.Write(r.At.AppendFormat(nil, telemetry.TimeLayout))
	h.Write(r.Body)
	return "h" + string(h.Sum(nil)[:16])
}

// keyOf identifies refused input.
func keyOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "q" + string(sum[:16])
}

// see returns the entry of a key and whether it was there before. mu is held.
func (w *window) see(device, key string) (t *told, again bool) {
	r := w.of(device)
	w.now++
	r.seen = w.now
	if t = r.told[key]; t != nil {
		return t, true
	}
	t = &told{}
	for len(r.line) >= w.share() {
		if old := r.line[0]; r.told[old.key] == old.told {
			delete(r.told, old.key)
		}
		r.line[0] = entry{}
		r.line = r.line[1:]
	}
	r.told[key] = t
	r.line = append(r.line, entry{key, t})
	return t, false
}

// share is how many readings of one device are remembered.
func (w *window) share() int { return max(windowLeft, min(windowSize, maxTold/len(w.devices))) }

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
	r := &recent{told: map[string]*told{}}
	w.devices[device] = r
	return r
}

// mark is a reading that is on its way into the log.
type mark struct {
	device, key string
	told        *told
}

// settle says what became of readings: with an error they are forgotten, so that telling them again counts.
func (w *window) settle(marks []mark, err error) {
	var wake []func(error)
	w.mu.Lock()
	for _, m := range marks {
		wake = append(wake, m.told.waiting...)
		m.told.waiting = nil
		m.told.durable = err == nil
		if r := w.devices[m.device]; err != nil && r != nil && r.told[m.key] == m.told {
			delete(r.told, m.key)
		}
	}
	w.mu.Unlock()
	for _, f := range wake {
		f(err)
	}
}
