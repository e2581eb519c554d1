package edge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/devices"
	"yizhan/devices/telemetry"
	"yizhan/gateway/edge"
)

type lockConfig struct {
	Cells int `yaml:"cells" strict:"required"`
}

func (c lockConfig) Validate() error {
	if c.Cells < 1 {
		return errors.New("cells: must be at least 1")
	}
	return nil
}

// lock is a lock board in memory.
type lock struct {
	name string
	mu   sync.Mutex
	open []string
}

func (l *lock) Run(ctx context.Context, emit devices.Emit) error {
	if err := emit(ctx, telemetry.New(l.name, time.Now(), telemetry.NTP, telemetry.Locker{Cell: telemetry.Some(1), Event: telemetry.CellClosed})); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func (l *lock) Command(_ context.Context, c telemetry.CommandTo) telemetry.Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = append(l.open, c.Args["cell"])
	return telemetry.Result{Command: c.ID, Outcome: telemetry.Done, Detail: "opened"}
}

func (l *lock) Counters() map[string]uint64 { return map[string]uint64{"frames_ok": 3} }

func (l *lock) LastBad() []devices.BadFrame {
	return []devices.BadFrame{{N: 1, Reason: "bad_checksum", Hex: "8a01"}}
}

func (l *lock) opened() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.open...)
}

// run starts a gateway in this process; stop ends it.
func run(t *testing.T, s *site, env edge.Env) (e *edge.Edge, stop func()) {
	cfg, err := edge.Load(s.config, env.Kinds)
	require.NoError(t, err)
	e, err = edge.New(cfg, env)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			require.NoError(t, <-ended)
		})
	}
	t.Cleanup(stop)
	return e, stop
}

func client(t *testing.T, addr, user string) mqtt.Client {
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + addr).SetClientID(user).SetUsername(user).SetPassword("secret").SetAutoReconnect(false))
	tok := c.Connect()
	require.True(t, tok.WaitTimeout(5*time.Second))
	require.NoError(t, tok.Error())
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func TestWithoutACertificateItSpoolsAndWaits(t *testing.T) {
	a := newAuthority(t)
	c := newCloud(t, a)
	s := newSite(t, c.broker.Addr().String(), "[]")
	_, stop := run(t, s, edge.Env{Kinds: kinds()})
	h := client(t, s.lan, "handheld")
	tok := h.Publish("dev/handheld/scan", 1, false, `{"n":"1","body":{"text":"YZ1"}}`)
	require.True(t, tok.WaitTimeout(5*time.Second))
	require.NoError(t, tok.Error())
	code, page := s.get(t, "/healthz")
	require.Equal(t, http.StatusOK, code, "a cloud that is away is no fault of the gateway's")
	require.Contains(t, page, "gateway key -config")
	require.Contains(t, page, "cloud not connected")
	require.NoFileExists(t, s.cfg.Uplink.Key)

	a.enrol(t, &s.cfg)
	require.True(t, waitFor(10*time.Second, func() bool { return c.arrived("handheld")["1"] == 1 }))
	stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	require.True(t, c.states[0].Online)
	require.False(t, c.states[len(c.states)-1].Online, "a gateway that stops says so")
}

