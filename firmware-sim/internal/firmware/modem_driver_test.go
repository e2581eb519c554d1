package firmware

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/modem"
	"yizhan/devices/port"
	"yizhan/devices/port/porttest"
	"yizhan/devices/telemetry"
)

// socket is a modem's end of a line in memory; noise damages one byte in so many.
type socket struct {
	*porttest.End
	mu    sync.Mutex
	rng   *rand.Rand
	noise int
}

func (*socket) Idle() {}

func (s *socket) Write(b []byte) (int, error) {
	s.mu.Lock()
	out := bytes.Clone(b)
	for i := range out {
		if s.noise > 0 && s.rng.IntN(s.noise) == 0 {
			out[i] ^= 1 << s.rng.IntN(8)
		}
	}
	s.mu.Unlock()
	_, err := s.End.Write(out)
	return len(b), err
}

// An smsPost is the gateway's driver on a simulated modem, in a bubble.
type smsPost struct {
	t      *testing.T
	modem  *Modem
	socket *socket
	driver *modem.Driver
	end    port.Port
	out    []string
	stop   func()
}

func inPost(t *testing.T, c modem.Config, story func(*smsPost)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		near, far := porttest.Pipe()
		p := &smsPost{t: t, end: near, socket: &socket{End: far, rng: rand.New(rand.NewPCG(5, 6))}}
		p.modem = NewModem(p.socket)
		c.Port = "serial:/dev/null"
		d, err := modem.New(c, devices.Env{Name: "sms", Log: slog.New(slog.DiscardHandler), Open: func(context.Context, string) (port.Port, error) {
			return &plug{End: near}, nil
		}})
		require.NoError(t, err)
		p.driver = d
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.modem.Run(ctx) }()
		defer func() {
			if p.stop != nil {
				p.stop()
			}
			cancel()
			require.NoError(t, <-ended)
			near.Close()
		}()
		story(p)
	})
}

// A plug is the gateway's hold on the cable: the cable stays when the gateway lets go.
type plug struct {
	*porttest.End
	closed atomic.Bool
}

func (g *plug) Close() error { g.closed.Store(true); return nil }

