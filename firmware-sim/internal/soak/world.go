package soak

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"yizhan/broker/frame"
	"yizhan/cloud/service"
	"yizhan/gateway/edge/edgetest"
)

// Options of a run.
type Options struct {
	Seed   uint64
	County *service.Registry
	Dir    string    // for the database; a folder in memory is faster
	Trace  io.Writer // nil: the trace is only hashed
}

// Result is what came of a seed.
type Result struct {
	Seed        uint64
	Rounds      int
	Lines       int    // of the trace
	Hash        string // of the trace
	Acked       int    // events that were acknowledged
	Reported    int    // of them gone, and named by a tombstone or an alarmed hole
	Thinned     int    // of them dropped at admission, and counted by a tombstone
	Unknowable  int    // of them gone with a card that had told nobody of them
	Lost        int    // of them gone
	Doubled     int    // events that count twice
	Unexplained int    // records of the ledger that nothing explains and nothing destroyed
	Faults      map[string]int
}

// world is a county under a seed.
type world struct {
	opt    Options
	plan   plan
	rng    *rand.Rand
	now    time.Duration
	calm   bool // faults are over
	trace  *trace
	result Result
	errs   []error

	keys     map[string]ed25519.PrivateKey
	boards   []*board
	cloud    *cloud
	mail     []message
	serial   int
	serials  int
	sessions map[string]*board

	sessionAt map[string]time.Duration
	patience  time.Duration // of twins

	events    map[string]*event
	made      []*event
	places    map[string][]place
	produced  map[place]uint64 // highest seq by lane (seq of the key is 0)
	known     map[place]uint64 // of it, what a hello told the cloud
	knownThen map[place]uint64 // when the database was copied
	destroyed map[string]bool  // gateways that had a card destroyed
	orders    int
	sent      map[string]time.Duration
	pulses    map[string]int
}

var (
	gateways = []string{"lk-qingshi-1", "van-01", "wh-1"}
	tags     = []string{"urn:epc:id:sgtin:0614141.812345.6789", "urn:epc:id:sgtin:0614141.812345.6790", "urn:epc:id:grai:0614141.12345.400"}
	waybills = []string{"YZ-000001", "YZ-000002", "YZ-000003", "YZ-000004"}
	dawn     = time.Date(2026, 12, 1, 6, 0, 0, 0, time.UTC)
)

// Run runs a seed. The error is of what didn't hold.
func Run(opt Options) (Result, error) {
	w := &world{
		opt: opt, rng: rand.New(rand.NewPCG(opt.Seed, 0x59495a48414e)), trace: newTrace(opt.Trace),
		keys: map[string]ed25519.PrivateKey{}, sessions: map[string]*board{}, sessionAt: map[string]time.Duration{}, events: map[string]*event{}, places: map[string][]place{},
		produced: map[place]uint64{}, known: map[place]uint64{}, destroyed: map[string]bool{}, sent: map[string]time.Duration{}, pulses: map[string]int{},
	}
	w.plan = newPlan(w.rng)
	w.result = Result{Seed: opt.Seed, Rounds: w.plan.rounds, Faults: map[string]int{}}
	w.cloud = newCloud(w, filepath.Join(opt.Dir, fmt.Sprintf("soak-%d.db", opt.Seed)))
	w.trace.note(0, "plan %+v", w.plan)
	w.begin()
	for w.result.Rounds = 0; w.result.Rounds < w.plan.rounds && len(w.errs) == 0; w.result.Rounds++ {
		w.round()
	}
	if len(w.errs) == 0 {
		w.heal()
	}
	if len(w.errs) == 0 {
		w.judge()
	}
	w.cloud.end()
	w.result.Lines, w.result.Hash = w.trace.lines, w.trace.hash()
	return w.result, errors.Join(w.errs...)
}

func (w *world) begin() {
	for i := range w.plan.boards {
		g := gateways[i]
		w.keys[g] = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize))
		w.addBoard(g, edgetest.NewCard())
	}
	for i := range w.cloud.workers {
		w.cloud.start(i)
	}
	ctx := context.Background()
	core := w.cloud.any()
	if core == nil {
		return
	}
	var err error
	for _, g := range sortedKeys(w.keys) {
		err = errors.Join(err, core.NoteKey(ctx, g, w.keys[g].Public().(ed25519.PublicKey)))
	}
	if err = errors.Join(err, announce(ctx, core)); err != nil {
		w.fail("begin: %v", err)
	}
}

