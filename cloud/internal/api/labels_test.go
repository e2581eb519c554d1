package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/api"
	"yizhan/cloud/internal/county"
)

// printer prints what it was asked.
type printer struct{ err error }

func (p printer) Print(_ context.Context, waybills []string, o county.LabelOptions) ([]byte, []string, error) {
	return fmt.Appendf(nil, "%v %+v", waybills, o), []string{"YZ0000009"}, p.err
}

func (p printer) ReadBack(_ context.Context, waybill, read string) (string, error) {
	return "urn:" + waybill + ":" + read, p.err
}

func TestLabels(t *testing.T) {
	f := &fake{orders: map[string]county.Command{}}
	p := &printer{}
	a := api.New(api.Config{Store: f, History: f, Desk: f, Registry: registry(), Stream: http.NotFoundHandler(), Labels: p})
	do := func(method, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, "/api/v1"+path, strings.NewReader(body))
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		return w
	}
	w := do("GET", "/parcels/YZ0000001/label.zpl", "")
	require.Equal(t, 200, w.Code, w.Body)
	require.Equal(t, "application/zpl", w.Header().Get("Content-Type"))
	require.Equal(t, "[YZ0000001] {Size:100x150 DPI:203 PDF:false Tags:true Link:false}", w.Body.String())
	w = do("GET", "/parcels/YZ0000001/label.pdf?size=76x130&tag=false&qr=link", "")
	require.Equal(t, "application/pdf", w.Header().Get("Content-Type"))
	require.Equal(t, "[YZ0000001] {Size:76x130 DPI:203 PDF:true Tags:false Link:true}", w.Body.String())
	w = do("POST", "/labels", `{"waybills":["YZ0000002","YZ0000001","YZ0000009"],"format":"pdf","dpi":300,"tag":false}`)
	require.Equal(t, 200, w.Code, w.Body)
	require.Equal(t, "YZ0000009", w.Header().Get("X-Absent"))
	require.Equal(t, "[YZ0000002 YZ0000001 YZ0000009] {Size:100x150 DPI:300 PDF:true Tags:false Link:false}", w.Body.String())
	for _, bad := range []string{"/parcels/YZ0000001/label.zpl?size=1x1", "/parcels/YZ0000001/label.zpl?dpi=72", "/parcels/yz/label.pdf", "/parcels/YZ0000001/label.pdf?qr=x"} {
		require.Equal(t, 422, do("GET", bad, "").Code, bad)
	}
	require.Equal(t, 422, do("POST", "/labels", `{"waybills":[]}`).Code)

	w = do("POST", "/parcels/YZ0000001/label/readback", `{"read":"EPC:00AA"}`)
	require.Equal(t, 200, w.Code, w.Body)
	require.JSONEq(t, `{"waybill":"YZ0000001","epc":"urn:YZ0000001:EPC:00AA"}`, w.Body.String())
	for err, code := range map[error]int{county.ErrNoParcel: 404, errors.New("the password is 1234"): 503} {
		p.err = fmt.Errorf("label: %w", err)
		w = do("GET", "/parcels/YZ0000001/label.zpl", "")
		require.Equal(t, code, w.Code)
		require.NotContains(t, w.Body.String(), "1234")
	}
	p.err = fmt.Errorf("%w: other", county.ErrTagDiffers)
	require.Equal(t, 409, do("POST", "/parcels/YZ0000001/label/readback", `{"read":"EPC:00AA"}`).Code)
}
