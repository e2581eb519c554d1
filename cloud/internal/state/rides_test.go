package state

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

const hour = 3600.

// toldOf are the steps of a parcel as they were told, and as its evidence has them now.
func (w *world) toldOf(id string) (told, is []string) {
	for _, s := range w.standing() {
		if strings.HasPrefix(s, id+"/") {
			told = append(told, s)
		}
	}
	tl := w.timeline(id)
	for _, e := range tl.Evidence {
		is = append(is, fmt.Sprint(id, "/", e.ID, "/", e.Step, " ", e.Stage, " ", e.Place, " ", e.Cell, " ", e.At.UnixMilli(), e.Via))
	}
	slices.Sort(told)
	slices.Sort(is)
	return told, is
}

// A long ride: the van's reader names the parcel when it is put in and, days later, when it is taken out; where the van was in
// between is told last.
func TestAStayThatChangesLateFoldsThoseWhoWereAboard(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.now = at(90 * hour)
		w.waybill("YZ-000001", tagA)
		w.tell("van-01", position("gps", 0, 30.5, 103.2), tag("rfid", 5, tagA, telemetry.Arrive), position("gps", 60*hour, 30.6, 103.3), tag("rfid", 60*hour+5, tagA, telemetry.Depart))
		w.tell("lk-a-1", keyed(61*hour, 3, "YZ-000001", "d-0000000000000001", 1))
		w.tell("van-01", position("gps", 30*hour, 30.7, 103.4))
		w.tell("van-01", position("gps", 29*hour, 31.1, 103.2), position("gps", 31*hour, 31.1, 103.2))
		told, is := w.toldOf("YZ-000001")
		require.Contains(t, strings.Join(is, "\n"), "reached_site/v01/")
		require.Equal(t, is, told)
	})
}

// One that is aboard still, and was named days ago; and one that left the van by a word that is told before the van's fixes.
func TestAStayThatBeginsFoldsThoseAboard(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		const tagB = "urn:epc:id:sgtin:0614141.812345.7"
		w.now = at(200 * hour)
		w.waybill("YZ-000001", tagA)
		w.waybill("YZ-000002", tagB)
		w.tell("van-01", position("gps", 0, 30.5, 103.2), tag("rfid", 5, tagA, telemetry.Arrive), tag("rfid", 6, tagB, telemetry.Arrive))
		w.say(said("a", "YZ-000002", "signed_for", 100*hour, county.Said{}))
		w.tell("van-01", position("gps", 90*hour, 31.1, 103.2))
		for _, id := range []string{"YZ-000001", "YZ-000002"} {
			told, is := w.toldOf(id)
			require.Contains(t, strings.Join(is, "\n"), "left_site/v01/")
			require.Equal(t, is, told)
		}
		until := map[string]time.Time{}
		require.NoError(t, w.each(t.Context(), func(scan func(...any) error) error {
			var n int64
			var id string
			err := scan(&id, &n)
			until[id] = moment(n)
			return err
		}, "select waybill, until_ms from rides where vehicle = 'v01'"))
		require.True(t, until["YZ-000001"].After(at(500*hour)), "it is aboard")
		require.True(t, until["YZ-000002"].Before(at(101*hour)), "the van concerns it no more")
	})
}

// Weeks of two vans and a parcel, told in any order: what was told of it in the end is what its evidence says.
func TestRidesInAnyOrder(t *testing.T) {
	require.NoError(t, flag.Set("rapid.checks", "10"))
	for name, url := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "s.db") },
		"postgres": func() string { return postgres.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				w := newWorld(t, url())
				w.now = at(900 * hour)
				w.waybill("YZ-000001", tagA)
				type word struct {
					van string
					r   telemetry.Reading
				}
				var words []word
				when := func(name string) float64 { return float64(rapid.IntRange(0, 500).Draw(rt, name)) * hour }
				place := rapid.SampledFrom([][2]float64{{30.5, 103.2}, {30.6, 103.3}, {31.1, 103.2}})
				for range rapid.IntRange(1, 10).Draw(rt, "fixes") {
					p := place.Draw(rt, "where")
					words = append(words, word{rapid.SampledFrom([]string{"van-01", "van-02"}).Draw(rt, "van"), position("gps", when("fix"), p[0], p[1])})
				}
				for range rapid.IntRange(1, 4).Draw(rt, "tags") {
					words = append(words, word{rapid.SampledFrom([]string{"van-01", "van-02"}).Draw(rt, "van"), tag("rfid", when("tag")+5, tagA, rapid.SampledFrom([]telemetry.Passage{telemetry.Arrive, telemetry.Depart}).Draw(rt, "way"))})
				}
				if rapid.Bool().Draw(rt, "deposited") {
					words = append(words, word{"lk-a-1", keyed(when("deposit")+7, 3, "YZ-000001", "d-0000000000000001", 1)})
				}
				for _, i := range rapid.Permutation(indexes(len(words))).Draw(rt, "order") {
					w.tell(words[i].van, words[i].r)
				}
				told, is := w.toldOf("YZ-000001")
				require.Equal(rt, is, told)
				require.NoError(rt, w.Close())
			})
		})
	}
}
