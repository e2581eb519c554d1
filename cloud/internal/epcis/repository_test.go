package epcis

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
)

// A shelf is a store in memory, for what is the room's own: what it makes of facts and answers.
type shelf struct {
	mu       sync.Mutex // over what TellEPCIS uses
	events   []county.EPCISEvent
	captures map[string]county.EPCISCapture
	facts    []county.Fact
	asked    county.EPCISQuery
	wake     chan struct{}
	fail     error
}

func (s *shelf) EPCIS(_ context.Context, q county.EPCISQuery) ([]county.EPCISEvent, error) {
	s.asked = q
	var out []county.EPCISEvent
	for _, e := range s.events {
		if (len(q.IDs) == 0 || slices.Contains(q.IDs, e.ID)) && (!q.After || e.No > q.AfterNo) && len(out) <= q.Limit {
			out = append(out, e)
		}
	}
	return out, s.fail
}

func (s *shelf) CaptureEPCIS(_ context.Context, c county.EPCISCapture, events []county.EPCISEvent, _ []string) (county.EPCISCapture, error) {
	c.Stored, c.Success = len(events), len(c.Errors) == 0
	s.put(events)
	s.captures[c.ID] = c
	return c, s.fail
}

func (s *shelf) put(events []county.EPCISEvent) {
	for _, e := range events {
		e.No, e.Recorded = int64(len(s.events)+1), t0
		s.events = append(s.events, e)
	}
}

func (s *shelf) EPCISCapture(_ context.Context, id string) (county.EPCISCapture, bool, error) {
	c, ok := s.captures[id]
	return c, ok, s.fail
}

func (s *shelf) TellEPCIS(_ context.Context, _ int, events func([]county.Fact, func([]string) (map[string]county.EPCISEvent, error)) ([]county.EPCISEvent, error)) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return 0, s.fail
	}
	facts := s.facts
	made, err := events(facts, func(keys []string) (map[string]county.EPCISEvent, error) {
		found := map[string]county.EPCISEvent{}
		for _, e := range s.events {
			if slices.Contains(keys, e.Key) {
				found[e.Key] = e
			}
		}
		return found, nil
	})
	if err == nil {
		s.facts = nil
		s.put(made)
	}
	return len(facts), err
}

func (s *shelf) waker() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wake
}