// announce tells a cloud of the parcels that there are.
func announce(ctx context.Context, core *service.Core) error {
	all := []service.Waybill{{Waybill: waybills[0], EPC: tags[0], Site: "out-qingshi"}, {Waybill: waybills[1], EPC: tags[1], Site: "out-qingshi", Locker: "lk-qingshi"}}
	for _, id := range waybills[2:] {
		all = append(all, service.Waybill{Waybill: id, Site: "out-qingshi", Locker: "lk-qingshi"})
	}
	return core.Announce(ctx, all, dawn)
}

// wall is the true time.
func (w *world) wall() time.Time { return dawn.Add(w.now).Truncate(time.Millisecond) }

// chance tosses for a fault.
func (w *world) chance(p float64) bool { return p > 0 && !w.calm && w.rng.Float64() < p }

func (w *world) count(what string) { w.result.Faults[what]++ }

func (w *world) fail(format string, args ...any) {
	err := fmt.Errorf("seed %d, at %v: "+format, append([]any{w.opt.Seed, w.now}, args...)...)
	w.errs = append(w.errs, err)
	w.trace.note(w.now, "FAIL %v", err)
}

// round lets everybody do something, in a random order.
func (w *world) round() {
	steps := []time.Duration{time.Millisecond, 50 * time.Millisecond, 400 * time.Millisecond, 3 * time.Second, 20 * time.Second, 10 * time.Minute}
	w.now += 1 + time.Duration(w.rng.Int64N(int64(steps[w.rng.IntN(len(steps))])))
	w.misfortune()
	for _, b := range w.boards {
		for _, d := range b.devices {
			if w.rng.IntN(3) == 0 {
				d.happen(1 + w.rng.IntN(6))
			}
		}
	}
	for _, i := range w.rng.Perm(len(w.boards) + 2) {
		switch {
		case i < len(w.boards):
			w.boards[i].turn()
		case i == len(w.boards):
			w.deliver()
		default:
			w.cloud.turn()
		}
		if len(w.errs) > 0 {
			return
		}
	}
}

// misfortune is what befalls the county between the rounds.
func (w *world) misfortune() {
	p := &w.plan
	for _, b := range slices.Clone(w.boards) {
		w.befall(b)
	}
	if w.chance(p.wipe) {
		w.count("broker wiped")
		w.wipe()
	}
	if w.chance(p.restart) {
		w.count("cloud restarted")
		w.wipe()
		for i := range w.cloud.workers {
			w.cloud.kill(i)
		}
	}
	if p.restore > 0 && w.chance(.1) {
		w.cloud.save()
	}
	if w.chance(p.restore) {
		w.cloud.restore()
	}
	if w.chance(p.order) {
		w.order()
	}
}

// befall is what befalls one board.
func (w *world) befall(b *board) {
	p := &w.plan
	if w.chance(p.cut) {
		w.count("link cut")
		b.hangUp()
		b.linkAt = w.now + time.Duration(w.rng.Int64N(int64(10*time.Minute)))
	}
	if was := b.bad; p.ioError > 0 && w.chance(p.badHours) {
		b.bad = !was
		b.setFaults()
	}
	if w.chance(p.full) {
		w.count("full card")
		b.card.SetLimit(1 + w.rng.Int64N(64<<10))
	} else if w.chance(.2) {
		b.card.SetLimit(0)
	}
	if w.chance(p.step) {
		w.count("clock step")
		b.offset += time.Duration(w.rng.IntN(61)-30) * 365 * 24 * time.Hour
		b.synced = b.synced && w.chance(.5) && b.offset == 0
	}
	if b.core == nil {
		return
	}
	switch {
	case w.chance(p.kill):
		w.count("gateway killed")
		b.stop()
		b.card.Kill()
		b.start()
	case w.chance(p.power):
		w.count("power cut")
		b.card.CrashAt(b.card.Count()+w.rng.IntN(12), w.rng.IntN(600))
	}
	if (p.putBack > 0 || p.twin > 0) && b.image == nil && w.chance(.1) {
		b.image = b.card.Copy()
		w.trace.note(w.now, "%s: card copied", b.name)
	}
	if b.image != nil && w.chance(p.putBack) {
		w.count("card put back")
		b.stop()
		b.card = b.image.Copy()
		b.setFaults()
		b.onAt = w.now + time.Second
		w.destroyed[b.gateway] = true
	}
	if b.image != nil && w.chance(p.twin) && len(w.boards) < 5 {
		w.count("twin board")
		w.addBoard(b.gateway, b.image.Copy())
	}
}

