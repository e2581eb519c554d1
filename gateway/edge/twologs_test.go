package edge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"strconv"
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
	"yizhan/gateway/edge"
	"yizhan/gateway/internal/cabinet"
	"yizhan/gateway/internal/command"
	"yizhan/gateway/internal/spool/spooltest"
)

// A hall is a cabinet and the gateway's commands over one card, with a wall of doors, in one period of power after the other.
type hall struct {
	t    *testing.T
	rng  *mrand.Rand
	card *spooltest.FS
	key  pickup.Key
	boot byte
	from time.Time

	cabinet *cabinet.Cabinet
	command *command.Commands

	mu       sync.Mutex
	open     [5]bool
	item     [5]bool
	deposit  [5]string
	pulses   map[string]int // by command
	stale    map[string]bool
	ids      []string
	codes    int // that were right, and scans
	acting   int
	jam, off bool
}

func (h *hall) Mono() (frame.Boot, int64)           { return frame.Boot{h.boot}, int64(time.Since(h.from)) }
func (h *hall) Now() (time.Time, telemetry.Quality) { return time.Now(), telemetry.NTP }

// Command is the lock boards' driver.
func (h *hall) Command(_ context.Context, c telemetry.CommandTo) telemetry.Result {
	<-time.After(200 * time.Millisecond)
	cell, err := strconv.Atoi(c.Args["cell"])
	h.mu.Lock()
	if err != nil || h.acting > 0 {
		h.t.Errorf("cell %q, %d under way", c.Args["cell"], h.acting)
	}
	if h.off {
		h.mu.Unlock()
		return telemetry.Result{Command: c.ID, Outcome: telemetry.OutcomeUnknown, Detail: "stopped"}
	}
	if h.open[cell] {
		h.mu.Unlock()
		return telemetry.Result{Command: c.ID, Outcome: telemetry.Refused, Detail: "already_open"}
	}
	h.pulses[c.ID]++
	jam := h.jam
	h.open[cell] = !jam
	h.acting++
	h.mu.Unlock()
	<-time.After(300 * time.Millisecond)
	if !jam {
		h.tell(cell)
	}
	h.mu.Lock()
	h.acting--
	h.mu.Unlock()
	if jam {
		return telemetry.Result{Command: c.ID, Outcome: telemetry.OutcomeUnknown, Detail: "jammed"}
	}
	return telemetry.Result{Command: c.ID, Outcome: telemetry.Done, Detail: "opened"}
}

// tell has the board tell how a door is.
func (h *hall) tell(cell int) {
	h.mu.Lock()
	l := telemetry.Locker{Cell: telemetry.Some(cell), Event: telemetry.CellClosed, Occupied: telemetry.Some(h.item[cell])}
	if h.open[cell] {
		l.Event = telemetry.CellOpened
	}
	h.mu.Unlock()
	out := h.cabinet.Observe([]telemetry.Reading{telemetry.New("board", time.Time{}, telemetry.Unknown, l)})
	got, err := telemetry.As[telemetry.Locker](out[0])
	require.NoError(h.t, err)
	if l.Event == telemetry.CellClosed {
		h.mu.Lock()
		if h.deposit[cell] = ""; h.item[cell] {
			h.deposit[cell] = got.Deposit
		}
		h.mu.Unlock()
	}
}

// powered is one period of power: actions, and then the cut.
func (h *hall) powered(actions int) {
	h.boot++
	h.from = time.Now()
	accept := func(context.Context, ...telemetry.Reading) error { return nil }
	h.command = command.New(command.Config{
		Disk: edge.FileOn(h.card, "data/commands"), Clock: h, Accept: accept, Restart: func(string) bool { return false }, Ping: func() {}, Log: slog.New(slog.DiscardHandler),
		Device: func(id string) (devices.Commander, bool) { return h, id == "board" },
	})
	h.cabinet = cabinet.New(cabinet.Config{
		Device: "board", Scanner: "scan", Cells: []pickup.Size{"s", "s", "m", "l"}, Clock: h, Rand: seeded{mrand.New(mrand.NewPCG(h.rng.Uint64(), 2))}, Log: slog.New(slog.DiscardHandler),
		Disk: edge.FileOn(h.card, "data/cabinet"), List: edge.FileOn(h.card, "data/expect"), Key: func() (pickup.Key, error) { return h.key, nil },
		Open: func(op string, cell int, within time.Duration) telemetry.Result {
			return h.command.Local(op, "board", "open_cell", map[string]string{"cell": strconv.Itoa(cell)}, within)
		},
		Outcome: h.command.Outcome, Accept: accept, Show: func(devices.Screen) {},
	})
	ctx, cancel := context.WithCancel(h.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = h.command.Run(ctx) })
	wg.Go(func() { _ = h.cabinet.Run(ctx) })
	for cell := 1; cell < len(h.open); cell++ {
		h.tell(cell)
	}
	before := h.total()
	<-time.After(10 * time.Second)
	require.Equal(h.t, before, h.total(), "a start opens nothing")
	for range actions {
		h.act()
		if h.rng.IntN(3) > 0 {
			<-time.After(time.Duration(h.rng.IntN(8000)) * time.Millisecond)
		}
	}
	cancel()
	h.mu.Lock()
	h.off = h.rng.IntN(2) == 0 // what is under way at the driver may still pulse, or not
	h.mu.Unlock()
	wg.Wait()
	h.off = false
}

