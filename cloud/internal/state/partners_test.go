package state

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/epcis"
)

// repository is the county's EPCIS repository over the store.
func (w *world) repository() *epcis.Repository {
	reg := smallCounty()
	reg.Timezone = "Asia/Shanghai"
	names, err := epcis.NewNames("https://id.county.example", reg.Sites)
	require.NoError(w.t, err)
	maker, err := epcis.NewMaker(reg, names, nil)
	require.NoError(w.t, err)
	n := 0
	return epcis.New(epcis.Config{Store: w.Store, Maker: maker, Wake: w.Wake, Now: func() time.Time { return w.now }, NewID: func() string {
		n++
		return fmt.Sprintf("cap-%d", n)
	}})
}

// partners is a partner's event of a parcel, so many seconds into the story; more is what else it says.
func partners(id string, sec float64, what, step, more string) string {
	if id != "" {
		id = `"eventID":"` + id + `",`
	}
	kind := `"type":"ObjectEvent","epcList":["` + what + `"]`
	if strings.Contains(more, "parentID") {
		kind = `"type":"AggregationEvent","childEPCs":["` + what + `"]`
	}
	return `{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],` + id + kind + `,"eventTime":"` + at(sec).Format(time.RFC3339) +
		`","eventTimeZoneOffset":"+00:00","action":"OBSERVE","bizStep":"` + step + `"` + more + `}`
}

func capture(t require.TestingT, r *epcis.Repository, ctx interface {
	Deadline() (time.Time, bool)
	Done() <-chan struct{}
	Err() error
	Value(any) any
}, event string,
) {
	c, err := r.Capture(ctx, []byte(event), true, true)
	require.NoError(t, err)
	require.True(t, c.Success, c.Errors)
}

const (
	aParcel  = "https://id.county.example/parcel/YZ-000001"
	declared = `,"errorDeclaration":{"declarationTime":"2026-11-21T12:00:00Z","reason":"did_not_occur"}`
)

func wayOf(tl *county.Timeline) (out []string) {
	for _, e := range tl.Evidence {
		out = append(out, e.Step+" "+string(e.Stage)+" "+e.Place)
	}
	return out
}

func TestAPartnersEventIsEvidence(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		r := w.repository()
		w.waybill("YZ-000001", "")
		arrived := partners("", 60, aParcel, "arriving", `,"readPoint":{"id":"https://id.county.example/site/wh"}`)
		for range 3 {
			capture(t, r, t.Context(), arrived)
		}
		tl := w.timeline("YZ-000001")
		require.Equal(t, county.AtWarehouse, tl.Stage)
		require.Len(t, tl.Evidence, 2)
		row := tl.Evidence[1]
		require.Equal(t, at(60), row.At)
		require.EqualValues(t, "unknown", row.TQ)
		require.Equal(t, county.Inferred, row.Confidence)
		require.Equal(t, "partner", row.Witnesses[0].Kind)

		w.say(said("a", "YZ-000001", "at_warehouse", 90, county.Said{Site: "wh"}))
		require.Equal(t, county.Confirmed, w.timeline("YZ-000001").Evidence[1].Confidence, "somebody else says so")

		// It is declared wrong, under the id that it was given.
		doc, _, err := r.Query(t.Context(), url.Values{"EQ_bizStep": {"arriving"}})
		require.NoError(t, err)
		var answer struct {
			Body struct {
				Results struct {
					Body struct {
						Events []map[string]any `json:"eventList"`
					} `json:"resultsBody"`
				} `json:"queryResults"`
			} `json:"epcisBody"`
		}
		require.NoError(t, json.Unmarshal(doc, &answer))
		id := answer.Body.Results.Body.Events[0]["eventID"].(string)
		for range 2 {
			capture(t, r, t.Context(), partners(id, 60, aParcel, "arriving", `,"readPoint":{"id":"https://id.county.example/site/wh"}`+declared))
		}
		tl = w.timeline("YZ-000001")
		require.Equal(t, "at_warehouse at_warehouse site/wh", wayOf(&tl)[1])
		require.Empty(t, tl.Evidence[1].Witnesses[1:])
		require.Len(t, tl.Evidence, 2)
	})
}

