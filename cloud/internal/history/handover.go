package history

import (
	"sync"
	"time"

	"yizhan/cloud/internal/county"
)

// maxHanded is how many records are kept that were handed over and aren't projected yet: some seconds of a busy
// county. What comes beyond is read from the archive.
const maxHanded = 100_000

// A handover holds frames by their number, from the commit until they are projected: what was decoded to be committed
// needn't be read and decoded again.
type handover struct {
	mu      sync.Mutex
	frames  map[int64]county.Archived
	records int
	missed  bool // something was not kept since this was asked last
}

func size(a *county.Archived) int { return 1 + len(a.Arrival.Sights) }

func (h *handover) put(frames []county.Archived) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.frames == nil {
		h.frames = map[int64]county.Archived{}
	}
	for _, a := range frames {
		if a.Arrival == nil || h.records+size(&a) > maxHanded {
			h.missed = true
			continue
		}
		h.records += size(&a)
		h.frames[a.No] = a
	}
}

// take returns the frames that follow one, and forgets them; if there are none, how many are missing before the next
// that there is. missed tells that some were not kept.
func (h *handover) take(after int64) (run []county.Archived, hole int64, missed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(run) < readFrames {
		a, ok := h.frames[after+1]
		if !ok {
			break
		}
		run, after = append(run, a), a.No
		h.forget(after)
	}
	if len(run) > 0 {
		return run, 0, false
	}
	for no := range h.frames {
		switch {
		case no <= after: // read from the archive meanwhile
			h.forget(no)
		case hole == 0 || no-after-1 < hole:
			hole = no - after - 1
		}
	}
	missed, h.missed = h.missed, false
	return nil, hole, missed
}

func (h *handover) forget(no int64) {
	a := h.frames[no]
	h.records -= size(&a)
	delete(h.frames, no)
}

// oldest is when the first of the frames was committed.
func (h *handover) oldest() (t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.frames {
		t = earlier(t, a.Committed)
	}
	return t
}

// earlier is the earlier of two times; zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
