package deposit

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/pickup"
	"yizhan/cloud/internal/county"
)

var t0 = time.Date(2026, 6, 3, 8, 0, 0, 0, time.UTC)

// desk is a store in memory.
type desk struct {
	facts    int
	coming   []county.Waybill
	inside   []county.Deposit
	last     time.Time
	open     []county.Exception
	reported int
	fail     error
	key      int // generation that the gateway reports
	recoded  []string
}

func (d *desk) FollowDeposits(context.Context, int) (n int, err error) {
	n, d.facts = d.facts, 0
	return n, d.fail
}
func (d *desk) TellDues(context.Context, int) (int, error) { return 0, nil }
func (d *desk) Deposits(context.Context, string) ([]county.Deposit, error) {
	return d.inside, nil
}

func (d *desk) Expected(_ context.Context, site, locker string, limit int) ([]county.Waybill, error) {
	return d.coming[:min(limit, len(d.coming))], nil
}

func (d *desk) Locker(context.Context, string) (county.Locker, bool, error) {
	return county.Locker{ID: "lk-a", Last: d.last, Cells: []county.Cell{{Cell: 1, State: county.CellOccupied}}}, true, nil
}

func (d *desk) Exceptions(context.Context, county.ExceptionFilter, string, int) ([]county.Exception, string, error) {
	return d.open, "", nil
}

func (d *desk) Report(_ context.Context, x county.Exception) (county.Exception, error) {
	d.reported++
	d.open = append(d.open, x)
	return x, nil
}

func (d *desk) EndException(_ context.Context, id string) (county.Exception, error) {
	d.open = nil
	return county.Exception{}, nil
}

func (d *desk) KeyGeneration(context.Context, string) (int, error) { return d.key, nil }

func (d *desk) Recode(_ context.Context, locker string, generation int) (n int, err error) {
	for i := range d.inside {
		if x := &d.inside[i]; x.Generation > 0 && x.Generation < generation {
			x.Generation, n = generation, n+1
			d.recoded = append(d.recoded, locker+"/"+x.ID)
		}
	}
	return n, nil
}

func (d *desk) Wake() <-chan struct{} { return nil }

type sent struct {
	lists []*pickup.Expect
	away  bool
}

func (s *sent) send(gateway, what string, b []byte) error {
	if s.away {
		return errors.New("not connected")
	}
	e, err := pickup.ParseExpect(b)
	s.lists = append(s.lists, e)
	return err
}

func newKeeper(d *desk, s *sent, now *time.Time) *Keeper {
	return New(Options{
		Store: d, Send: s.send, Series: "s1", Now: func() time.Time { return *now },
		Registry: &county.Registry{Lockers: []county.Locker{{ID: "lk-a", Site: "out-a", Gateway: "lk-a-1"}, {ID: "lk-old", Site: "out-b"}}},
	})
}

// What lies in a locker has other codes when the locker says that it has another key, and not before.
func TestAnotherKey(t *testing.T) {
	d, s, now := &desk{last: t0, inside: []county.Deposit{{ID: "d-1", Generation: 1}, {ID: "d-2", Generation: 2}, {ID: "bare"}}}, &sent{}, t0
	k := newKeeper(d, s, &now)
	step := func() {
		now = now.Add(watch)
		require.NoError(t, k.Step(t.Context()))
	}
	step()
	require.Empty(t, d.recoded)
	d.key = 2
	step()
	step()
	require.Equal(t, []string{"lk-a/d-1"}, d.recoded)
	require.EqualValues(t, 1, k.Counters()["recoded"])
}

func TestALockerIsToldWhatMayComeIn(t *testing.T) {
	now := t0
	d, s := &desk{last: t0}, &sent{}
	d.coming = []county.Waybill{{Waybill: "YZ-000001", Size: "m", Consent: county.ConsentYes}, {Waybill: "YZ-000002", Consent: county.ConsentNo, Handling: "frozen"}}
	k := newKeeper(d, s, &now)
	require.NoError(t, k.Step(t.Context()))
	require.Len(t, s.lists, 1)
	require.Equal(t, &pickup.Expect{Series: "s1", Version: 1, Settings: pickup.Settings{Codes: 2}, Parcels: []pickup.Expected{
		{Waybill: "YZ-000001", Size: "m", Consent: "yes"}, {Waybill: "YZ-000002", Consent: "no", Handling: "frozen"},
	}}, s.lists[0])
	d.facts = 3
	require.NoError(t, k.Step(t.Context()))
	require.Len(t, s.lists, 1, "nothing new to say")
	k.Heard("lk-a-1")
	require.NoError(t, k.Step(t.Context()))
	require.Len(t, s.lists, 2, "it was away")
	d.inside, d.facts = []county.Deposit{{ID: "d-0011223344556677", Overdue: true}, {ID: "d-8899aabbccddeeff"}}, 1
	s.away = true
	require.NoError(t, k.Step(t.Context()))
	s.away, now = false, now.Add(watch)
	require.NoError(t, k.Step(t.Context()))
	require.Equal(t, []string{"d-0011223344556677"}, s.lists[2].Blocked)
	require.Greater(t, s.lists[2].Version, s.lists[1].Version)
	d.coming = make([]county.Waybill, pickup.MaxParcels+1)
	for i := range d.coming {
		d.coming[i] = county.Waybill{Waybill: "YZ-000001", Consent: county.ConsentYes}
	}
	d.facts = 1
	require.NoError(t, k.Step(t.Context()))
	require.Len(t, s.lists[3].Parcels, pickup.MaxParcels)
	require.EqualValues(t, 1, k.Counters()["cut"])
}

func TestASilentLockerIsAnException(t *testing.T) {
	now := t0
	d, s := &desk{last: t0.Add(-time.Hour)}, &sent{}
	k := newKeeper(d, s, &now)
	require.NoError(t, k.Step(t.Context()))
	require.Zero(t, d.reported, "it has just begun to listen")
	now = now.Add(OfflineAfter + time.Second)
	require.NoError(t, k.Step(t.Context()))
	require.Equal(t, 1, d.reported)
	now = now.Add(watch)
	require.NoError(t, k.Step(t.Context()))
	require.Equal(t, 1, d.reported, "once")
	now = now.Add(watch)
	d.last = now
	require.NoError(t, k.Step(t.Context()))
	require.Empty(t, d.open, "it is heard of again")
	d.fail = errors.New("away")
	require.Error(t, k.Step(t.Context()))
}
