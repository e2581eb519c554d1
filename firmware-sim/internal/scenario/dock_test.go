package scenario

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// desk is a front where people at the console announce parcels, and recipients at keypads have their messages.
type desk struct {
	people
	mu   sync.Mutex
	news []Known
	said []string
}

func (d *desk) hear(k Known) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.news = append(d.news, k)
}

func (d *desk) News(context.Context) ([]Known, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.news
	d.news = nil
	return out, nil
}

func (d *desk) Say(_ context.Context, p *Parcel, step, _ string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said = append(d.said, p.Waybill+" "+step)
	return nil
}

// perform plays the whole county at a speed while a play goes on, and ends it.
func perform(t *testing.T, speed float64, play func(t *testing.T, s *Story, d *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, _, _, _ := stage(t, 1)
		d := &desk{people: people{goes: map[string]string{}}}
		s.Front, s.Speed = d, speed
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		play(t, s, d)
		cancel()
		require.NoError(t, <-ended)
	})
}

// places are where all parcels are.
func (w *World) places() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]string{}
	for _, p := range w.parcels {
		out[p.Waybill] = p.Place
	}
	return out
}

// Whoever announces a parcel at whatever time and wherever it goes waits some minutes, not for the round of the one van that usually
// goes there, and not behind the parcels whose numbers come first in the alphabet.
func TestAGuestsParcelIsOnTheNextVan(t *testing.T) {
	for speed, most := range map[float64]time.Duration{10: 8 * time.Minute, 30: 4 * time.Minute, 60: 3 * time.Minute} {
		t.Run(fmt.Sprint("speed ", speed), func(t *testing.T) {
			perform(t, speed, func(t *testing.T, s *Story, d *desk) {
				for i := range 24 {
					l := s.County.Lockers[i%8]
					waybill := fmt.Sprintf("%s-%06d", []string{"MINE", "ZTO"}[i%2], i)
					d.hear(Known{Waybill: waybill, Stage: "created", Site: l.Site, Consent: "yes"})
					from := time.Now()
					for s.World.places()[waybill] != l.ID {
						require.Less(t, time.Since(from), most, "%s to %s is in %q", waybill, l.ID, s.World.places()[waybill])
						time.Sleep(time.Second)
					}
				}
			})
		})
	}
}

// The county keeps going: at any speed no parcel stays anywhere for ever, and there are never more.
func TestNothingIsLeftLying(t *testing.T) {
	for speed, long := range map[float64]time.Duration{10: 2 * time.Hour, 60: 20 * time.Minute, 200: 10 * time.Minute} {
		t.Run(fmt.Sprint("speed ", speed), func(t *testing.T) {
			perform(t, speed, func(t *testing.T, s *Story, d *desk) {
				type stay struct {
					place string
					since time.Time
				}
				stays, longest, most := map[string]stay{}, map[string]time.Duration{}, 0
				for begin := time.Now(); time.Since(begin) < long; time.Sleep(5 * time.Second) {
					now := s.World.places()
					most = max(most, len(now))
					for waybill, place := range now {
						if stays[waybill].place != place {
							stays[waybill] = stay{place, time.Now()}
						}
						kind := place
						if strings.HasPrefix(place, "v") {
							kind = "van"
						}
						longest[kind] = max(longest[kind], time.Since(stays[waybill].since))
					}
					maps.DeleteFunc(stays, func(waybill string, _ stay) bool { return now[waybill] == "" })
				}
				t.Log(longest, most)
				round := time.Duration(float64(3*time.Hour)/speed) + 3*time.Minute
				require.Less(t, longest[inTruck], time.Minute)
				require.Less(t, longest[inHall], round, "the next van to a village takes what waits for it")
				require.Less(t, longest["van"], round)
				require.Less(t, most, 150)
				for _, st := range s.stock {
					st.mu.Lock()
					require.LessOrEqual(t, len(st.due), len(st.locker.Cells), "nobody waits for what they have")
					st.mu.Unlock()
				}
			})
		})
	}
}

// silent is a cabinet whose doors don't open.
type silent struct{ doors }

func (*silent) AwaitOpen(ctx context.Context, _ int) error {
	<-ctx.Done()
	return ctx.Err()
}

