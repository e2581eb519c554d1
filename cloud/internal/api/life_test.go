package api_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/simplifiedchinese"

	"yizhan/cloud/internal/api"
	"yizhan/cloud/internal/county"
)

// announce posts a body of a content type and returns status and answer.
func announce(t *testing.T, a *api.API, contentType string, body []byte) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/waybills", bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

const sheet = "运单号,订单号,收件人,手机号,村,地址,温区,规格,同意入柜,暂扣,件数\n" +
	"yz2000001,A-7,张小明,13800005678,青石村,三组12号,冷藏,小,是,否,\n" +
	"YZ2000002,,李四,138,青石村,,,,,,\n" +
	"YZ2000003,,王五,13800005679,无名村,,,,,是,2\n" +
	"YZ2000004,,,,,,,,,,\n" +
	"YZ2000005,,赵六,13800005670,青石村,,滚烫,,,,\n" +
	"YZ2000006,,孙七,13800005671,青石村,,,,,,,more\n"

func TestSheets(t *testing.T) {
	gb, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(sheet))
	require.NoError(t, err)
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	require.NoError(t, m.WriteField("note", "from the office"))
	part, err := m.CreateFormFile("file", "运单.csv")
	require.NoError(t, err)
	_, err = part.Write(gb)
	require.NoError(t, err)
	require.NoError(t, m.Close())
	for name, c := range map[string]struct {
		kind string
		body []byte
	}{
		"utf-8": {"text/csv", []byte(sheet)}, "with a mark": {"text/csv; charset=utf-8", []byte("\xef\xbb\xbf" + sheet)},
		"gb18030": {"text/csv", gb}, "said so": {"text/csv; charset=GBK", gb}, "a form": {m.FormDataContentType(), form.Bytes()},
		"semicolons": {"text/csv", []byte(strings.ReplaceAll(sheet, ",", ";"))}, "crlf": {"text/csv", []byte(strings.ReplaceAll(sheet, "\n", "\r\n"))},
	} {
		f, a := newAPI(t)
		code, body := announce(t, a, c.kind, c.body)
		require.Equal(t, 200, code, "%s: %s", name, body)
		require.Len(t, f.intake, 3, name)
		first := f.intake[0]
		require.Equal(t, county.Waybill{
			Waybill: "YZ2000001", Order: "A-7", Site: "out-qingshi", Handling: "chilled", Size: "s", Consent: "yes",
		}, first.Waybill, name)
		require.Equal(t, "sealed 青石村", string(first.Recipient), name)
		require.Equal(t, "hash", first.PhoneHash)
		require.Equal(t, []string{"YZ2000003-1", "YZ2000003-2"}, []string{f.intake[1].Waybill.Waybill, f.intake[2].Waybill.Waybill}, "two pieces of one order")
		require.Equal(t, "YZ2000003", f.intake[1].Order)
		require.Empty(t, f.intake[1].Site, "an address that matches no outlet is taken, and left to a person")
		require.True(t, f.intake[1].Hold)
		for _, want := range []string{`"index":1,"field":"recipient.phone"`, `"index":3,"field":"site"`, `"index":4,"field":"handling"`, `"index":5,"field":"column 12"`} {
			require.Contains(t, body, want, name)
		}
		require.NotContains(t, body, "13800005678", "nothing personal comes back")
	}
}

func TestSheetsThatCanNotBeRead(t *testing.T) {
	_, a := newAPI(t)
	for name, c := range map[string][2]string{
		"an unknown column":  {"text/csv", "waybill,colour\nYZ2000001,red\n"},
		"no row":             {"text/csv", "waybill,site\n"},
		"nothing":            {"text/csv", ""},
		"neither encoding":   {"text/csv", "waybill\n\xff\xff\xff\n"},
		"another encoding":   {"text/csv; charset=latin1", "waybill\nYZ2000001\n"},
		"a form of no file":  {"multipart/form-data; boundary=x", "--x--"},
		"no content type":    {";;", "[]"},
		"more rows than may": {"text/csv", "waybill\n" + strings.Repeat("YZ2000001\n", 1001)},
	} {
		code, body := announce(t, a, c[0], []byte(c[1]))
		require.Contains(t, []int{400, 422}, code, "%s: %s", name, body)
	}
}

func FuzzSheet(f *testing.F) {
	f.Add([]byte(sheet), "text/csv")
	f.Add([]byte("waybill;site\nYZ2000001;wh\n"), "text/csv; charset=gbk")
	f.Add([]byte(`{"waybill":"YZ2000001"}`), "application/json")
	f.Add([]byte("--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nwaybill\nYZ2000001\r\n--x--"), "multipart/form-data; boundary=x")
	f.Fuzz(func(t *testing.T, body []byte, kind string) {
		_, a := newAPI(&testing.T{})
		code, _ := announce(t, a, kind, body)
		require.Less(t, code, 500)
	})
}

