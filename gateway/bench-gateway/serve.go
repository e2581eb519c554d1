package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/sync/errgroup"

	"yizhan/broker"
	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/clock"
	"yizhan/gateway/internal/spool"
)

// password is what every publisher says.
const password = "bench"

// maxClients is how many publishers there are at most.
const maxClients = 100

// mark is what a served broker has used so far.
type mark struct {
	CPU      time.Duration `json:"cpu"`
	Mallocs  uint64        `json:"mallocs"`
	Readings uint64        `json:"readings"`
}

func (m mark) minus(o mark) mark {
	return mark{m.CPU - o.CPU, m.Mallocs - o.Mallocs, m.Readings - o.Readings}
}

// A served broker is the child's side: it answers each line on its input with a mark.
type served struct {
	addr   string
	count  func() uint64
	accept func(ctx context.Context, length time.Duration) error // nil: it has none
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // can't fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// serve runs one broker in this process until its input ends, and writes a CPU profile of it where one is asked for.
func serve(ctx context.Context, which, dir, profile string) error {
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	g, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	var s *served
	var err error
	if which == "ours" {
		s, err = ours(ctx, g, dir)
	} else {
		s, err = bare(ctx, g)
	}
	if err == nil {
		err = s.answer(ctx)
	}
	stop()
	return errors.Join(err, g.Wait())
}

// answer obeys: "mark" and "accept {seconds}".
func (s *served) answer(ctx context.Context) error {
	fmt.Println(s.addr)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if secs, ok := strings.CutPrefix(in.Text(), "accept "); ok {
			f, err := strconv.ParseFloat(secs, 64)
			if err != nil || s.accept == nil {
				return fmt.Errorf("%q: %w", in.Text(), err)
			}
			if err := s.accept(ctx, time.Duration(f*float64(time.Second))); err != nil {
				return err
			}
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b, err := json.Marshal(mark{cpuTime(), m.Mallocs, s.count()})
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", b)
	}
	return nil
}

// ours is the gateway's broker before a real spool, whose records a cloud commits a tenth of a second later.
func ours(ctx context.Context, g *errgroup.Group, dir string) (*served, error) {
	source, err := clock.Open()
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	sp, err := spool.Open(spool.OS(), dir, spool.Options{Clock: clock.New(source, "auto"), Logger: log})
	if err != nil {
		return nil, err
	}
	hash, err := broker.HashPassword(password)
	if err != nil {
		return nil, err
	}
	var users []broker.User
	for i := range maxClients {
		users = append(users, broker.User{Name: "u" + strconv.Itoa(i), Role: broker.Device, PasswordHash: hash})
	}
	e, err := broker.NewEdge(broker.EdgeConfig{
		Listen: []string{"127.0.0.1:0"}, Users: users, Log: sp, Logger: log, Limits: broker.Limits{MaxConns: 2 * maxClients, MaxConnsPerIP: 2 * maxClients, PacketRate: -1, ByteRate: -1},
	})
	if err != nil {
		return nil, err
	}
	g.Go(func() error {
		last, stop := context.WithCancel(context.WithoutCancel(ctx))
		ended := make(chan error, 1)
		go func() { ended <- sp.Run(last) }()
		err := e.Run(ctx)
		stop()
		return errors.Join(err, <-ended, sp.Close())
	})
	g.Go(func() error { return commit(ctx, sp) })
	count := func() uint64 { return e.Counters()["readings"] }
	return &served{e.Addr().String(), count, func(ctx context.Context, length time.Duration) error { return accept(ctx, e, length) }}, nil
}

// commit plays the cloud.
func commit(ctx context.Context, sp *spool.Spool) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, l := range sp.Lanes() {
			if l.Next > 1 {
				sp.Commit(l.Epoch, l.Lane, []frame.Range{{From: 1, To: l.Next - 1}})
			}
		}
	}
}

// accept emits as a driver does, in arrays of 100, eight of them at a time.
func accept(ctx context.Context, e *broker.Edge, length time.Duration) error {
	g, ctx := errgroup.WithContext(ctx)
	end := time.Now().Add(length)
	var n atomic.Uint64
	n.Store(uint64(time.Now().UnixNano()))
	for i := range 8 {
		g.Go(func() error {
			one := telemetry.New("driver-"+strconv.Itoa(i), time.Now(), telemetry.NTP, telemetry.Scan{Symbology: "code128", Text: "YZ1300000000000"})
			rs := make([]telemetry.Reading, 100)
			for time.Now().Before(end) {
				for k := range rs {
					rs[k] = one
					rs[k].N = strconv.FormatUint(n.Add(1), 10)
				}
				if err := e.Accept(ctx, rs...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// counting is all that the bare broker does with a publish.
type counting struct {
	mqtt.HookBase
	n atomic.Uint64
}

// Provides tells mochi what to ask.
func (h *counting) Provides(b byte) bool {
	return b == mqtt.OnPublish || b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}

// OnConnectAuthenticate lets everybody in.
func (h *counting) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

// OnACLCheck allows everything.
func (h *counting) OnACLCheck(*mqtt.Client, string, bool) bool { return true }

// OnPublish counts.
func (h *counting) OnPublish(_ *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	h.n.Add(1)
	return pk, nil
}

// bare is mochi as it comes.
func bare(ctx context.Context, g *errgroup.Group) (*served, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &counting{}
	m := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
	if err := errors.Join(m.AddHook(h, nil), m.AddListener(listeners.NewNet("bare", l)), m.Serve()); err != nil {
		return nil, err
	}
	g.Go(func() error {
		<-ctx.Done()
		return m.Close()
	})
	return &served{addr: l.Addr().String(), count: h.n.Load}, nil
}
