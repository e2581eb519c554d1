package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

func TestWaybillsStandOrFallAlone(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		good := county.Waybill{Waybill: "YZ-000001", EPC: tagA, Site: "out-a", Locker: "lk-a", Handling: "chilled"}
		created, refused, err := w.PutWaybills(t.Context(), []county.Waybill{
			good, {Waybill: "bad", Site: "out-a"}, {Waybill: "YZ-000002", Site: "moon"}, {Waybill: "YZ-000003", Site: "out-b", Locker: "lk-a"},
			{Waybill: "YZ-000004", Site: "out-a", EPC: "xyz"}, {Waybill: "YZ-000005", Site: "out-a", Handling: "hot"}, {Waybill: "YZ-000006", Site: "out-a", EPC: tagA},
			{Waybill: "YZ-000001", Site: "out-a"}, {Waybill: "YZ-000007", Site: "out-a", EPC: "e280116060000205"},
		}, t0)
		require.NoError(t, err)
		require.Len(t, created, 2)
		require.Equal(t, "E280116060000205", created[1].EPC, "a tag that is not GS1 stays hex")
		require.Len(t, refused, 7)
		for i, field := range map[int]string{1: "waybill", 2: "site", 3: "locker", 4: "epc", 5: "handling", 6: "epc", 7: "waybill"} {
			require.ErrorContains(t, refused[i], field+":", i)
		}
		again, refused, err := w.PutWaybills(t.Context(), []county.Waybill{good, {Waybill: "YZ-000007", Site: "out-b"}}, t0)
		require.NoError(t, err)
		require.Equal(t, created[:1], again, "told again, nothing changes")
		require.ErrorIs(t, refused[1], ErrExists)
	})
}

func TestATagIsReusedAfterItsParcelIsCollected(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", tagA)
		for _, g := range []string{"wh-1", "van-01", "lk-a-1"} {
			w.tell(g, life()[g]...)
		}
		_, refused, err := w.PutWaybills(t.Context(), []county.Waybill{{Waybill: "YZ-000002", EPC: tagA, Site: "out-a"}}, at(1000))
		require.NoError(t, err)
		require.Empty(t, refused)
	})
}

func TestTagSeenBeforeItsWaybill(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.tell("wh-1", tag("dock-a", 10, tagA, telemetry.In))
		w.waybill("YZ-000001", tagA)
		require.Equal(t, county.AtWarehouse, w.timeline("YZ-000001").Stage)
	})
}

func TestParcelsAreFoundAndPaged(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		for i := range 7 {
			w.now = w.now.Add(time.Second)
			_, _, err := w.PutWaybills(t.Context(), []county.Waybill{{Waybill: fmt.Sprintf("YZ-10000%d", i), EPC: fmt.Sprintf("urn:epc:id:sgtin:0614141.812345.9%d", i), Site: "out-a"}}, w.now)
			require.NoError(t, err)
		}
		find := func(q string) (ids []string) {
			items, _, err := w.Parcels(t.Context(), q, "", 100)
			require.NoError(t, err)
			for _, p := range items {
				ids = append(ids, p.Waybill.Waybill)
			}
			return ids
		}
		require.Equal(t, []string{"YZ-100006", "YZ-100005", "YZ-100004", "YZ-100003", "YZ-100002", "YZ-100001", "YZ-100000"}, find(""))
		require.Equal(t, []string{"YZ-100003"}, find("yz-100003"))
		require.Equal(t, []string{"YZ-100003"}, find("0003"))
		require.Equal(t, []string{"YZ-100005"}, find("812345.95"))
		require.Len(t, find("urn:epc:id:sgtin:06"), 7)
		require.Empty(t, find("%"))
		require.Empty(t, find("' or 1=1 --"))

		var all []string
		for after, pages := "", 0; ; pages++ {
			items, next, err := w.Parcels(t.Context(), "", after, 3)
			require.NoError(t, err)
			for _, p := range items {
				all = append(all, p.Waybill.Waybill)
			}
			if after = next; next == "" {
				require.Equal(t, 2, pages)
				break
			}
		}
		require.Equal(t, find(""), all)
		_, _, err := w.Parcels(t.Context(), "", "garbage!", 3)
		require.ErrorIs(t, err, ErrCursor)
	})
}

