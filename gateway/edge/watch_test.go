package edge_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
	"yizhan/gateway/edge"
	"yizhan/gateway/internal/spool"
)

// stalling is a disk whose syncs wait while it is held.
type stalling struct {
	edge.FS
	gate chan struct{} // holds one token; who has it, holds the disk
}

func (s *stalling) Create(name string) (spool.File, error) {
	f, err := s.FS.Create(name)
	return &stallingFile{f, s.gate}, err
}

func (s *stalling) Open(name string) (spool.File, error) {
	f, err := s.FS.Open(name)
	return &stallingFile{f, s.gate}, err
}

type stallingFile struct {
	spool.File
	gate chan struct{}
}

func (f *stallingFile) Sync() error {
	f.gate <- struct{}{}
	<-f.gate
	return f.File.Sync()
}

// aBoard runs a gateway without a cloud.
func aBoard(t *testing.T, more string, env edge.Env) *edge.Edge {
	dir := t.TempDir()
	file := filepath.Join(dir, "gateway.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`gateway: lk-1
data: data
uplink: {url: "tls://127.0.0.1:1", ca: ca.pem, cert: cert.pem, key: key.pem}
status: {listen: "127.0.0.1:0"}
`+more), 0o600))
	cfg, err := edge.Load(file, kinds())
	require.NoError(t, err)
	env.Kinds, env.Version = kinds(), "test"
	e, err := edge.New(cfg, env)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return e
}

// The watchdog isn't fed by a gateway that answers but no longer makes anything durable.
func TestAStuckCommitIsSeen(t *testing.T) {
	disk := &stalling{FS: edge.OS(), gate: make(chan struct{}, 1)}
	e := aBoard(t, "", edge.Env{FS: disk})
	e.SetPatience(0)
	turns := func() bool { return e.Stuck() == "" }
	require.Empty(t, e.Stuck())
	require.Eventually(t, turns, time.Minute, time.Millisecond)

	disk.gate <- struct{}{} // the card hangs
	kept := make(chan error, 1)
	go func() {
		kept <- e.Accept(t.Context(), telemetry.New("dock", time.Time{}, telemetry.Unknown, telemetry.Scan{Text: "YZ1"}))
	}()
	require.Eventually(t, func() bool { return !turns() }, time.Minute, time.Millisecond)
	for range 100 {
		require.Equal(t, "spool", e.Stuck())
	}
	<-disk.gate // and comes back
	require.NoError(t, <-kept)
	require.Eventually(t, turns, time.Minute, time.Millisecond)
}

// A hardware watchdog is fed while the gateway runs, and switched off when it is asked to stop.
func TestHardwareWatchdogOfAGateway(t *testing.T) {
	dog := filepath.Join(t.TempDir(), "watchdog")
	require.NoError(t, os.WriteFile(dog, nil, 0o600))
	fed := func() string {
		b, err := os.ReadFile(dog)
		require.NoError(t, err)
		return string(b)
	}
	t.Run("runs", func(t *testing.T) {
		aBoard(t, "watchdog: {device: "+dog+"}\n", edge.Env{})
		require.Eventually(t, func() bool { return fed() != "" }, time.Minute, time.Millisecond)
		require.NotContains(t, fed(), "V")
	})
	require.True(t, strings.HasSuffix(fed(), "\x00V"))
}

// What the kernel says of the supply and the card is on the page, in the metrics, and an alarm.
func TestBoardFaultsAreShown(t *testing.T) {
	e := aBoard(t, "", edge.Env{Root: fstest.MapFS{
		"sys/class/hwmon/hwmon1/name":            {Data: []byte("rpi_volt\n")},
		"sys/class/hwmon/hwmon1/in0_lcrit_alarm": {Data: []byte("1\n")},
		"sys/block/mmcblk0/device/life_time":     {Data: []byte("0x0b 0x01\n")},
	}})
	get := func(path string) string {
		r, err := http.Get("http://" + e.StatusAddr().String() + path)
		require.NoError(t, err)
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		return string(b)
	}
	require.Eventually(t, func() bool { return strings.Contains(get("/healthz"), "under_voltage: ") }, time.Minute, 10*time.Millisecond)
	var page struct {
		OK       bool
		Degraded []string
		Gauges   map[string]float64
	}
	require.NoError(t, json.Unmarshal([]byte(get("/healthz")), &page))
	require.True(t, page.OK, "no fault of the gateway's")
	require.Contains(t, page.Degraded, "card_worn: more was written than the card was made for")
	require.EqualValues(t, 1, page.Gauges["under_voltage"])
	require.Contains(t, get("/metrics"), `yizhan_process{name="card_wear_pct"} 110`)
	// two alarms are on the card, in lane command beside the opening record
	require.Eventually(t, func() bool {
		return strings.Contains(get("/metrics"), `yizhan_events_total{room="broker",event="readings"} 2`)
	}, time.Minute, 10*time.Millisecond)
}
