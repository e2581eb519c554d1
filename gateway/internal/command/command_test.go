package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices"
	"yizhan/devices/telemetry"
)

// disk is a file in memory; after says how many more writes succeed, -1 all.
type disk struct {
	b     []byte
	after int
	half  bool // the write that fails is half done
	bad   error
}

var errIO = errors.New("input/output error")

func (d *disk) Read() ([]byte, error) { return append([]byte(nil), d.b...), d.bad }

func (d *disk) may() bool {
	if d.after == 0 {
		return false
	}
	d.after--
	return true
}

func (d *disk) Append(p []byte) error {
	if !d.may() {
		if d.half {
			d.b = append(d.b, p[:len(p)/2]...)
		}
		return errIO
	}
	d.b = append(d.b, p...)
	return nil
}

func (d *disk) Replace(p []byte) error {
	if !d.may() {
		return errIO
	}
	d.b = append([]byte(nil), p...)
	return nil
}

type bench struct {
	mu      sync.Mutex
	disk    *disk
	mono    int64
	pulses  int
	results []telemetry.Reading
	refuse  bool // Accept fails
	act     func() telemetry.Result
	restart int
	pings   int
}

func (b *bench) Mono() (frame.Boot, int64) { return frame.Boot{1}, b.mono }
func (b *bench) Now() (time.Time, telemetry.Quality) {
	return time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), telemetry.NTP
}

func (b *bench) Command(_ context.Context, c telemetry.CommandTo) telemetry.Result {
	b.pulses++
	if b.act != nil {
		return b.act()
	}
	return telemetry.Result{Command: c.ID, Outcome: telemetry.Done, Detail: "opened " + c.Args["cell"]}
}

func (b *bench) open() *Commands {
	return New(Config{
		Disk: b.disk, Clock: b, Log: slog.New(slog.DiscardHandler), Ping: func() { b.pings++ },
		Restart: func(id string) bool { b.restart++; return id != "van" },
		Device: func(id string) (devices.Commander, bool) {
			switch id {
			case "board", "van":
				return b, true
			case "gps":
				return nil, true
			}
			return nil, false
		},
		Accept: func(_ context.Context, rs ...telemetry.Reading) error {
			if b.refuse {
				return errors.New("spool is full")
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			b.results = append(b.results, rs...)
			return nil
		},
	})
}

// run lets a fresh room take the messages and be done.
func (b *bench) run(t *testing.T, payloads ...string) *Commands {
	c := b.open()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c.queue, c.owed, c.ended = make(chan job, waiting), make(chan entry, waiting), make(chan struct{}) // of this bubble
		for _, p := range payloads {
			c.Handle([]byte(p))
		}
		go func() { require.NoError(t, c.Run(ctx)) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
	})
	return c
}

func open7(id string, mono int64) string {
	b, err := json.Marshal(frame.Command{ID: id, Issuer: "anna", Device: "board", Action: "open_cell", Args: map[string]string{"cell": "7"}, Boot: frame.Boot{1}, MonoNS: mono, LeaseMS: 5000})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (b *bench) last(t *testing.T) telemetry.Result {
	require.NotEmpty(t, b.results)
	r := b.results[len(b.results)-1]
	require.NoError(t, r.Validate())
	res, err := telemetry.As[telemetry.Result](r)
	require.NoError(t, err)
	require.Equal(t, "cmd-"+res.Command, r.N)
	return res
}

func newBench() *bench { return &bench{disk: &disk{after: -1}, mono: int64(100 * time.Second)} }

const sec = int64(time.Second)

func TestDoneOnceAndReplayed(t *testing.T) {
	b := newBench()
	b.run(t, open7("a", 98*sec), open7("a", 98*sec))
	require.Equal(t, 1, b.pulses)
	require.Equal(t, telemetry.Result{Command: "a", Outcome: telemetry.Done, Detail: "opened 7"}, b.last(t))
	require.Equal(t, "board", b.results[0].Device)
	require.True(t, b.results[0].Same(b.results[1]), "telling it twice is one reading")

	b.mono += 3600 * sec
	b.run(t, open7("a", 98*sec))
	require.Equal(t, 1, b.pulses, "after a restart")
	require.Len(t, b.results, 3)
	require.Equal(t, telemetry.Done, b.last(t).Outcome, "the first outcome, though the lease is long over")
}

func TestLease(t *testing.T) {
	other, err := json.Marshal(frame.Command{ID: "x", Device: "board", Action: "open_cell", Boot: frame.Boot{2}, MonoNS: 99 * sec, LeaseMS: 5000})
	require.NoError(t, err)
	long, err := json.Marshal(frame.Command{ID: "x", Device: "board", Action: "open_cell", Boot: frame.Boot{1}, MonoNS: 1, LeaseMS: 1 << 62})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		payload string
		now     int64
		detail  string
	}{
		"in time, just":       {open7("x", 95*sec), 100 * sec, ""},
		"too late, just":      {open7("x", 95*sec-1), 100 * sec, "stale"},
		"from the future":     {open7("x", 100*sec+1), 100 * sec, "stale: from the future"},
		"another boot":        {string(other), 100 * sec, "stale: another boot"},
		"a lease without end": {string(long), 3600 * sec, "stale"},
		"negative":            {open7("x", -1), 0, "stale: from the future"},
		"overflow":            {open7("x", -1<<63), 1<<63 - 1, "stale: from the future"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench()
			b.mono = c.now
			b.run(t, c.payload)
			if c.detail == "" {
				require.Equal(t, telemetry.Done, b.last(t).Outcome)
				return
			}
			require.Zero(t, b.pulses)
			require.Equal(t, telemetry.Result{Command: "x", Outcome: telemetry.Refused, Detail: c.detail}, b.last(t))
		})
	}
}

