package state

import (
	"slices"
	"time"

	"yizhan/broker/frame"
)

// maxVoices is how many boots of a gateway are remembered.
const maxVoices = 8

// voices are the last boots of a gateway as the cloud heard them, by the cloud's clock alone; the oldest first.
type voices []voice

// A voice is a boot that had begun at Began at the latest, whose newest hello was said Said after that; 0 when it said none.
type voice struct {
	Boot  frame.Boot `json:"boot"`
	Began int64      `json:"began_ns"` // Unix
	Said  int64      `json:"said_ns"`  // of the board's clock
}

func (v voices) of(b frame.Boot) *voice {
	i := slices.IndexFunc(v, func(o voice) bool { return o.Boot == b })
	if i < 0 {
		return nil
	}
	return &v[i]
}

// hear notes that something which a boot made at mono was received. The quickest message tells best when the boot began.
func (v *voices) hear(b frame.Boot, mono int64, received time.Time) {
	began := received.UnixNano() - mono
	if known := v.of(b); known != nil {
		known.Began = min(known.Began, began)
		return
	}
	*v = append(*v, voice{Boot: b, Began: began})
	slices.SortStableFunc(*v, func(a, b voice) int { return int(max(-1, min(1, a.Began-b.Began))) })
	if len(*v) > maxVoices {
		*v = slices.Delete(*v, 0, 1)
	}
}

// say notes a hello.
func (v *voices) say(h *frame.Hello, received time.Time) {
	v.hear(h.Boot, h.MonoNS, received)
	if known := v.of(h.Boot); known != nil {
		known.Said = h.MonoNS
	}
}

// overtook reports whether a hello was said before the one that counts, which is the newest of boot now. What is the order of two boots is
// told by when each began, which a boot that nothing was heard of before doesn't tell: its hello counts.
func (v voices) overtook(now frame.Boot, h *frame.Hello, received time.Time) bool {
	counts, was := v.of(now), v.of(h.Boot)
	switch {
	case counts == nil || counts.Said == 0 || was == nil:
		return false
	case h.Boot == now:
		return h.MonoNS < counts.Said
	}
	said := counts.Began + counts.Said
	if said > received.UnixNano() { // this clock went back
		return false
	}
	return min(was.Began, received.UnixNano()-h.MonoNS)+h.MonoNS < said
}
