package firmware

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/require"

	"yizhan/broker"
	"yizhan/broker/pickup"
	"yizhan/devices"
	"yizhan/devices/keypad"
	"yizhan/devices/lockerbus"
	"yizhan/devices/scanner"
	"yizhan/gateway/edge"
)

// With lockerConfig set this binary is a gateway, so that a test can kill one.
const lockerConfig = "YIZHAN_TEST_LOCKER_CONFIG"

func TestMain(m *testing.M) {
	file := os.Getenv(lockerConfig)
	if file == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := runLocker(ctx, file, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runLocker(ctx context.Context, file string, log io.Writer) error {
	kinds := []devices.Factory{devices.Kind("keypad", keypad.New), devices.Kind("lockerbus", lockerbus.New), devices.Kind("scanner", scanner.New)}
	cfg, err := edge.Load(file, kinds)
	if err != nil {
		return err
	}
	e, err := edge.New(cfg, edge.Env{Kinds: kinds, Version: "test", Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		return err
	}
	return e.Run(ctx)
}

// A site is a locker with its gateway's files, whose cloud is away.
type lockerSite struct {
	t       testing.TB
	dir     string
	lan     string
	cabinet *Cabinet
	pad     *Keypad
	scan    *Scanner
	key     pickup.Key
}

const (
	courierBadge = pickup.BadgePrefix + "CANARYBADGE4711CANARY"
	parcels      = 40
)

func newLockerSite(t testing.TB, family string) *lockerSite {
	t.Helper()
	s := &lockerSite{t: t, dir: t.TempDir()}
	s.key = pickup.Key{Locker: "lk-a", Generation: 1, Secret: pickup.LockerKey(bytes.Repeat([]byte{9}, pickup.KeyBytes), "lk-a", 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	line := func(run func(*Line) func(context.Context) error) string {
		l, err := OpenLine()
		require.NoError(t, err)
		f := run(l)
		wg.Go(func() { _ = f(ctx) })
		t.Cleanup(func() { _ = l.Close() })
		return l.Path
	}
	t.Cleanup(func() { cancel(); wg.Wait() })
	board := line(func(l *Line) func(context.Context) error { s.cabinet = NewCabinet(l, 6, 1, 2); return s.cabinet.Run })
	pad := line(func(l *Line) func(context.Context) error {
		s.pad = NewKeypad(l)
		s.pad.Plain = family == "keys"
		return s.pad.Run
	})
	scan := line(func(l *Line) func(context.Context) error {
		s.scan = &Scanner{Line: l, AIM: true}
		return func(ctx context.Context) error { <-ctx.Done(); return nil }
	})
	hash, err := broker.HashPassword("secret")
	require.NoError(t, err)
	s.lan = fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(20000))
	s.file("locker.key", s.key.String()+"\n")
	s.file("gateway.yaml", fmt.Sprintf(`
gateway: lk-a
data: data
log: debug
uplink: {url: "tls://127.0.0.1:1", ca: ca.pem, cert: cert.pem, key: key.pem, retry_min: 1s}
broker:
  listen: %q
  users: [{name: tech, role: technician, password_hash: %q}]
devices:
  - {id: board, kind: lockerbus, port: "serial:%s?baud=9600", feedback: locked_short, occupancy: second_board, boards: [{board: 1, cells: 6, item_board: 2}]}
  - {id: pad, kind: keypad, port: "serial:%s?baud=9600", family: %s}
  - {id: scan, kind: scanner, port: "serial:%s?baud=9600"}
locker: {device: board, scanner: scan, keypad: pad, key_file: locker.key, cells: [s, s, m, m, l, l]}
`, s.lan, hash, board, pad, family, scan))
	e := pickup.Expect{Series: "t", Version: 1, Couriers: []pickup.Courier{{ID: "c1", Badge: pickup.BadgeHash(courierBadge)}}}
	for i := range parcels {
		e.Parcels = append(e.Parcels, pickup.Expected{Waybill: waybill(i), Size: pickup.Medium, Consent: "yes"})
	}
	b, err := json.Marshal(e)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(s.dir, "data"), 0o700))
	s.file("data/expect", string(b))
	return s
}

func waybill(i int) string { return fmt.Sprintf("YL0002%05d", i) }

func (s *lockerSite) file(name, text string) {
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
}

// A kept cell is what the log on the card says of it.
type keptCell struct {
	Cell        int
	Fault, Ajar bool
	Deposit     struct{ ID, Waybill string }
}

func (s *lockerSite) kept(cell int) (last keptCell) {
	b, err := os.ReadFile(filepath.Join(s.dir, "data", "cabinet"))
	require.NoError(s.t, err)
	for line := range strings.Lines(string(b)) {
		var c struct{ Cells []keptCell }
		if len(line) < 9 || json.Unmarshal([]byte(line[9:]), &c) != nil {
			continue
		}
		for _, x := range c.Cells {
			if x.Cell == cell {
				last = x
			}
		}
	}
	return last
}

func (s *lockerSite) deposit(cell int) (id, waybill string) {
	d := s.kept(cell).Deposit
	return d.ID, d.Waybill
}

// shows waits for one of the words.
func (s *lockerSite) shows(from int, words ...string) Shown {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	got, err := s.pad.Await(ctx, from, words...)
	require.NoError(s.t, err)
	return got
}

// open waits until a door is open.
func (s *lockerSite) open(cell int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	require.NoError(s.t, s.cabinet.AwaitOpen(ctx, cell))
}

// deposits puts a parcel in, from the badge to the closed door, and returns its cell.
func (s *lockerSite) deposits(i int) int {
	s.t.Helper()
	n := s.pad.Screens()
	require.NoError(s.t, s.scan.Scan("Q1", courierBadge))
	s.shows(n, "welcome")
	cell := 0
	for cell == 0 { // try_again: the gateway has just been started and hasn't heard the board
		n = s.pad.Screens()
		require.NoError(s.t, s.scan.Scan("C0", waybill(i)))
		cell = s.shows(n, "put", "try_again").Cell
	}
	s.open(cell)
	require.NoError(s.t, s.cabinet.Put(cell, true))
	s.cabinet.Shut(cell)
	require.Equal(s.t, cell, s.shows(n, "done").Cell)
	return cell
}

// start runs the gateway in this process until stop is called, and waits until it shows that it is ready.
func (s *lockerSite) start(log io.Writer) (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	n := s.pad.Screens()
	go func() { ended <- runLocker(ctx, filepath.Join(s.dir, "gateway.yaml"), log) }()
	if !s.pad.Plain {
		s.shows(n, "ready")
	}
	return func() {
		cancel()
		require.NoError(s.t, <-ended)
	}
}

// A parcel goes in with badge and scan, and out with cell and code or a ticket, through real drivers on real lines, with no cloud anywhere; and
// what is typed or held to the scanner to open a door is afterwards nowhere: not in the log, on the LAN, or on the card.
func TestALockerWithoutACloud(t *testing.T) {
	s := newLockerSite(t, "panel")
	var log safeBuffer
	stop := s.start(&log)
	var lan safeBuffer
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + s.lan).SetClientID("tech").SetUsername("tech").SetPassword("secret"))
	require.True(t, client.Connect().WaitTimeout(time.Minute))
	require.True(t, client.Subscribe("#", 1, func(_ mqtt.Client, m mqtt.Message) { fmt.Fprintf(&lan, "%s %s\n", m.Topic(), m.Payload()) }).WaitTimeout(time.Minute))
	require.True(t, client.Subscribe("dev/#", 1, func(_ mqtt.Client, m mqtt.Message) { fmt.Fprintf(&lan, "%s %s\n", m.Topic(), m.Payload()) }).WaitTimeout(time.Minute))

	cell := s.deposits(1)
	require.Equal(t, 3, cell, "the first that fits")
	id, parcel := s.deposit(cell)
	require.Equal(t, waybill(1), parcel)
	code := pickup.Code(s.key.Secret, id, 0)

	n := s.pad.Screens()
	wrong := fmt.Sprintf("%06d", 111111)
	require.NoError(t, s.pad.TypeAt(cell, wrong))
	s.shows(n, "wrong")
	n = s.pad.Screens()
	require.NoError(t, s.pad.TypeAt(cell, code))
	require.Equal(t, cell, s.shows(n, "take").Cell)
	s.open(cell)
	require.NoError(t, s.cabinet.Put(cell, false))
	s.cabinet.Shut(cell)
	s.shows(n, "emptied")
	require.Equal(t, 2, s.cabinet.Pulses(cell))

	other := s.deposits(2)
	id, _ = s.deposit(other)
	ticket := pickup.Ticket(s.key.Secret, id, 1)
	n = s.pad.Screens()
	require.NoError(t, s.scan.Scan("Q1", ticket))
	require.Equal(t, other, s.shows(n, "take").Cell)
	s.open(other)
	require.NoError(t, s.cabinet.Put(other, false))
	s.cabinet.Shut(other)
	s.shows(n, "emptied")
	require.Eventually(t, func() bool {
		return strings.Contains(lan.String(), `"event":"emptied"`+"") && strings.Count(lan.String(), `"outcome":"done"`) >= 4
	}, time.Minute, 10*time.Millisecond)
	client.Disconnect(100)
	stop()

	require.Contains(t, lan.String(), `"text":"`+waybill(1)+`"`, "a waybill is a scan like any other")
	require.Contains(t, lan.String(), `"event":"accepted"`)
	require.Contains(t, lan.String(), `"event":"deposited","occupied":true,"deposit":"d-`)
	secrets := map[string]string{
		"code": code, "wrong code": wrong, "ticket": ticket, "its tag": ticket[len(ticket)-26:], "badge": "CANARYBADGE", "key": strings.Fields(s.key.String())[2],
		"code of another": pickup.Code(s.key.Secret, id, 0),
	}
	places := map[string]string{"log": log.String(), "LAN": lan.String()}
	require.NoError(t, filepath.Walk(filepath.Join(s.dir, "data"), func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		places[path] = string(b)
		var out bytes.Buffer
		if strings.Contains(path, "spool") && edge.Dump(&out, path) == nil {
			places[path+" as text"] = out.String()
		}
		return err
	}))
	require.Contains(t, places["LAN"], "board")
	for place, text := range places {
		for what, secret := range secrets {
			require.NotContains(t, text, secret, "%s in %s", what, place)
		}
	}
}

