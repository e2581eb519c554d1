package service_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

// roads are the drawn county's longer roads, for vans to drive on.
func roads(t *testing.T) (lines [][][2]float64) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "configs", "county", "map.geojson"))
	require.NoError(t, err)
	var fc struct {
		Features []struct {
			Properties struct{ Kind, Class string }
			Geometry   struct{ Coordinates json.RawMessage }
		}
	}
	require.NoError(t, json.Unmarshal(b, &fc))
	for _, f := range fc.Features {
		if f.Properties.Kind != "road" || f.Properties.Class == "lane" {
			continue
		}
		var line [][2]float64
		require.NoError(t, json.Unmarshal(f.Geometry.Coordinates, &line))
		if len(line) > 8 {
			lines = append(lines, line)
		}
	}
	require.Greater(t, len(lines), 12)
	return lines
}

// along is the point and heading after so much of a road (1 is its end; further on it goes back).
func along(line [][2]float64, way float64) (lat, lon, heading float64) {
	way = math.Mod(way, 2)
	back := way > 1
	if back {
		way = 2 - way
	}
	x := way * float64(len(line)-1)
	i := min(int(x), len(line)-2)
	a, b := line[i], line[i+1]
	k := x - float64(i)
	heading = math.Mod(math.Atan2((b[0]-a[0])*math.Cos(a[1]*math.Pi/180), b[1]-a[1])*180/math.Pi+360, 360)
	if back {
		heading = math.Mod(heading+180, 360)
	}
	return a[1] + (b[1]-a[1])*k, a[0] + (b[0]-a[0])*k, heading
}

func passage(device, epc, passage string, antenna int) telemetry.Reading {
	return telemetry.New(device, time.Now(), telemetry.NTP, telemetry.Tag{
		EPC: epc, EPCHex: "30", Antenna: telemetry.Some(antenna), RSSIDBm: telemetry.Some(-54.5), Reads: telemetry.Some(17), Passage: telemetry.Passage(passage),
	})
}

// fleet plays the boards of the county: vans drive, a cold box is too warm, a parcel is loaded, and a locker
// answers orders.
func (w *town) fleet() (drive func(context.Context)) {
	w.Helper()
	ids := []string{"YZ2600000001", "YZ2600000002", "YZ2600000003", "YZ2600000004", "YZ2600000005", "YZ2600000006", "YZ2600000007"}
	var rows []map[string]any
	for i, id := range ids {
		rows = append(rows, map[string]any{"waybill": id, "site": "out-qingshi", "locker": "lk-qingshi", "handling": "chilled", "epc": tag(i)})
	}
	code, v := w.ask("POST", "/api/v1/waybills", rows)
	require.Equal(w, 201, code, v)
	wh := w.board("wh-1")
	for i := range ids[:6] {
		wh.send(passage("dock-a", tag(i), "in", 1))
	}
	wh.send(climate("cold-1", 4.6))
	wh.committed(telemetry.Condition)
	for i := range ids[:4] {
		wh.send(passage("dock-b", tag(i), "out", 2))
	}
	lk := w.board("lk-qingshi-1")
	for n := range 24 {
		lk.send(cell("board", n+1, telemetry.CellClosed, false))
	}
	for _, n := range []int{2, 5, 9, 14, 15, 22} {
		lk.send(cell("board", n, telemetry.CellOpened, false), cell("board", n, telemetry.CellDeposited, true))
	}
	lk.send(cell("board", 18, telemetry.CellOpened, false))
	lines := roads(w.T)
	var vans []*board
	for i := range 6 {
		b := w.board("van-0" + string(rune('1'+i)))
		vans = append(vans, b)
		temp := 4.1 + 0.3*float64(i)
		if i == 2 {
			temp = 9.3
		}
		b.send(climate("cold", temp))
	}
	for i := range ids[:3] {
		vans[0].send(passage("rfid", tag(i), "arrive", 1))
	}
	vans[0].committed(telemetry.Custody)
	return func(ctx context.Context) {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		open, shutAt := "", 0 // the order whose door stands open, and until when
		for n := 0; ; n++ {
			for i, b := range vans {
				lat, lon, heading := along(lines[i*2], 0.2+float64(n)*0.004)
				speed := 11.5
				if i == 5 {
					lat, lon, speed = 30.50309, 103.24110, 0
				}
				b.send(at("gps", lat, lon, speed, heading))
				if n%10 == 0 && i == 2 {
					b.send(climate("cold", 9.3+math.Sin(float64(n)/9)/4))
				}
			}
			select {
			case <-ctx.Done():
				return
			case c := <-lk.commands:
				for _, e := range []telemetry.CellEvent{telemetry.CellAccepted, telemetry.CellPulseSent, telemetry.CellOpened} {
					lk.send(doorOf(c.ID, e))
				}
				lk.send(telemetry.New("board", time.Now(), telemetry.NTP, telemetry.Result{Command: c.ID, Outcome: telemetry.Done, Detail: "opened"}))
				open, shutAt = c.ID, n+4
			case <-tick.C:
			}
			if open != "" && n == shutAt {
				lk.send(doorOf(open, telemetry.CellClosed))
				open = ""
			}
		}
	}
}

// doorOf is what the door of cell 7 does for an order.
func doorOf(op string, e telemetry.CellEvent) telemetry.Reading {
	return telemetry.New("board", time.Now(), telemetry.NTP, telemetry.Locker{Cell: telemetry.Some(7), Event: e, Op: op})
}

func tag(i int) string {
	return "urn:epc:id:sscc:6901234.100000000" + string(rune('0'+i))
}

// The console in Chromium: from the link to an opened cell. SHOTS names a folder that keeps the screenshots.
func TestE2EConsole(t *testing.T) {
	w := newTown(t)
	drive := w.fleet()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { drive(ctx) })
	defer func() { cancel(); wg.Wait() }()

	shots := os.Getenv("SHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	late, stop := context.WithTimeout(ctx, 4*time.Minute)
	defer stop()
	cmd := exec.CommandContext(late, "node", filepath.Join("..", "ui", "test", "console.mjs"), w.svc.Link(), shots)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "needs make ui, node and chromium: %s", out)
	t.Logf("%s", out)
}
