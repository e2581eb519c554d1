package state

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// story is the life of six parcels, one of them in a bag, with a late courier, a parcel scanned twice, one deposited
// without a scan, one put in and taken out while nobody looked, and two in a hurry; one frame a reading, some told again in
// another epoch.
func (w *world) story() []county.Arrival {
	const tagB, tagBag = "urn:epc:id:sgtin:0614141.812345.7", "urn:epc:id:grai:0614141.12345.400"
	all := life()
	all["wh-1"] = append(all["wh-1"], tag("dock-a", 12, tagB, telemetry.Arrive), tag("dock-a", 13, tagBag, telemetry.In), tag("dock-b", 101, tagB, telemetry.Out))
	all["van-01"] = append(all["van-01"], tag("rfid", 112, tagB, telemetry.Arrive), tag("rfid", 113, tagBag, telemetry.Arrive), tag("rfid", 240, tagB, telemetry.Depart), tag("rfid", 250, tagB, telemetry.Arrive),
		tag("rfid", 325, tagB, telemetry.Depart), tag("rfid", 326, tagBag, telemetry.Depart), position("gps", 340, 30.6, 103.3), position("gps", 480, 30.61, 103.31))
	all["lk-a-1"] = append(all["lk-a-1"], scan(430, "YZ-000002"), scan(440, "YZ-000003"), cellEvent(450, 4, telemetry.CellDeposited), scan(460, "YZ-000002"),
		cellEvent(465, 5, telemetry.CellDeposited), cellEvent(470, 6, telemetry.CellDeposited), cellEvent(480, 1, telemetry.CellJammed), cellEvent(700, 5, telemetry.CellEmptied),
		refused(428, "full", "YZ-000002"), refused(445, "no_consent", "YZ-000004"), refused(446, "no_consent", "YZ-000004"))
	var out []county.Arrival
	epoch := frame.Epoch(1000)
	for _, g := range []string{"lk-a-1", "van-01", "wh-1"} {
		for i, r := range all[g] {
			lane, _ := telemetry.LaneOf(r.Kind)
			for range 1 + i%2 {
				epoch++
				out = append(out, w.arrival(&sender{gateway: g, epoch: epoch, lane: lane, next: 1}, entry(r)))
			}
		}
	}
	require.NoError(w.t, w.PutContainer(w.t.Context(), county.Container{ID: "bag-1", Kind: "bag", EPC: tagBag, Code: "BAG-0001"}))
	w.waybill("YZ-000001", tagA)
	w.waybill("YZ-000002", tagB)
	for _, id := range []string{"YZ-000003", "YZ-000004", "YZ-000005", "YZ-000006", "YZ-000007"} {
		w.waybill(id, "")
	}
	_, err := w.Pack(w.t.Context(), "bag-1", []string{"YZ-000003"}, t0, "staff")
	require.NoError(w.t, err)
	return out
}

// people is what people tell of the story: some of it wrong, some of a parcel that no device sees.
func (w *world) people() []func() {
	tell := func(all ...county.Said) []func() {
		var out []func()
		for _, e := range all {
			out = append(out, func() {
				_, _, refused, err := w.Say(w.t.Context(), []county.Said{e})
				require.NoError(w.t, err)
				require.Empty(w.t, refused)
			})
		}
		return out
	}
	box := func(do func(ctx context.Context) ([]county.Change, error)) func() {
		return func() {
			_, err := do(w.t.Context())
			require.NoError(w.t, err)
		}
	}
	return append(tell(
		said("a", "YZ-000007", "sorted", 5, county.Said{Site: "wh"}), said("b", "YZ-000007", "at_warehouse", 10, county.Said{Site: "wh"}),
		said("c", "YZ-000007", "loaded", 120, county.Said{Vehicle: "v01"}), said("d", "YZ-000007", "at_outlet", 350, county.Said{Site: "out-b"}),
		said("f", "YZ-000007", "refused", 500, county.Said{Channel: "sms"}),
		said("g", "YZ-000003", "picked_up", 600, county.Said{}), said("h", "YZ-000005", "damaged", 300, county.Said{}), said("i", "YZ-000001", "picked_up", 905, county.Said{}),
	),
		box(func(ctx context.Context) ([]county.Change, error) {
			return w.Pack(ctx, "bag-1", []string{"YZ-000004", "YZ-000003"}, at(14), "c01")
		}),
		box(func(ctx context.Context) ([]county.Change, error) {
			return w.Unpack(ctx, "bag-1", []string{"YZ-000004"}, at(200), "c01")
		}),
		box(func(ctx context.Context) ([]county.Change, error) {
			return w.Count(ctx, "bag-1", 1, at(30), "wh", "c01")
		}),
		box(func(ctx context.Context) ([]county.Change, error) {
			return w.Break(ctx, "bag-1", at(330), "c01", "torn")
		}),
	)
}