func TestRefused(t *testing.T) {
	b := newBench()
	cmd := func(id, device, action string) string {
		return fmt.Sprintf(`{"id":%q,"device":%q,"action":%q,"boot":"01000000000000000000000000000000","mono_ns":%d,"lease_ms":1000}`, id, device, action, b.mono)
	}
	c := b.run(t, cmd("1", "nobody", "open_cell"), cmd("2", "gps", "open_cell"), cmd("3", "../x", "open_cell"), cmd("4", "board", ""),
		cmd("5", "gps", "restart"), cmd("5b", "van", "restart"), cmd("6", "gps", "ping"), `{"id":"7"`, `{"id":""}`, `{"id":"`+strings.Repeat("x", 61)+`"}`, `{"id":"a b"}`, `null`, `[]`)
	var got []string
	for _, r := range b.results {
		require.NoError(t, r.Validate())
		res, err := telemetry.As[telemetry.Result](r)
		require.NoError(t, err)
		got = append(got, strings.Join([]string{res.Command, r.Device, string(res.Outcome), res.Detail}, " "))
	}
	require.ElementsMatch(t, []string{"1 nobody refused unknown_device", "2 gps refused not_commandable", "3 gateway refused invalid", "4 board refused invalid", "5 gps done restarted", "5b van refused not_restartable"}, got)
	require.Equal(t, 2, b.restart)
	require.Equal(t, 1, b.pings)
	require.Zero(t, b.pulses)
	require.Equal(t, uint64(6), c.Counters()["invalid"])
}

func TestDriverThatPanicsOrSaysNothing(t *testing.T) {
	b := newBench()
	b.act = func() telemetry.Result { panic("nil map") }
	b.run(t, open7("a", b.mono))
	require.Equal(t, telemetry.Result{Command: "a", Outcome: telemetry.OutcomeUnknown, Detail: "panic"}, b.last(t))
	b.act = func() telemetry.Result { return telemetry.Result{} }
	b.run(t, open7("b", b.mono))
	require.Equal(t, telemetry.OutcomeUnknown, b.last(t).Outcome)
}

// The power goes at each write of the log, whole or half: the cell never opens twice, and in the end an
// outcome is told that is not better than the truth.
func TestPowerCutAtEachWrite(t *testing.T) {
	for cut := range 8 {
		for _, half := range []bool{false, true} {
			b := newBench()
			b.run(t) // a log that exists
			b.disk.after, b.disk.half = cut, half
			b.run(t, open7("a", b.mono))
			told := len(b.results)
			b.disk.after, b.disk.half = -1, false // the card is written again after the restart
			b.run(t, open7("a", b.mono))
			require.LessOrEqual(t, b.pulses, 1, "cut %d", cut)
			r := b.last(t)
			if r.Outcome == telemetry.Done {
				require.Equal(t, 1, b.pulses)
			}
			if r.Outcome == telemetry.Refused {
				require.Zero(t, b.pulses, "cut %d: told refused, but it opened", cut)
			}
			require.Greater(t, len(b.results), min(told, 1)-1)
			before := len(b.results)
			b.run(t)
			require.Len(t, b.results, before, "what was told isn't told again at each start")
		}
	}
}

