package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
)

// Events is the county's EPCIS repository.
type Events interface {
	Query(ctx context.Context, values url.Values) (doc []byte, next string, err error)
	Event(ctx context.Context, id string) (doc []byte, ok bool, err error)
	Capture(ctx context.Context, body []byte, rollback, single bool) (county.EPCISCapture, error)
	CaptureJob(ctx context.Context, id string) (county.EPCISCapture, bool, error)
}

// problem is an error that says itself what an answer says of it.
type problem interface {
	Problem() (status int, kind, title, detail string, faults []county.EPCISFault)
}

// maxCapture is the largest body of a capture.
const maxCapture = 4 << 20

// The versions that answers name (EPCIS 2.0, 12.2).
const (
	epcisVersion = "2.0.0"
	epcisLimit   = 1000 // events of a capture
)

// epcis registers the REST binding of EPCIS 2.0, whose answers are the standard's and so aren't huma's.
func (a *API) epcis() {
	if a.cfg.Events == nil {
		return
	}
	param := func(name, in, doc string) *huma.Param {
		return &huma.Param{Name: name, In: in, Description: doc, Required: in == "path", Schema: &huma.Schema{Type: "string"}}
	}
	add := func(method, path, id, summary, doc string, h http.HandlerFunc, params ...*huma.Param) {
		a.mux.Handle(method+" "+Prefix+path, epcisHeaders(h))
		status := map[string]string{"capture": "202", "capture-event": "201"}[id]
		if status == "" {
			status = "200"
		}
		op := &huma.Operation{
			OperationID: id, Method: method, Path: Prefix + path, Tags: []string{"epcis"}, Summary: summary, Description: doc, Parameters: params,
			Responses: map[string]*huma.Response{
				status:    {Description: "OK", Content: map[string]*huma.MediaType{"application/ld+json": {}}},
				"default": {Description: "what is wrong (RFC 9457)", Content: map[string]*huma.MediaType{"application/problem+json": {}}},
			},
		}
		if method == http.MethodPost {
			op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/ld+json": {Schema: &huma.Schema{Type: "object"}}}}
		}
		a.doc.AddOperation(op)
	}
	add(http.MethodGet, "/epcis/events", "query-events", "EPCIS events", "The parameters of a SimpleEventQuery of EPCIS 2.0: eventType, GE_eventTime, LT_eventTime, GE_recordTime, "+
		"LT_recordTime, EQ_action, EQ_bizStep, EQ_disposition, EQ_readPoint, EQ_bizLocation, EQ_eventID, MATCH_epc, MATCH_parentID, MATCH_anyEPC and their like, EQ_bizTransaction_*, EQ_source_*, "+
		"EQ_destination_*, EXISTS_errorDeclaration, EQ_errorReason, orderBy, orderDirection, eventCountLimit. Link rel=next names the next page.",
		a.queryEvents, param("perPage", "query", "at most so many events, 30 unless said, up to 1000"), param("nextPageToken", "query", "of the Link header of the page before"),
		param("MATCH_anyEPC", "query", "EPC URIs, Digital Links or patterns, between commas"), param("EQ_bizStep", "query", "words, between commas"))
	add(http.MethodGet, "/epcis/events/{eventID}", "get-event", "An EPCIS event", "The event of an id, or the declaration that it was wrong.", a.getEvent, param("eventID", "path", "escaped"))
	add(http.MethodPost, "/epcis/events", "capture-event", "Capture one event", "201 with its Location; what is wrong is named by field.", a.captureEvent)
	add(http.MethodPost, "/epcis/capture", "capture", "Capture a document of events", "202: the Location says what became of it. The same event twice is stored once.", a.capture,
		param("GS1-Capture-Error-Behaviour", "header", "rollback (all or nothing, the default) or proceed"))
	add(http.MethodGet, "/epcis/capture/{captureID}", "get-capture", "What became of a capture", "", a.captureJob, param("captureID", "path", ""))
}

func epcisHeaders(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("GS1-EPCIS-Version", epcisVersion)
		h.Set("GS1-CBV-Version", epcisVersion)
		h.Set("GS1-EPCIS-Min", epcisVersion)
		h.Set("GS1-EPCIS-Max", epcisVersion)
		h.Set("GS1-EPCIS-Capture-Limit", strconv.Itoa(epcisLimit))
		h.Set("GS1-EPCIS-Capture-File-Size-Limit", strconv.Itoa(maxCapture))
		h.Set("GS1-Vendor-Version", "yizhan")
		for _, v := range []string{r.Header.Get("GS1-EPCIS-Min"), r.Header.Get("GS1-EPCIS-Version")} {
			if v != "" && !strings.HasPrefix(v, "2.0") {
				writeProblem(w, http.StatusNotAcceptable, "NotAcceptableException", "no such version", "GS1-EPCIS-Version: "+epcisVersion+" is spoken here", nil)
				return
			}
		}
		next(w, r)
	})
}

func writeProblem(w http.ResponseWriter, status int, kind, title, detail string, faults []county.EPCISFault) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct { // to a connection: nobody to be told
		Type   string              `json:"type"`
		Title  string              `json:"title"`
		Status int                 `json:"status"`
		Detail string              `json:"detail,omitempty"`
		Errors []county.EPCISFault `json:"errors,omitempty"`
	}{"epcisException:" + kind, title, status, detail, faults})
}

