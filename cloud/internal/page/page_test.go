package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
)

var now = time.Date(2026, 6, 3, 10, 30, 0, 0, time.UTC) // 18:30 in the county

// desk is a store in memory.
type desk struct {
	parcels  map[string]county.Timeline
	reported []county.Exception
	rated    map[string]int
	amended  []string
	until    time.Time
	extended int
	key      int
	away     error
}

func (d *desk) Timeline(_ context.Context, waybill string) (county.Timeline, bool, error) {
	tl, ok := d.parcels[waybill]
	return tl, ok, d.away
}

func (d *desk) Locker(_ context.Context, id string) (county.Locker, bool, error) {
	return county.Locker{ID: id, Name: county.Text{ZH: "青石村智能柜", EN: "Qingshi locker"}}, id == "lk-a", nil
}

func (d *desk) Amend(_ context.Context, waybill string, a county.Amendment) (county.Parcel, []county.Change, error) {
	tl := d.parcels[waybill]
	tl.Waybill = a.Of(tl.Waybill)
	d.parcels[waybill] = tl
	d.amended = append(d.amended, a.Actor+" "+waybill+" "+string(*a.Wish))
	return tl.Parcel, nil, d.away
}

func (d *desk) Report(_ context.Context, x county.Exception) (county.Exception, error) {
	d.reported = append(d.reported, x)
	return x, nil
}

func (d *desk) Rate(_ context.Context, r county.Rating) (bool, error) {
	if d.rated[r.Waybill] != 0 {
		return false, nil
	}
	d.rated[r.Waybill] = r.Score
	return true, nil
}

func (d *desk) Rated(_ context.Context, waybill string) (int, error) { return d.rated[waybill], nil }

func (d *desk) Kept(context.Context, string) (Kept, error) {
	return Kept{d.until, d.extended == 0, d.key}, nil
}

func (d *desk) Extend(context.Context, string) (time.Time, error) {
	if d.extended++; d.extended > 1 {
		return d.until, errors.New("once only")
	}
	return d.until, nil
}

func step(minutesAgo int, stage county.Stage, place string) county.Evidence {
	return county.Evidence{ID: fmt.Sprint("e", minutesAgo), At: now.Add(-time.Duration(minutesAgo) * time.Minute), TQ: "gnss", Stage: stage, Place: place, Device: "van-03/rfid", Actor: "courier-7"}
}

func parcel(waybill string, stage county.Stage, place string, cell int, way ...county.Evidence) county.Timeline {
	tl := county.Timeline{Parcel: county.Parcel{Waybill: county.Waybill{Waybill: waybill, Site: "out-a", Consent: county.ConsentUnknown}, Stage: stage, Since: now, Place: place, Cell: cell}, Evidence: way}
	if len(way) > 0 {
		tl.Since = way[len(way)-1].At
	}
	return tl
}

func deposited() county.Timeline {
	d := step(12, county.InLocker, "locker/lk-a")
	d.Deposit, d.Cell = "d-0011223344556677", 3
	return parcel("YZ-IN-LOCKER", county.InLocker, "locker/lk-a", 3, step(3000, county.Created, ""), step(900, county.AtWarehouse, "site/wh"), step(800, county.Sorted, "site/wh"),
		step(300, county.Loaded, "vehicle/v03"), step(200, county.InTransit, "vehicle/v03"), step(20, county.AtOutlet, "site/out-a"), d)
}

