package soak

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"

	"yizhan/broker/frame"
	"yizhan/cloud/service"
	"yizhan/devices/telemetry"
)

var summary = regexp.MustCompile(`"summary":`)

// judge looks at what is in the database when everything has drained.
func (w *world) judge() {
	stored, frames, err := w.archive()
	if err == nil {
		err = w.judgeReadings(stored)
	}
	if err == nil {
		err = w.judgeLedger()
	}
	if err == nil && !w.plan.clockless {
		err = w.judgeState(frames)
	}
	if err != nil {
		w.fail("judge: %v", err)
	}
}

// archive reads what the archive holds: the events in it, and the frames.
func (w *world) archive() (stored map[string]int, frames []service.Archived, err error) {
	stored = map[string]int{}
	core := w.cloud.any()
	dec, err := frame.NewDecoder()
	if err != nil {
		return nil, nil, err
	}
	seen := map[place]bool{}
	for after := int64(0); ; {
		part, err := core.Archive(context.Background(), after, 1000)
		if err != nil || len(part) == 0 {
			return stored, frames, err
		}
		for i := range part {
			after = part[i].No
			frames = append(frames, part[i])
			f, err := dec.Decode(part[i].Raw)
			if err != nil {
				return nil, nil, err
			}
			for j := range f.Records {
				at := place{f.Gateway, laneKey{f.Epoch, f.Lane}, f.Records[j].Seq}
				m := xOf.FindSubmatch(f.Records[j].Payload)
				if m == nil || f.Records[j].Type != frame.TypeReading || seen[at] {
					continue
				}
				seen[at] = true
				if summary.Match(f.Records[j].Payload) {
					continue // what is left of some that were dropped, and named
				}
				stored[string(m[1])]++
				if e := w.events[string(m[1])]; e == nil {
					w.fail("the archive has %s, which nobody said", m[1])
				} else if got := string(f.Records[j].Payload); got != string(e.reading.AppendJSON(nil)) {
					w.fail("the archive has %s, said was %s", got, e.reading.AppendJSON(nil))
				}
			}
		}
	}
}

// judgeReadings looks for every event that was acknowledged.
func (w *world) judgeReadings(stored map[string]int) error {
	named, counted, untold, err := w.cloud.buried()
	if err != nil {
		return err
	}
	holes := map[place][]frame.Range{}
	for _, g := range sortedKeys(w.keys) {
		l, _, err := w.cloud.any().Ledger(context.Background(), g)
		if err != nil {
			return err
		}
		for i := range l.Lanes {
			at, err := placeOf(g, l.Lanes[i].Epoch, int64(laneNamed(l.Lanes[i].Lane)))
			if err != nil {
				return err
			}
			holes[at] = l.Lanes[i].Holes
		}
	}
	for _, e := range w.made {
		if !e.acked || stored[e.id] > 0 {
			continue
		}
		w.missing(e, named, holes, counted, untold)
	}
	witnessed, err := w.cloud.witnessed()
	if err != nil {
		return err
	}
	for _, id := range sortedKeys(witnessed) {
		if n := witnessed[id]; n > 1 {
			w.result.Doubled++
			w.fail("%s counts %d times", id, n)
		}
	}
	for _, e := range w.made {
		if lane, _ := telemetry.LaneOf(e.device.kind); lane == telemetry.Custody && stored[e.id] > 0 && witnessed[e.id] == 0 {
			w.fail("%s is in the archive and no evidence", e.id)
		}
	}
	return nil
}

// missing tells why an event that was acknowledged is not in the archive.
func (w *world) missing(e *event, named, holes map[place][]frame.Range, counted map[place]uint64, untold map[place]bool) {
	gateway := e.device.board.gateway
	for _, at := range w.places[e.id] {
		lane := place{gateway: at.gateway, laneKey: at.laneKey}
		if covers(named[lane], at.seq) || covers(holes[lane], at.seq) && w.mayLose(gateway) {
			w.result.Reported++
			return
		}
	}
	lane, _ := telemetry.LaneOf(e.device.kind)
	if all := (place{gateway: gateway, laneKey: laneKey{lane: lane}}); len(w.places[e.id]) == 0 && counted[all] > 0 {
		counted[all]--
		w.result.Thinned++
		return
	}
	if all := (place{gateway: gateway, laneKey: laneKey{lane: lane}}); len(w.places[e.id]) == 0 && untold[all] {
		w.result.Thinned++
		return
	}
	unknown := w.mayLose(gateway)
	for _, at := range w.places[e.id] {
		unknown = unknown && w.known[place{gateway: at.gateway, laneKey: at.laneKey}] < at.seq
	}
	if unknown {
		w.result.Unknowable++
		return
	}
	w.result.Lost++
	w.fail("%s was acknowledged and is lost; it stood at %v", e.id, w.places[e.id])
}

