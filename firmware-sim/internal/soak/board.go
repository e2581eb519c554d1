package soak

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"yizhan/broker/frame"
	"yizhan/devices"
	"yizhan/devices/telemetry"
	"yizhan/gateway/edge"
	"yizhan/gateway/edge/edgetest"
)

// board is a machine with a card and what hangs on it. A twin is another board of the same gateway.
type board struct {
	w       *world
	name    string // unique in the world
	gateway string
	card    *edgetest.Card
	image   *edgetest.Card // of the card, as somebody made it once
	rand    *rand.ChaCha8  // of its kernel
	core    *edge.Core     // nil: it is off
	devices []*device

	boot   frame.Boot
	since  time.Duration // when it was switched on
	offset time.Duration // of its clock
	synced bool
	onAt   time.Duration // when it is switched on again
	bad    bool          // the card has bad hours
	linked bool
	conn   uint64
	linkAt time.Duration // when it may connect again

	seen map[laneKey]uint64 // last record of each lane that was looked at
}

type laneKey struct {
	epoch frame.Epoch
	lane  telemetry.Lane
}

// place is where a record stands.
type place struct {
	gateway string
	laneKey
	seq uint64
}

func (w *world) addBoard(gateway string, card *edgetest.Card) *board {
	b := &board{w: w, name: fmt.Sprintf("%s#%d", gateway, len(w.boards)), gateway: gateway, card: card, seen: map[laneKey]uint64{}}
	var seed [32]byte
	for i := range 4 {
		binary.LittleEndian.PutUint64(seed[8*i:], w.rng.Uint64())
	}
	b.rand = rand.NewChaCha8(seed)
	w.boards = append(w.boards, b)
	w.attach(b)
	return b
}

// The time of the board, as its kernel tells it.

// Boot is the boot's id.
func (b *board) Boot() frame.Boot { return b.boot }

// Mono is the time since it was switched on.
func (b *board) Mono() int64 { return int64(b.w.now-b.since) + int64(7*time.Second) }

// Wall is its clock, right or wrong.
func (b *board) Wall() time.Time { return b.w.wall().Add(b.offset) }

// Synchronised tells whether somebody keeps it right.
func (b *board) Synchronised() bool { return b.synced }

// HasClockChip is false, as on a Pi.
func (b *board) HasClockChip() bool { return false }

// uptime is what the uplink measures time with.
func (b *board) uptime() time.Time { return time.Unix(0, b.Mono()) }

// switchOn boots it.
func (b *board) switchOn() {
	w := b.w
	_, _ = b.rand.Read(b.boot[:]) // never fails
	b.since = w.now
	b.offset, b.synced = 0, true
	if w.plan.clockless {
		b.offset, b.synced = -time.Duration(w.rng.IntN(50))*365*24*time.Hour, w.chance(.3)
		if b.synced {
			b.offset = 0
		}
	}
	b.start()
}

// start starts the gateway's process.
func (b *board) start() {
	w := b.w
	opt := edge.SpoolOptions{SegmentBytes: 8 << 10, MaxBytes: 1 << 20}
	if w.plan.smallRoom {
		opt.SegmentBytes, opt.MaxBytes = 4<<10, 48<<10
	}
	if w.plan.shortKeep {
		opt.Keep = -1
	}
	if w.plan.mirror {
		opt.Mirror = "/stick"
	}
	core, err := edge.OpenCore(edge.CoreConfig{
		Gateway: b.gateway, Version: "soak", FS: b.card, Dir: "/data", Time: b, RTC: "ignore", Rand: b.rand, Key: w.keys[b.gateway], Spool: opt,
		Device: b.device,
	})
	switch {
	case b.card.Crashed():
		b.powerOff()
	case err != nil:
		w.fail("%s doesn't start: %v", b.name, err)
	default:
		b.core = core
		w.trace.note(w.now, "%s starts, epoch %v", b.name, core.Epoch())
		b.look()
	}
}

// device is who commands are for.
func (b *board) device(id string) (devices.Commander, bool) { return relay{b}, id == "board" }

// relay is the lock of a locker.
type relay struct{ b *board }

// Command opens, and notes who was let in.
func (r relay) Command(_ context.Context, c telemetry.CommandTo) telemetry.Result {
	w := r.b.w
	w.pulse(r.b, c.ID)
	if w.chance(w.plan.power) {
		w.count("power cut in an act")
		r.b.card.CrashAt(r.b.card.Count(), 0)
	}
	if w.chance(.1) {
		return telemetry.Result{Outcome: telemetry.OutcomeUnknown, Detail: "jammed"}
	}
	return telemetry.Result{Outcome: telemetry.Done, Detail: "opened"}
}

// powerOff cuts the power: what wasn't synced may be gone, in parts.
func (b *board) powerOff() {
	w := b.w
	b.stop()
	b.card = b.card.Cut(edgetest.Keep{None: w.chance(.2), Rand: w.rng})
	b.setFaults()
	if w.chance(w.plan.rot) {
		b.rot()
	}
	b.onAt = w.now + time.Duration(w.rng.Int64N(int64(time.Minute)))
	w.trace.note(w.now, "%s has no power", b.name)
}