func open(t *testing.T) (*Page, *desk) {
	d := &desk{parcels: map[string]county.Timeline{}, rated: map[string]int{}, until: now.Add(70 * time.Hour)}
	for _, tl := range []county.Timeline{
		deposited(),
		parcel("YZ-ON-THE-WAY", county.InTransit, "vehicle/v03", 0, step(300, county.Created, ""), step(95, county.InTransit, "vehicle/v03")),
		parcel("YZ-COLLECTED", county.PickedUp, "", 0, step(60, county.InLocker, "locker/lk-a"), step(5, county.PickedUp, "")),
		parcel("YZ-LONG-AGO", county.Completed, "", 0, step(31*24*60, county.Completed, "")),
	} {
		d.parcels[tl.Waybill.Waybill] = tl
	}
	p := New(Options{
		Store: d, Keeping: d, Tokens: NewTokens(make([]byte, 32)), Now: func() time.Time { return now },
		Code: func(locker, deposit string, generation, n int) string {
			return map[int]string{0: "483920", 1: "110022", 20: "555666"}[10*generation+n]
		},
		Ticket: func(locker, deposit string, generation int) string {
			return "YZP1:" + deposit + ":0:ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		},
		Registry: &county.Registry{Timezone: "Asia/Shanghai", Lockers: []county.Locker{{ID: "lk-a", Site: "out-a"}}, Sites: []county.Site{
			{ID: "out-a", Name: county.Text{ZH: "青石服务站", EN: "Qingshi station"}}, {ID: "wh", Name: county.Text{ZH: "县级物流仓储中心", EN: "County warehouse"}},
		}},
	})
	return p, d
}

func get(p *Page, path, lang string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept-Language", lang)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func post(p *Page, path string, form url.Values, site string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", site)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func TestWhatAVillagerSees(t *testing.T) {
	p, d := open(t)
	for _, c := range []struct {
		waybill, lang string
		has, hasNot   []string
	}{
		{"YZ-IN-LOCKER", "zh-CN", []string{"已到青石村智能柜，3号格", "12分钟前", "48 39 20", "<svg", "免费保管到 6月6日", "还有2天", "延长一天", "柜门打不开", "查看全部", "YZ-IN-LOCKER"}, []string{"11 00 22", "评分"}},
		{"YZ-IN-LOCKER", "en-GB,en;q=0.8", []string{"At Qingshi locker, cell 3", "12 min ago", "2 days left", "One day longer"}, []string{"取件码"}},
		{"YZ-ON-THE-WAY", "fr,zh;q=0.5", []string{"正在路上", "最后确认", "1小时前"}, []string{"取件码", "柜门打不开", "<svg"}},
		{"YZ-COLLECTED", "en", []string{"Collected", "How was it?", "This isn&#39;t mine"}, []string{"48 39 20", "<svg"}},
	} {
		w := get(p, p.Link(c.waybill), c.lang)
		require.Equal(t, http.StatusOK, w.Code)
		body := w.Body.String()
		for _, s := range c.has {
			require.Contains(t, body, s, c.waybill)
		}
		for _, s := range append(c.hasNot, "van-03", "v03", "courier-7", "<script", "http://", "https://") {
			require.NotContains(t, body, s, c.waybill)
		}
		require.LessOrEqual(t, len(body), 30<<10)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
		require.Empty(t, w.Header().Values("Set-Cookie"))
	}
	require.Contains(t, get(p, p.Link("YZ-IN-LOCKER")+"?family=1", "zh").Body.String(), "11 00 22")
	d.key = 2
	require.Contains(t, get(p, p.Link("YZ-IN-LOCKER"), "zh").Body.String(), "55 56 66", "its locker has another key")
	d.key = 0
	tl := deposited()
	tl.Handling, tl.Exceptions = "chilled", []county.Exception{{Cause: "excursion"}}
	tl.Evidence[5].Confidence = county.Contradicted
	d.parcels["YZ-IN-LOCKER"] = tl
	body := get(p, p.Link("YZ-IN-LOCKER"), "en").Body.String()
	require.Contains(t, body, "were too warm")
	require.Contains(t, body, "(being looked into)")
}

// Whoever has no good token learns nothing, not even which kind of bad it is.
func TestRefusalsAreAlike(t *testing.T) {
	good, _ := open(t)
	link := good.Link("YZ-IN-LOCKER")
	var want string
	for _, path := range []string{
		Path, Path + "x", link + "x", link[:len(link)-2] + "AA", Path + strings.Repeat("A", 3000), Path + "../api", good.Link("YZ-NONE"), good.Link("YZ-LONG-AGO"),
	} {
		p, _ := open(t)
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := httptest.NewRequest(method, "/p/", nil)
			r.URL.Path = path
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			require.Equal(t, http.StatusNotFound, w.Code, path)
			got := fmt.Sprint(w.Header(), w.Body)
			if want == "" {
				want = got
			}
			require.Equal(t, want, got, path)
		}
	}
	p, _ := open(t)
	for range freeMisses {
		require.Equal(t, http.StatusNotFound, get(p, Path+"x", "zh").Code)
	}
	w := get(p, p.Link("YZ-LONG-AGO"), "zh")
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "60", w.Header().Get("Retry-After"))
	require.Equal(t, http.StatusOK, get(p, link, "zh").Code, "neighbours behind one address go on")
}

func TestFormsActOnce(t *testing.T) {
	p, d := open(t)
	link := p.Link("YZ-IN-LOCKER")
	do := func(what string) url.Values { return url.Values{"do": {what}} }
	w := post(p, link+"?lang=en", do("extend"), "same-origin")
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, link+"?lang=en&said=extended", w.Header().Get("Location"))
	require.Contains(t, get(p, w.Header().Get("Location"), "zh").Body.String(), "One day longer.")
	require.Contains(t, post(p, link, do("extend"), "same-origin").Header().Get("Location"), "said=cannot")

	post(p, link, do("cannot_open"), "same-origin")
	require.Equal(t, []county.Exception{{Class: county.Delay, Cause: "cannot_open", Object: "parcel/YZ-IN-LOCKER", Source: "customer", Evidence: []string{"e12"}}}, d.reported)
	require.Equal(t, http.StatusForbidden, post(p, link, do("not_mine"), "cross-site").Code, "a form of another site")
	require.Len(t, d.reported, 1)

	link = p.Link("YZ-COLLECTED")
	require.Contains(t, post(p, link, url.Values{"do": {"rate"}, "score": {"6"}}, "same-origin").Header().Get("Location"), "said=cannot")
	require.Contains(t, post(p, link, url.Values{"do": {"rate"}, "score": {"4"}}, "same-origin").Header().Get("Location"), "said=thanks")
	require.Contains(t, post(p, link, url.Values{"do": {"rate"}, "score": {"1"}}, "same-origin").Header().Get("Location"), "said=cannot")
	require.Equal(t, 4, d.rated["YZ-COLLECTED"])
	require.Contains(t, get(p, link, "en").Body.String(), "Your rating: 4")
	require.Contains(t, post(p, link, do("extend"), "same-origin").Header().Get("Location"), "said=cannot")
}