func TestCrashWhileTheDeviceActs(t *testing.T) {
	b := newBench()
	var image []byte
	b.act = func() telemetry.Result {
		image = append([]byte(nil), b.disk.b...)
		return telemetry.Result{Outcome: telemetry.Done}
	}
	b.run(t, open7("a", b.mono))
	b.disk.b, b.results = image, nil
	b.run(t, open7("a", b.mono))
	require.Equal(t, 1, b.pulses)
	require.Equal(t, telemetry.Result{Command: "a", Outcome: telemetry.OutcomeUnknown, Detail: "interrupted"}, b.last(t))
}

func TestUntoldOutcomeIsToldAfterARestart(t *testing.T) {
	b := newBench()
	b.refuse = true
	b.run(t, open7("a", b.mono))
	require.Empty(t, b.results)
	b.refuse = false
	b.run(t)
	require.Equal(t, telemetry.Done, b.last(t).Outcome)
	require.Equal(t, 1, b.pulses)
}

func TestALogThatCannotBeReadRunsNothing(t *testing.T) {
	b := newBench()
	b.disk.bad = errIO
	b.run(t, open7("a", b.mono))
	require.Zero(t, b.pulses)
	require.Equal(t, telemetry.Result{Command: "a", Outcome: telemetry.Refused, Detail: "not_written"}, b.last(t))
}

func TestDamagedLinesArePassedOver(t *testing.T) {
	b := newBench()
	b.run(t, open7("a", b.mono), open7("b", b.mono))
	lines := strings.SplitAfter(string(b.disk.b), "\n")
	for i := range b.disk.b {
		d := &disk{after: -1, b: append([]byte(nil), b.disk.b...)}
		d.b[i] ^= 0x10
		book := openBook(d)
		require.NoError(t, book.broken)
		require.LessOrEqual(t, len(book.byID), 2)
		require.NotEmpty(t, book.byID)
	}
	for i := range b.disk.b { // cut anywhere
		book := openBook(&disk{after: -1, b: b.disk.b[:i]})
		require.NoError(t, book.broken)
	}
	require.Greater(t, len(lines), 5)
}

func TestTheLogStaysSmall(t *testing.T) {
	b := newBench()
	book := openBook(b.disk)
	for i := range 10 * keep {
		require.NoError(t, book.write(entry{ID: fmt.Sprint(i), Device: "board", Outcome: telemetry.Done, Told: true}))
	}
	again := openBook(&disk{after: -1, b: b.disk.b})
	require.Contains(t, again.byID, fmt.Sprint(10*keep-1))
	require.LessOrEqual(t, len(again.order), keep)
	require.LessOrEqual(t, strings.Count(string(b.disk.b), "\n"), compactAt)
}

// A courier is a driver whose commands hold what is a person's.
type courier struct {
	asked []telemetry.CommandTo
	act   func(telemetry.CommandTo) telemetry.Result
}

func (*courier) Private(action string) bool { return action == "send_sms" }

func (k *courier) Command(_ context.Context, c telemetry.CommandTo) telemetry.Result {
	k.asked = append(k.asked, c)
	return k.act(c)
}