func TestCommandTakesItsFirstOutcome(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		cmd := county.Command{ID: "c-1", Issuer: "dispatcher", Device: "lk-a-1/board", Action: "open_cell", Args: map[string]string{"cell": "3"}, Created: t0}
		require.NoError(t, w.PutCommand(t.Context(), cmd))
		require.ErrorIs(t, w.PutCommand(t.Context(), cmd), ErrExists)
		result := func(gateway string, s float64, o telemetry.Outcome) {
			w.tell(gateway, telemetry.New("board", at(s), telemetry.NTP, telemetry.Result{Command: "c-1", Outcome: o, Detail: "opened"}))
		}
		result("van-01", 1, telemetry.Refused) // was never asked
		got, ok, err := w.Command(t.Context(), "c-1")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, cmd, got)
		result("lk-a-1", 2, telemetry.Done)
		result("lk-a-1", 3, telemetry.OutcomeUnknown)
		all, err := w.Commands(t.Context(), "", 10)
		require.NoError(t, err)
		require.Equal(t, telemetry.Done, all[0].Outcome)
		require.Equal(t, at(2), *all[0].Answered)
	})
}

func TestBindingsHoldOverTime(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		require.NoError(t, w.Seed(t.Context(), smallCounty(), at(50)))
		require.Equal(t, "vehicle/v01", w.Thing("van-01/gps", at(-1e6)))
		moved := smallCounty()
		moved.Bindings["van-01/gps"] = "vehicle/v02"
		delete(moved.Bindings, "van-01/cold")
		moved.Vehicles = moved.Vehicles[:2]
		require.NoError(t, w.Seed(t.Context(), moved, at(100)))
		for _, s := range []*Store{w.Store, w.open(t)} {
			require.Equal(t, "vehicle/v01", s.Thing("van-01/gps", at(99)))
			require.Equal(t, "vehicle/v02", s.Thing("van-01/gps", at(100)))
			require.Equal(t, "coldbox/cb-v01", s.Thing("van-01/cold", at(99)))
			require.Empty(t, s.Thing("van-01/cold", at(100)))
		}
		w.tell("van-01", position("gps", 60, 30.5, 103.2), position("gps", 160, 30.6, 103.3))
		for id, lat := range map[string]float64{"v01": 30.5, "v02": 30.6} {
			v, _, err := w.Vehicle(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, lat, v.Position.Value.Lat, id)
		}
	})
}

func TestSeveralStartAtOnce(t *testing.T) {
	url := postgres.Database(t)
	var g errgroup.Group
	for range 4 {
		g.Go(func() error {
			s, err := Open(context.Background(), url, Options{})
			return errors.Join(err, s.Close())
		})
	}
	require.NoError(t, g.Wait())
}