// Somebody types codes while the gateway is killed again and again: no door is pulsed more often than a code was typed, and none by itself.
func TestKilledAtTheKeypad(t *testing.T) {
	s := newLockerSite(t, "panel")
	stop := s.start(io.Discard)
	cell := s.deposits(1)
	stop()
	id, _ := s.deposit(cell)
	code := pickup.Code(s.key.Secret, id, 0)
	rng := rand.New(rand.NewPCG(1, 7))
	typed, opened := s.cabinet.Pulses(cell), 0
	for range 12 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), lockerConfig+"="+filepath.Join(s.dir, "gateway.yaml"))
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		n := s.pad.Screens()
		require.NoError(t, cmd.Start())
		s.shows(n, "ready")
		require.Equal(t, opened, s.cabinet.Pulses(cell)-1, "a start opens nothing")
		typed++
		require.NoError(t, s.pad.TypeAt(cell, code))
		<-time.After(time.Duration(rng.IntN(700)) * time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		<-time.After(spring + 500*time.Millisecond) // what was sent to the board is obeyed
		require.LessOrEqual(t, s.cabinet.Pulses(cell), typed)
		opened = s.cabinet.Pulses(cell) - 1
		s.cabinet.Shut(cell)
	}
	t.Logf("%d entries, %d pulses", typed-1, opened)
	require.Positive(t, opened, "killed before anything happened")
	now, _ := s.deposit(cell)
	require.Equal(t, id, now, "it was never taken out")
}