// Nothing goes into a locker that its recipient wasn't asked about; they may think again until it is there.
func TestWhereItShallGo(t *testing.T) {
	p, d := open(t)
	link := p.Link("YZ-ON-THE-WAY")
	body := get(p, link, "en").Body.String()
	for _, s := range []string{"Where shall it go?", "Into the locker", "To the station", "To my door"} {
		require.Contains(t, body, s)
	}
	w := post(p, link, url.Values{"do": {"locker"}}, "same-origin")
	require.Contains(t, w.Header().Get("Location"), "said=wished")
	require.Equal(t, county.ConsentYes, d.parcels["YZ-ON-THE-WAY"].Consent)
	body = get(p, w.Header().Get("Location"), "zh").Body.String()
	require.Contains(t, body, "您选了：放智能柜")
	require.NotContains(t, body, `value="locker"`)
	post(p, link, url.Values{"do": {"home"}}, "same-origin")
	require.Equal(t, county.ConsentNo, d.parcels["YZ-ON-THE-WAY"].Consent)
	require.Equal(t, []string{"recipient YZ-ON-THE-WAY locker", "recipient YZ-ON-THE-WAY home"}, d.amended)
	require.Contains(t, get(p, link, "zh").Body.String(), "您选了：送到家。到站后由快递员送来。")
	there := d.parcels["YZ-ON-THE-WAY"]
	there.Stage = county.AtOutlet
	d.parcels["YZ-ON-THE-WAY"] = there
	body = get(p, link, "en").Body.String()
	require.Contains(t, body, "At Qingshi station, will be brought to your door")
	require.NotContains(t, body, "ready for you")

	for name, change := range map[string]func(*county.Timeline){
		"its sender has said so":    func(x *county.Timeline) { x.Consent, x.Wish = county.ConsentNo, "" },
		"it lies there":             func(x *county.Timeline) { x.Stage = county.InLocker },
		"it is brought":             func(x *county.Timeline) { x.Stage = county.OutForDelivery },
		"it is the recipient's own": func(x *county.Timeline) { x.Direction = county.FromVillage },
		"it has to be cold":         func(x *county.Timeline) { x.Handling = "chilled" },
		"there is no locker":        func(x *county.Timeline) { x.Site = "wh" },
	} {
		_, d := open(t)
		tl := d.parcels["YZ-ON-THE-WAY"]
		change(&tl)
		d.parcels["YZ-ON-THE-WAY"] = tl
		p.opt.Store = d
		require.NotContains(t, get(p, link, "en").Body.String(), "Into the locker", name)
		require.Contains(t, post(p, link, url.Values{"do": {"locker"}}, "same-origin").Header().Get("Location"), "said=cannot", name)
		require.Empty(t, d.amended, name)
	}
}

func TestStoreAway(t *testing.T) {
	p, d := open(t)
	d.away = errors.New("away")
	w := get(p, p.Link("YZ-IN-LOCKER"), "en")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Contains(t, w.Body.String(), "being looked after")
	require.NotContains(t, w.Body.String(), "YZ-IN-LOCKER")
}

func TestATokenIsItsWaybillsAndNoOthers(t *testing.T) {
	a, b := NewTokens(make([]byte, 32)), NewTokens([]byte(strings.Repeat("k", 32)))
	for _, waybill := range []string{"Y", "YZ20260603001", strings.Repeat("Z", 32)} {
		token := a.Token(waybill)
		got, ok := a.Open(token)
		require.True(t, ok)
		require.Equal(t, waybill, got)
		require.NotContains(t, token, waybill)
		_, ok = b.Open(token)
		require.False(t, ok, "another county's")
		for i := range token {
			bad := token[:i] + string(token[i]^1) + token[i+1:]
			_, ok = a.Open(bad)
			require.False(t, ok, "%d", i)
		}
	}
}

func FuzzOpen(f *testing.F) {
	t := NewTokens(make([]byte, 32))
	f.Add(t.Token("YZ20260603001"))
	f.Add("")
	f.Fuzz(func(tt *testing.T, s string) {
		if waybill, ok := t.Open(s); ok {
			require.Equal(tt, s, t.Token(waybill))
		}
	})
}