func (h *hall) total() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range h.pulses {
		n += k
	}
	return n
}

// act is one thing that somebody does.
func (h *hall) act() {
	cell := 1 + h.rng.IntN(4)
	h.mu.Lock()
	deposit, open := h.deposit[cell], h.open[cell]
	h.jam = h.rng.IntN(8) == 0
	h.mu.Unlock()
	switch h.rng.IntN(8) {
	case 0, 1:
		h.codes++
		h.cabinet.Observe([]telemetry.Reading{telemetry.New("scan", time.Time{}, telemetry.Unknown, telemetry.Scan{Text: fmt.Sprintf("YL00010000%d", h.rng.IntN(10))})})
	case 2, 3:
		if deposit != "" {
			h.codes++
			h.cabinet.Typed(devices.Entry{Keys: fmt.Sprint(cell, "#", pickup.Code(h.key.Secret, deposit, h.rng.IntN(pickup.Codes)))})
		}
	case 4:
		h.cabinet.Typed(devices.Entry{Keys: fmt.Sprintf("%d#%s", cell, pickup.Code(h.key.Secret, "d-nothing", h.rng.IntN(1000)))})
	case 5, 6:
		if open {
			h.mu.Lock()
			h.open[cell], h.item[cell] = false, h.rng.IntN(2) == 0
			h.mu.Unlock()
			h.tell(cell)
		}
	case 7:
		h.remote(cell)
	}
}

// remote is a command of the cloud: new, told again, or too late.
func (h *hall) remote(cell int) {
	_, mono := h.Mono()
	c := frame.Command{ID: fmt.Sprint("c-", h.rng.IntN(1<<30)), Device: "board", Action: "open_cell", Args: map[string]string{"cell": strconv.Itoa(cell)}, Boot: frame.Boot{h.boot}, MonoNS: mono, LeaseMS: 5000}
	switch h.rng.IntN(4) {
	case 0:
		if len(h.ids) > 0 {
			c.ID = h.ids[h.rng.IntN(len(h.ids))]
		}
	case 1:
		c.Boot = frame.Boot{h.boot - 1}
		h.stale[c.ID] = true
	case 2:
		c.MonoNS -= int64(time.Minute)
		h.stale[c.ID] = true
	default:
		h.ids = append(h.ids, c.ID)
	}
	b, err := json.Marshal(c)
	require.NoError(h.t, err)
	h.command.Handle(b)
}

// Over random days of couriers, codes, remote commands new, repeated and stale, jams and power cuts at any operation of the card: each command and
// each op pulses once at most, a stale one never, and no more ops pulse than somebody asked for.
func TestTwoLogsOneLock(t *testing.T) {
	pulses, remotes := 0, 0
	for seed := range uint64(120) {
		synctest.Test(t, func(t *testing.T) {
			h := &hall{t: t, rng: mrand.New(mrand.NewPCG(seed, 11)), card: spooltest.New(), pulses: map[string]int{}, stale: map[string]bool{}}
			h.key = pickup.Key{Locker: "lk-a", Generation: 1, Secret: pickup.LockerKey([]byte(strings.Repeat("k", 32)), "lk-a", 1)}
			require.NoError(t, h.card.MkdirAll("data"))
			var parcels []string
			for i := range 10 {
				parcels = append(parcels, fmt.Sprintf(`{"waybill":"YL00010000%d","consent":"yes"}`, i))
			}
			require.NoError(t, edge.FileOn(h.card, "data/expect").Replace([]byte(`{"parcels":[`+strings.Join(parcels, ",")+`]}`)))
			for range 6 {
				if h.rng.IntN(3) > 0 {
					h.card.CrashAt(len(h.card.Ops())+h.rng.IntN(120), h.rng.IntN(300))
				}
				h.powered(25)
				h.card = h.card.Cut(spooltest.Keep{Rand: h.rng})
			}
			local := 0
			for id, n := range h.pulses {
				require.Equal(t, 1, n, "seed %d: %s", seed, id)
				require.False(t, h.stale[id], "seed %d: stale %s", seed, id)
				if strings.HasPrefix(id, "k-") {
					local++
				} else {
					remotes++
				}
			}
			require.LessOrEqual(t, local, 3*h.codes, "a scan may try three cells")
			pulses += local
		})
	}
	t.Logf("%d pulses of codes and scans, %d of remote commands", pulses, remotes)
	require.Greater(t, pulses, 500)
	require.Greater(t, remotes, 100)
}
