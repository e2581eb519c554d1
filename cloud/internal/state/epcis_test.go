package state

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"yizhan/cloud/internal/county"
)

func epcisEvent(id string, at time.Time, terms ...county.EPCISTerm) county.EPCISEvent {
	return county.EPCISEvent{
		ID: id, Type: "ObjectEvent", At: at, Action: "OBSERVE", BizStep: "receiving", Disposition: "in_progress", ReadPoint: "https://x.example/site/wh",
		Terms: terms, Digest: "d-" + id, Doc: county.RawJSON(fmt.Sprintf(`{"eventID":%q}`, id)),
	}
}

func idsOf(events []county.EPCISEvent) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, e.ID)
	}
	return out
}

func TestEPCISIsCapturedOnce(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		a, b := epcisEvent("urn:a", t0), epcisEvent("urn:b", t0.Add(time.Minute))
		c, err := w.CaptureEPCIS(ctx, county.EPCISCapture{ID: "j1", At: t0, Events: 2, Rollback: true}, []county.EPCISEvent{a, b}, []string{"e[0]", "e[1]"})
		require.NoError(t, err)
		require.Equal(t, 2, c.Stored)
		require.True(t, c.Success)

		// The same again, and once more within one document: nothing is new, and nothing is wrong.
		c, err = w.CaptureEPCIS(ctx, county.EPCISCapture{ID: "j2", At: t0, Events: 3}, []county.EPCISEvent{a, b, a}, []string{"e[0]", "e[1]", "e[2]"})
		require.NoError(t, err)
		require.Zero(t, c.Stored)
		require.True(t, c.Success)

		// The id of another event: a fault; with rollback nothing of the document is stored.
		other := b
		other.Digest = "else"
		fresh := epcisEvent("urn:c", t0)
		for _, rollback := range []bool{true, false} {
			id := fmt.Sprint("j3", rollback)
			c, err = w.CaptureEPCIS(ctx, county.EPCISCapture{ID: id, At: t0, Events: 2, Rollback: rollback}, []county.EPCISEvent{other, fresh}, []string{"e[0]", "e[1]"})
			require.NoError(t, err)
			require.False(t, c.Success)
			require.Equal(t, []county.EPCISFault{{Path: "e[0].eventID", Reason: "is the id of another event"}}, c.Errors)
			read, ok, err := w.EPCISCapture(ctx, id)
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, c.Errors, read.Errors)
			require.Equal(t, c.Stored, read.Stored)
			require.Equal(t, map[bool]int{true: 0, false: 1}[rollback], c.Stored)
		}
		all, err := w.EPCIS(ctx, county.EPCISQuery{Limit: 10, Up: true, ByRecord: true})
		require.NoError(t, err)
		require.Equal(t, []string{"urn:a", "urn:b", "urn:c"}, idsOf(all))
		_, ok, err := w.EPCISCapture(ctx, "none")
		require.NoError(t, err)
		require.False(t, ok)
	})
}

