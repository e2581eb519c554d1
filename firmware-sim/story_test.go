package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/firmware-sim/internal/scenario"
)

// programs builds the real programs once a test run.
var programs = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv(programsFor); dir != "" {
		return dir, nil
	}
	dir, err := os.MkdirTemp("", "yizhan-bin")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir+"/", "../gateway", "../cloud").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "board" {
		fmt.Fprintln(os.Stderr, onBoard(os.Args[2:])) // it returns only when it failed
		os.Exit(1)
	}
	code := m.Run()
	if dir, err := programs(); err == nil && os.Getenv(programsFor) == "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// played is a county that runs for a test.
type played struct {
	*site
	out  bytes.Buffer
	stop func()
}

// had are the stages of a parcel that its recipient took out of a locker; the second is its sender's word.
var had = []string{"picked_up", "completed"}

// play runs a county of three boards, unless o names others; change may alter it before it is switched on.
func play(t testing.TB, o options, change func(*site)) *played {
	t.Helper()
	var err error
	if o.bin == "" {
		o.bin, err = programs()
		require.NoError(t, err)
	}
	o.county = "../configs/county"
	if o.boards == "" {
		o.boards = "wh-1,van-01,lk-qingshi-1"
	}
	if o.data == "" {
		o.data = t.TempDir()
	}
	if o.history == "" {
		o.history = "sqlite:"
	}
	o.port = freePort(t)
	p := &played{}
	p.site, err = openSite(t.Context(), &o, slog.New(slog.NewTextHandler(t.Output(), nil)))
	require.NoError(t, err)
	if change != nil {
		change(p.site)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.run(ctx, &o, &p.out) }()
	var once sync.Once
	p.stop = func() {
		once.Do(func() {
			start := time.Now()
			cancel()
			require.NoError(t, <-done)
			require.Less(t, time.Since(start), 10*time.Second, "a clean stop")
			p.close()
			if t.Failed() {
				p.showLogs(t)
			}
		})
	}
	t.Cleanup(p.stop)
	return p
}

