package service_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fetch asks with the bearer token and returns the answer as it came.
func (w *town) fetch(method, path, kind, body string) (*http.Response, string) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, "http://"+w.svc.Addr().String()+path, strings.NewReader(body))
	require.NoError(w, err)
	r.Header.Set("Authorization", "Bearer "+w.token())
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(w, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(w, err)
	return resp, string(b)
}

// events asks for EPCIS events.
func (w *town) events(query url.Values) []map[string]any {
	w.Helper()
	resp, body := w.fetch("GET", "/api/v1/epcis/events?"+query.Encode(), "", "")
	require.Equal(w, 200, resp.StatusCode, body)
	require.Equal(w, "2.0.0", resp.Header.Get("GS1-EPCIS-Version"))
	var doc struct {
		Body struct {
			Results struct {
				Body struct {
					Events []map[string]any `json:"eventList"`
				} `json:"resultsBody"`
			} `json:"queryResults"`
		} `json:"epcisBody"`
	}
	require.NoError(w, json.Unmarshal([]byte(body), &doc))
	return doc.Body.Results.Body.Events
}

// An announced parcel is commissioned in EPCIS, through a restart once; its label gives it a tag; a partner's event about it is
// stored once and found by its tag.
func TestAParcelsEventsAndLabel(t *testing.T) {
	w := newTown(t)
	code, answer := w.ask("POST", "/api/v1/waybills", map[string]any{"waybill": "YZ2600000077", "site": "out-qingshi"})
	require.Equal(t, 201, code, answer)
	waybill := "https://id.yunling.example/waybill/YZ2600000077"
	created := url.Values{"EQ_bizTransaction_bol": {waybill}, "EQ_bizStep": {"commissioning"}}
	require.Eventually(t, func() bool { return len(w.events(created)) == 1 }, time.Minute, 50*time.Millisecond)
	event := w.events(created)[0]
	require.Equal(t, []any{"https://id.yunling.example/parcel/YZ2600000077"}, event["epcList"])
	require.Equal(t, "+08:00", event["eventTimeZoneOffset"])

	id := event["eventID"].(string)
	resp, body := w.fetch("GET", "/api/v1/epcis/events/"+url.PathEscape(id), "", "")
	require.Equal(t, 200, resp.StatusCode, body)
	require.Contains(t, body, id)

	w.stop()
	w.start()
	require.Len(t, w.events(created), 1)

	resp, body = w.fetch("GET", "/api/v1/parcels/YZ2600000077/label.zpl", "", "")
	require.Equal(t, 200, resp.StatusCode, body)
	require.Contains(t, body, "^RFW,H,,,A^FD31")
	_, parcel := w.ask("GET", "/api/v1/parcels/YZ2600000077", nil)
	tag := parcel["epc"].(string)
	require.Equal(t, "urn:epc:id:sscc:9521234.0000000001", tag)
	_, hex, _ := strings.Cut(body, "^RFW,H,,,A^FD")
	hex, _, _ = strings.Cut(hex, "^")
	code, answer = w.ask("POST", "/api/v1/parcels/YZ2600000077/label/readback", map[string]any{"read": "EPC:" + hex})
	require.Equal(t, 200, code, answer)
	code, _ = w.ask("POST", "/api/v1/parcels/YZ2600000077/label/readback", map[string]any{"read": "EPC:3074257BF7194E4000001A85"})
	require.Equal(t, 409, code)
	resp, body = w.fetch("GET", "/api/v1/parcels/YZ2600000077/label.pdf", "", "")
	require.Equal(t, 200, resp.StatusCode)
	require.True(t, strings.HasPrefix(body, "%PDF"))

	doc := `{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],"type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2026-11-22T01:00:00Z","epcisBody":{"eventList":[
		{"type":"ObjectEvent","eventTime":"2026-11-21T09:30:00+08:00","eventTimeZoneOffset":"+08:00","action":"OBSERVE","bizStep":"shipping","epcList":["` + tag + `"]}]}}`
	for range 2 {
		resp, body = w.fetch("POST", "/api/v1/epcis/capture", "application/ld+json", doc)
		require.Equal(t, 202, resp.StatusCode, body)
		_, job := w.ask("GET", resp.Header.Get("Location"), nil)
		require.Equal(t, true, job["success"], job)
	}
	found := func(step string) int {
		return len(w.events(url.Values{"MATCH_epc": {"https://any.example/00/195212340000000010?x=1," + tag}, "GE_eventTime": {"2026-11-21T00:00:00Z"}, "EQ_bizStep": {step}}))
	}
	require.Equal(t, 1, found("shipping"), "captured twice, stored once, found by either name")
	require.Eventually(t, func() bool { return found("transporting") == 1 }, time.Minute, 50*time.Millisecond, "what a partner says moves the parcel, once")
}
