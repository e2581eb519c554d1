package cabinet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/broker/pickup"
	"yizhan/devices"
	"yizhan/devices/telemetry"
)

// A house is a cabinet that runs, with what it needs of the gateway.
type house struct {
	mu     sync.Mutex
	began  time.Time
	disk   *disk
	list   *disk
	key    pickup.Key
	noKey  error
	words  []string
	spool  []telemetry.Reading
	full   bool
	pulses []string
	relay  func(op string, cell int, within time.Duration) telemetry.Result
	log    bytes.Buffer
}

func (h *house) Mono() (frame.Boot, int64)           { return frame.Boot{1}, int64(time.Since(h.began)) }
func (h *house) Now() (time.Time, telemetry.Quality) { return time.Now(), telemetry.NTP }

func newHouse() *house {
	h := &house{disk: &disk{after: -1}, list: &disk{after: -1, b: []byte(list)}, began: time.Now()}
	h.key = pickup.Key{Locker: "lk-a", Generation: 1, Secret: pickup.LockerKey(master, "lk-a", 1)}
	return h
}

func (h *house) cabinet() *Cabinet {
	return New(Config{
		Device: "board", Scanner: "scan", Cells: []pickup.Size{s, m}, Disk: h.disk, List: h.list, Clock: h, Rand: source{rand.New(rand.NewPCG(1, 1))},
		Log: slog.New(slog.NewTextHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Key: func() (pickup.Key, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.key, h.noKey
		},
		Open: func(op string, cell int, within time.Duration) telemetry.Result {
			h.mu.Lock()
			relay := h.relay
			h.pulses = append(h.pulses, fmt.Sprint(cell))
			h.mu.Unlock()
			if relay != nil {
				return relay(op, cell, within)
			}
			return telemetry.Result{Outcome: telemetry.Done, Detail: "opened"}
		},
		Outcome: func(string) (telemetry.Result, bool) { return telemetry.Result{}, false },
		Accept: func(_ context.Context, rs ...telemetry.Reading) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.full {
				return errors.New("spool is full")
			}
			for _, r := range rs {
				if err := r.Validate(); err != nil {
					panic(err)
				}
			}
			h.spool = append(h.spool, rs...)
			return nil
		},
		Show: func(s devices.Screen) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.words = append(h.words, strings.TrimSuffix(fmt.Sprint(s.Word, " ", s.Cell), " 0"))
		},
	})
}

// lives runs a cabinet in a bubble while use uses it.
func lives(t *testing.T, prepare func(*house), use func(h *house, c *Cabinet)) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		if prepare != nil {
			prepare(h)
		}
		c := h.cabinet()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		for i := range 2 {
			c.Observe([]telemetry.Reading{locker(i+1, telemetry.CellClosed, false)})
		}
		synctest.Wait()
		use(h, c)
		cancel()
		require.NoError(t, <-ended)
	})
}

func locker(cell int, e telemetry.CellEvent, full bool) telemetry.Reading {
	return telemetry.New("board", time.Time{}, telemetry.Unknown, telemetry.Locker{Cell: telemetry.Some(cell), Event: e, Occupied: telemetry.Some(full)})
}

func scanned(text string) []telemetry.Reading {
	return []telemetry.Reading{telemetry.New("scan", time.Time{}, telemetry.Unknown, telemetry.Scan{Text: text})}
}

func (h *house) word() string {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.words) == 0 {
		return ""
	}
	return h.words[len(h.words)-1]
}

// in puts a parcel into cell 1 and returns its deposit.
func (h *house) in(t *testing.T, c *Cabinet) string {
	c.Observe(scanned("YL000100001"))
	require.Equal(t, "put 1", h.word())
	c.Observe([]telemetry.Reading{locker(1, telemetry.CellOpened, false)})
	out := c.Observe([]telemetry.Reading{locker(1, telemetry.CellDeposited, true)})
	require.Equal(t, "done 1", h.word())
	l, err := telemetry.As[telemetry.Locker](out[0])
	require.NoError(t, err)
	return l.Deposit
}