// with changes the shelf while a repository follows it.
func (s *shelf) with(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func repository(t *testing.T) (*Repository, *shelf) {
	s := &shelf{captures: map[string]county.EPCISCapture{}, wake: make(chan struct{})}
	n := 0
	return New(Config{
		Store: s, Maker: maker(t, nil), Wake: s.waker, Now: func() time.Time { return t0 },
		NewID: func() string { n++; return fmt.Sprint("cap-", n) },
	}), s
}

func fact(event county.FactEvent, key string, s county.StepTold) county.Fact {
	b, _ := json.Marshal(s)
	return county.Fact{At: t0, Event: event, Key: key, Doc: b}
}

func TestFactsBecomeEvents(t *testing.T) {
	r, s := repository(t)
	right := told("arrived", county.AtWarehouse, "site/wh")
	s.facts = []county.Fact{
		fact(county.FactWaybill, "waybill/YZ2600000001/created", told("created", county.Created, "")),
		fact(county.FactStep, "step/YZ2600000001/e1/arrived", right),
		fact(county.FactStep, "step/YZ2600000001/e9/departed", told("departed", "", "site/wh")),
		fact(county.FactException, "exception/x", county.StepTold{}),
		{Event: county.FactStep, Key: "step/broken", Doc: county.RawJSON(`7`)},
	}
	n, err := r.Follow(t.Context())
	require.NoError(t, err)
	require.Equal(t, 5, n)
	require.Len(t, s.events, 2)

	// The place was wrong: taken back and told again; the declaration names what is right.
	moved := told("arrived", county.AtOutlet, "site/out-a")
	s.facts = []county.Fact{
		fact(county.FactRetracted, "retracted/YZ2600000001/e1/arrived", right),
		fact(county.FactStep, "step/YZ2600000001/e1/arrived/2", moved),
		fact(county.FactRetracted, "retracted/YZ2600000001/e9/departed", right),
	}
	_, err = r.Follow(t.Context())
	require.NoError(t, err)
	require.Len(t, s.events, 4)
	again, wrong := s.events[2], s.events[3]
	require.Equal(t, s.events[1].ID, wrong.ID)
	require.Equal(t, "incorrect_data", wrong.Reason)
	require.Contains(t, wrong.Terms, county.EPCISTerm{Kind: "corrective", Value: again.ID})

	packed := county.Packed{Container: "bag-7", Item: "YZ2600000001", Parcel: true, In: true, At: t0}
	for _, key := range []string{"contents/bag-7/YZ2600000001/in/1", "retracted/contents/bag-7/YZ2600000001/in/1"} {
		doc, _ := json.Marshal(packed)
		s.facts = []county.Fact{{At: t0, Event: county.FactContents, Key: key, Doc: doc}}
		_, err = r.Follow(t.Context())
		require.NoError(t, err)
		packed.Gone = true
	}
	require.Len(t, s.events, 6)
	require.Equal(t, "packing", s.events[4].BizStep)
	require.Equal(t, s.events[4].ID, s.events[5].ID)
	require.Equal(t, "did_not_occur", s.events[5].Reason)

	// Told and taken back before anybody looked: both are events.
	s.facts = []county.Fact{fact(county.FactStep, "step/YZ2600000001/e2/scanned", told("scanned", county.Sorted, "site/wh")), fact(county.FactRetracted, "retracted/YZ2600000001/e2/scanned", right)}
	_, err = r.Follow(t.Context())
	require.NoError(t, err)
	require.Len(t, s.events, 8)
	require.Equal(t, "did_not_occur", s.events[7].Reason)
}

func TestRunFollowsWhenWokenAndTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := repository(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		s.with(func() {
			s.facts = []county.Fact{fact(county.FactStep, "step/YZ2600000001/e1/arrived", told("arrived", county.AtWarehouse, "site/wh"))}
			close(s.wake)
			s.wake = make(chan struct{})
		})
		synctest.Wait()
		s.with(func() {
			require.Len(t, s.events, 1)
			s.fail = context.DeadlineExceeded // the store is away, whatever it calls that
			s.facts = []county.Fact{fact(county.FactStep, "step/YZ2600000001/e2/scanned", told("scanned", county.Sorted, "site/wh"))}
		})
		time.Sleep(time.Minute)
		s.with(func() {
			require.Len(t, s.events, 1)
			s.fail = nil
		})
		time.Sleep(6 * time.Second)
		s.with(func() { require.Len(t, s.events, 2) })
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

func document1(events ...string) []byte {
	return []byte(`{"@context":["` + Context + `",{"mill":"https://mill.example/ns/"}],"type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2026-11-22T01:00:00Z","epcisBody":{"eventList":[` + strings.Join(events, ",") + `]}}`)
}

func TestCapture(t *testing.T) {
	r, s := repository(t)
	good := `{` + okEvent + `,"mill:batch":"7","recordTime":"2001-01-01T00:00:00Z","bizTransactionList":[{"type":"bol","bizTransaction":"https://id.yunling.example/waybill/YZ2600000001"}]}`
	c, err := r.Capture(t.Context(), document1(good, `{`+okEvent+`,"eventID":"urn:x:1","bizStep":"cbv:BizStep-receiving"}`), true, false)
	require.NoError(t, err)
	require.True(t, c.Success, c.Errors)
	require.Equal(t, 2, c.Stored)
	require.Equal(t, "YZ2600000001", s.events[0].Waybill)
	require.Contains(t, s.events[0].ID, "ni:///sha-256;")
	require.NotContains(t, string(s.events[0].Doc), "recordTime")
	require.Contains(t, string(s.events[0].Doc), "https://mill.example/ns/", "its prefixes stay its own")
	require.Equal(t, "urn:x:1", s.events[1].ID)
	job, ok, err := r.CaptureJob(t.Context(), c.ID)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, c, job)

	bad := `{` + okEvent + `,"bizStep":"sorting"}`
	c, err = r.Capture(t.Context(), document1(good, bad), true, false)
	require.NoError(t, err)
	require.Zero(t, c.Stored, "all or nothing")
	require.Equal(t, "epcisBody.eventList[1].bizStep", c.Errors[0].Path)
	c, err = r.Capture(t.Context(), document1(good, bad), false, false)
	require.NoError(t, err)
	require.Equal(t, 1, c.Stored, "what is good")
	require.False(t, c.Success)
}

func TestCaptureRefusesWhatIsNoDocument(t *testing.T) {
	r, s := repository(t)
	for body, path := range map[string]string{
		`7`: "", `{`: "", `{} {}`: "",
		`{}`: "@context",
		`{"@context":[7],"type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2026-11-22T01:00:00Z","epcisBody":{"eventList":[]}}`:      "@context[0]",
		`{"@context":"x","type":"EPCISQueryDocument","schemaVersion":"2.0","creationDate":"2026-11-22T01:00:00Z","epcisBody":{"eventList":[]}}`: "type",
		`{"@context":"x","type":"EPCISDocument","schemaVersion":"1.2","creationDate":"2026-11-22T01:00:00Z","epcisBody":{"eventList":[]}}`:      "schemaVersion",
		`{"@context":"x","type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2026-11-22T01:00:00Z","epcisBody":{"eventList":{}}}`:      "epcisBody.eventList",
	} {
		_, err := r.Capture(t.Context(), []byte(body), false, false)
		var p *Problem
		require.ErrorAs(t, err, &p, body)
		require.Equal(t, 400, p.Status)
		require.Equal(t, "ValidationException", p.Type)
		if path != "" {
			require.True(t, slices.ContainsFunc(p.Faults, func(f county.EPCISFault) bool { return f.Path == path }), "%s: %v", body, p.Faults)
		}
	}
	many := make([]string, MaxEvents+1)
	for i := range many {
		many[i] = `{}`
	}
	_, err := r.Capture(t.Context(), document1(many...), false, false)
	var p *Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, 413, p.Status)
	require.Empty(t, s.events)

	_, err = r.Capture(t.Context(), []byte(`{`+okEvent+`}`), false, true)
	require.ErrorAs(t, err, &p)
	require.Equal(t, "@context", p.Faults[0].Path)
	c, err := r.Capture(t.Context(), []byte(`{"@context":"`+Context+`",`+okEvent+`}`), false, true)
	require.NoError(t, err)
	require.Equal(t, s.events[0].ID, c.EventID)
}