// Two workers commit the same frames, cut differently, at once: each record counts once, and the
// archive's numbers have no gap.
func TestTwoWorkersOnPostgres(t *testing.T) {
	w := newWorld(t, postgres.Database(t))
	other := w.open(t)
	w.waybill("YZ-000001", tagA)
	var all []county.Arrival
	for i := range 30 {
		for _, g := range []string{"van-01", "van-02"} {
			all = append(all, w.arrival(w.lane(g, telemetry.Track), entry(position("gps", float64(i), 30.5, 103.2))))
			all = append(all, w.arrival(w.lane(g, telemetry.Custody), entry(tag("rfid", float64(i), tagA, telemetry.Arrive))))
		}
	}
	var wg sync.WaitGroup
	errs := make(chan error, 200)
	for k, s := range []*Store{w.Store, other} {
		wg.Go(func() {
			for i := 0; i < len(all); i += 3 + k {
				_, _, err := s.Commit(context.Background(), all[i:min(i+3+k, len(all))])
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	n, err := w.Counts(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 120, n["records"])
	require.EqualValues(t, 120, n["frames"])
	frames, err := w.Frames(t.Context(), 0, 1000, 1<<30)
	require.NoError(t, err)
	for i, f := range frames {
		require.EqualValues(t, i+1, f.No)
	}
}

func TestPruneDropsOldDaysOnly(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		a := w.arrival(w.lane("van-01", telemetry.Track), entry(position("gps", 1, 30.5, 103.2)))
		w.commit(a)
		require.NoError(t, w.Quarantine(t.Context(), []county.Refusal{{Gateway: "van-01", Source: "ingest", Reason: "x", Received: w.now}}))
		w.now = w.now.Add(30 * day)
		w.commit(w.arrival(w.lane("van-01", telemetry.Track), entry(position("gps", 2, 30.5, 103.2))))
		require.NoError(t, w.Prune(t.Context()))
		frames, err := w.Frames(t.Context(), 0, 10, 1<<20)
		require.NoError(t, err)
		require.Len(t, frames, 2)
		w.now = w.now.Add(day)
		require.NoError(t, w.Prune(t.Context()))
		frames, err = w.Frames(t.Context(), 0, 10, 1<<20)
		require.NoError(t, err)
		require.Len(t, frames, 1)
		require.EqualValues(t, 2, frames[0].No)
		n, err := w.Counts(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 0, n["quarantine"])
		require.EqualValues(t, 2, n["records"], "the ledger is for ever")
		_, _, err = w.Commit(t.Context(), []county.Arrival{a}) // can't be compared any more, and counts no more
		require.NoError(t, err)
	})
}

func TestQuarantineIsBounded(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		refuse := func(gateway string, from, n int) {
			var all []county.Refusal
			for i := range n {
				all = append(all, county.Refusal{Gateway: gateway, Source: "ingest", Reason: "x", Raw: fmt.Append(nil, from+i), Received: w.now})
			}
			require.NoError(t, w.Quarantine(t.Context(), all))
		}
		refuse("van-01", 0, 3)
		refuse("van-01", 0, 3)
		n, err := w.Counts(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 3, n["quarantine"], "the same again is counted, not kept")
		refuse("van-01", 0, maxRefused+20)
		refuse("van-02", 0, 1)
		n, err = w.Counts(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, maxRefused+1, n["quarantine"])
	})
}

func TestPoisonIsKeptAndEntered(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		s := w.lane("van-01", telemetry.Track)
		v, err := w.Poison(t.Context(), w.arrival(s, entry(position("gps", 1, 30.5, 103.2))), "rule tripped")
		require.NoError(t, err)
		require.Equal(t, []frame.Range{{From: 1, To: 1}}, v.Ranges)
		n, err := w.Counts(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, n["quarantine"])
		require.EqualValues(t, 0, n["frames"])
		w.commit(w.arrival(s, entry(position("gps", 2, 30.5, 103.2))))
		got, err := w.Ranges(t.Context(), "van-01", s.epoch, telemetry.Track)
		require.NoError(t, err)
		require.Equal(t, []frame.Range{{From: 1, To: 2}}, got)
	})
}

func TestAPanickingRuleIsAnErrorOfTheFrames(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		a := w.arrival(w.lane("van-01", telemetry.Track), entry(position("gps", 1, 30.5, 103.2)))
		a.Sights = nil // what no ingest hands over
		_, _, err := w.Commit(t.Context(), []county.Arrival{a})
		require.ErrorContains(t, err, "panic")
		require.NotErrorIs(t, err, ErrAway)
		w.tell("van-02", position("gps", 1, 30.5, 103.2))
	})
}

func TestWhatDevicesChooseIsOnlyText(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		evil := "x'; drop table parcels; --\u0000\n"
		w.tell("lk-a-1", telemetry.New("handheld", at(1), telemetry.NTP, telemetry.Scan{Text: evil}))
		r := telemetry.Reading{Device: "gps", Kind: telemetry.KindHealth, TQ: telemetry.Unknown, Body: []byte(`{"note":"\u0000"}`)}
		w.tell("van-01", r)
		d, _, err := w.Device(t.Context(), "van-01/gps")
		require.NoError(t, err)
		require.True(t, bytes.Contains(d.Last["health"].Value, []byte(`\u0000`)), "kept as it came")
		_, _, err = w.Parcels(t.Context(), evil, "", 10)
		require.NoError(t, err)
		_, ok, err := w.Timeline(t.Context(), evil)
		require.NoError(t, err)
		require.False(t, ok)
	})
}
