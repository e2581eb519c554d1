package soak

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/cloud/service"
	"yizhan/devices"
	"yizhan/devices/telemetry"
	"yizhan/gateway/edge"
	"yizhan/gateway/edge/edgetest"
)

// post is a locker's gateway and its cloud with a cable in between that holds orders back. Time is made up: nothing waits.
type post struct {
	t      *testing.T
	opt    Options
	now    time.Duration // that has passed
	offset time.Duration // of the board's clock
	boot   frame.Boot
	since  time.Duration // of its switching on
	rand   *rand.ChaCha8
	key    ed25519.PrivateKey
	card   *edgetest.Card
	board  *edge.Core
	cloud  *service.Core
	conn   uint64
	held   [][]byte // orders, in the cable
	pulses []string // ids of the commands that reached the relay
}

const lateBoard = "lk-qingshi-1"

func (p *post) Boot() frame.Boot        { return p.boot }
func (p *post) Mono() int64             { return int64(p.now - p.since + 7*time.Second) }
func (p *post) Wall() time.Time         { return p.wall().Add(p.offset) }
func (p *post) Synchronised() bool      { return true }
func (p *post) HasClockChip() bool      { return false }
func (p *post) wall() time.Time         { return dawn.Add(p.now) }
func (p *post) uptime() time.Time       { return time.Unix(0, p.Mono()) }
func (p *post) cell() map[string]string { return map[string]string{"cell": "3"} }

// Command is the relay's.
func (p *post) Command(_ context.Context, c telemetry.CommandTo) telemetry.Result {
	p.pulses = append(p.pulses, c.ID)
	return telemetry.Result{Outcome: telemetry.Done, Detail: "opened"}
}

// newPost switches both on.
func newPost(t *testing.T, opt Options, name string) *post {
	p := &post{t: t, opt: opt, rand: rand.NewChaCha8([32]byte{1}), card: edgetest.NewCard()}
	_, key, err := ed25519.GenerateKey(p.rand)
	require.NoError(t, err)
	p.key = key
	p.cloud, err = service.OpenCore(t.Context(), service.CoreConfig{
		State: "sqlite:" + filepath.Join(opt.Dir, name+".db"), Registry: opt.County, Now: p.wall, Lease: lease, Send: p.send,
		Keys:   func(g string) (ed25519.PublicKey, bool) { return key.Public().(ed25519.PublicKey), g == lateBoard },
		Online: func() []string { return []string{lateBoard} },
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.cloud.Close()) })
	p.switchOn()
	return p
}

func (p *post) switchOn() {
	_, _ = p.rand.Read(p.boot[:]) // never fails
	p.since = p.now
	var err error
	p.board, err = edge.OpenCore(edge.CoreConfig{
		Gateway: lateBoard, Version: "late", FS: p.card, Dir: "/data", Time: p, RTC: "ignore", Rand: p.rand, Key: p.key,
		Spool:  edge.SpoolOptions{SegmentBytes: 8 << 10, MaxBytes: 1 << 20},
		Device: func(id string) (devices.Commander, bool) { return p, id == "board" },
	})
	require.NoError(p.t, err)
	p.conn++
	p.board.Connected(p.uptime(), p.conn)
}

// reboot cuts the power for a moment.
func (p *post) reboot() {
	p.card = p.card.Cut(edgetest.Keep{None: true})
	p.switchOn()
}

// send is the cable's way down: orders are held back, all else arrives.
func (p *post) send(gateway, what string, payload []byte) error {
	var c frame.Command
	if what == topic.Command && json.Unmarshal(payload, &c) == nil && c.Action != "ping" {
		p.held = append(p.held, slices.Clone(payload))
		return nil
	}
	p.board.Take(p.uptime(), what, payload)
	return nil
}

// turn lets both sides do what there is to do.
func (p *post) turn() {
	for range 8 {
		p.board.Act(p.t.Context())
		p.board.Commit()
		for {
			what, payload, ok := p.board.Next(p.uptime())
			if !ok {
				break
			}
			require.NoError(p.t, p.cloud.Take(p.t.Context(), lateBoard, what, payload))
		}
		require.NoError(p.t, p.cloud.Step(p.t.Context()))
	}
}

// pass lets time pass in steps, for both sides and with the link up.
func (p *post) pass(d time.Duration) {
	for until := p.now + d; p.now < until; {
		p.now = min(until, p.now+10*time.Second)
		p.turn()
	}
}