// told is the state that evidence decides, as bytes; versions count how often it changed and are
// no part of it.
func (w *world) told() string {
	var out []any
	for i := range 7 {
		id := fmt.Sprintf("YZ-%06d", i+1)
		tl := w.timeline(id)
		p, _, err := w.Parcels(w.t.Context(), id, "", 10)
		require.NoError(w.t, err)
		require.Len(w.t, p, 1)
		tl.Version, p[0].Version = 0, 0
		tl.Exceptions = slices.DeleteFunc(tl.Exceptions, func(x county.Exception) bool { return x.Ended != nil }) // what was wrong for a while is history
		for i := range tl.Exceptions {
			tl.Exceptions[i].Version, tl.Exceptions[i].Discovered = 0, t0
		}
		require.Equal(w.t, tl.Parcel, p[0], "what is kept is what the evidence says")
		out = append(out, tl)
	}
	l, _, err := w.Locker(w.t.Context(), "lk-a")
	require.NoError(w.t, err)
	out = append(out, l.Cells)
	v, _, err := w.Vehicle(w.t.Context(), "v01")
	require.NoError(w.t, err)
	v.Version = 0
	bag, _, err := w.Container(w.t.Context(), "bag-1")
	require.NoError(w.t, err)
	bag.Exceptions = nil
	b, err := json.MarshalIndent(append(out, v, bag, w.wrong("container/bag-1")), "", " ")
	require.NoError(w.t, err)
	return string(b) + strings.Join(w.standing(), "\n")
}

func TestOrderAndRepetitionMakeNoDifference(t *testing.T) {
	require.NoError(t, flag.Set("rapid.checks", "12"))
	for name, url := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "s.db") },
		"postgres": func() string { return postgres.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, url())
			for _, a := range w.story() {
				w.commit(a)
			}
			for _, tell := range w.people() {
				tell()
			}
			want := w.told()
			for _, cause := range []string{"bad_sequence", "contradiction", "wrong_outlet", "refused", "damaged", "count_differs", "no_consent"} {
				require.Contains(t, want, cause)
			}
			require.Contains(t, want, `"picked_up"`)
			rapid.Check(t, func(rt *rapid.T) {
				w := newWorld(t, url())
				story, people := w.story(), w.people()
				order := rapid.Permutation(indexes(len(story)+len(people))).Draw(rt, "order")
				for _, again := range rapid.SliceOfN(rapid.IntRange(0, len(order)-1), 0, 10).Draw(rt, "again") {
					order = append(order, again)
				}
				for len(order) > 0 {
					n := rapid.IntRange(1, min(8, len(order))).Draw(rt, "group")
					var group []county.Arrival
					for _, i := range order[:n] {
						if i < len(story) {
							group = append(group, story[i])
						} else {
							people[i-len(story)]()
						}
					}
					if len(group) > 0 {
						w.commit(group...)
					}
					order = order[n:]
				}
				require.Equal(rt, want, w.told())
				require.NoError(rt, w.Close())
			})
		})
	}
}

func indexes(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

func TestSpansAgreeWithASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s spans
		set := map[uint64]bool{}
		for range rapid.IntRange(0, 30).Draw(t, "n") {
			from := rapid.Uint64Range(1, 60).Draw(t, "from")
			to := from + rapid.Uint64Range(0, 10).Draw(t, "len")
			fresh := uint64(0)
			for _, r := range s.missing(from, to) {
				for i := r.From; i <= r.To; i++ {
					require.False(t, set[i])
					fresh++
				}
			}
			for i := from; i <= to; i++ {
				if !set[i] {
					fresh--
				}
				set[i] = true
			}
			require.Zero(t, fresh)
			s = s.add(from, to)
		}
		require.EqualValues(t, len(set), s.count())
		for i := 1; i < len(s); i++ {
			require.Greater(t, s[i].From, s[i-1].To+1, "neither overlapping nor adjacent")
		}
		back, err := parseSpans(s.String())
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(s), fmt.Sprint(back))
	})
}