func TestQueryPages(t *testing.T) {
	r, _ := repository(t)
	sch := schema(t)
	for i := range 5 {
		_, err := r.Capture(t.Context(), document1(fmt.Sprintf(`{%s,"eventID":"urn:x:%d","mill:batch":"7"}`, okEvent, i)), true, false)
		require.NoError(t, err)
	}
	values := url.Values{"perPage": {"2"}, "EQ_action": {"OBSERVE"}}
	var seen []string
	for pages := 0; ; pages++ {
		require.Less(t, pages, 4)
		doc, next, err := r.Query(t.Context(), values)
		require.NoError(t, err)
		var d struct {
			Type string `json:"type"`
			Body struct {
				Results struct {
					Body struct {
						Events []map[string]any `json:"eventList"`
					} `json:"resultsBody"`
				} `json:"queryResults"`
			} `json:"epcisBody"`
		}
		require.NoError(t, json.Unmarshal(doc, &d))
		require.Equal(t, "EPCISQueryDocument", d.Type)
		for _, e := range d.Body.Results.Body.Events {
			seen = append(seen, e["eventID"].(string))
			require.Equal(t, "2026-11-22T01:30:00.000Z", e["recordTime"])
		}
		if sch != nil {
			var v any
			require.NoError(t, json.Unmarshal(doc, &v))
			require.NoError(t, sch.Validate(v), string(doc))
		}
		if next == "" {
			break
		}
		values.Set("nextPageToken", next)
	}
	require.Equal(t, []string{"urn:x:0", "urn:x:1", "urn:x:2", "urn:x:3", "urn:x:4"}, seen)

	values.Set("EQ_action", "ADD")
	_, _, err := r.Query(t.Context(), values)
	var p *Problem
	require.ErrorAs(t, err, &p, "the token is of another query")
	require.Contains(t, p.Detail, "nextPageToken")

	doc, ok, err := r.Event(t.Context(), "urn:x:3")
	require.NoError(t, err)
	require.True(t, ok)
	require.Contains(t, string(doc), `"@context":["`+Context)
	_, ok, err = r.Event(t.Context(), "urn:x:9")
	require.NoError(t, err)
	require.False(t, ok)
}