func TestEPCISIsFound(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		sgtin := county.EPCISTerm{Kind: "epc", Value: "urn:epc:id:sgtin:9521234.012345.7"}
		parent := county.EPCISTerm{Kind: "parent", Value: "urn:epc:id:sscc:9521234.1234567891"}
		events := []county.EPCISEvent{epcisEvent("urn:1", t0, sgtin), epcisEvent("urn:2", t0.Add(time.Minute), parent), epcisEvent("urn:3", t0.Add(2*time.Minute), sgtin, parent)}
		events[1].Action, events[1].BizStep = "ADD", "loading"
		wrong := events[2]
		wrong.Declared, wrong.Reason = t0.Add(time.Hour), "did_not_occur"
		events = append(events, wrong)
		_, err := w.CaptureEPCIS(ctx, county.EPCISCapture{ID: "j", At: t0}, events, make([]string, len(events)))
		require.NoError(t, err)
		for name, c := range map[string]struct {
			q    county.EPCISQuery
			want []string
		}{
			"all, newest first": {county.EPCISQuery{}, []string{"urn:3", "urn:3", "urn:2", "urn:1"}},
			"from is in":        {county.EPCISQuery{From: t0.Add(time.Minute), Up: true}, []string{"urn:2", "urn:3", "urn:3"}},
			"until isn't":       {county.EPCISQuery{Until: t0.Add(time.Minute)}, []string{"urn:1"}},
			"action and step":   {county.EPCISQuery{Actions: []string{"ADD", "DELETE"}, BizSteps: []string{"loading"}}, []string{"urn:2"}},
			"by value":          {county.EPCISQuery{Up: true, Matches: []county.EPCISMatch{{Kinds: []string{"epc"}, Values: []string{sgtin.Value}}}}, []string{"urn:1", "urn:3", "urn:3"}},
			"of either kind":    {county.EPCISQuery{Up: true, Matches: []county.EPCISMatch{{Kinds: []string{"epc", "parent"}, Values: []string{parent.Value}}}}, []string{"urn:2", "urn:3", "urn:3"}},
			"both":              {county.EPCISQuery{Up: true, Matches: []county.EPCISMatch{{Kinds: []string{"epc"}, Prefixes: []string{"urn:epc:id:sgtin:9521234."}}, {Kinds: []string{"parent"}, Values: []string{parent.Value}}}}, []string{"urn:3", "urn:3"}},
			"no such beginning": {county.EPCISQuery{Matches: []county.EPCISMatch{{Kinds: []string{"epc"}, Prefixes: []string{"urn:epc:id:sgtin:952123."}}}}, []string{}},
			"declared":          {county.EPCISQuery{Declared: true}, []string{"urn:3"}},
			"declared until":    {county.EPCISQuery{DeclaredUntil: t0.Add(time.Hour)}, []string{}},
			"by id":             {county.EPCISQuery{IDs: []string{"urn:2", "urn:9"}}, []string{"urn:2"}},
			"reason":            {county.EPCISQuery{Reasons: []string{"did_not_occur"}}, []string{"urn:3"}},
			"read point":        {county.EPCISQuery{ReadPoints: []string{"https://x.example/site/none"}}, []string{}},
			"type":              {county.EPCISQuery{Types: []string{"AggregationEvent"}}, []string{}},
		} {
			c.q.Limit = 10
			got, err := w.EPCIS(ctx, c.q)
			require.NoError(t, err, name)
			require.Equal(t, c.want, idsOf(got), name)
		}
		// By pages, in both orders: each event once.
		for _, q := range []county.EPCISQuery{{Up: true}, {}, {ByRecord: true}, {ByRecord: true, Up: true}} {
			q.Limit = 1
			var seen []int64
			for {
				got, err := w.EPCIS(ctx, q)
				require.NoError(t, err)
				if len(got) == 0 {
					break
				}
				seen = append(seen, got[0].No)
				q.After, q.AfterNo, q.AfterMS = true, got[0].No, ms(got[0].At)
				if q.ByRecord {
					q.AfterMS = ms(got[0].Recorded)
				}
			}
			require.ElementsMatch(t, []int64{1, 2, 3, 4}, seen)
		}
	})
}

// Facts become events once, though what makes them fails and is called again, and though somebody else follows too.
func TestFactsAreToldAsEPCISOnce(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		require.NoError(t, w.Update(ctx, func(tx Tx) error {
			return tx.Tell(ctx, NewFact(county.FactStep, "parcel/YZ000001", "step/YZ000001/e1/created", county.StepTold{Waybill: "YZ000001"}))
		}))
		away := errors.New("away")
		_, err := w.TellEPCIS(ctx, 10, func([]county.Fact, func([]string) (map[string]county.EPCISEvent, error)) ([]county.EPCISEvent, error) {
			return nil, away
		})
		require.ErrorIs(t, err, away)
		tell := func(facts []county.Fact, standing func([]string) (map[string]county.EPCISEvent, error)) ([]county.EPCISEvent, error) {
			e := epcisEvent("ni:1", t0)
			e.Key = facts[0].Key
			return []county.EPCISEvent{e}, nil
		}
		n, err := w.TellEPCIS(ctx, 10, tell)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		n, err = w.TellEPCIS(ctx, 10, tell)
		require.NoError(t, err)
		require.Zero(t, n)

		require.NoError(t, w.Update(ctx, func(tx Tx) error {
			return tx.Tell(ctx, NewFact(county.FactRetracted, "parcel/YZ000001", "retracted/YZ000001/e1/created", county.StepTold{}))
		}))
		_, err = w.TellEPCIS(ctx, 10, func(_ []county.Fact, standing func([]string) (map[string]county.EPCISEvent, error)) ([]county.EPCISEvent, error) {
			found, err := standing([]string{"step/YZ000001/e1/created", "step/none"})
			require.Equal(t, "ni:1", found["step/YZ000001/e1/created"].ID)
			require.Len(t, found, 1)
			return nil, err
		})
		require.NoError(t, err)
		all, err := w.EPCIS(ctx, county.EPCISQuery{Limit: 10})
		require.NoError(t, err)
		require.Len(t, all, 1)
	})
}