func TestTheShell(t *testing.T) {
	lives(t, nil, func(h *house, c *Cabinet) {
		require.Equal(t, "ready", h.word())
		id := h.in(t, c)
		c.Typed(devices.Entry{Keys: "1#" + pickup.Code(h.key.Secret, id, 0)})
		require.Equal(t, "take 1", h.word())
		<-time.After(screenFor + 2*time.Second)
		require.Equal(t, "ready", h.word(), "the words don't stay")
		require.Len(t, h.spool, 2, "accepted, twice")
		require.Equal(t, uint64(2), c.Counters()["opened"])
		require.Equal(t, uint64(1), c.Counters()["held"])
		require.Empty(t, c.Trouble())
		require.Equal(t, map[string]float64{"locker_held": 1, "locker_wrong": 0, "locker_expect_version": 1, "locker_key_generation": 1}, c.Gauges())

		c.Expect([]byte(`{"parcels":[{}]}`))
		c.Expect([]byte(`{"series":"b","version":1}`))
		require.Equal(t, uint64(1), c.Counters()["lists_bad"])
		c.Observe(scanned("YL000100002"))
		require.Equal(t, "unknown_waybill", h.word())
		require.JSONEq(t, `{"series":"b","version":1}`, string(h.list.b), "kept over a restart")
	})
}

// What passes on its way to the spool: everything but tickets and badges.
func TestWhatIsHeldBack(t *testing.T) {
	lives(t, nil, func(h *house, c *Cabinet) {
		id := h.in(t, c)
		ticket := pickup.Ticket(h.key.Secret, id, 0)
		for _, secret := range []string{ticket, strings.ToLower(ticket), "x" + ticket, ticket[3:], pickup.BadgePrefix + strings.Repeat("A", 20), "yzb1:7"} {
			require.Empty(t, c.Observe(scanned(secret)), secret)
			synctest.Wait()
		}
		require.Len(t, c.Observe(scanned("YL000100001")), 1)
		other := telemetry.New("dock", time.Time{}, telemetry.Unknown, telemetry.Scan{Text: "YL000100001"})
		mixed := append(scanned(ticket), other, locker(2, telemetry.CellClosed, false))
		require.Len(t, c.Observe(mixed), 2)
		bad := telemetry.Reading{Device: "board", Kind: telemetry.KindLocker, Body: []byte(`{`)}
		require.Equal(t, []telemetry.Reading{bad}, c.Observe([]telemetry.Reading{bad}), "quarantine is for the broker")
		synctest.Wait()
		for _, place := range []string{h.log.String(), string(h.disk.b), string(h.list.b), fmt.Sprint(h.spool)} {
			require.NotContains(t, place, ticket[len(ticket)-26:])
		}
	})
}

// A full spool holds no door shut, and what was to be told is told when there is room.
func TestAFullSpoolHoldsNoDoorShut(t *testing.T) {
	lives(t, func(h *house) { h.full = true }, func(h *house, c *Cabinet) {
		id := h.in(t, c)
		c.Typed(devices.Entry{Keys: "1#" + pickup.Code(h.key.Secret, id, 0)})
		require.Equal(t, "take 1", h.word())
		h.mu.Lock()
		h.full = false
		h.mu.Unlock()
		<-time.After(2 * time.Minute)
		synctest.Wait()
		require.Len(t, h.spool, 2)
	})
}

func TestACardThatFails(t *testing.T) {
	lives(t, nil, func(h *house, c *Cabinet) {
		id := h.in(t, c)
		h.disk.after = 0
		c.Typed(devices.Entry{Keys: "1#" + pickup.Code(h.key.Secret, id, 0)})
		require.Equal(t, "out_of_order", h.word())
		require.Len(t, h.pulses, 1, "the deposit's")
		h.disk.after = -1
		c.Typed(devices.Entry{Keys: "1#" + pickup.Code(h.key.Secret, id, 0)})
		require.Equal(t, "take 1", h.word())
		require.Equal(t, uint64(1), c.Counters()["unwritten"])
	})
}

