package api

import (
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
)

// PrintPath is where the pages for paper are: PrintPath and a site's id.
const PrintPath = "/print/uncollected/"

//go:embed print.html
var printPage string

//go:embed print.css
var printStyle []byte

// sheet is what the page shows.
type sheet struct {
	Site    county.Site
	Made    string
	Waiting []waiting
	Calls   []call
	Zone    *time.Location
}

// When is a time of the county's clock.
func (s sheet) When(t time.Time) string { return t.In(s.Zone).Format("01-02 15:04") }

// Print answers an outlet keeper's list for paper: who has to be called, and what wasn't collected.
func (a *API) Print() http.Handler {
	page := template.Must(template.New("print").Parse(printPage))
	zone, err := time.LoadLocation(a.cfg.Registry.Timezone)
	if err != nil {
		zone = time.UTC
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead || a.cfg.Telling == nil {
			http.NotFound(w, r)
			return
		}
		if r.URL.Path == PrintPath+"style.css" {
			w.Header().Set("Content-Type", "text/css; charset=utf-8")
			_, _ = w.Write(printStyle)
			return
		}
		s := sheet{Made: a.cfg.Now().In(zone).Format("2006-01-02 15:04"), Zone: zone}
		id := strings.TrimPrefix(r.URL.Path, PrintPath)
		list, err := a.waiting(r.Context(), id)
		if err == nil {
			var calls callList
			calls, err = a.callList(r.Context(), id)
			s.Site, s.Waiting, s.Calls = list.Site, list.Items, calls.Items
		}
		if err != nil {
			status := http.StatusServiceUnavailable
			var e huma.StatusError
			if errors.As(err, &e) {
				status = e.GetStatus()
			}
			http.Error(w, http.StatusText(status), status)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := page.Execute(w, s); err != nil && r.Context().Err() == nil {
			a.cfg.Log.Warn("page broke off", "err", err)
		}
	})
}