func sms(id, to, text string) string {
	b, err := json.Marshal(frame.Command{ID: id, Issuer: "anna", Device: "sms", Action: "send_sms", Args: map[string]string{"to": to, "text": text, "ref": "job-1"}, Boot: frame.Boot{1}, MonoNS: 99 * sec, LeaseMS: 60000})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// with adds a device.
func (b *bench) with(c *Commands, id string, d devices.Commander) {
	old := c.cfg.Device
	c.cfg.Device = func(x string) (devices.Commander, bool) {
		if x == id {
			return d, true
		}
		return old(x)
	}
}

const villager, pickup = "+8613800138000", "取件码483920"

// Neither the card nor a log line ever holds whom a message is for and what it says, whatever becomes of it.
func TestArgumentsAreKeptAsAHashOnly(t *testing.T) {
	b := newBench()
	var log bytes.Buffer
	k := &courier{act: func(c telemetry.CommandTo) telemetry.Result {
		if c.ID == "b" {
			panic("no slot for " + c.Args["to"] + " " + c.Args["text"])
		}
		return telemetry.Result{Outcome: telemetry.Done, Detail: "sent ref=" + c.Args["ref"]}
	}}
	c := b.open()
	b.with(c, "sms", k)
	c.cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.serve(t, c, sms("a", villager, pickup), sms("b", villager, pickup), sms("a", villager, pickup), sms("a", "+8613800138001", pickup),
		strings.Replace(sms("c", villager, pickup), `"boot":"01`, `"boot":"02`, 1), strings.TrimSuffix(sms("d", villager, pickup), "}"))

	require.Len(t, k.asked, 2)
	require.Equal(t, map[string]string{"to": villager, "text": pickup, "ref": "job-1"}, k.asked[0].Args, "the driver gets them whole")
	var told strings.Builder
	for _, r := range b.results {
		told.Write(r.AppendJSON(nil))
	}
	require.Contains(t, told.String(), "sent ref=job-1")
	for _, place := range []string{string(b.disk.b), log.String(), told.String()} {
		for _, personal := range []string{"13800138", "483920", "取件", `\u53d6`} {
			require.NotContains(t, place, personal)
		}
	}
	require.Contains(t, log.String(), "driver panic")
	counters := c.Counters()
	require.Equal(t, []uint64{1, 2}, []uint64{counters["conflicts"], counters["replayed"]}, "the same id with another number isn't the same command")

	lines := strings.Split(string(b.disk.b), "\n")
	var kept []string
	for _, l := range lines {
		if i := strings.Index(l, `"args":"`); i > 0 {
			kept = append(kept, l[i+8:i+40])
		}
	}
	require.NotEmpty(t, kept)
	require.NotEqual(t, kept[0], kept[len(kept)-1], "equal arguments of two commands look different")
}

// serve runs a room until all is at rest.
func (b *bench) serve(t *testing.T, c *Commands, payloads ...string) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c.queue, c.owed, c.ended = make(chan job, waiting), make(chan entry, waiting), make(chan struct{}) // of this bubble
		ended := make(chan error, 1)
		for _, p := range payloads {
			c.Handle([]byte(p))
		}
		go func() { ended <- c.Run(ctx) }()
		<-time.After(time.Hour)
		synctest.Wait()
		cancel()
		require.NoError(t, <-ended)
	})
}

// A message that is sent for a minute holds no locker up, and the next message waits for it.
func TestASlowDriverHoldsNobodyUp(t *testing.T) {
	b := newBench()
	var mu sync.Mutex
	under, most := 0, 0
	k := &courier{}
	k.act = func(telemetry.CommandTo) telemetry.Result {
		mu.Lock()
		under++
		most = max(most, under)
		mu.Unlock()
		<-time.After(time.Minute)
		mu.Lock()
		under--
		mu.Unlock()
		return telemetry.Result{Outcome: telemetry.Done}
	}
	c := b.open()
	b.with(c, "sms", k)
	b.serve(t, c, sms("a", villager, "x"), sms("b", villager, "x"), open7("c", 99*sec))
	require.Equal(t, 1, most, "one call at a time")
	require.Len(t, b.results, 3)
	first, err := telemetry.As[telemetry.Result](b.results[0])
	require.NoError(t, err)
	require.Equal(t, "c", first.Command)
}

// One id at two drivers runs once.
func TestOneIDAtTwoDrivers(t *testing.T) {
	b := newBench()
	k := &courier{act: func(telemetry.CommandTo) telemetry.Result {
		<-time.After(time.Minute)
		return telemetry.Result{Outcome: telemetry.Done}
	}}
	c := b.open()
	b.with(c, "sms", k)
	b.serve(t, c, sms("a", villager, "x"), open7("a", 99*sec))
	require.Equal(t, 1, len(k.asked)+b.pulses)
	require.Equal(t, uint64(1), c.Counters()["conflicts"])
}

// A log of an older release knows no arguments: its commands are replayed without a conflict.
func TestLogOfAnOlderRelease(t *testing.T) {
	b := newBench()
	e := entry{ID: "a", Device: "board", Action: "open_cell", Outcome: telemetry.Done, Told: true}
	b.disk.b = appendLine(nil, &e)
	c := b.run(t, open7("a", 99*sec))
	require.Zero(t, b.pulses)
	require.Zero(t, c.Counters()["conflicts"])
	require.Equal(t, telemetry.Done, b.last(t).Outcome)
}