func TestParameters(t *testing.T) {
	for query, want := range map[string]county.EPCISQuery{
		"":                                       {},
		"eventType=ObjectEvent,AggregationEvent": {Types: []string{"ObjectEvent", "AggregationEvent"}},
		"GE_eventTime=2026-11-22T09:30:00%2B08:00&LT_eventTime=2026-11-22T09:30:00+08:00": {From: t0, Until: t0},
		"GE_recordTime=2026-11-22T01:30:00Z":                                              {RecordedFrom: t0},
		"LT_errorDeclaration_Time=2026-11-22T01:30:00Z":                                   {DeclaredUntil: t0},
		"EQ_bizStep=receiving,urn:epcglobal:cbv:bizstep:shipping":                         {BizSteps: []string{"receiving", "shipping"}},
		"EQ_disposition=https://ref.gs1.org/cbv/Disp-in_transit,cbv:Disp-active":          {Dispositions: []string{"in_transit", "active"}},
		"EQ_readPoint=urn:epc:id:sgln:9521234.00001.0":                                    {ReadPoints: []string{"https://id.gs1.org/414/9521234000013"}},
		"EXISTS_errorDeclaration&EQ_errorReason=did_not_occur":                            {Declared: true, Reasons: []string{"did_not_occur"}},
		"orderBy=recordTime&orderDirection=ASC&perPage=7":                                 {ByRecord: true, Up: true, Limit: 7},
		"perPage=100000": {Limit: 1000},
		"MATCH_anyEPC=urn:epc:id:sscc:9521234.1000000001":    {Matches: []county.EPCISMatch{{Kinds: []string{"epc", "parent", "input", "output"}, Values: []string{"https://id.gs1.org/00/195212340000000010", "urn:epc:id:sscc:9521234.1000000001"}}}},
		"MATCH_epc=urn:epc:idpat:sgtin:9521234.*.*":          {Matches: []county.EPCISMatch{{Kinds: []string{"epc"}, Prefixes: []string{"urn:epc:id:sgtin:9521234."}}}},
		"EQ_bizTransaction_urn:epcglobal:cbv:btt:po=urn:a:b": {Matches: []county.EPCISMatch{{Kinds: []string{"bt/po"}, Values: []string{"urn:a:b"}}}},
		"EQ_correctiveEventID=ni:x":                          {Matches: []county.EPCISMatch{{Kinds: []string{"corrective"}, Values: []string{"ni:x"}}}},
	} {
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		got, err := parse(values, nil)
		require.NoError(t, err, query)
		if want.Limit == 0 {
			want.Limit = defaultPage
		}
		for _, at := range []*time.Time{&got.From, &got.Until} {
			if !at.IsZero() {
				*at = at.UTC()
			}
		}
		require.Equal(t, want, got, query)
	}
	for query, status := range map[string]int{
		"eventType=X": 400, "GE_eventTime=yesterday": 400, "EQ_action=add": 400, "perPage=0": 400, "perPage=x": 400, "orderBy=x": 400, "orderDirection=x": 400,
		"nextPageToken=x": 400, "EQ_bizStep=a,,b": 400, "MATCH_epc=urn:epc:idpat:sgtin:*.1.1": 400, "MATCH_epc=urn:epc:id:sgtin:1.*": 400, "no_such": 400, "EQ_bizTransaction_": 400,
		"EQ_action=ADD&EQ_action=ADD": 400, "EXISTS_errorDeclaration=no": 400, "WD_readPoint=urn:a:b": 501, "GE_SENSOR_x": 501, "EQ_ILMD_x": 501, "maxEventCount=7": 501,
		"EQ_eventID=" + strings.Repeat("x,", 101) + "x": 400,
	} {
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		_, err = parse(values, nil)
		var p *Problem
		require.ErrorAs(t, err, &p, query)
		require.Equal(t, status, p.Status, query)
		name, _, _ := strings.Cut(query, "=")
		require.Contains(t, p.Detail, name, query)
	}
}

func FuzzCapture(f *testing.F) {
	f.Add([]byte(document1(`{` + okEvent + `}`)))
	f.Add([]byte(`{"@context":{"a":"b"},"epcisBody":{"eventList":[{"type":"AggregationEvent","@context":[{"x":"y"}],"x:z":{}}]}}`))
	m := maker(f, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		r := New(Config{Store: &shelf{captures: map[string]county.EPCISCapture{}}, Maker: m, NewID: func() string { return "x" }, Now: func() time.Time { return t0 }})
		for _, single := range []bool{false, true} {
			c, err := r.Capture(t.Context(), body, false, single)
			if err == nil {
				require.LessOrEqual(t, c.Stored, c.Events)
			}
		}
	})
}

func FuzzQuery(f *testing.F) {
	f.Add("GE_eventTime=2026-11-22T01:30:00Z&MATCH_epc=urn:epc:idpat:sgtin:9521234.*.*&nextPageToken=MTIg")
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		q, err := parse(values, nil)
		if err == nil {
			require.LessOrEqual(t, q.Limit, maxPage)
			require.Positive(t, q.Limit)
		}
	})
}
