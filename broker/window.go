package broker

import (
	"crypto/sha256"
	"sync"

	"yizhan/devices/telemetry"
)

const (
	windowSize = 1024 // readings remembered of a device
	maxWindows = 1024 // devices remembered
)

// window remembers what each device told last, so that what it tells twice is kept once.
type window struct {
	mu      sync.Mutex
	devices map[string]*recent
}

// recent is the last readings of one device, a ring.
type recent struct {
	told map[string]*told
	ring []string
	at   int
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
	r := w.devices[device]
	if r == nil {
		if w.devices == nil {
			w.devices = map[string]*recent{}
		}
		for d := range w.devices {
			if len(w.devices) < maxWindows {
				break
			}
			delete(w.devices, d)
		}
		r = &recent{told: map[string]*told{}}
		w.devices[device] = r
	}
	if t = r.told[key]; t != nil {
		return t, true
	}
	t = &told{}
	r.told[key] = t
	if len(r.ring) < windowSize {
		r.ring = append(r.ring, key)
		return t, false
	}
	delete(r.told, r.ring[r.at])
	r.ring[r.at] = key
	r.at = (r.at + 1) % windowSize
	return t, false
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
			delete(r.told, m.key) // its place in the ring stays and frees nothing
		}
	}
	w.mu.Unlock()
	for _, f := range wake {
		f(err)
	}
}
