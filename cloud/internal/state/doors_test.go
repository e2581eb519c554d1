package state

import (
	"encoding/json"
	"flag"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// openings are what doors did for three orders, told as their gateway does: one that was emptied, one that stuck while another door opened, and
// one that stuck and was pulled in the end; with the answers. Some come again.
func (w *world) openings() (out []county.Arrival) {
	n := 0
	door := func(s float64, op string, cell int, e telemetry.CellEvent, made bool) telemetry.Reading {
		n++
		r := telemetry.New("board", at(s), telemetry.NTP, telemetry.Locker{Cell: telemetry.Some(cell), Event: e, Op: op})
		if made {
			r.N = "door-" + op + string(e)
		}
		return r
	}
	result := func(s float64, op string, o telemetry.Outcome) telemetry.Reading {
		r := telemetry.New("board", at(s), telemetry.NTP, telemetry.Result{Command: op, Outcome: o, Detail: "opened"})
		r.N = "cmd-" + op
		return r
	}
	all := []telemetry.Reading{
		door(1, "order-1", 1, "accepted", true), door(1.2, "order-1", 1, "pulse_sent", true), door(1.4, "order-1", 1, "opened", false), result(1.5, "order-1", "done"),
		door(9, "order-1", 1, "emptied", false), door(400, "order-3", 3, "accepted", true), door(400, "order-3", 3, "pulse_sent", true), door(403, "order-3", 3, "jammed", false), result(403, "order-3", "unknown"),
		door(420, "order-3", 3, "opened", false), door(440, "order-3", 3, "closed", false), door(450, "k-0011223344556677", 4, "opened", false), door(460, "made-up", 4, "closed", false),
		door(200, "order-2", 2, "accepted", true), door(200, "order-2", 2, "pulse_sent", true), door(202, "order-2", 6, "wrong_door", true), door(203, "order-2", 2, "jammed", false),
		result(203, "order-2", "unknown"), door(230, "order-2", 2, "not_opened", true),
	}
	epoch := frame.Epoch(5000)
	for i, r := range all {
		lane, _ := telemetry.LaneOf(r.Kind)
		for range 1 + i%2 {
			if r.N == "" && i%2 == 1 {
				r.N = "lk-" + r.At.Format("150405.000") // told again by a device that numbers
			}
			epoch++
			out = append(out, w.arrival(&sender{gateway: "lk-a-1", epoch: epoch, lane: lane, next: 1}, entry(r)))
		}
	}
	stranger := door(2, "order-1", 1, "closed", false)
	stranger.Device = "board"
	epoch++
	return append(out, w.arrival(&sender{gateway: "van-01", epoch: epoch, lane: telemetry.Custody, next: 1}, entry(stranger)))
}

func (w *world) orders() string {
	all, err := w.Commands(w.t.Context(), "lk-a-1/board", 10)
	require.NoError(w.t, err)
	require.Len(w.t, all, 3)
	for i := range all {
		one, ok, err := w.Command(w.t.Context(), all[i].ID)
		require.NoError(w.t, err)
		require.True(w.t, ok)
		require.Equal(w.t, all[i], one)
		all[i].Version = 0
	}
	b, err := json.MarshalIndent(all, "", " ")
	require.NoError(w.t, err)
	return string(b)
}

func (w *world) order(id, cell string) {
	require.NoError(w.t, w.PutCommand(w.t.Context(), county.Command{ID: id, Device: "lk-a-1/board", Action: "open_cell", Args: map[string]string{"cell": cell}, Created: t0}))
}

func steps(c county.Command) string {
	var words []string
	for _, d := range c.Door {
		words = append(words, d.Step)
	}
	return strings.Join(words, " ")
}

// What doors did is the same in whatever order it comes, and however often.
func TestWhatDoorsDidComesInAnyOrder(t *testing.T) {
	require.NoError(t, flag.Set("rapid.checks", "12"))
	for name, url := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "s.db") },
		"postgres": func() string { return postgres.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			world := func() (*world, []county.Arrival) {
				w := newWorld(t, url())
				w.order("order-1", "1")
				w.order("order-2", "2")
				w.order("order-3", "3")
				require.NoError(t, w.PutCommand(t.Context(), county.Command{ID: "other", Device: "lk-b-1/board", Action: "open_cell", Created: t0}))
				return w, w.openings()
			}
			w, story := world()
			for _, a := range story {
				w.commit(a)
			}
			want := w.orders()
			all, err := w.Commands(t.Context(), "lk-a-1/board", 10)
			require.NoError(t, err)
			require.Equal(t, "accepted pulse_sent jammed opened closed", steps(all[0]))
			require.Equal(t, "accepted pulse_sent wrong_door jammed not_opened", steps(all[1]))
			require.Equal(t, "accepted pulse_sent opened closed emptied", steps(all[2]))
			require.Equal(t, 6, all[1].Door[2].Cell)
			require.Equal(t, at(9), all[2].Door[3].At, "no other gateway's door")
			require.Equal(t, at(9), all[2].Door[4].At)
			require.Equal(t, telemetry.NTP, all[2].Door[4].TQ)
			require.Positive(t, all[2].Version)
			rapid.Check(t, func(rt *rapid.T) {
				w, story := world()
				order := rapid.Permutation(indexes(len(story))).Draw(rt, "order")
				order = append(order, rapid.SliceOfN(rapid.IntRange(0, len(order)-1), 0, 10).Draw(rt, "again")...)
				for len(order) > 0 {
					n := rapid.IntRange(1, min(8, len(order))).Draw(rt, "group")
					var group []county.Arrival
					for _, i := range order[:n] {
						group = append(group, story[i])
					}
					w.commit(group...)
					order = order[n:]
				}
				require.Equal(rt, want, w.orders())
				require.NoError(rt, w.Close())
			})
		})
	}
}

// A change of an order goes out when something new is told of it, and not again when it is told again.
func TestAnOrdersChangesAreTold(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.order("order-1", "1")
		var versions []int64
		tell := func() {
			for i, a := range w.openings()[:7] {
				if i == 4 || i == 5 { // the answer, with what the door did
					continue
				}
				_, changes, err := w.Commit(t.Context(), []county.Arrival{a})
				require.NoError(t, err)
				for _, c := range changes {
					if c.Kind == county.CommandChanged {
						versions = append(versions, c.Version)
						require.Equal(t, "order-1", c.ID)
						require.NotEmpty(t, c.Object.(county.Command).Door)
					}
				}
			}
		}
		tell()
		require.Equal(t, []int64{1, 2, 3, 4}, versions)
		tell()
		require.Len(t, versions, 4)
	})
}
