package scenario

import (
	"context"
	"encoding/hex"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const countyDir = "../../../configs/county"

func load(t *testing.T, boards ...string) *County {
	t.Helper()
	c, err := Load(countyDir)
	require.NoError(t, err)
	require.NoError(t, c.Only(boards))
	return c
}

func TestTagIsTheParcelsEPC(t *testing.T) {
	// TDS 1.13, section E.3: SSCC-96 of prefix 0614141, filter 3.
	require.Equal(t, "3174257bf4499602d2000000", hex.EncodeToString(sscc96(3, 614141, 1234567890)))
	p := Parcel{Serial: 42}
	require.Equal(t, "urn:epc:id:sscc:9521141.0000000042", p.EPC())
	tag := p.Tag()
	require.Equal(t, sscc96(2, 9521141, 42), tag[:])
}

func TestRoutes(t *testing.T) {
	c := load(t)
	wh := c.warehouse()
	for _, s := range c.Sites {
		r, err := c.Roads.route(wh, c.site(s.ID))
		require.NoError(t, err)
		end, _, speed := r.where(1e9)
		require.Less(t, metres(end, node{lat: s.Lat, lon: s.Lon}), 30.0, s.ID)
		require.Zero(t, speed)
		if s.ID == "wh" {
			continue
		}
		require.Greater(t, length(r.points), metres(r.points[0], end))
		// Nobody jumps: what is covered in a second is what the speed says.
		for at := 0.0; at < r.seconds(); at++ {
			a, _, v := r.where(at)
			b, _, w := r.where(at + 1)
			require.LessOrEqual(t, metres(a, b), max(v, w)+2.5, "at %v s", at)
			require.LessOrEqual(t, v, 15.01)
		}
	}
}

func TestWorldGoesOnAfterARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "world.json")
	w, err := OpenWorld(file)
	require.NoError(t, err)
	l := &Locker{ID: "lk-a", Site: "out-a", Cells: []string{"s", "s"}}
	ps, err := w.make(l, 2)
	require.NoError(t, err)
	require.NoError(t, w.move(ps[0], "lk-a", 1))
	require.NoError(t, w.take(ps[1]))
	w, err = OpenWorld(file)
	require.NoError(t, err)
	require.Equal(t, 2, w.freeCell(l))
	require.Equal(t, ps[0].Waybill, w.at("lk-a")[0].Waybill)
	again, err := w.make(l, 1)
	require.NoError(t, err)
	require.NotEqual(t, ps[0].Waybill, again[0].Waybill, "each run has numbers of its own")
	require.NotEqual(t, ps[0].Tag(), again[0].Tag())
}

// field is a reader that remembers what was in front of it.
type field struct {
	mu   sync.Mutex
	now  map[[12]byte]map[int]bool
	ever map[[12]byte][]int
}

func (f *field) Enter(epc [12]byte, antenna int, rssi int8) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now == nil {
		f.now, f.ever = map[[12]byte]map[int]bool{}, map[[12]byte][]int{}
	}
	if f.now[epc] == nil {
		f.now[epc] = map[int]bool{}
	}
	f.now[epc][antenna] = true
	f.ever[epc] = append(f.ever[epc], antenna)
}

func (f *field) Leave(epc [12]byte, antenna int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.now[epc], antenna)
}

// doors is a cabinet whose cells open when the front is asked to.
type doors struct {
	mu   sync.Mutex
	item map[int]bool
}

func (d *doors) AwaitOpen(ctx context.Context, lock int) error { return nil }

func (d *doors) Put(lock int, item bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.item[lock] = item
	return nil
}

func (d *doors) Shut(int) {}

type people struct {
	mu        sync.Mutex
	announced []string
	goes      map[string]string // waybill -> locker
	scanned   []string
	opened    int
}

func (p *people) Announce(_ context.Context, ps []*Parcel) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range ps {
		p.announced = append(p.announced, x.Waybill)
		p.goes[x.Waybill] = x.Locker
	}
	return nil
}

func (p *people) Open(context.Context, string, int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened++
	return nil
}

func (p *people) Pack(context.Context, uint64, []string) error       { return nil }
func (p *people) Unpack(context.Context, uint64, []string) error     { return nil }
func (p *people) Say(context.Context, *Parcel, string, string) error { return nil }
func (p *people) News(context.Context) ([]Known, error)              { return nil, nil }
func (p *people) Message(context.Context, *Parcel) (string, error)   { return "", nil }
func (p *people) Complain(context.Context, *Parcel) error            { return nil }

func (p *people) Scan(_ context.Context, _, text string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scanned = append(p.scanned, text)
	return nil
}

// play runs a day of the whole county for a while of fake time.
func play(t *testing.T, seed uint64, d time.Duration) (who *people, dockA, dockB *field, w *World) {
	synctest.Test(t, func(t *testing.T) {
		var s *Story
		s, who, dockA, dockB = stage(t, seed)
		w = s.World
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		require.NoError(t, s.Run(ctx))
	})
	return who, dockA, dockB, w
}

