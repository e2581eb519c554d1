package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/api"
	"yizhan/cloud/internal/county"
)

// events is a repository of one event.
type events struct {
	broken   error
	asked    url.Values
	body     string
	rollback bool
	wrong    bool
}

const eventID = "ni:///sha-256;00ff?ver=CBV2.0"

type refusal struct{}

func (refusal) Error() string { return "refused" }
func (refusal) Problem() (int, string, string, string, []county.EPCISFault) {
	return 400, "QueryParameterException", "wrong", "perPage: must be", []county.EPCISFault{{Path: "a.b", Reason: "must be"}}
}

func (e *events) Query(_ context.Context, v url.Values) ([]byte, string, error) {
	e.asked = v
	return []byte(`{"type":"EPCISQueryDocument"}`), map[bool]string{true: "abc"}[v.Get("perPage") == "1"], e.broken
}

func (e *events) Event(_ context.Context, id string) ([]byte, bool, error) {
	return []byte(`{"eventID":"` + id + `"}`), id == eventID, e.broken
}

func (e *events) Capture(_ context.Context, body []byte, rollback, single bool) (county.EPCISCapture, error) {
	e.body, e.rollback = string(body), rollback
	c := county.EPCISCapture{ID: "cap-1", At: now, Finished: now, Rollback: rollback, Success: !e.wrong, Events: 2, Stored: 1}
	if e.wrong {
		c.Errors = []county.EPCISFault{{Path: "event.eventID", Reason: "is the id of another event"}}
	}
	if single {
		c.EventID = eventID
	}
	return c, e.broken
}

func (e *events) CaptureJob(_ context.Context, id string) (county.EPCISCapture, bool, error) {
	c, _ := e.Capture(nil, nil, false, false)
	return c, id == "cap-1", e.broken
}

func epcisAPI() (*events, *api.API) {
	e, f := &events{}, &fake{orders: map[string]county.Command{}}
	return e, api.New(api.Config{Store: f, History: f, Desk: f, Registry: registry(), Stream: http.NotFoundHandler(), Events: e})
}

func send(t *testing.T, a *api.API, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	require.Equal(t, "2.0.0", w.Header().Get("GS1-EPCIS-Version"), path)
	return w
}

func TestEPCISQuery(t *testing.T) {
	e, a := epcisAPI()
	w := send(t, a, "GET", "/api/v1/epcis/events?perPage=1&EQ_action=ADD", "")
	require.Equal(t, 200, w.Code)
	require.Equal(t, "application/ld+json", w.Header().Get("Content-Type"))
	require.Equal(t, url.Values{"perPage": {"1"}, "EQ_action": {"ADD"}, "nextPageToken": {"abc"}}, e.asked, "the link asks the same and the token")
	require.Equal(t, `</api/v1/epcis/events?EQ_action=ADD&nextPageToken=abc&perPage=1>; rel="next"`, w.Header().Get("Link"))
	require.Empty(t, send(t, a, "GET", "/api/v1/epcis/events", "").Header().Get("Link"))
	require.Equal(t, 400, send(t, a, "GET", "/api/v1/epcis/events?a=%zz", "").Code)
	require.Equal(t, 406, send(t, a, "GET", "/api/v1/epcis/events", "", "GS1-EPCIS-Min", "3.0.0").Code)

	e.broken = refusal{}
	w = send(t, a, "GET", "/api/v1/epcis/events", "")
	require.Equal(t, 400, w.Code)
	require.JSONEq(t, `{"type":"epcisException:QueryParameterException","title":"wrong","status":400,"detail":"perPage: must be","errors":[{"path":"a.b","reason":"must be"}]}`, w.Body.String())
	e.broken = errors.New("the password is 1234")
	w = send(t, a, "GET", "/api/v1/epcis/events", "")
	require.Equal(t, 503, w.Code)
	require.NotContains(t, w.Body.String(), "1234")
}

func TestEPCISEventByID(t *testing.T) {
	_, a := epcisAPI()
	w := send(t, a, "GET", "/api/v1/epcis/events/"+url.PathEscape(eventID), "")
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), eventID)
	require.Equal(t, 404, send(t, a, "GET", "/api/v1/epcis/events/urn:x:1", "").Code)
}

func TestEPCISCapture(t *testing.T) {
	e, a := epcisAPI()
	ld := []string{"Content-Type", "application/ld+json; charset=utf-8"}
	w := send(t, a, "POST", "/api/v1/epcis/capture", `{}`, ld...)
	require.Equal(t, 202, w.Code)
	require.Equal(t, "/api/v1/epcis/capture/cap-1", w.Header().Get("Location"))
	require.True(t, e.rollback)
	send(t, a, "POST", "/api/v1/epcis/capture", `{}`, append(ld, "GS1-Capture-Error-Behaviour", "proceed")...)
	require.False(t, e.rollback)
	require.Equal(t, 400, send(t, a, "POST", "/api/v1/epcis/capture", `{}`, append(ld, "GS1-Capture-Error-Behaviour", "maybe")...).Code)
	require.Equal(t, 415, send(t, a, "POST", "/api/v1/epcis/capture", `<x/>`, "Content-Type", "application/xml").Code)
	require.Equal(t, 413, send(t, a, "POST", "/api/v1/epcis/capture", strings.Repeat(" ", 4<<20+1), ld...).Code)

	w = send(t, a, "GET", "/api/v1/epcis/capture/cap-1", "")
	require.Equal(t, 200, w.Code)
	require.JSONEq(t, `{"captureID":"cap-1","createdAt":"2026-08-05T06:00:00Z","finishedAt":"2026-08-05T06:00:00Z","running":false,"success":true,"captureErrorBehaviour":"proceed",
		"yizhan:events":2,"yizhan:stored":1,"errors":[]}`, w.Body.String())
	require.Equal(t, 404, send(t, a, "GET", "/api/v1/epcis/capture/cap-2", "").Code)

	w = send(t, a, "POST", "/api/v1/epcis/events", `{}`, ld...)
	require.Equal(t, 201, w.Code)
	require.Equal(t, "/api/v1/epcis/events/"+url.PathEscape(eventID), w.Header().Get("Location"))
	e.wrong = true
	w = send(t, a, "POST", "/api/v1/epcis/events", `{}`, ld...)
	require.Equal(t, 409, w.Code)
	require.Contains(t, w.Body.String(), "event.eventID: is the id of another event")
	w = send(t, a, "GET", "/api/v1/epcis/capture/cap-1", "")
	require.Contains(t, w.Body.String(), `"detail":"event.eventID: is the id of another event"`)
}
