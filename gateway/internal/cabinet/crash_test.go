package cabinet

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/pickup"
	"yizhan/devices/telemetry"
)

// powerCut is what a crash throws.
type powerCut struct{}

// A law watches a stand for what must never happen.
type law struct {
	*stand
	items  []int // identity of what lies behind each door; 0: nothing
	next   int
	names  map[int]string // deposit of each item
	owners map[string]int
	cause  map[string]string // op -> what it was asked by
	pulsed map[string]bool   // cause and cell
	input  int
	name   string
	right  bool // what was last typed or scanned may open something
}

func watch(s *stand) *law {
	w := &law{
		stand: s, items: make([]int, len(s.doors)), names: map[int]string{}, owners: map[string]int{}, cause: map[string]string{}, pulsed: map[string]bool{},
	}
	s.saw, s.sees = w.reading, w.opening
	return w
}

// opening: a pulse comes from one typed code or scan, once for a cell, never from a wrong one, with its intent on the card, and in time.
func (w *law) opening(o Opening, pulsed bool) {
	if !pulsed {
		return
	}
	require.True(w.t, w.right, "opened by something wrong")
	key := fmt.Sprint(w.cause[o.Op], " ", o.Cell)
	require.False(w.t, w.pulsed[key], "twice for one event: %s", key)
	w.pulsed[key] = true
	require.LessOrEqual(w.t, w.mono, o.Until)
	require.Contains(w.t, string(w.disk.b), o.Op, "its intent isn't on the card")
	require.Equal(w.t, 1, w.pulses[o.Op])
}

// reading: what lies in a cell has one id for ever, and no two things have the same.
func (w *law) reading(l telemetry.Locker) {
	cell := l.Cell.Or(0)
	item := w.items[cell]
	full := l.Event == telemetry.CellDeposited || l.Event == telemetry.CellClosed && l.Occupied.Or(false)
	if !full || l.Deposit == "" {
		return
	}
	require.NotZero(w.t, item, "%+v", l)
	if w.book.broken != nil {
		return // a card that takes nothing, and then the power goes: what was put in unasked may have two names
	}
	if old, named := w.names[item]; named {
		require.Equal(w.t, old, l.Deposit, "another id for the same thing, %s", w.name)
	}
	if old, owned := w.owners[l.Deposit]; owned {
		require.Equal(w.t, old, item, "one id for two things")
	}
	w.names[item], w.owners[l.Deposit] = l.Deposit, item
}

// close shuts a door with or without something behind it.
func (w *law) close(cell int, item bool) {
	switch {
	case !item:
		w.items[cell] = 0
	case w.items[cell] == 0:
		w.next++
		w.items[cell] = w.next
	}
	w.shut(cell, item)
}

// ask does an input, and remembers which one asked for what.
func (w *law) ask(fx []Effect) {
	w.input++
	before := len(w.asked)
	w.do(fx)
	for _, o := range w.asked[before:] {
		w.cause[o.Op] = fmt.Sprint("input ", w.input)
	}
}

// act does one thing that may happen.
func (w *law) act(rng *rand.Rand) {
	cell := 1 + rng.IntN(len(w.doors)-1)
	d := &w.doors[cell]
	switch rng.IntN(14) {
	case 0, 1, 2:
		w.right = true
		w.ask(w.core.Scan(w.now(), fmt.Sprintf("YL00010%04d", 1+rng.IntN(12))))
	case 3, 4:
		x := w.core.at(cell)
		if x.Deposit == nil {
			return
		}
		w.right = !w.core.barred[x.Deposit.ID]
		w.ask(w.core.Entry(w.now(), w.code(cell, rng.IntN(pickup.Codes))))
	case 5:
		if len(w.asked) > 0 {
			return // it would be judged by this
		}
		w.right = false
		w.ask(w.core.Entry(w.now(), w.wrongFor(cell, rng.IntN(1_000_000))))
		w.relayAll()
	case 6:
		if x := w.core.at(cell); x.Deposit != nil {
			w.right = !w.core.barred[x.Deposit.ID]
			w.ask(w.core.Scan(w.now(), pickup.Ticket(w.key.Secret, x.Deposit.ID, 0)))
		}
	case 7:
		if d.open {
			w.close(cell, d.item)
		}
	case 8, 9:
		if d.open {
			w.close(cell, rng.IntN(3) > 0)
		}
	case 10:
		w.right = true
		w.ask(w.core.Entry(w.now(), []string{"*", "0"}[rng.IntN(2)]))
	case 11:
		if len(w.asked) > 0 {
			return
		}
		d.open = true // a command of the cloud
		w.look()
	case 12:
		w.pass(time.Duration(rng.Int64N(int64(4 * time.Minute))))
	case 13:
		d.jammed = rng.IntN(4) == 0
	}
	if rng.IntN(3) > 0 {
		w.relayAll()
	}
}

// relayAll lets the relay act; a next cell belongs to the input that asked for the first.
func (w *law) relayAll() {
	for len(w.asked) > 0 {
		o := w.asked[0]
		rest := append([]Opening(nil), w.asked[1:]...)
		w.asked = w.asked[:1]
		w.stand.relayOne()
		for _, next := range w.asked {
			w.cause[next.Op] = w.cause[o.Op]
		}
		w.asked = append(w.asked, rest...)
	}
}

// powered runs f and reports whether the power went.
func powered(f func()) (cut bool) {
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(powerCut); !ok {
				panic(v)
			}
			cut = true
		}
	}()
	f()
	return false
}