// stage sets the scene of the whole county.
func stage(t *testing.T, seed uint64) (s *Story, who *people, dockA, dockB *field) {
	c := load(t)
	w, err := OpenWorld(filepath.Join(t.TempDir(), "world.json"))
	require.NoError(t, err)
	who, dockA, dockB = &people{goes: map[string]string{}}, &field{}, &field{}
	cfg := Config{
		County: c, World: w, Front: who, Seed: seed, Speed: 10, Logger: slog.New(slog.DiscardHandler),
		DockA: dockA, DockB: dockB, Vans: map[string]Reader{}, Racks: map[string]Rack{},
	}
	for _, v := range c.Vehicles {
		cfg.Vans[v.ID] = &field{}
	}
	for _, l := range c.Lockers {
		cfg.Racks[l.ID] = Rack{Cabinet: &doors{item: map[int]bool{}}, Scanner: who, Board: l.ID + "-1/board"}
	}
	s, err = NewStory(cfg)
	require.NoError(t, err)
	return s, who, dockA, dockB
}

// A van's receiver sends from the moment it is switched on, which is before the story runs.
func TestVansStartWhereTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _, _ := stage(t, 7)
		ctx, cancel := context.WithCancel(t.Context())
		running := make(chan error, 1)
		last := map[string]Place{}
		away := 0
		for second := range 60 {
			if second == 10 {
				go func() { running <- s.Run(ctx) }()
			}
			for _, v := range s.County.Vehicles {
				at := s.Where(v.ID, time.Now())
				was, known := last[v.ID]
				last[v.ID] = at
				switch far := metres(node{lat: was.Lat, lon: was.Lon}, node{lat: at.Lat, lon: at.Lon}); {
				case known:
					require.LessOrEqual(t, far, max(was.SpeedMPS, at.SpeedMPS)+25, "%s in second %d", v.ID, second)
				case metres(node{lat: at.Lat, lon: at.Lon}, s.fleet[0].drive.route.points[0]) > 1000:
					require.Zero(t, at.SpeedMPS)
					away++
				}
			}
			time.Sleep(time.Second)
		}
		require.Equal(t, 3, away, "every other van is out")
		cancel()
		require.NoError(t, <-running)
	})
}

func TestADayInTheCounty(t *testing.T) {
	who, dockA, dockB, w := play(t, 7, 15*time.Minute)
	require.Greater(t, len(who.announced), 40)
	require.Greater(t, len(who.scanned), 20)
	require.Greater(t, who.opened, len(who.scanned), "villagers open too")
	for epc, antennas := range dockA.ever {
		require.Equal(t, []int{1, 2}, antennas, "% x goes in", epc)
	}
	for epc, antennas := range dockB.ever {
		require.Equal(t, []int{2, 1}, antennas, "% x goes out", epc)
		require.Contains(t, dockA.ever, epc, "nothing leaves that didn't come")
	}
	served := map[string]bool{}
	for _, waybill := range who.scanned {
		served[who.goes[waybill]] = true
	}
	require.Len(t, served, 8, "every locker is served")
	for _, l := range load(t).Lockers {
		require.LessOrEqual(t, len(w.at(l.ID)), len(l.Cells))
	}
}

func TestTheFirstMinuteIsAlive(t *testing.T) {
	who, dockA, dockB, _ := play(t, 7, time.Minute)
	require.NotEmpty(t, dockA.ever)
	require.NotEmpty(t, dockB.ever)
	require.NotEmpty(t, who.scanned, "a van that was out has arrived")
}

func TestTheSeedDecidesWhoGoesWhere(t *testing.T) {
	a, _, _, _ := play(t, 7, 2*time.Minute)
	b, _, _, _ := play(t, 7, 2*time.Minute)
	require.Equal(t, a.goes, b.goes)
}

func TestOnly(t *testing.T) {
	c := load(t, "wh-1", "van-01", "lk-qingshi-1")
	require.Len(t, c.Gateways, 3)
	require.Equal(t, "out-qingshi", c.Locker("lk-qingshi").Site)
	require.Nil(t, c.Locker("lk-nowhere"))
	require.ErrorContains(t, c.Only([]string{"van-99"}), "van-99")
}

func TestClimateStaysAboutItsLimits(t *testing.T) {
	c := load(t)
	s := &Story{Config: Config{County: c, Seed: 3, Speed: 10}, start: time.Unix(0, 0)}
	outside := map[string]bool{}
	for i := range c.ColdBoxes {
		b := &c.ColdBoxes[i]
		for m := range 60 {
			v, h := s.Climate(b, i, s.start.Add(time.Duration(m)*time.Minute))
			require.InDelta(t, (b.MinC+b.MaxC)/2, v, b.MaxC-b.MinC, b.ID)
			require.True(t, h > 0 && h < 100)
			if v < b.MinC || v > b.MaxC {
				outside[b.ID] = true
			}
		}
	}
	require.Len(t, outside, 1, "one box is weak")
}