// A relay that is busy makes nobody wait for an answer, and its pulse comes in time or not at all.
func TestABusyRelay(t *testing.T) {
	var within []time.Duration
	lives(t, nil, func(h *house, c *Cabinet) {
		id := h.in(t, c)
		h.relay = func(_ string, _ int, d time.Duration) telemetry.Result {
			within = append(within, d)
			<-time.After(8 * time.Second)
			return telemetry.Result{Outcome: telemetry.Refused, Detail: "stale"}
		}
		key := devices.Entry{Keys: "1#" + pickup.Code(h.key.Secret, id, 0)}
		c.Typed(key)
		require.Equal(t, "opening 1", h.word())
		c.Typed(key)
		require.Equal(t, "busy", h.word())
		<-time.After(9 * time.Second)
		require.Equal(t, "try_again 1", h.word())
	})
	require.Equal(t, []time.Duration{pulseWithin}, within)
}

func TestAKeyThatComesLaterAndIsExchanged(t *testing.T) {
	lives(t, func(h *house) { h.noKey = errors.New("no such file") }, func(h *house, c *Cabinet) {
		id := h.in(t, c)
		require.Contains(t, c.Trouble(), "no locker key")
		old := devices.Entry{Keys: "1#" + pickup.Code(h.key.Secret, id, 0)}
		c.Typed(old)
		require.Equal(t, "out_of_order", h.word())
		h.mu.Lock()
		h.noKey = nil
		h.mu.Unlock()
		<-time.After(keyEvery + time.Second)
		c.Typed(old)
		require.Equal(t, "take 1", h.word())
		c.Observe([]telemetry.Reading{locker(1, telemetry.CellOpened, true), locker(1, telemetry.CellClosed, true)})
		h.mu.Lock()
		h.key = pickup.Key{Locker: "lk-a", Generation: 2, Secret: pickup.LockerKey(master, "lk-a", 2)}
		h.mu.Unlock()
		<-time.After(keyEvery + time.Second)
		c.Typed(old)
		require.Equal(t, "wrong", h.word(), "the card was stolen")
		c.Typed(devices.Entry{Keys: "1#" + pickup.Code(h.key.Secret, id, 0)})
		require.Equal(t, "take 1", h.word())
		require.NotContains(t, h.log.String(), "take", "nothing of it is in the log")
	})
}

// The log that can't be read stops codes and scans; a list that can't be read lets nothing in.
func TestFilesThatCannotBeRead(t *testing.T) {
	lives(t, func(h *house) { h.list.b = []byte("{") }, func(h *house, c *Cabinet) {
		c.Observe(scanned("YL000100001"))
		require.Equal(t, "no_list", h.word())
		require.Contains(t, h.log.String(), "list of parcels broken")
	})
	h := newHouse()
	c := New(Config{
		Device: "board", Cells: []pickup.Size{s}, Disk: &lostDisk{}, List: h.list, Clock: h, Rand: source{rand.New(rand.NewPCG(1, 1))},
		Log: slog.New(slog.DiscardHandler), Key: func() (pickup.Key, error) { return h.key, nil },
		Outcome: func(string) (telemetry.Result, bool) { return telemetry.Result{}, false },
	})
	require.Contains(t, c.Trouble(), "can't be read")
	r := locker(1, telemetry.CellDeposited, true)
	require.Equal(t, []telemetry.Reading{r}, c.Observe([]telemetry.Reading{r}), "told as it is")
}

// From the typed code to the relay, in memory: what the step itself costs.
func BenchmarkEntry(b *testing.B) {
	k := occupied(b, 1)
	code := k.code(1, 0)
	for b.Loop() {
		fx := k.core.Entry(k.now(), code)
		k.core.Unwritten(k.now(), fx[1].Open.Op)
	}
}