// A plain keypad does as well.
func TestAPlainKeypad(t *testing.T) {
	s := newLockerSite(t, "keys")
	defer s.start(io.Discard)()
	require.Eventually(t, func() bool { // the board has been heard
		_ = s.scan.Scan("Q1", courierBadge)
		_ = s.scan.Scan("C0", waybill(3))
		return s.cabinet.Pulses(3) == 1
	}, time.Minute, 300*time.Millisecond)
	s.open(3)
	require.NoError(t, s.cabinet.Put(3, true))
	s.cabinet.Shut(3)
	var id string
	require.Eventually(t, func() bool { id, _ = s.deposit(3); return id != "" }, time.Minute, 20*time.Millisecond)
	require.NoError(t, s.pad.TypeAt(3, pickup.Code(s.key.Secret, id, 0)))
	s.open(3)
	require.Equal(t, 2, s.cabinet.Pulses(3))
}

// From the last key to the pulse, through the log's two syncs and the lock board's 9600 baud line, the cloud away.
func BenchmarkKeypadToPulse(b *testing.B) {
	s := newLockerSite(b, "panel")
	defer s.start(io.Discard)()
	cell := s.deposits(1)
	id, _ := s.deposit(cell)
	code := pickup.Code(s.key.Secret, id, 0)
	var took []time.Duration
	for b.Loop() {
		before, n := s.cabinet.Pulses(cell), s.pad.Screens()
		began := time.Now()
		require.NoError(b, s.pad.TypeAt(cell, code))
		for s.cabinet.Pulses(cell) == before {
			<-time.After(time.Millisecond)
			require.Less(b, time.Since(began), time.Minute)
		}
		took = append(took, time.Since(began))
		s.shows(n, "take")
		s.open(cell)
		s.cabinet.Shut(cell)
		s.shows(n, "closed")
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A lock that jams: the courier gets the next cell, and the jammed one isn't tried again until its door has opened.
func TestAJammedCell(t *testing.T) {
	s := newLockerSite(t, "panel")
	defer s.start(io.Discard)()
	s.cabinet.Jam(3, true)
	require.Equal(t, 4, s.deposits(1))
	require.Equal(t, 1, s.cabinet.Pulses(3))
	require.Equal(t, 5, s.deposits(2), "a larger one")
	require.Equal(t, 1, s.cabinet.Pulses(3))
	s.cabinet.Jam(3, false)
	s.cabinet.Force(3) // a technician
	require.Eventually(t, func() bool { x := s.kept(3); return x.Ajar && !x.Fault }, time.Minute, 10*time.Millisecond)
	s.cabinet.Shut(3)
	require.Eventually(t, func() bool { return !s.kept(3).Ajar }, time.Minute, 10*time.Millisecond)
	require.Equal(t, 3, s.deposits(3))
}