// stop forgets the process.
func (b *board) stop() {
	b.core = nil
	b.hangUp()
	for _, d := range b.devices {
		d.lost()
	}
}

// rot flips some bits of the card.
func (b *board) rot() {
	names, err := b.card.ReadDir("/data/spool")
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, ".seg") })
	if err != nil || len(names) == 0 {
		return
	}
	name := "/data/spool/" + names[b.w.rng.IntN(len(names))]
	bytes := slices.Clone(b.card.Bytes(name))
	if len(bytes) == 0 {
		return
	}
	b.w.count("rotten bits")
	for range 1 + b.w.rng.IntN(4) {
		bytes[b.w.rng.IntN(len(bytes))] ^= 1 << b.w.rng.IntN(8)
	}
	b.card.Put(name, bytes)
	b.w.destroyed[b.gateway] = true
}

// setFaults lets the card be as bad as it is now.
func (b *board) setFaults() {
	w := b.w
	b.card.SetFault(nil)
	if b.bad {
		b.card.SetFault(func(edgetest.Op) error {
			if !w.chance(w.plan.ioError) {
				return nil
			}
			w.count("i/o error")
			return unix.EIO
		})
	}
}

// hangUp ends the connection to the cloud.
func (b *board) hangUp() {
	if b.core != nil && b.linked {
		b.core.Disconnected()
	}
	b.linked = false
	if b.w.sessions[b.gateway] == b {
		delete(b.w.sessions, b.gateway)
	}
}

// connect begins one.
func (b *board) connect() {
	w := b.w
	if old := w.sessions[b.gateway]; old != nil {
		old.hangUp()
		old.linkAt = w.now + 5*time.Second + w.patience*time.Duration(len(w.boards)-1)
	}
	b.conn++
	b.linked, w.sessions[b.gateway], w.sessionAt[b.gateway] = true, b, w.now
	b.core.Connected(b.uptime(), b.conn)
	w.trace.note(w.now, "%s connects", b.name)
}

// turn is what a board does in a round.
func (b *board) turn() {
	w := b.w
	if b.core == nil {
		if w.now >= b.onAt {
			b.switchOn()
		}
		return
	}
	for _, d := range b.devices {
		d.tell()
	}
	for range 1 + w.rng.IntN(2) {
		b.core.Commit()
		b.look()
		if b.card.Crashed() {
			if w.chance(.5) { // the last words got out
				b.hear()
			}
			b.powerOff()
			return
		}
	}
	b.hear()
	b.core.Act(context.Background())
	if b.card.Crashed() {
		b.powerOff()
		return
	}
	b.look()
	b.pump()
	if bytes, most := b.core.Counters()["bytes"], uint64(1<<20); bytes > most {
		w.fail("%s: the spool has %d bytes", b.name, bytes)
	}
}

func (b *board) hear() {
	for _, d := range b.devices {
		d.acks()
	}
}

// pump publishes what the uplink has to say.
func (b *board) pump() {
	w := b.w
	if !b.linked {
		// Twins end each other's connections, with pauses that grow: at last each has its time.
		if w.now >= b.linkAt && (w.sessions[b.gateway] == nil || w.now >= w.sessionAt[b.gateway]+w.patience) {
			b.connect()
		}
		return
	}
	for range 1 + w.rng.IntN(12) {
		what, payload, ok := b.core.Next(b.uptime())
		if !ok {
			return
		}
		w.trace.note(w.now, "%s says %s %s", b.name, what, brief(payload))
		w.post(message{up: true, gateway: b.gateway, board: b, what: what, payload: payload})
	}
}

var xOf = regexp.MustCompile(`"x":"([^"]+)"`)

// look notes where the records stand that became durable: this package's own count of what was made.
func (b *board) look() {
	w := b.w
	if b.card.Crashed() {
		return // nothing can be read any more; what was acknowledged was looked at as far as it went
	}
	for _, l := range b.core.Lanes() {
		k := laneKey{l.Epoch, l.Lane}
		from := max(b.seen[k]+1, l.First, 1)
		for from < l.Next {
			recs, err := b.core.Read(l.Epoch, l.Lane, from, 1000)
			if err != nil || len(recs) == 0 {
				break
			}
			for i := range recs {
				w.book(b, k, &recs[i])
			}
			from = recs[len(recs)-1].Seq + 1
		}
		b.seen[k] = max(b.seen[k], l.Next-1)
		at := place{gateway: b.gateway, laneKey: k}
		w.produced[at] = max(w.produced[at], l.Next-1)
	}
}

// book notes a record.
func (w *world) book(b *board, k laneKey, r *frame.Record) {
	at := place{b.gateway, k, r.Seq}
	if m := xOf.FindSubmatch(r.Payload); m != nil && r.Type == frame.TypeReading {
		w.places[string(m[1])] = append(w.places[string(m[1])], at)
	}
	w.trace.note(w.now, "%s keeps %v %v %d %v %s", b.name, k.epoch, k.lane, r.Seq, r.Type, brief(r.Payload))
}

var errBroken = errors.New("killed")

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