// order has cell 3 opened; the order is in the cable then.
func (p *post) order(id string) (sent frame.Command) {
	p.turn()
	require.NoError(p.t, p.cloud.Order(p.t.Context(), service.Order{ID: id, Issuer: "desk", Device: lateBoard + "/board", Action: "open_cell", Args: p.cell(), Created: p.wall()}))
	p.turn()
	require.Len(p.t, p.held, 1)
	require.NoError(p.t, json.Unmarshal(p.held[0], &sent))
	require.Equal(p.t, id, sent.ID)
	require.Equal(p.t, lease.Milliseconds(), sent.LeaseMS)
	require.Equal(p.t, p.boot, sent.Boot)
	return sent
}

// arrive lets go of what the cable holds.
func (p *post) arrive() {
	for _, m := range p.held {
		p.board.Take(p.uptime(), topic.Command, m)
		p.turn()
	}
}

// becomes is what is shown of an order in the end.
func (p *post) becomes(id string) string {
	p.turn()
	o, ok, err := p.cloud.Ordered(p.t.Context(), id)
	require.NoError(p.t, err)
	require.True(p.t, ok)
	return fmt.Sprint(o.Outcome, " ", o.Detail)
}

// An order to open a cell that the cable or a broker holds for an hour opens nothing when it comes: not once, not twice, not after a power cut, and whatever
// happens to clocks meanwhile. It is told refused. One that comes just within its lease opens once.
func TestACommandAnHourLate(t *testing.T) {
	opt := options(t)
	for i, c := range []struct {
		name   string
		late   func(p *post, sent frame.Command)
		pulses int
		shown  string
	}{
		{"an hour", func(p *post, _ frame.Command) { p.pass(time.Hour) }, 0, "refused stale"},
		{"an hour, twice", func(p *post, _ frame.Command) { p.pass(time.Hour); p.held = append(p.held, p.held[0]) }, 0, "refused stale"},
		{"an hour, twice, with a power cut between", func(p *post, _ frame.Command) { p.pass(time.Hour); p.arrive(); p.reboot() }, 0, "refused stale"},
		{"an hour, after a power cut", func(p *post, _ frame.Command) { p.pass(30 * time.Minute); p.reboot(); p.pass(30 * time.Minute) }, 0, "refused stale: another boot"},
		{"as young as its lease, after a power cut", func(p *post, sent frame.Command) {
			p.reboot()
			p.pass(time.Duration(sent.MonoNS - p.Mono()))
		}, 0, "refused stale: another boot"},
		{"an hour, the clock nine years ahead", func(p *post, _ frame.Command) { p.offset = 9 * 365 * 24 * time.Hour; p.pass(time.Hour) }, 0, "refused stale"},
		{"an hour, the clock an hour back", func(p *post, _ frame.Command) { p.pass(time.Hour); p.offset = -time.Hour }, 0, "refused stale"},
		{"an hour, the clock in 1970", func(p *post, _ frame.Command) { p.offset = -dawn.Sub(time.Unix(0, 0)); p.pass(time.Hour) }, 0, "refused stale"},
		{"just over its lease", func(p *post, sent frame.Command) {
			p.pass(time.Duration(sent.MonoNS-p.Mono()) + lease + time.Millisecond)
		}, 0, "refused stale"},
		{"just within its lease", func(p *post, sent frame.Command) { p.pass(time.Duration(sent.MonoNS-p.Mono()) + lease) }, 1, "done opened"},
		{"within its lease, the clock nine years ahead", func(p *post, _ frame.Command) { p.offset = 9 * 365 * 24 * time.Hour; p.pass(20 * time.Second) }, 1, "done opened"},
		{"within its lease, the clock in 1970", func(p *post, _ frame.Command) { p.offset = -dawn.Sub(time.Unix(0, 0)); p.pass(20 * time.Second) }, 1, "done opened"},
		{"within its lease, and again an hour later", func(p *post, _ frame.Command) { p.pass(20 * time.Second); p.arrive(); p.pass(time.Hour) }, 1, "done opened"},
		{"within its lease, and again after a power cut", func(p *post, _ frame.Command) { p.pass(20 * time.Second); p.arrive(); p.reboot() }, 1, "done opened"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPost(t, opt, fmt.Sprint("late-", i))
			id := fmt.Sprintf("order-%04d", i)
			sent := p.order(id)
			c.late(p, sent)
			p.arrive()
			require.Len(t, p.pulses, c.pulses)
			require.Equal(t, c.shown, p.becomes(id))
			p.pass(time.Minute)
			p.arrive() // once more, whatever it was
			require.Len(t, p.pulses, c.pulses)
			require.Equal(t, c.shown, p.becomes(id))
		})
	}
}