// heal ends all faults and lets everything drain.
func (w *world) heal() {
	w.calm, w.patience = true, time.Minute
	w.trace.note(w.now, "all faults are over")
	for _, b := range w.boards {
		b.bad, b.onAt, b.linkAt = false, 0, 0
		b.setFaults()
		b.card.SetLimit(0)
		b.card.CrashAt(-1, 0)
	}
	for range 2 { // what was thinned is told a minute later
		if w.drain(); len(w.errs) > 0 {
			return
		}
		w.now += 90 * time.Second
	}
	w.lastHellos()
}

// drain goes on until everything that the boards hold is committed.
func (w *world) drain() {
	quiet := 0
	for n := 0; quiet < 3; n++ {
		if n > 2000 {
			w.fail("it doesn't drain: %s", w.state())
			return
		}
		w.now += 700 * time.Millisecond
		for _, b := range w.boards {
			b.turn()
		}
		w.deliver()
		w.cloud.turn()
		if len(w.errs) > 0 {
			return
		}
		if quiet++; w.state() != "" {
			quiet = 0
		}
	}
}

// lastHellos has every board say what it holds now.
func (w *world) lastHellos() {
	for _, b := range w.boards {
		if b.core == nil {
			continue
		}
		if !b.linked {
			b.connect()
		}
		for range 2 { // the second tells what came of the first
			b.core.Hello()
			for range 40 {
				w.now += 300 * time.Millisecond
				b.turn()
				w.deliver()
				w.cloud.turn()
			}
		}
	}
}

// state says what is still under way; nothing when everything that the boards hold is committed.
func (w *world) state() string {
	if w.cloud.any() == nil {
		return "the cloud is down"
	}
	for _, b := range w.boards {
		if b.core == nil {
			return b.name + " is off"
		}
		for _, d := range b.devices {
			if len(d.waits) > 0 {
				return fmt.Sprintf("%s: %s waits with %d", b.name, d.name, len(d.waits))
			}
		}
	}
	kept, err := w.cloud.ranges()
	if err != nil {
		w.fail("ranges: %v", err)
		return ""
	}
	named, _, _, err := w.cloud.buried()
	if err != nil {
		w.fail("tombstones: %v", err)
		return ""
	}
	forked, err := w.cloud.forked()
	if err != nil {
		w.fail("forks: %v", err)
		return ""
	}
	for _, b := range w.boards {
		for _, l := range b.core.Lanes() {
			k := place{gateway: b.gateway, laneKey: laneKey{l.Epoch, l.Lane}}
			for seq := max(l.First, 1); seq < l.Next; seq++ {
				if covers(kept[k], seq) || covers(named[k], seq) || covers(forked[k], seq) { // what was dropped may still be readable
					continue
				}
				if recs, err := b.core.Read(l.Epoch, l.Lane, seq, 1); err == nil && len(recs) > 0 && recs[0].Seq == seq {
					return fmt.Sprintf("%s holds %v %v %d", b.name, l.Epoch, l.Lane, seq)
				}
			}
		}
	}
	return ""
}

func covers(rs []frame.Range, seq uint64) bool {
	return slices.ContainsFunc(rs, func(r frame.Range) bool { return r.From <= seq && seq <= r.To })
}

// told notes what a hello told the cloud.
func (w *world) told(gateway string, payload []byte) {
	var h frame.Hello
	if json.Unmarshal(payload, &h) != nil {
		return
	}
	for _, l := range h.Lanes {
		at := place{gateway: gateway, laneKey: laneKey{l.Epoch, l.Lane}}
		w.known[at] = max(w.known[at], max(l.Next, 1)-1)
	}
}

// remember and forget are what a backup does to what the cloud knows.
func (w *world) remember() { w.knownThen = maps.Clone(w.known) }

func (w *world) forget() { w.known = maps.Clone(w.knownThen) }