func writeJSON(w http.ResponseWriter, status int, kind string, b []byte) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// epcisFail answers what went wrong, and hides what the store said.
func (a *API) epcisFail(ctx context.Context, w http.ResponseWriter, err error) {
	var p problem
	if errors.As(err, &p) {
		status, kind, title, detail, faults := p.Problem()
		writeProblem(w, status, kind, title, detail, faults)
		return
	}
	if ctx.Err() == nil {
		a.cfg.Log.Error("store did not answer", "kind", "epcis", "err", err)
	}
	writeProblem(w, http.StatusServiceUnavailable, "ImplementationException", "try again", "the store did not answer; try again", nil)
}

func noSuch(w http.ResponseWriter, detail string) {
	writeProblem(w, http.StatusNotFound, "NoSuchResourceException", "there is none", detail, nil)
}

func (a *API) queryEvents(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		writeProblem(w, http.StatusBadRequest, "QueryParameterException", "the query is wrong", "the query can't be read", nil)
		return
	}
	doc, next, err := a.cfg.Events.Query(ctx, values)
	if err != nil {
		a.epcisFail(ctx, w, err)
		return
	}
	if next != "" {
		values.Set("nextPageToken", next)
		w.Header().Set("Link", "<"+Prefix+"/epcis/events?"+values.Encode()+`>; rel="next"`)
	}
	writeJSON(w, http.StatusOK, "application/ld+json", doc)
}

func (a *API) getEvent(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	doc, ok, err := a.cfg.Events.Event(ctx, r.PathValue("eventID"))
	switch {
	case err != nil:
		a.epcisFail(ctx, w, err)
	case !ok:
		noSuch(w, "no event has this id")
	default:
		writeJSON(w, http.StatusOK, "application/ld+json", doc)
	}
}

// captured reads a body that is to be captured; ok is false when the answer is written.
func (a *API) captured(w http.ResponseWriter, r *http.Request) (body []byte, rollback, ok bool) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/ld+json" && kind != "application/json" {
		writeProblem(w, http.StatusUnsupportedMediaType, "UnsupportedMediaTypeException", "no such format", "Content-Type: must be application/ld+json or application/json", nil)
		return nil, false, false
	}
	switch r.Header.Get("GS1-Capture-Error-Behaviour") {
	case "", "rollback":
		rollback = true
	case "proceed":
	default:
		writeProblem(w, http.StatusBadRequest, "ValidationException", "a header is wrong", "GS1-Capture-Error-Behaviour: must be rollback or proceed", nil)
		return nil, false, false
	}
	body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxCapture))
	if err != nil {
		writeProblem(w, http.StatusRequestEntityTooLarge, "CaptureLimitExceededException", "too large", "the body is larger than "+strconv.Itoa(maxCapture)+" bytes, or ended early", nil)
		return nil, false, false
	}
	return body, rollback, true
}

func (a *API) capture(w http.ResponseWriter, r *http.Request) {
	body, rollback, ok := a.captured(w, r)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 3*storeTimeout)
	defer cancel()
	c, err := a.cfg.Events.Capture(ctx, body, rollback, false)
	if err != nil {
		a.epcisFail(ctx, w, err)
		return
	}
	w.Header().Set("Location", Prefix+"/epcis/capture/"+c.ID)
	w.WriteHeader(http.StatusAccepted)
}

func (a *API) captureEvent(w http.ResponseWriter, r *http.Request) {
	body, _, ok := a.captured(w, r)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	c, err := a.cfg.Events.Capture(ctx, body, true, true)
	switch {
	case err != nil:
		a.epcisFail(ctx, w, err)
	case !c.Success:
		writeProblem(w, http.StatusConflict, "ValidationException", "the event was not stored", c.Errors[0].Path+": "+c.Errors[0].Reason, c.Errors)
	default:
		w.Header().Set("Location", Prefix+"/epcis/events/"+url.PathEscape(c.EventID))
		w.WriteHeader(http.StatusCreated)
	}
}

func (a *API) captureJob(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	c, ok, err := a.cfg.Events.CaptureJob(ctx, r.PathValue("captureID"))
	if err != nil {
		a.epcisFail(ctx, w, err)
		return
	}
	if !ok {
		noSuch(w, "no capture has this id")
		return
	}
	type fault struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}
	job := struct {
		ID        string    `json:"captureID"`
		Created   time.Time `json:"createdAt"`
		Finished  time.Time `json:"finishedAt"`
		Running   bool      `json:"running"`
		Success   bool      `json:"success"`
		Behaviour string    `json:"captureErrorBehaviour"`
		Events    int       `json:"yizhan:events"`
		Stored    int       `json:"yizhan:stored"`
		Errors    []fault   `json:"errors"`
	}{c.ID, c.At, c.Finished, false, c.Success, map[bool]string{true: "rollback", false: "proceed"}[c.Rollback], c.Events, c.Stored, []fault{}}
	for _, f := range c.Errors {
		job.Errors = append(job.Errors, fault{"epcisException:ValidationException", "an event is not valid", http.StatusBadRequest, f.Path + ": " + f.Reason})
	}
	b, err := json.Marshal(job)
	if err != nil {
		a.epcisFail(ctx, w, err)
		return
	}
	writeJSON(w, http.StatusOK, "application/json", b)
}