func TestCommandsReachADriverOnce(t *testing.T) {
	a := newAuthority(t)
	c := newCloud(t, a)
	board := &lock{name: "board"}
	factory := devices.Kind("lock", func(lockConfig, devices.Env) (*lock, error) { return board, nil })
	s := newSite(t, c.broker.Addr().String(), "[]")
	src, err := os.ReadFile(s.config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(s.config, []byte(strings.Replace(string(src), "devices: []", "devices: [{id: board, kind: lock, cells: 12}]", 1)), 0o600))
	a.enrol(t, &s.cfg)
	_, stop := run(t, s, edge.Env{Kinds: []devices.Factory{factory}})

	seen := make(chan string, 64)
	tech := client(t, s.lan, "tech")
	tok := tech.Subscribe(topic.AllDevices, 1, func(_ mqtt.Client, m mqtt.Message) { seen <- m.Topic() + " " + string(m.Payload()) })
	require.True(t, tok.WaitTimeout(5*time.Second))
	require.NoError(t, tok.Error())

	hello := func() frame.Hello {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.hellos) == 0 {
			return frame.Hello{}
		}
		return c.hellos[len(c.hellos)-1]
	}
	require.True(t, waitFor(10*time.Second, func() bool { return hello().MonoNS > 0 }))
	send := func(cmd frame.Command) {
		b, err := json.Marshal(cmd)
		require.NoError(t, err)
		require.NoError(t, c.broker.Send("van-03", topic.Command, b))
	}
	_, page := s.get(t, "/healthz")
	require.Contains(t, page, `"hex": "8a01"`, "what was thrown away is there for support")
	h := hello()
	cmd := frame.Command{ID: "c1", Issuer: "anna", Device: "board", Action: "open_cell", Args: map[string]string{"cell": "7"}, Boot: h.Boot, MonoNS: h.MonoNS, LeaseMS: 60_000}
	send(cmd)
	send(cmd)
	stale := cmd
	stale.ID, stale.LeaseMS = "c2", 0
	send(stale)
	require.True(t, waitFor(10*time.Second, func() bool {
		got := c.arrived("board")
		return got["cmd-c1"] > 0 && got["cmd-c2"] > 0
	}))
	require.Equal(t, []string{"7"}, board.opened())
	require.Equal(t, 1, c.arrived("board")["cmd-c1"], "told twice, kept once")
	for {
		line := <-seen
		if strings.HasPrefix(line, "dev/board/result ") && strings.Contains(line, `"outcome":"done"`) {
			break
		}
	}

	before := hello().MonoNS
	send(frame.Command{ID: "p1", Action: "ping"})
	require.True(t, waitFor(10*time.Second, func() bool { return hello().MonoNS > before }), "a ping is answered by hello")
	stop()

	run(t, s, edge.Env{Kinds: []devices.Factory{factory}})
	n := len(c.hellos)
	require.True(t, waitFor(10*time.Second, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.hellos) > n && len(c.broker.Connected()) == 1
	}))
	send(cmd)
	require.True(t, waitFor(10*time.Second, func() bool {
		_, page := s.get(t, "/metrics")
		return strings.Contains(page, `yizhan_events_total{room="command",event="replayed"} 1`)
	}))
	require.Equal(t, []string{"7"}, board.opened(), "a restart forgets no command")
}

func TestADriverThatFailsTakesNothingDown(t *testing.T) {
	a := newAuthority(t)
	c := newCloud(t, a)
	s := newSite(t, c.broker.Addr().String(), `[{id: gps, kind: gnss, port: "serial:/dev/does-not-exist"}]`)
	a.enrol(t, &s.cfg)
	run(t, s, edge.Env{Kinds: kinds()})
	require.True(t, waitFor(10*time.Second, func() bool {
		code, page := s.get(t, "/healthz")
		return code == http.StatusOK && strings.Contains(page, `"device gps waiting"`) && strings.Contains(page, "/dev/does-not-exist")
	}))
	h := client(t, s.lan, "handheld")
	tok := h.Publish("dev/handheld/scan", 1, false, `{"n":"1","body":{"text":"YZ1"}}`)
	require.True(t, tok.WaitTimeout(5*time.Second))
	require.NoError(t, tok.Error())
	require.True(t, waitFor(10*time.Second, func() bool { return c.arrived("handheld")["1"] == 1 }))
}

func TestNewGivesBackWhatItOpened(t *testing.T) {
	a := newAuthority(t)
	s := newSite(t, "127.0.0.1:1", "[]")
	a.enrol(t, &s.cfg)
	taken, err := net.Listen("tcp", s.page)
	require.NoError(t, err)
	_, err = edge.New(s.cfg, edge.Env{Kinds: kinds()})
	require.ErrorContains(t, err, "address already in use")
	require.NoError(t, taken.Close())
	e, err := edge.New(s.cfg, edge.Env{Kinds: kinds()})
	require.NoError(t, err, "spool and broker are free again")
	_, err = edge.New(s.cfg, edge.Env{Kinds: kinds()})
	require.ErrorContains(t, err, "another process", "two gateways never share a card")
	require.NoError(t, e.Close())
}

func TestFilesOfOneCardSurviveACut(t *testing.T) {
	// What file promises is used by the command log and the connection numbers.
	dir := t.TempDir()
	s := fmt.Sprint(filepath.Join(dir, "x"))
	require.NoError(t, os.WriteFile(s+".new", []byte("left by a power cut"), 0o600))
	f := edge.FileAt(s)
	b, err := f.Read()
	require.NoError(t, err)
	require.Nil(t, b)
	require.Error(t, f.Append([]byte("x")), "there is no file yet")
	require.NoError(t, f.Replace([]byte("one\n")))
	require.NoError(t, f.Append([]byte("two\n")))
	b, err = f.Read()
	require.NoError(t, err)
	require.Equal(t, "one\ntwo\n", string(b))
	require.NoError(t, f.Replace([]byte("")))
	b, err = f.Read()
	require.NoError(t, err)
	require.Empty(t, b)
}