func TestAmendCancelAndSay(t *testing.T) {
	f, a := newAPI(t)
	code, v := ask(t, a, "PATCH", "/api/v1/waybills/YZ0000001", `{"hold":true,"recipient":{"phone":"13800005678","village":"青石村"}}`)
	require.Equal(t, 200, code, v)
	require.Equal(t, true, v["hold"])
	require.Equal(t, "out-qingshi", v["site"])
	require.Equal(t, "sealed 青石村", string(f.intake[0].Recipient))
	for body, want := range map[string]string{`{"site":"nowhere"}`: "body.site", `{"recipient":{"phone":"1"}}`: "body.recipient.phone", `{"epc":"hello"}`: "body.epc", `{"size":"xxl"}`: "body.size"} {
		code, v = ask(t, a, "PATCH", "/api/v1/waybills/YZ0000001", body)
		require.Equal(t, 422, code, v)
		require.Equal(t, want, v["errors"].([]any)[0].(map[string]any)["location"])
	}
	code, _ = ask(t, a, "PATCH", "/api/v1/waybills/YZ9999999", `{"hold":true}`)
	require.Equal(t, 404, code)
	code, _ = ask(t, a, "POST", "/api/v1/waybills/YZ0000001/cancel", `{"reason":"ordered twice"}`)
	require.Equal(t, 200, code)
	f.parcels[2].Stage = county.PickedUp
	code, v = ask(t, a, "POST", "/api/v1/waybills/YZ0000002/cancel", `{}`)
	require.Equal(t, 409, code, v)
	_, v = ask(t, a, "GET", "/api/v1/waybills/YZ0000001/history", "")
	require.Len(t, v["items"], 1)

	code, v = ask(t, a, "POST", "/api/v1/parcels/YZ0000001/events", `{"id":"e-1","step":"signed_for","at":"2026-08-05T06:00:00Z","reason":"at the door","channel":"page"}`)
	require.Equal(t, 200, code, v)
	require.Equal(t, "YZ0000001", f.said[0].Waybill)
	require.Equal(t, "token", f.said[0].Actor)
	code, _ = ask(t, a, "POST", "/api/v1/parcels/YZ9999999/events", `{"id":"e-1","step":"signed_for","at":"2026-08-05T06:00:00Z"}`)
	require.Equal(t, 404, code)
	code, _ = ask(t, a, "POST", "/api/v1/parcels/YZ0000001/events", `{"id":"e-1","step":"beamed","at":"2026-08-05T06:00:00Z"}`)
	require.Equal(t, 422, code)
}

func TestContainersAndExceptions(t *testing.T) {
	f, a := newAPI(t)
	code, v := ask(t, a, "PUT", "/api/v1/containers/bag-7", `{"kind":"bag","epc":"urn:epc:id:grai:0614141.12345.400","code":"BAG-0007"}`)
	require.Equal(t, 200, code, v)
	code, v = ask(t, a, "POST", "/api/v1/containers/bag-7/pack", `{"items":["YZ0000001","YZ0000002"]}`)
	require.Equal(t, 200, code, v)
	require.Len(t, v["contents"], 2)
	for _, path := range []string{"unpack", "break", "count"} {
		code, v = ask(t, a, "POST", "/api/v1/containers/bag-7/"+path, map[string]string{"unpack": `{"items":["YZ0000001"]}`, "break": `{"reason":"torn"}`, "count": `{"counted":1,"site":"wh"}`}[path])
		require.Equal(t, 200, code, v)
	}
	code, _ = ask(t, a, "POST", "/api/v1/containers/bag-8/count", `{"counted":1}`)
	require.Equal(t, 404, code)
	code, _ = ask(t, a, "PUT", "/api/v1/containers/bag-8", `{"kind":"ship"}`)
	require.Equal(t, 422, code)
	_, v = ask(t, a, "GET", "/api/v1/containers", "")
	require.Len(t, v["items"], 1)

	f.wrong = []county.Exception{{ID: "r-1", Class: county.Loss, Cause: "not_mine", Object: "parcel/YZ0000001"}}
	_, v = ask(t, a, "GET", "/api/v1/exceptions?object=parcel/YZ0000001&open=true&class=loss", "")
	require.Len(t, v["items"], 1)
	require.Equal(t, county.ExceptionFilter{Object: "parcel/YZ0000001", Class: county.Loss, Open: true}, f.filter)
	code, v = ask(t, a, "POST", "/api/v1/exceptions/r-1/end", "")
	require.Equal(t, 200, code, v)
	require.NotNil(t, v["ended"])
	code, _ = ask(t, a, "POST", "/api/v1/exceptions/r-2/end", "")
	require.Equal(t, 404, code)
	code, _ = ask(t, a, "GET", "/api/v1/exceptions?class=boredom", "")
	require.Equal(t, 422, code)
}

func TestRatings(t *testing.T) {
	_, a := newAPI(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/ratings?since=2026-06-01T00:00:00Z", nil)
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.JSONEq(t, `{"items":[{"site":"out-qingshi","n":2,"mean":4.5}],"next":""}`, w.Body.String())
}
