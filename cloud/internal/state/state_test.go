package state

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/epcis"
	"yizhan/cloud/internal/state/pgtest"
	"yizhan/devices/telemetry"
)

var postgres *pgtest.Server

func TestMain(m *testing.M) {
	var err error
	if postgres, err = pgtest.Start("fsync=off"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := postgres.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// both runs a test on each server.
func both(t *testing.T, f func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) { f(t, newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "state.db"))) })
	t.Run("postgres", func(t *testing.T) { f(t, newWorld(t, postgres.Database(t))) })
}

var t0 = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

// A world is a store with a small county in it, and boards that fill frames.
type world struct {
	*Store
	t     testing.TB
	url   string
	now   time.Time
	lanes map[string]*sender
	enc   *frame.Encoder
}

// A sender is a lane of a board.
type sender struct {
	gateway string
	epoch   frame.Epoch
	lane    telemetry.Lane
	next    uint64
	prev    [32]byte
}

func smallCounty() *county.Registry {
	r := &county.Registry{
		Sites: []county.Site{
			{ID: "wh", Kind: county.Warehouse, Lat: 30.5, Lon: 103.2, FenceM: 200},
			{ID: "out-a", Kind: county.Outlet, Lat: 30.6, Lon: 103.3, FenceM: 150},
			{ID: "out-b", Kind: county.Outlet, Lat: 30.7, Lon: 103.4, FenceM: 150},
		},
		Vehicles:   []county.Vehicle{{ID: "v01", Plate: "X", Kind: "freight", Gateway: "van-01", ColdBox: "cb-v01"}, {ID: "v02", Plate: "Y", Kind: "freight", Gateway: "van-02"}},
		ColdBoxes:  []county.ColdBox{{ID: "cb-v01", Vehicle: "v01", MinC: 2, MaxC: 8}},
		Boundaries: []county.Boundary{{ID: "dock-a", Site: "wh", Kind: county.Inbound}, {ID: "dock-b", Site: "wh", Kind: county.Outbound}},
		Gateways:   []county.Gateway{{ID: "wh-1", Site: "wh"}, {ID: "van-01", Vehicle: "v01"}, {ID: "van-02", Vehicle: "v02"}, {ID: "lk-a-1", Site: "out-a"}},
		Bindings: map[string]string{
			"wh-1/dock-a": "boundary/dock-a", "wh-1/dock-b": "boundary/dock-b", "van-01/gps": "vehicle/v01", "van-01/rfid": "vehicle/v01", "van-01/cold": "coldbox/cb-v01",
			"van-02/gps": "vehicle/v02", "van-02/rfid": "vehicle/v02", "lk-a-1/board": "locker/lk-a", "lk-a-1/handheld": "courier/c01",
		},
	}
	l := county.Locker{ID: "lk-a", Site: "out-a", Gateway: "lk-a-1", Device: "lk-a-1/board"}
	for i := 1; i <= 6; i++ {
		l.Cells = append(l.Cells, county.Cell{Cell: i, Size: "s", State: county.CellUnknown})
	}
	r.Lockers = []county.Locker{l}
	return r
}

func newWorld(t testing.TB, url string) *world {
	w := &world{t: t, url: url, now: t0.Add(time.Hour), lanes: map[string]*sender{}}
	var err error
	w.enc, err = frame.NewEncoder(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)))
	require.NoError(t, err)
	w.Store = w.open(t)
	require.NoError(t, w.Seed(t.Context(), smallCounty(), w.now))
	return w
}

func (w *world) open(t testing.TB) *Store {
	s, err := Open(context.Background(), w.url, Options{Now: func() time.Time { return w.now }, Link: epcis.Link, Tags: epcis.Tags})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// at is so many seconds into the story.
func at(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }

func (w *world) lane(gateway string, lane telemetry.Lane) *sender {
	key := fmt.Sprint(gateway, lane)
	if w.lanes[key] == nil {
		w.lanes[key] = &sender{gateway: gateway, epoch: frame.Epoch(len(w.lanes) + 1), lane: lane, next: 1}
	}
	return w.lanes[key]
}

func entry(r telemetry.Reading) frame.Record {
	return frame.Record{Type: frame.TypeReading, Quality: telemetry.Unknown, Payload: r.AppendJSON(nil)}
}

// arrival makes the next frame of a lane.
func (w *world) arrival(s *sender, recs ...frame.Record) county.Arrival {
	f := &frame.Frame{Gateway: s.gateway, Epoch: s.epoch, Lane: s.lane, Prev: s.prev}
	for _, r := range recs {
		r.Seq = s.next
		if r.MonoNS == 0 {
			r.MonoNS = int64(s.next) * int64(time.Second)
		}
		s.next++
		s.prev = r.Hash(s.epoch, s.lane)
		f.Records = append(f.Records, r)
	}
	return w.seal(f)
}

func (w *world) seal(f *frame.Frame) county.Arrival {
	raw, err := w.enc.Encode(f)
	require.NoError(w.t, err)
	a := county.Arrival{Frame: f, Raw: raw, Received: w.now}
	for i := range f.Records {
		var s county.Sight
		if f.Records[i].Type == frame.TypeReading {
			good, bad := telemetry.Parse(f.Records[i].Payload, "", "")
			if len(bad) > 0 {
				s.Bad = bad[0].Err.Error()
			} else {
				s.Reading = good[0]
			}
		}
		a.Sights = append(a.Sights, s)
	}
	return a
}

// tell commits readings of a gateway, one frame a lane.
func (w *world) tell(gateway string, rs ...telemetry.Reading) []county.Change {
	var all []county.Arrival
	for _, lane := range telemetry.Lanes {
		var recs []frame.Record
		for _, r := range rs {
			if l, _ := telemetry.LaneOf(r.Kind); l == lane {
				recs = append(recs, entry(r))
			}
		}
		if len(recs) > 0 {
			all = append(all, w.arrival(w.lane(gateway, lane), recs...))
		}
	}
	return w.commit(all...)
}

func (w *world) commit(as ...county.Arrival) []county.Change {
	w.t.Helper()
	_, changes, err := w.Commit(context.Background(), as)
	require.NoError(w.t, err)
	return changes
}

func position(device string, s float64, lat, lon float64) telemetry.Reading {
	return telemetry.New(device, at(s), telemetry.GNSS, telemetry.Position{Lat: telemetry.Some(lat), Lon: telemetry.Some(lon), Valid: true})
}

func tag(device string, s float64, epc string, p telemetry.Passage) telemetry.Reading {
	return telemetry.New(device, at(s), telemetry.NTP, telemetry.Tag{EPC: epc, Passage: p, Antenna: telemetry.Some(1), Reads: telemetry.Some(12)})
}

func scan(s float64, text string) telemetry.Reading {
	return telemetry.New("handheld", at(s), telemetry.NTP, telemetry.Scan{Text: text})
}

func cellEvent(s float64, cell int, e telemetry.CellEvent) telemetry.Reading {
	return telemetry.New("board", at(s), telemetry.NTP, telemetry.Locker{Cell: telemetry.Some(cell), Event: e})
}

// stated is what a board says of a shut door's cell when it looks for the first time.
func stated(s float64, cell int, full bool) telemetry.Reading {
	return telemetry.New("board", at(s), telemetry.NTP, telemetry.Locker{Cell: telemetry.Some(cell), Event: telemetry.CellClosed, Occupied: telemetry.Some(full)})
}

func celsius(s, c float64) telemetry.Reading {
	return telemetry.New("cold", at(s), telemetry.NTP, telemetry.Climate{TemperatureC: telemetry.Some(c), Quality: telemetry.ClimateOK})
}