// A locker that doesn't answer costs a van one courier's patience, not one for each parcel; the keeper has them.
func TestALockerThatIsSilentHoldsNoVan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _, _ := stage(t, 1)
		d := &desk{people: people{goes: map[string]string{}}}
		st, v := s.stock["lk-songping"], s.fleet[0]
		s.Front, st.Cabinet = d, &silent{doors{item: map[int]bool{}}}
		ps, err := s.World.make(st.locker, 8)
		require.NoError(t, err)
		for _, p := range ps {
			require.NoError(t, s.World.move(p, v.id, 0))
		}
		begin := time.Now()
		require.NoError(t, v.unload(t.Context(), st))
		require.Less(t, time.Since(begin), patience+30*time.Second)
		require.Empty(t, s.World.at(v.id))
		require.Len(t, s.World.at(counter("out-songping")), 8)
		require.Len(t, d.said, 8)
		require.Equal(t, ps[0].Waybill+" at_outlet", d.said[0])

		require.NoError(t, s.World.move(ps[0], v.id, 0))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.ErrorIs(t, v.unload(ctx, st), context.DeadlineExceeded)
		require.Len(t, s.World.at(v.id), 1, "who is called away keeps what is aboard")
	})
}

func TestWhereAVanGoesNext(t *testing.T) {
	s, _, _, _ := stage(t, 1)
	v := s.fleet[2] // to Baihe and Beixi
	require.Nil(t, v.next(nil))
	put := func(locker string, guest bool) {
		ps, err := s.World.make(s.stock[locker].locker, 1)
		require.NoError(t, err)
		ps[0].Guest = guest
		require.NoError(t, s.World.move(ps[0], v.id, 0))
	}
	put("lk-yuntai", false)
	put("lk-beixi", false)
	put("lk-qingshi", true)
	put("lk-baihe", false)
	been := map[*stand]bool{}
	var went []string
	for st := v.next(been); st != nil; st = v.next(been) {
		been[st] = true
		went = append(went, st.locker.ID)
	}
	require.Equal(t, []string{"lk-qingshi", "lk-baihe", "lk-beixi", "lk-yuntai"}, went)

	again, err := NewStory(s.Config)
	require.NoError(t, err)
	require.True(t, again.fleet[2].out)
	require.Equal(t, "lk-qingshi", again.fleet[2].heading.locker.ID, "an errand goes on after a restart")
}

// A guest's parcel that goes where a van usually goes is its errand before any other; else the oldest is.
func TestAnErrand(t *testing.T) {
	s, _, _, _ := stage(t, 1)
	hand := func(waybill, locker string) {
		p, err := s.World.adopt(Known{Waybill: waybill}, s.stock[locker].locker)
		require.NoError(t, err)
		require.NoError(t, s.World.move(p, inHall, 0))
	}
	v05 := s.fleet[4] // to Yuntai and Longchi
	_, ok := v05.leaves(time.Minute)
	require.False(t, ok)
	hand("Z", "lk-qingshi")
	hand("A", "lk-chayuan")
	errand, ok := v05.leaves(0)
	require.True(t, ok)
	require.Equal(t, s.stock["lk-qingshi"], errand, "the oldest, whatever it is called")
	errand, ok = s.fleet[3].leaves(0)
	require.True(t, ok)
	require.Equal(t, s.stock["lk-chayuan"], errand, "a van is loaded for the other already")
	_, ok = s.fleet[1].leaves(0)
	require.False(t, ok)
	s.dock.done(s.stock["lk-qingshi"])
	hand("B", "lk-longchi")
	errand, ok = v05.leaves(0)
	require.True(t, ok)
	require.Equal(t, s.stock["lk-longchi"], errand, "its own")
}

func TestASenderCompletesWhatItsRecipientHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _, _ := stage(t, 1)
		d := &desk{people: people{goes: map[string]string{}}}
		s.Front = d
		d.hear(Known{Waybill: "A", Stage: "picked_up"})
		d.hear(Known{Waybill: "B", Stage: "signed_for"})
		d.hear(Known{Waybill: "C", Stage: "in_locker"})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
		defer cancel()
		go func() {
			time.Sleep(20 * time.Second)
			d.hear(Known{Waybill: "B", Stage: "returned"})
		}()
		require.ErrorIs(t, s.inbox(ctx), context.DeadlineExceeded)
		require.Empty(t, d.said, "not at once")
		d.hear(Known{Waybill: "A", Stage: "picked_up"})
		ctx, cancel = context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		require.ErrorIs(t, s.inbox(ctx), context.DeadlineExceeded)
		require.Equal(t, []string{"A completed"}, d.said, "once, and not what came back")
	})
}