func (g *plug) Read(b []byte) (int, error) {
	for !g.closed.Load() {
		_ = g.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := g.End.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
	return 0, os.ErrClosed
}

func (p *smsPost) start() {
	ctx, cancel := context.WithCancel(p.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil { // as the gateway does
			_ = p.driver.Run(ctx, func(ctx context.Context, rs ...telemetry.Reading) error {
				for _, r := range rs {
					require.NoError(p.t, r.Validate())
					if r.Kind == telemetry.KindResult || r.Kind == telemetry.KindAlarm {
						p.out = append(p.out, string(r.Body))
					}
				}
				return ctx.Err()
			})
			<-time.After(time.Second)
		}
	}()
	p.stop = func() { cancel(); <-ended }
	p.wait(10 * time.Second)
}

func (p *smsPost) wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (p *smsPost) send(id, to, text string) string {
	defer synctest.Wait()
	r := p.driver.Command(p.t.Context(), telemetry.CommandTo{ID: id, Action: "send_sms", Args: map[string]string{"to": to, "text": text}})
	return string(r.Outcome) + " " + r.Detail
}

const villager = "+8613800138000"

// The texts arrive as they were written, and what the network tells of them comes back.
func TestDriverSends(t *testing.T) {
	inPost(t, modem.Config{}, func(p *smsPost) {
		p.start()
		mixed := strings.Repeat("包裹🚚到了，", 30) // 180 characters, 210 units
		plain := strings.Repeat("Parcel {7} is in cell [12]. ", 8)
		require.Equal(t, "done sent parts=1 mr=1", p.send("a", villager, "取件码483920，已到青石村驿站3号柜"))
		require.Equal(t, "done sent parts=4 mr=2,3,4,5", p.send("b", "13800138001", mixed))
		require.Equal(t, "done sent parts=2 mr=6,7", p.send("c", "+8613800138002", plain))
		p.wait(30 * time.Second)
		p.modem.SetFate(0x46)
		require.Equal(t, "done sent parts=1 mr=8", p.send("d", villager, "x"))
		p.wait(time.Minute)

		require.Equal(t, "取件码483920，已到青石村驿站3号柜x", p.modem.Text(villager))
		require.Equal(t, mixed, p.modem.Text("13800138001"))
		require.Equal(t, plain, p.modem.Text("+8613800138002"))
		for i, s := range p.modem.Sent() {
			require.False(t, s.Reused)
			require.True(t, s.Report)
			require.Equal(t, i < 5, s.UCS2)
		}
		require.ElementsMatch(t, []string{
			`{"command":"a","outcome":"done","detail":"delivered"}`, `{"command":"b","outcome":"done","detail":"delivered"}`,
			`{"command":"c","outcome":"done","detail":"delivered"}`, `{"command":"d","outcome":"refused","detail":"failed st=70"}`,
		}, p.out)
		require.Equal(t, 8, p.modem.Acks())
	})
}

func TestDriverOnABadDay(t *testing.T) {
	inPost(t, modem.Config{MaxParts: 10}, func(p *smsPost) {
		p.start()
		p.modem.Refuse("+CMS ERROR: 42", "+CMS ERROR: 304", "ERROR")
		require.Equal(t, "refused temporary cms=42", p.send("a", villager, "a"))
		require.Equal(t, "refused malformed cms=304", p.send("b", villager, "b"))
		require.Equal(t, "refused error", p.send("c", villager, "c"))
		require.Empty(t, p.modem.Sent())

		p.modem.LoseResults(1)
		require.Equal(t, "unknown no_result part=1/1", p.send("d", villager, "d"))
		require.Len(t, p.modem.Sent(), 1, "it was taken, and not sent again")

		p.modem.LosePrompts(2)
		require.Equal(t, "refused no_prompt", p.send("e", villager, "e"))
		require.Equal(t, "refused no_prompt", p.send("f", villager, "f"))
		require.Equal(t, 1, p.modem.Resets())
		p.wait(time.Minute)

		p.modem.SetSIM("")
		p.wait(2 * time.Minute)
		require.Equal(t, "refused sim missing", p.send("g", villager, "g"))
		p.modem.SetSIM("READY")
		p.modem.SetNetwork(2, 99)
		p.wait(10 * time.Minute)
		require.Equal(t, "refused temporary not_registered", p.send("h", villager, "h"))
		p.modem.SetNetwork(5, 9)
		p.modem.Ring()
		require.Equal(t, "done sent parts=1 mr=2", p.send("i", villager, "i"))

		p.wait(10 * time.Second)
		time.AfterFunc(time.Second, p.modem.BrownOut)
		require.Equal(t, "unknown stopped part=1/1", p.send("j", villager, "j"))
		p.wait(time.Minute)
		require.Equal(t, "done sent parts=1 mr=3", p.send("k", villager, "k"))
		require.Equal(t, "dik", p.modem.Text(villager))
		require.Equal(t, `{"code":"sim_missing","severity":"major","detail":"no messages can be sent"}`, p.out[0])

		p.modem.Receive("10086", "余额不足")
		p.wait(time.Minute)
		require.Zero(t, p.modem.Stored(), "read and deleted")
		require.Equal(t, uint64(1), p.driver.Counters()["received"])
	})
}

// A gateway died with a prompt on the line, or in the middle of a PDU: what it had begun is taken back.
func TestDriverAfterADeadGateway(t *testing.T) {
	for _, left := range []string{"AT+CMGS=23\r", "AT+CMGS=23\r0001000B8131", "AT+CM", "\x1a"} {
		inPost(t, modem.Config{}, func(p *smsPost) {
			_, err := p.end.Write([]byte(left))
			require.NoError(t, err)
			p.wait(time.Second)
			p.start()
			require.Equal(t, "done sent parts=1 mr=1", p.send("a", villager, "a"), left)
			require.Len(t, p.modem.Sent(), 1)
		})
	}
}

// On a line that damages one byte in sixty no message goes out twice, and none that was told refused goes out at all, unless the network said so.
func TestDriverOnANoisyLine(t *testing.T) {
	inPost(t, modem.Config{DailyCap: 1000, ResetAfter: 100}, func(p *smsPost) {
		p.start()
		p.socket.mu.Lock()
		p.socket.noise = 60
		p.socket.mu.Unlock()
		outcomes := map[string]int{}
		for i := range 150 {
			text := "m" + strings.Repeat("i", i%5) + string(rune('a'+i/5%26)) + string(rune('a'+i/130))
			before := len(p.modem.Sent())
			said := p.send(text, villager, text)
			p.wait(5 * time.Second)
			n := len(p.modem.Sent()) - before
			require.LessOrEqual(t, n, 1)
			outcome, _, _ := strings.Cut(said, " ")
			switch outcome {
			case "done":
				require.Equal(t, 1, n, said)
			case "refused":
				require.Zero(t, n, said)
			}
			outcomes[outcome]++
			p.wait(time.Duration(i%7) * 20 * time.Second)
		}
		require.Greater(t, outcomes["done"], 20, outcomes)
		require.Positive(t, outcomes["refused"], outcomes)
		require.Positive(t, p.driver.Counters()["garbled"])
	})
}

// On a real line, at the wrong speed and at the right one.
func TestDriverOnASerialLine(t *testing.T) {
	m, l := onALine(t)
	m.with(func() { m.Baud = 115200 })
	run := func(baud string) (*modem.Driver, chan error, chan telemetry.Reading, context.CancelFunc) {
		d, err := modem.New(modem.Config{Port: "serial:" + l.Path + "?baud=" + baud}, devices.Env{Name: "sms", Log: slog.New(slog.DiscardHandler), Open: port.Open})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended, out := make(chan error, 1), make(chan telemetry.Reading, 64)
		go func() {
			ended <- d.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
				for _, r := range rs {
					out <- r
				}
				return nil
			})
		}()
		return d, ended, out, cancel
	}
	d, ended, _, cancel := run("9600")
	defer cancel()
	require.ErrorContains(t, <-ended, "no modem answers")
	require.Zero(t, d.Counters()["frames_ok"])

	d, ended, out, cancel := run("115200")
	defer cancel()
	require.Equal(t, telemetry.KindHealth, (<-out).Kind)
	text := strings.Repeat("包裹到了。", 14)
	r := d.Command(t.Context(), telemetry.CommandTo{ID: "a", Action: "send_sms", Args: map[string]string{"to": villager, "text": text}})
	require.Equal(t, telemetry.Result{Command: "a", Outcome: telemetry.Done, Detail: "sent parts=1 mr=1"}, r)
	require.JSONEq(t, `{"command":"a","outcome":"done","detail":"delivered"}`, string((<-out).Body))
	require.Equal(t, text, m.Text(villager))
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}
