package epcis

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
)

// Store keeps events.
type Store interface {
	// EPCIS reads events, one more than q.Limit where there are more.
	EPCIS(ctx context.Context, q county.EPCISQuery) ([]county.EPCISEvent, error)
	// CaptureEPCIS stores what is new of events, and what became of it; at names the places of events in the document. An
	// event whose id is taken by another content is a fault. With Rollback, any fault stores none.
	CaptureEPCIS(ctx context.Context, c county.EPCISCapture, events []county.EPCISEvent, at []string) (county.EPCISCapture, error)
	// EPCISCapture reads what became of a capture.
	EPCISCapture(ctx context.Context, id string) (county.EPCISCapture, bool, error)
	// TellEPCIS makes events of the next facts, at most limit, in one transaction with the cursor. standing reads events by
	// the keys of the facts that they tell.
	TellEPCIS(ctx context.Context, limit int, events func(facts []county.Fact, standing func(keys []string) (map[string]county.EPCISEvent, error)) ([]county.EPCISEvent, error)) (int, error)
}

// Config of a repository.
type Config struct {
	Store Store
	Maker *Maker
	Wake  func() <-chan struct{} // closed when there are new facts
	NewID func() string          // of captures
	Now   func() time.Time
	Log   *slog.Logger
}

// Repository answers queries, captures what partners send, and follows the facts of the county.
type Repository struct{ cfg Config }

// New makes a repository.
func New(cfg Config) *Repository {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Repository{cfg}
}

// document is an EPCISDocument or an EPCISQueryDocument as this repository writes it.
type document struct {
	Context  []any           `json:"@context"`
	Type     string          `json:"type"`
	Version  string          `json:"schemaVersion"`
	Created  string          `json:"creationDate"`
	BodyName json.RawMessage `json:"epcisBody"`
}

// Query answers a query with an EPCISQueryDocument and, where there are more events, the token of the next page. Its error is
// a *Problem where the parameters are wrong.
func (r *Repository) Query(ctx context.Context, values url.Values) (doc []byte, next string, err error) {
	q, err := parse(values, r.cfg.Maker.names.Spaces())
	if err != nil {
		return nil, "", err
	}
	events, err := r.cfg.Store.EPCIS(ctx, q)
	if err != nil {
		return nil, "", err
	}
	if len(events) > q.Limit {
		events = events[:q.Limit]
		last := &events[q.Limit-1]
		at := last.At
		if q.ByRecord {
			at = last.Recorded
		}
		if !values.Has("eventCountLimit") {
			next = token(at.UnixMilli(), last.No, values)
		}
	}
	list := make([]json.RawMessage, len(events))
	for i := range events {
		list[i] = served(&events[i], "")
	}
	body, err := json.Marshal(map[string]any{"queryResults": map[string]any{
		"queryName": "SimpleEventQuery", "resultsBody": map[string]any{"eventList": list},
	}})
	if err != nil {
		return nil, "", err
	}
	doc, err = json.Marshal(document{Context: r.context(), Type: "EPCISQueryDocument", Version: "2.0", Created: milli(r.cfg.Now()), BodyName: body})
	return doc, next, err
}

// context is what documents of this repository declare.
func (r *Repository) context() []any { return []any{Context, r.cfg.Maker.names.Spaces()} }

// served is an event with its recordTime, and with a context where it needs one of its own.
func served(e *county.EPCISEvent, context string) json.RawMessage {
	var b strings.Builder
	b.WriteString(`{"recordTime":"` + milli(e.Recorded) + `"`)
	if context != "" && !strings.HasPrefix(string(e.Doc), `{"@context"`) {
		b.WriteString(`,"@context":` + context)
	}
	if rest := strings.TrimPrefix(string(e.Doc), "{"); rest != "}" {
		b.WriteString("," + rest)
	} else {
		b.WriteString("}")
	}
	return json.RawMessage(b.String())
}

// Event answers with the event of an id, or with its error declaration where it has one. ok is false where there is none.
func (r *Repository) Event(ctx context.Context, id string) (doc []byte, ok bool, err error) {
	events, err := r.cfg.Store.EPCIS(ctx, county.EPCISQuery{IDs: []string{id}, ByRecord: true, Limit: 1})
	if err != nil || len(events) == 0 {
		return nil, false, err
	}
	own, err := json.Marshal(r.context())
	if err != nil {
		return nil, false, err
	}
	return served(&events[0], string(own)), true, nil
}

