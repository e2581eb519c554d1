package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

func (w *world) facts() []county.Fact {
	facts, err := w.Facts(w.t.Context(), 0, 100_000)
	require.NoError(w.t, err)
	for i, f := range facts {
		require.EqualValues(w.t, i+1, f.Seq, "without gaps")
	}
	return facts
}

// standing are the steps that were told and not taken back, in short: what whoever follows believes at the end.
func (w *world) standing() []string {
	out := map[string]string{}
	for _, f := range w.facts() {
		switch f.Event {
		case county.FactStep, county.FactWaybill, county.FactRetracted:
		default:
			continue
		}
		var s county.StepTold
		require.NoError(w.t, json.Unmarshal(f.Doc, &s))
		name := s.Waybill + "/" + s.Row.ID + "/" + s.Row.Step
		told := fmt.Sprint(name, " ", s.Row.Stage, " ", s.Row.Place, " ", s.Row.Cell, " ", s.Row.At.UnixMilli(), s.Row.Via)
		if f.Event == county.FactRetracted {
			require.Equal(w.t, told, out[name], "what is taken back was told so")
			delete(out, name)
			continue
		}
		require.NotContains(w.t, out, name, "no step is told twice")
		out[name] = told
	}
	var all []string
	for _, s := range out {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

func TestStepsAreToldOnceAndTakenBack(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", tagA)
		for _, g := range []string{"lk-a-1", "van-01", "wh-1"} { // from the end
			for _, r := range slices.Backward(life()[g]) {
				w.tell(g, r)
			}
		}
		late := w.standing()
		require.NotEmpty(t, late)
		n := len(w.facts())
		w.lanes = map[string]*sender{}
		for g, rs := range life() { // a card put back tells all again, in another epoch
			for i, r := range rs {
				w.commit(w.arrival(&sender{gateway: g, epoch: 7700 + 1, lane: laneOf(r), next: uint64(1000*len(g) + 10*i)}, entry(r)))
			}
		}
		require.Len(t, w.facts(), n, "told again is no news")
		tl := w.timeline("YZ-000001")
		require.Len(t, late, len(tl.Evidence), "what stands is the timeline")
		require.Equal(t, "waybill/YZ-000001/created", w.facts()[0].Key)
	})
}

func laneOf(r telemetry.Reading) telemetry.Lane {
	l, _ := telemetry.LaneOf(r.Kind)
	return l
}

func TestFollowersApplyEachFactOnce(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		_, err := w.update0(t, "create table seen (seq bigint not null)") // without a key, which would refuse what is applied twice
		require.NoError(t, err)
		const parcels = 40
		for i := range parcels {
			w.waybill(fmt.Sprintf("YZ-%06d", i), "")
		}
		broken := errors.New("broken")
		failed := 0
		var mu sync.Mutex
		apply := func(tx Tx, facts []county.Fact) error {
			for _, f := range facts {
				if _, err := tx.Exec(t.Context(), "insert into seen (seq) values ($1)", f.Seq); err != nil {
					return err
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if failed++; failed%3 == 0 {
				return broken
			}
			return nil
		}
		other := w.open(t)
		var wg sync.WaitGroup
		for _, s := range []*Store{w.Store, other} {
			wg.Go(func() {
				for idle := 0; idle < 1; {
					n, err := s.FollowFacts(context.Background(), "notify", 7, apply)
					if err == nil && n == 0 {
						idle++
					}
				}
			})
		}
		wg.Wait()
		n := 0
		require.NoError(t, w.Update(t.Context(), func(tx Tx) error {
			return tx.Query(t.Context(), func(scan func(...any) error) error { return scan(&n) }, "select count(*) from seen")
		}))
		require.Equal(t, parcels, n)
		n, err = w.FollowFacts(t.Context(), "notify", 7, apply)
		require.NoError(t, err)
		require.Zero(t, n)
		n, err = w.FollowFacts(t.Context(), "epcis", 7, func(Tx, []county.Fact) error { return nil })
		require.NoError(t, err)
		require.Equal(t, 7, n, "each follower has a cursor of its own")
	})
}

func (w *world) update0(t *testing.T, sql string) (n int64, err error) {
	err = w.Update(t.Context(), func(tx Tx) error {
		n, err = tx.Exec(t.Context(), sql)
		return err
	})
	return n, err
}

func TestToldFactsWakeAndCountUp(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		wake := w.Wake()
		f := NewFact(county.FactDue, "parcel/YZ-000001", "due/d-1/reminder", county.Due{Deposit: "d-1"})
		tell := func(tx Tx) error { return tx.Tell(t.Context(), f, f) }
		require.NoError(t, w.Update(t.Context(), tell))
		require.NoError(t, w.Update(t.Context(), tell))
		require.Len(t, w.facts(), 1, "a key is told once")
		select {
		case <-wake:
		case <-time.After(time.Minute):
			require.Fail(t, "nobody was woken")
		}
		end, err := w.FactsEnd(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, end)
		_, err = w.FollowFacts(t.Context(), "slow", 10, func(Tx, []county.Fact) error { return nil })
		require.NoError(t, err)
		w.waybill("YZ-000002", "")
		w.now = w.now.Add((factDays + 1) * day)
		require.NoError(t, w.Prune(t.Context()))
		facts, err := w.Facts(t.Context(), 0, 10)
		require.NoError(t, err)
		require.Len(t, facts, 1, "what a follower hasn't seen is kept")
		require.True(t, strings.HasPrefix(facts[0].Key, "waybill/"))
	})
}