// Two workers that follow at once make each event once.
func TestTwoFollowersTellEachFactOnce(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		const facts = 40
		require.NoError(t, w.Update(ctx, func(tx Tx) error {
			var all []county.Fact
			for i := range facts {
				all = append(all, NewFact(county.FactStep, "parcel/YZ000001", fmt.Sprintf("step/YZ000001/e%d/scanned", i), county.StepTold{Waybill: "YZ000001"}))
			}
			return tx.Tell(ctx, all...)
		}))
		g, ctx := errgroup.WithContext(ctx)
		for range 2 {
			g.Go(func() error {
				for {
					n, err := w.TellEPCIS(ctx, 3, func(facts []county.Fact, _ func([]string) (map[string]county.EPCISEvent, error)) (made []county.EPCISEvent, err error) {
						for _, f := range facts {
							e := epcisEvent("ni:"+f.Key, t0)
							e.Key = f.Key
							made = append(made, e)
						}
						return made, nil
					})
					if err != nil || n == 0 {
						return err
					}
				}
			})
		}
		require.NoError(t, g.Wait())
		events, err := w.EPCIS(t.Context(), county.EPCISQuery{Limit: 100, ByRecord: true, Up: true})
		require.NoError(t, err)
		require.Len(t, events, facts)
		seen := map[int64]bool{}
		for _, e := range events {
			seen[e.No] = true
		}
		require.Len(t, seen, facts)
		require.True(t, seen[1] && seen[facts], "numbered without a gap")
	})
}

// Among many events one step is rare and long ago. It is found by its own index: the plan says so, and the rows that it reads.
func TestARareStepIsFoundWithoutAWalk(t *testing.T) {
	w := newWorld(t, postgres.Database(t))
	ctx := t.Context()
	const many = 200_000
	require.NoError(t, w.Update(ctx, func(tx Tx) error {
		_, err := tx.Exec(ctx, `insert into epcis_events (id, declared_ms, no, type, at_ms, recorded_ms, action, biz_step, disposition, read_point, biz_location, reason, key, waybill, digest, doc)
			select 'urn:n:' || n, 0, n, 'ObjectEvent', n * 1000, n * 1000, 'OBSERVE', case when n <= 3 then 'destroying' else (array['receiving', 'departing', 'arriving', 'storing', 'loading'])[1 + n % 5] end,
			'in_progress', '', '', '', '', '', '', '{}' from generate_series(1, $1::int) as n`, many)
		return err
	}))
	require.NoError(t, w.Update(ctx, func(tx Tx) error { _, err := tx.Exec(ctx, "analyze epcis_events"); return err }))
	for _, q := range []county.EPCISQuery{
		{BizSteps: []string{"destroying"}, Limit: 30}, {BizSteps: []string{"destroying", "void_shipping"}, Limit: 30}, {BizSteps: []string{"destroying"}, Limit: 30, ByRecord: true},
		{BizSteps: []string{"destroying"}, Limit: 30, Up: true, After: true, AfterMS: 1000, AfterNo: 1},
	} {
		query, args := epcisQuery(w.words(), q)
		var plan []string
		require.NoError(t, w.each(ctx, func(scan func(...any) error) error {
			var line string
			err := scan(&line)
			plan = append(plan, line)
			return err
		}, "explain (analyze, buffers, timing off) "+query, args...))
		all := strings.Join(plan, "\n")
		require.Contains(t, all, "epcis_events_step_")
		require.NotContains(t, all, "epcis_events_at ")
		require.NotContains(t, all, "Rows Removed by Filter")
		t.Logf("\n%s", all)
		events, err := w.EPCIS(ctx, q)
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(events), 2)
	}
}