// Run makes events of facts until ctx ends. What fails is tried again: facts wait.
func (r *Repository) Run(ctx context.Context) error {
	look := time.NewTicker(5 * time.Second)
	defer look.Stop()
	for {
		wake := r.cfg.Wake()
		n, err := r.Follow(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			r.cfg.Log.Warn("facts not told", "kind", "epcis", "err", err)
		case n > 0:
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		case <-look.C:
		}
	}
}

// batch is how many facts are told in one transaction.
const batch = 500

// Follow makes events of the next facts and returns how many facts there were.
func (r *Repository) Follow(ctx context.Context) (int, error) {
	return r.cfg.Store.TellEPCIS(ctx, batch, func(facts []county.Fact, standing func([]string) (map[string]county.EPCISEvent, error)) ([]county.EPCISEvent, error) {
		return r.tell(ctx, facts, standing)
	})
}

// tell makes the events of facts: of steps, waybills and contents, and of what was taken back.
func (r *Repository) tell(ctx context.Context, facts []county.Fact, standing func([]string) (map[string]county.EPCISEvent, error)) ([]county.EPCISEvent, error) {
	var made []county.EPCISEvent
	var wrong []string // keys of facts taken back
	byKey := map[string]county.EPCISEvent{}
	instead := map[string]string{} // evidence of a parcel -> the event that now tells it
	for i := range facts {
		f := &facts[i]
		if back, ok := takenBack(f); ok {
			wrong = append(wrong, back)
			continue
		}
		e, evidence, ok, err := r.event(ctx, f)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		made, byKey[f.Key] = append(made, e), e
		if evidence != "" {
			instead[evidence] = e.ID
		}
	}
	before, err := standing(wrong)
	if err != nil {
		return nil, err
	}
	for i := range facts {
		f := &facts[i]
		back, ok := takenBack(f)
		if !ok {
			continue
		}
		e, ok := byKey[back]
		if !ok {
			if e, ok = before[back]; !ok {
				continue // it was no business step
			}
		}
		var corrective []string
		if id := instead[evidenceOf(f)]; id != "" && id != e.ID {
			corrective = []string{id}
		}
		d, err := r.cfg.Maker.Retraction(e, f.At, corrective)
		if err != nil {
			return nil, err
		}
		made = append(made, d)
	}
	return made, nil
}

// takenBack is the key of the fact that f takes back; ok is false where f takes nothing back.
func takenBack(f *county.Fact) (key string, ok bool) {
	rest, ok := strings.CutPrefix(f.Key, "retracted/")
	switch {
	case !ok:
		return "", false
	case f.Event == county.FactContents:
		return rest, true
	}
	return "step/" + rest, f.Event == county.FactRetracted
}

// event is the event of a fact, and the evidence that it is of; ok is false where it has none.
func (r *Repository) event(ctx context.Context, f *county.Fact) (e county.EPCISEvent, evidence string, ok bool, err error) {
	unread := func(err error) {
		r.cfg.Log.Error("fact not read", "kind", "epcis", "seq", f.Seq, "err", err)
	}
	switch f.Event {
	case county.FactStep, county.FactWaybill:
		var told county.StepTold
		if err := json.Unmarshal(f.Doc, &told); err != nil {
			unread(err)
			return e, "", false, nil
		}
		e, ok, err = r.cfg.Maker.Event(ctx, f.Key, told)
		return e, evidenceOf(f), ok, err
	case county.FactContents:
		var p county.Packed
		if err := json.Unmarshal(f.Doc, &p); err != nil {
			unread(err)
			return e, "", false, nil
		}
		e, err = r.cfg.Maker.Packing(f.Key, p)
		return e, "", err == nil, err
	}
	return e, "", false, nil
}

// evidenceOf names the evidence of a step that a fact tells or takes back; empty where it is about something else.
func evidenceOf(f *county.Fact) string {
	var told county.StepTold
	if f.Event == county.FactContents || json.Unmarshal(f.Doc, &told) != nil {
		return ""
	}
	return told.Waybill + "/" + told.Row.ID
}