// What we told comes back from a partner: with its id, under another, and without what only we say. It is no evidence.
func TestOurEventsComeBack(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		r := w.repository()
		w.waybill("YZ-000001", tagA)
		for g, rs := range life() {
			w.tell(g, rs...)
		}
		for {
			n, err := r.Follow(t.Context())
			require.NoError(t, err)
			if n == 0 {
				break
			}
		}
		before := w.timeline("YZ-000001")
		doc, _, err := r.Query(t.Context(), url.Values{"perPage": {"100"}})
		require.NoError(t, err)
		var answer map[string]any
		require.NoError(t, json.Unmarshal(doc, &answer))
		events := answer["epcisBody"].(map[string]any)["queryResults"].(map[string]any)["resultsBody"].(map[string]any)["eventList"].([]any)
		require.Greater(t, len(events), 4)
		for _, strip := range []func(e map[string]any){
			func(map[string]any) {},
			func(e map[string]any) {
				e["eventID"] = "urn:uuid:00000000-0000-4000-8000-" + fmt.Sprintf("%012x", len(fmt.Sprint(e)))
			},
			func(e map[string]any) {
				for k := range e {
					if strings.HasPrefix(k, "yizhan:") {
						delete(e, k)
					}
				}
				delete(e, "eventID")
			},
		} {
			for _, v := range events {
				e := v.(map[string]any)
				strip(e)
				e["@context"] = answer["@context"]
				b, err := json.Marshal(e)
				require.NoError(t, err)
				_, err = r.Capture(t.Context(), b, true, true)
				require.NoError(t, err)
			}
			now := w.timeline("YZ-000001")
			require.Equal(t, before, now)
		}
	})
}

// However often and in whatever order a partner's events come, before or after the parcel is announced: the same steps.
func TestPartnersInAnyOrder(t *testing.T) {
	require.NoError(t, flag.Set("rapid.checks", "10"))
	const tag = "urn:epc:id:sgtin:0614141.812345.7"
	events := []string{
		partners("", 60, aParcel, "arriving", `,"readPoint":{"id":"https://id.county.example/site/wh"}`),
		partners("urn:uuid:a", 120, epcis.Link(tag), "loading", `,"parentID":"https://id.county.example/vehicle/v01"`),
		partners("urn:uuid:b", 200, tag, "departing", `,"readPoint":{"id":"https://id.county.example/site/wh"}`),
		partners("urn:uuid:c", 260, aParcel, "receiving", `,"bizLocation":{"id":"https://id.county.example/site/out-b"}`),
		partners("urn:uuid:c", 260, aParcel, "receiving", `,"bizLocation":{"id":"https://id.county.example/site/out-b"}`+declared),
		partners("urn:uuid:d", 300, tag, "receiving", `,"bizLocation":{"id":"https://id.county.example/site/out-a"}`),
		partners("", 400, "urn:epc:id:sscc:0614141.1234567890", "retail_selling", `,"bizTransactionList":[{"type":"bol","bizTransaction":"https://id.county.example/waybill/YZ-000001"}]`),
	}
	for name, url := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "s.db") },
		"postgres": func() string { return postgres.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			told := func(t require.TestingT, order []int) []string {
				w := newWorld(t.(testing.TB), url())
				r := w.repository()
				for _, i := range order {
					if i == len(events) {
						w.waybill("YZ-000001", tag)
						continue
					}
					capture(t, r, w.t.Context(), events[i])
				}
				tl := w.timeline("YZ-000001")
				require.NoError(t, w.Close())
				return append(wayOf(&tl), string(tl.Stage))
			}
			want := []string{
				"created created ", "at_warehouse at_warehouse site/wh", "loaded loaded vehicle/v01", "in_transit in_transit site/wh", "at_outlet at_outlet site/out-a", "signed_for signed_for ", "signed_for",
			}
			require.Equal(t, want, told(t, indexes(len(events)+1)))
			rapid.Check(t, func(rt *rapid.T) {
				order := rapid.Permutation(indexes(len(events)+1)).Draw(rt, "order")
				for _, again := range rapid.SliceOfN(rapid.IntRange(0, len(events)-1), 0, 8).Draw(rt, "again") {
					order = append(order, again)
				}
				require.Equal(rt, want, told(t, order))
			})
		})
	}
}