func (p *played) showLogs(t testing.TB) {
	logs, _ := filepath.Glob(filepath.Join(p.dir, "log", "*"))
	for _, f := range logs {
		b, _ := os.ReadFile(f)
		t.Logf("%s:\n%s", filepath.Base(f), b[max(0, len(b)-4000):])
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

type timeline struct {
	Waybill  string
	Stage    string
	Evidence []struct{ Step, Stage, Device, Via string }
}

// The same day with devices of other makes: a terminal of JT/T 808 in the van, a serial UHF module at the gate, a locker on
// KERONG boards, one that speaks MQTT, a DS18B20 and an SHT3x in cold boxes, a modem.
func TestOtherMakes(t *testing.T) {
	p := play(t, options{speed: 100, seed: 3, boards: "wh-1,van-03,van-04,van-05,jt-1,lk-baihe-1,lk-yuntai-1,lk-beixi-1"}, nil)
	get := func(path string, into any) bool { return p.front.get(t.Context(), "/api/v1/"+path, into) == nil }
	opened, gate := map[string]string{}, map[string]bool{} // locker -> a parcel that went through it; what the serial module saw
	require.Eventually(t, func() bool {
		var list struct {
			Items []struct{ Waybill, Stage, Destination string }
		}
		if !get("parcels?limit=200", &list) {
			return false
		}
		for _, x := range list.Items {
			var one timeline
			if !slices.Contains(had, x.Stage) || !get("parcels/"+x.Waybill, &one) {
				continue
			}
			for _, e := range one.Evidence {
				if e.Step == "collected" {
					opened[e.Device] = x.Waybill
				}
				if e.Device == "wh-1/dock-b" {
					gate[e.Step] = true
				}
			}
		}
		return opened["lk-yuntai-1/board"] != "" && opened["lk-beixi-1/board"] != ""
	}, patience, 500*time.Millisecond, "opened: %v", &opened)
	device := func(id, kind string) (value map[string]any) {
		var d struct {
			Last map[string]struct{ Value map[string]any }
		}
		require.True(t, get("devices/"+id, &d), id)
		return d.Last[kind].Value
	}
	require.Equal(t, 2013.0, device("jt-1/v05-term", "health")["protocol"])
	require.NotEmpty(t, gate)
	require.NotEmpty(t, device("wh-1/dock-b", "tag")["passage"])
	require.InDelta(t, 5, device("van-03/cold", "climate")["temperature_c"], 3)
	require.NotContains(t, device("van-03/cold", "climate"), "humidity_pct", "a DS18B20 measures none")
	require.InDelta(t, 60, device("van-04/cold", "climate")["humidity_pct"], 15)
	require.Equal(t, 1.0, device("lk-baihe-1/modem", "health")["registered"])
	var v struct {
		Position struct{ Value struct{ Lat, Lon float64 } }
	}
	require.True(t, get("vehicles/v05", &v))
	at := p.yard.story.Where("v05", time.Now())
	require.InDelta(t, at.Lat, v.Position.Value.Lat, 0.1)
	require.InDelta(t, at.Lon, v.Position.Value.Lon, 0.1)
}

// One parcel goes the whole way, and every step of it was seen by a device.
func TestAParcelsStory(t *testing.T) {
	p := play(t, options{speed: 200, seed: 3}, nil)
	var done timeline
	var stages map[string]int
	require.Eventually(t, func() bool {
		var list struct{ Items []timeline }
		if p.front.get(t.Context(), "/api/v1/parcels?limit=200", &list) != nil {
			return false
		}
		stages = map[string]int{}
		for _, x := range list.Items {
			stages[x.Stage]++
			if slices.Contains(had, x.Stage) {
				done = x
			}
		}
		return done.Waybill != ""
	}, patience, 200*time.Millisecond, "stages: %v", &stages)

	require.NoError(t, p.front.get(t.Context(), "/api/v1/parcels/"+done.Waybill, &done))
	var went []string
	seen := map[string]string{}
	for _, e := range done.Evidence {
		if e.Stage != "" {
			went = append(went, e.Stage)
		}
		if seen[e.Step] == "" { // a parcel is scanned off the van, and once more into the locker
			seen[e.Step] = e.Device
		}
	}
	for _, stage := range []string{"created", "at_warehouse", "loaded", "in_transit", "at_outlet", "in_locker", "picked_up"} {
		i := slices.Index(went, stage)
		require.GreaterOrEqual(t, i, 0, "%s in %v", stage, went)
		went = went[i+1:]
	}
	require.Equal(t, "van-01/rfid", seen["aboard"])
	require.Equal(t, "lk-qingshi-1/handheld", seen["scanned"])
	require.Equal(t, "lk-qingshi-1/board", seen["deposited"])
	require.Equal(t, "lk-qingshi-1/board", seen["collected"])
	require.Contains(t, p.out.String(), "mosquitto_sub -h "+p.net)
	p.watchAsTechnician(t)

	// The day ends at once, and goes on tomorrow where it stood.
	data := p.dir
	p.stop()
	for _, u := range []string{"cloud", "wh-1", "van-01", "lk-qingshi-1"} {
		require.False(t, p.rack.Running(u))
	}
	p = play(t, options{speed: 200, seed: 3, data: data}, nil)
	require.Eventually(t, func() bool {
		return p.front.get(t.Context(), "/api/v1/parcels/"+done.Waybill, &done) == nil
	}, patience, 100*time.Millisecond)
	require.Contains(t, had, done.Stage)
}

// watchAsTechnician pastes the line that was printed.
func (p *played) watchAsTechnician(t *testing.T) {
	b := p.yard.boards[1]
	host, port, err := net.SplitHostPort(b.broker())
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), "mosquitto_sub", "-h", host, "-p", port, "-u", technician, "-P", p.technicianPassword,
		"-t", "dev/#", "-v", "-C", "3", "-W", "10").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "dev/gps/position {")
	_, err = exec.CommandContext(t.Context(), "mosquitto_sub", "-h", host, "-p", port, "-u", technician, "-P", "wrong", "-t", "dev/#", "-C", "1", "-W", "5").CombinedOutput()
	require.Error(t, err)
}

