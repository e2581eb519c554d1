package edge_test

import (
	"context"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
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
	"yizhan/gateway/internal/spool/spooltest"
)

// A porch is a cabinet on a card whose power may go at any operation, and one cell.
type porch struct {
	t     *testing.T
	card  *spooltest.FS
	key   pickup.Key
	began time.Time

	mu     sync.Mutex
	pulses map[string]int
	open   bool
	item   bool
	dead   bool
	seed   uint64
}

func (p *porch) Mono() (frame.Boot, int64)           { return frame.Boot{1}, int64(time.Since(p.began)) }
func (p *porch) Now() (time.Time, telemetry.Quality) { return time.Now(), telemetry.NTP }

// onCard is what of the log a power cut leaves at least.
func (p *porch) onCard() string {
	b, err := edge.FileOn(p.card.Cut(spooltest.Keep{None: true}), "data/cabinet").Read()
	require.NoError(p.t, err)
	return string(b)
}

type seeded struct{ *mrand.Rand }

func (s seeded) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s.Uint32())
	}
	return len(b), nil
}

// power runs a cabinet while use uses it, and cuts its power.
func (p *porch) power(use func(c *cabinet.Cabinet)) {
	p.seed++
	c := cabinet.New(cabinet.Config{
		Device: "board", Scanner: "scan", Cells: []pickup.Size{pickup.Small}, Clock: p, Rand: seeded{mrand.New(mrand.NewPCG(p.seed, 9))},
		Disk: edge.FileOn(p.card, "data/cabinet"), List: edge.FileOn(p.card, "data/expect"), Log: slog.New(slog.DiscardHandler),
		Key: func() (pickup.Key, error) { return p.key, nil },
		Open: func(op string, cell int, _ time.Duration) telemetry.Result {
			require.Contains(p.t, p.onCard(), op, "pulsed before its intent was durable")
			p.mu.Lock()
			defer p.mu.Unlock()
			p.pulses[op]++
			p.open = true
			return telemetry.Result{Outcome: telemetry.Done, Detail: "opened"}
		},
		Outcome: func(string) (telemetry.Result, bool) { return telemetry.Result{}, false },
		Accept:  func(context.Context, ...telemetry.Reading) error { return nil },
		Show:    func(devices.Screen) {},
	})
	ctx, cancel := context.WithCancel(p.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	p.says(c)
	use(c)
	synctest.Wait()
	cancel()
	require.NoError(p.t, <-ended)
}

// says tells the cabinet how the door is.
func (p *porch) says(c *cabinet.Cabinet) string {
	synctest.Wait()
	p.mu.Lock()
	l := telemetry.Locker{Cell: telemetry.Some(1), Event: telemetry.CellClosed, Occupied: telemetry.Some(p.item)}
	if p.open {
		l.Event = telemetry.CellOpened
	}
	p.mu.Unlock()
	out := c.Observe([]telemetry.Reading{telemetry.New("board", time.Time{}, telemetry.Unknown, l)})
	synctest.Wait()
	got, err := telemetry.As[telemetry.Locker](out[0])
	require.NoError(p.t, err)
	return got.Deposit
}

func (p *porch) shut(c *cabinet.Cabinet, item bool) string {
	p.says(c)
	p.mu.Lock()
	p.open, p.item = false, item
	p.mu.Unlock()
	return p.says(c)
}

func (p *porch) isOpen() bool {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

// The power goes at every operation on the card, and of what wasn't synced anything may be left: no lock is pulsed before its intent is durable,
// none by itself, and the parcel keeps the id under which its code was sent.
func TestPowerCutsUnderTheCabinet(t *testing.T) {
	const list = `{"series":"a","version":1,"parcels":[{"waybill":"YL000100001","consent":"yes"}]}`
	for at := range 60 {
		for torn := range 4 {
			synctest.Test(t, func(t *testing.T) {
				rng := mrand.New(mrand.NewPCG(uint64(at), uint64(torn)))
				p := &porch{t: t, card: spooltest.New(), pulses: map[string]int{}, began: time.Now(), seed: uint64(100 * at)}
				p.key = pickup.Key{Locker: "lk-a", Generation: 1, Secret: pickup.LockerKey([]byte(strings.Repeat("k", 32)), "lk-a", 1)}
				require.NoError(t, p.card.MkdirAll("data"))
				p.card.CrashAt(at, rng.IntN(200))
				deposit, asked := "", 0
				day := func(c *cabinet.Cabinet) {
					c.Expect([]byte(list))
					synctest.Wait()
					if !p.item {
						c.Observe([]telemetry.Reading{telemetry.New("scan", time.Time{}, telemetry.Unknown, telemetry.Scan{Text: "YL000100001"})})
						asked++
					}
					if !p.item && p.isOpen() {
						deposit = p.shut(c, true)
						require.NotEmpty(t, deposit)
					}
					if p.item {
						c.Typed(devices.Entry{Keys: "1#" + pickup.Code(p.key.Secret, deposit, 0)})
						asked++
						if p.isOpen() {
							require.Equal(t, deposit, p.shut(c, true), "put back")
						}
					}
				}
				p.power(day)
				p.card = p.card.Cut(spooltest.Keep{Rand: rng})
				before := len(p.pulses)
				p.power(func(c *cabinet.Cabinet) {
					require.Len(t, p.pulses, before, "a start opens nothing")
					if p.item && !p.open {
						require.Equal(t, deposit, p.says(c), "its id after a cut at %d", at)
					}
				})
				p.open = false
				p.power(day)
				require.True(t, p.item, "a parcel goes in after any cut")
				require.LessOrEqual(t, len(p.pulses), asked, fmt.Sprint(p.pulses))
				for _, n := range p.pulses {
					require.Equal(t, 1, n)
				}
			})
		}
	}
}