// restart powers the board on again: nothing opens by itself.
func (w *law) restart() {
	w.crash = nil
	w.start()
	require.Empty(w.t, w.asked, "opened by itself")
}

// Over random days with power cuts, cards that fail, doors and people, nothing is opened twice or by something wrong, and every parcel keeps its name.
func TestNeverTwice(t *testing.T) {
	pulses, cuts, deposits := 0, 0, 0
	for seed := range uint64(1500) {
		k := newStand(t, seed, pickup.Small, pickup.Small, pickup.Medium, pickup.Large)
		w := watch(k)
		w.name = fmt.Sprint("seed ", seed)
		rng := rand.New(rand.NewPCG(seed, 3))
		var parcels []string
		for i := range 12 {
			parcels = append(parcels, fmt.Sprintf(`{"waybill":"YL00010%04d","size":"%s","consent":"yes"}`, i+1, []string{"s", "m"}[i%2]))
		}
		k.expects(`{"series":"a","version":1,"parcels":[` + strings.Join(parcels, ",") + `]}`)
		for range 60 {
			if rng.IntN(4) == 0 {
				left := rng.IntN(12)
				k.crash = func() {
					if left--; left < 0 {
						panic(powerCut{})
					}
				}
			}
			if seed%5 == 0 && rng.IntN(10) == 0 {
				k.disk.after, k.disk.half = rng.IntN(3), rng.IntN(2) == 0
			}
			if powered(func() { w.act(rng) }) {
				cuts++
				if rng.IntN(2) == 0 && len(k.disk.b) > 40 { // a line after the last is torn
					k.disk.b = append(k.disk.b, k.disk.b[:rng.IntN(40)]...)
				}
				k.disk.after = -1
				w.restart()
			}
			k.crash = nil
			if rng.IntN(6) == 0 {
				k.disk.after = -1
			}
		}
		pulses += k.allPulses()
		deposits += len(w.names)
		for op, n := range k.pulses {
			require.Equal(t, 1, n, "seed %d: %s", seed, op)
		}
	}
	t.Logf("%d pulses, %d power cuts, %d parcels", pulses, cuts, deposits)
	require.Greater(t, pulses, 5000)
	require.Greater(t, cuts, 1500)
}

// A parcel goes in and out, and the power goes at every place on the way, before and behind every write and the pulse: the people do again
// what nothing came of, and the parcel has one id.
func TestACrashAtEveryStep(t *testing.T) {
	whole := 0
	for at := 0; at == 0 || at <= whole; at++ {
		k := newStand(t, 21, pickup.Small, pickup.Small)
		w := watch(k)
		k.expects(list)
		n := 0
		k.crash = func() {
			if n++; at > 0 && n == at {
				panic(powerCut{})
			}
		}
		w.right = true
		steps := []func() bool{ // each is done when it reports so
			func() bool {
				if x := w.holds("YL000100001"); x != 0 {
					return true
				}
				for i := 1; i < len(k.doors); i++ { // the courier puts it into the door that stands open
					if k.doors[i].open {
						w.close(i, true)
						return w.holds("YL000100001") != 0
					}
				}
				w.ask(w.core.Scan(w.now(), "YL000100001"))
				w.relayAll()
				return false
			},
			func() bool {
				for i := 1; i < len(k.doors); i++ {
					if k.doors[i].open {
						w.close(i, false)
					}
				}
				x := w.holds("YL000100001")
				if x == 0 {
					return true
				}
				w.ask(w.core.Entry(w.now(), w.code(x, 0)))
				w.relayAll()
				return false
			},
		}
		for _, step := range steps {
			for tries := 0; ; tries++ {
				require.Less(t, tries, 8, "crash at %d: stuck: %v", at, k.words)
				var done bool
				if powered(func() { done = step() }) {
					w.restart()
					continue
				}
				if done {
					break
				}
				k.pass(screenFor)
			}
		}
		if at == 0 {
			whole = n
			require.Greater(t, whole, 15)
		}
		require.Len(t, w.names, 1, "crash at %d", at)
		require.LessOrEqual(t, k.allPulses(), 3, "crash at %d: one for each time somebody asked", at)
	}
	t.Logf("%d places", whole)
}

// holds is the cell that a parcel lies in, 0 for none.
func (w *law) holds(waybill string) int {
	for _, x := range w.core.cells {
		if x.Deposit != nil && x.Deposit.Waybill == waybill {
			return x.No
		}
	}
	return 0
}

// A log with any byte damaged, or cut anywhere, opens nothing and keeps what the other lines say.
func TestADamagedLog(t *testing.T) {
	k := occupied(t, 5)
	whole := append([]byte(nil), k.disk.b...)
	for i := range whole {
		for _, cut := range []bool{false, true} {
			b := append([]byte(nil), whole...)
			if b[i] ^= 0x21; cut {
				b = b[:i]
			}
			k.disk.b = b
			k.start()
			require.Empty(t, k.asked)
			for _, x := range k.core.cells {
				require.Regexp(t, "^d-[0-9a-f]{16}$", x.Next)
			}
		}
	}
}

func TestTheLogStaysSmall(t *testing.T) {
	d := &disk{after: -1}
	b := openBook(d)
	for i := range 5 * compactAt {
		require.NoError(t, b.write(write(&cell{No: 1 + i%3, Next: fmt.Sprint(i)}).Write))
	}
	require.LessOrEqual(t, strings.Count(string(d.b), "\n"), compactAt)
	require.Len(t, openBook(d).cells, 3)
}