// mayLose reports whether something happened that may destroy what a gateway acknowledged.
func (w *world) mayLose(gateway string) bool { return w.destroyed[gateway] || w.cloud.restored }

func laneNamed(name string) telemetry.Lane {
	for _, l := range telemetry.Lanes {
		if l.String() == name {
			return l
		}
	}
	return 0
}

// judgeLedger adds up.
func (w *world) judgeLedger() error {
	for _, g := range sortedKeys(w.keys) {
		l, _, err := w.cloud.any().Ledger(context.Background(), g)
		if err != nil {
			return err
		}
		if l.Produced != l.Committed+l.Spooled+l.Dropped+l.Unexplained {
			w.fail("ledger of %s: %+v doesn't add up", g, l.Account)
		}
		if l.Unexplained > 0 {
			if !w.mayLose(g) {
				w.result.Unexplained += int(l.Unexplained)
				for i := range l.Lanes {
					if a := &l.Lanes[i]; len(a.Holes) > 0 {
						w.fail("ledger of %s: epoch %s, lane %s: %d unexplained: %v", g, a.Epoch, a.Lane, a.Unexplained, a.Holes)
					}
				}
			}
			if err := w.alarmed(g); err != nil {
				return err
			}
		}
		for i := range l.Lanes {
			a := &l.Lanes[i]
			at, err := placeOf(g, a.Epoch, int64(laneNamed(a.Lane)))
			if err != nil {
				return err
			}
			if made := w.produced[at]; a.Known && a.Produced+a.Newer != made && (a.Produced+a.Newer > made || !w.mayLose(g)) {
				w.fail("ledger of %s, %s %s: produced %d and %d since, the board made %d", g, a.Epoch, a.Lane, a.Produced, a.Newer, made)
			}
		}
		audit, err := w.cloud.any().Verify(context.Background(), g)
		if err != nil {
			return err
		}
		if audit.Broken > 0 {
			w.fail("archive of %s: %+v", g, audit.Breaks)
		}
	}
	return nil
}

// alarmed fails when nobody was told of a hole.
func (w *world) alarmed(gateway string) error {
	n := 0
	err := w.cloud.look.rows(func(scan func(...any) error) error { return scan(&n) }, "select count(*) from alarms where gateway = $1 and code = 'ledger_hole'", gateway)
	if err == nil && n == 0 {
		w.fail("ledger of %s has holes and nobody was told", gateway)
	}
	return err
}

// judgeState compares the state with what a fresh store makes of the same frames in another order.
func (w *world) judgeState(frames []service.Archived) error {
	have, err := w.cloud.told()
	if err != nil {
		return err
	}
	fresh := newCloud(w, filepath.Join(w.opt.Dir, fmt.Sprintf("fresh-%d.db", w.opt.Seed)))
	defer fresh.end()
	ctx, now := context.Background(), w.now
	core, err := service.OpenCore(ctx, service.CoreConfig{
		State: "sqlite:" + fresh.file, Registry: w.opt.County, Now: w.wall, Send: func(string, string, []byte) error { return nil }, Online: func() []string { return nil },
		Keys: func(g string) (ed25519.PublicKey, bool) { return w.keys[g].Public().(ed25519.PublicKey), true },
	})
	if err != nil {
		return err
	}
	fresh.workers = []*service.Core{core}
	fresh.upAt = fresh.upAt[:1]
	if err := announce(ctx, core); err != nil {
		return err
	}
	frames = slices.Clone(frames)
	w.rng.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
	dec, err := frame.NewDecoder()
	if err != nil {
		return err
	}
	for i := range frames {
		f, err := dec.Decode(frames[i].Raw)
		if err != nil {
			return err
		}
		w.now = frames[i].Received.Sub(dawn)
		if err := core.Take(ctx, f.Gateway, f.Lane.String(), frames[i].Raw); err != nil {
			return err
		}
		if w.rng.IntN(30) == 0 || i == len(frames)-1 {
			if err := core.Step(ctx); err != nil {
				return err
			}
		}
	}
	w.now = now
	want, err := fresh.told()
	if err != nil {
		return err
	}
	if !slices.Equal(have, want) {
		w.fail("state differs from a fresh fold:\n%s", differ(have, want))
	}
	return nil
}

// differ lists what only one of two has.
func differ(have, want []string) (out string) {
	a, b := map[string]bool{}, map[string]bool{}
	for _, l := range have {
		a[l] = true
	}
	for _, l := range want {
		b[l] = true
	}
	n := 0
	for _, l := range append(slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b))...) {
		if a[l] != b[l] {
			if n++; n > 10 {
				return out + "  ...\n"
			}
			out += fmt.Sprintf("  %s %s\n", map[bool]string{true: "is", false: "should be"}[a[l]], l)
		}
	}
	return out
}