// Unplug the portals and parcels stop; plug them in and they go on.
func TestNothingMovesThatNoDeviceSaw(t *testing.T) {
	p := play(t, options{speed: 200, seed: 5}, nil)
	require.Eventually(t, func() bool { return p.do("wh-1", "off") == nil }, time.Minute, time.Millisecond)
	stage := func(want string) func() bool {
		return func() bool {
			var list struct{ Items []timeline }
			err := p.front.get(t.Context(), "/api/v1/parcels?limit=200", &list)
			return err == nil && slices.ContainsFunc(list.Items, func(x timeline) bool { return x.Stage == want })
		}
	}
	require.Eventually(t, stage("created"), patience, 100*time.Millisecond)
	require.Never(t, stage("at_warehouse"), 3*time.Second, 200*time.Millisecond)
	require.NoError(t, p.do("wh-1", "on"))
	require.Eventually(t, stage("at_warehouse"), patience, 100*time.Millisecond)
	_, err := order(t.Context(), p.dir, "nobody", "kill")
	require.ErrorContains(t, err, "no such unit")
	_, err = order(t.Context(), p.dir, "van-01", "cut")
	require.NoError(t, err)
	_, err = order(t.Context(), p.dir, "van-01", "mend")
	require.NoError(t, err)
	_, err = order(t.Context(), p.dir, "cloud", "kill")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return p.rack.Starts("cloud") == 2 }, patience, 50*time.Millisecond)
}

// Somebody announces a parcel at the console. It goes through, its recipient gets a message, types cell and code at the keypad, and has it; a
// wrong code opens nothing. No phone and no cloud opens that door.
func TestAMessageOpensACell(t *testing.T) {
	p := play(t, options{speed: 200, seed: 3}, nil)
	require.Eventually(t, func() bool { return p.front.get(t.Context(), "/api/v1/about", nil) == nil }, patience, 100*time.Millisecond)
	const waybill = "GUEST-0001"
	require.NoError(t, p.front.post(t.Context(), "/api/v1/waybills", map[string]any{
		"waybill": waybill, "consent": "yes", "size": "m",
		"recipient": map[string]string{"name": "王小明", "phone": "19900009999", "village": "青石村", "lang": "en"},
	}))
	guest := &scenario.Parcel{Waybill: waybill}
	var text string
	require.Eventually(t, func() bool {
		text, _ = p.front.Message(t.Context(), guest)
		return text != ""
	}, patience, 200*time.Millisecond, "a message with a cell")
	said := regexp.MustCompile(`^\[Yunling Post\] Code (\d{6}): parcel \.\.0001 is in cell (\d+) of Qingshi locker until `).FindStringSubmatch(text)
	require.NotNil(t, said, text)
	code, cell := said[1], said[2]
	require.Greater(t, atoi(t, cell), 12, "a parcel of size m isn't laid into a small cell")

	wrong := fmt.Sprintf("%06d", (atoi(t, code)+1)%1_000_000)
	word, err := order(t.Context(), p.dir, "lk-qingshi-1", "key/"+cell+"/"+wrong)
	require.NoError(t, err)
	require.Equal(t, "wrong", word)
	word, err = order(t.Context(), p.dir, "lk-qingshi-1", "key/"+cell+"/"+code)
	require.NoError(t, err)
	require.Equal(t, "take", word)

	var done timeline
	require.Eventually(t, func() bool {
		return p.front.get(t.Context(), "/api/v1/parcels/"+waybill, &done) == nil && done.Stage == "completed"
	}, patience, 200*time.Millisecond, "%+v", &done)
	seen, went := map[string]string{}, []string{}
	for _, e := range done.Evidence {
		seen[e.Step], went = e.Device, append(went, e.Stage)
		if e.Step == "aboard" {
			require.Regexp(t, "^bag-", e.Via, "it came in a bag")
		}
	}
	require.Equal(t, "van-01/rfid", seen["aboard"])
	require.Equal(t, "lk-qingshi-1/board", seen["deposited"])
	require.Equal(t, "lk-qingshi-1/board", seen["collected"])
	require.Contains(t, went, "picked_up")
	var orders struct{ Items []struct{ Device string } }
	require.NoError(t, p.front.get(t.Context(), "/api/v1/commands?limit=200", &orders))
	for _, o := range orders.Items {
		require.NotEqual(t, "lk-qingshi-1/board", o.Device)
	}
	_, err = order(t.Context(), p.dir, "lk-nowhere", "key/1/000000")
	require.ErrorContains(t, err, "no locker with a keypad")
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}
