package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
)

// Notices keeps what recipients are told.
type Notices interface {
	Notices(ctx context.Context, q county.NoticeQuery) (items []county.Notice, next string, err error)
	NoticeCounts(ctx context.Context) ([]county.NoticeCount, error)
	NoticePrefs(ctx context.Context, phoneHash string) (county.NoticePrefs, error)
	PutNoticePrefs(ctx context.Context, phoneHash string, prefs county.NoticePrefs) error
	Uncollected(ctx context.Context, site string) (items []county.Parcel, sealed [][]byte, err error)
}

// Teller tells recipients, and does what people decide about that.
type Teller interface {
	Decide(ctx context.Context, id, word, by string) (n county.Notice, found bool, err error)
	Text(n *county.Notice, who *county.Recipient, hidden bool) string
}

// Addressees knows who parcels are for.
type Addressees interface {
	Recipient(ctx context.Context, waybill string) (who county.Recipient, prefs county.NoticePrefs, ok bool, err error)
	Unseal(sealed []byte) (county.Recipient, error)
	PhoneHash(phone string) string
	Mask(who county.Recipient) county.Recipient
}

// Telling is what the routes of notices are made of.
type Telling struct {
	Notices    Notices
	Teller     Teller
	Addressees Addressees
	Cannot     error                       // what Decide wraps when a notice is past it
	Link       func(waybill string) string // path of the recipient's page; nil, or "": it isn't shown
}

// notice is a notice as it is shown: to whom, masked, and what it says.
type notice struct {
	county.Notice
	To   string `json:"to,omitempty" doc:"masked"`
	Text string `json:"text,omitempty" doc:"as its recipient reads it; the code is hidden but in a demonstration"`
	Link string `json:"link,omitempty" doc:"of its recipient's page; in a demonstration only, for who has it may act on the parcel"`
}

type noticeList struct {
	Items  []notice             `json:"items"`
	Next   string               `json:"next" doc:"value of after for the next page; empty at the end"`
	Counts []county.NoticeCount `json:"counts" doc:"of all notices, by status"`
}

type noticeQuery struct {
	Status  string `query:"status" enum:"due,sending,open,sent,delivered,failed,unknown,dropped,told"`
	Site    string `query:"site" pattern:"^[a-z0-9-]{1,32}$"`
	Waybill string `query:"waybill" maxLength:"32"`
	Tasks   bool   `query:"tasks" doc:"only those that are a person's task"`
	After   string `query:"after" maxLength:"200"`
	Limit   int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

func (a *API) notices(h huma.API) {
	if a.cfg.Telling == nil {
		return
	}
	huma.Register(h, huma.Operation{
		OperationID: "list-notices", Method: http.MethodGet, Path: Prefix + "/notices", Tags: []string{"notice"},
		Summary:     "What recipients are told, the newest first",
		Description: "Status unknown waits for a person: a restored database doesn't know whether it was sent. Status failed has no channel left.",
	}, a.listNotices)
	huma.Register(h, huma.Operation{
		OperationID: "decide-notice", Method: http.MethodPost, Path: Prefix + "/notices/{id}/{word}", Tags: []string{"notice"},
		Summary:     "A person's decision about a notice",
		Description: "send: what is unknown or failed goes out after all. drop: it doesn't. told: the person told the recipient. no_answer, wrong_number: a call in vain; it stays on the list.",
	}, a.decideNotice)
	huma.Register(h, huma.Operation{
		OperationID: "uncollected", Method: http.MethodGet, Path: Prefix + "/sites/{id}/uncollected", Tags: []string{"notice"},
		Summary: "Parcels that wait at an outlet, masked, the oldest first",
	}, a.uncollected)
	huma.Register(h, huma.Operation{
		OperationID: "calls", Method: http.MethodGet, Path: Prefix + "/sites/{id}/calls", Tags: []string{"notice"},
		Summary:     "The outlet keeper's call list: who has to be told by a person, the longest waiting first",
		Description: "Names and numbers are whole: whoever calls needs them.",
	}, a.calls)
	huma.Register(h, huma.Operation{
		OperationID: "set-preferences", Method: http.MethodPut, Path: Prefix + "/notice-preferences", Tags: []string{"notice"},
		Summary: "What the owner of a phone wants to be told, and when not", DefaultStatus: http.StatusOK,
	}, a.setPreferences)
	huma.Register(h, huma.Operation{
		OperationID: "look-up-preferences", Method: http.MethodPost, Path: Prefix + "/notice-preferences/lookup", Tags: []string{"notice"},
		Summary: "What the owner of a phone said; the number stands in the body, for paths are logged by proxies", DefaultStatus: http.StatusOK,
	}, a.lookUpPreferences)
}

func (a *API) listNotices(ctx context.Context, in *noticeQuery) (*answer[noticeList], error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	t := a.cfg.Telling
	items, next, err := t.Notices.Notices(ctx, county.NoticeQuery{
		Status: county.NoticeStatus(in.Status), Site: in.Site, Waybill: in.Waybill, Tasks: in.Tasks, After: in.After, Limit: in.Limit,
	})
	if errors.Is(err, a.cfg.Cursor) {
		return nil, huma.Error422UnprocessableEntity("after is no cursor", &huma.ErrorDetail{Location: "query.after", Message: "is none that this list gave", Value: in.After})
	}
	if err != nil {
		return nil, a.fail(ctx, "notice", err)
	}
	out := noticeList{Items: make([]notice, len(items)), Next: next}
	for i := range items {
		if out.Items[i], err = a.shownNotice(ctx, &items[i]); err != nil {
			return nil, a.fail(ctx, "notice", err)
		}
	}
	if out.Counts, err = t.Notices.NoticeCounts(ctx); err != nil {
		return nil, a.fail(ctx, "notice", err)
	}
	if out.Counts == nil {
		out.Counts = []county.NoticeCount{}
	}
	return reply(out), nil
}

// shownNotice adds to whom a notice goes and what it says.
func (a *API) shownNotice(ctx context.Context, n *county.Notice) (notice, error) {
	t := a.cfg.Telling
	who, _, ok, err := t.Addressees.Recipient(ctx, n.Waybill)
	if err != nil {
		return notice{}, err
	}
	out := notice{Notice: *n, Text: t.Teller.Text(n, &who, !a.cfg.Demo)}
	if ok {
		masked := t.Addressees.Mask(who)
		out.To = masked.Phone
	}
	if a.cfg.Demo && t.Link != nil {
		out.Link = t.Link(n.Waybill)
	}
	return out, nil
}

func (a *API) decideNotice(ctx context.Context, in *struct {
	ID   string `path:"id" pattern:"^n-[0-9a-f]{20}$"`
	Word string `path:"word" enum:"send,drop,told,no_answer,wrong_number"`
},
) (*answer[notice], error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	n, found, err := a.cfg.Telling.Teller.Decide(ctx, in.ID, in.Word, "token")
	switch {
	case errors.Is(err, a.cfg.Telling.Cannot):
		return nil, huma.Error409Conflict("the notice is " + string(n.Status) + ": " + in.Word + " comes too late")
	case err != nil:
		return nil, a.fail(ctx, "notice", err)
	case !found:
		return nil, huma.Error404NotFound("no notice has the id " + in.ID)
	}
	shown, err := a.shownNotice(ctx, &n)
	if err != nil {
		return nil, a.fail(ctx, "notice", err)
	}
	return reply(shown), nil
}

// waiting is a parcel that wasn't collected yet.
type waiting struct {
	Waybill string       `json:"waybill"`
	Stage   county.Stage `json:"stage"`
	Since   time.Time    `json:"since"`
	Days    int          `json:"days" doc:"whole days that it waits"`
	Place   string       `json:"place"`
	Cell    int          `json:"cell,omitempty"`
	Name    string       `json:"name,omitempty" doc:"masked"`
	Phone   string       `json:"phone,omitempty" doc:"masked"`
}

type waitingList struct {
	Site  county.Site `json:"site"`
	Items []waiting   `json:"items"`
}

// siteOf finds an outlet.
func (a *API) siteOf(id string) (county.Site, error) {
	i := slices.IndexFunc(a.cfg.Registry.Sites, func(s county.Site) bool { return s.ID == id })
	if i < 0 {
		return county.Site{}, huma.Error404NotFound("no site has the id " + id)
	}
	return a.cfg.Registry.Sites[i], nil
}

func (a *API) uncollected(ctx context.Context, in *byID) (*answer[waitingList], error) {
	list, err := a.waiting(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return reply(list), nil
}

func (a *API) waiting(ctx context.Context, id string) (list waitingList, err error) {
	if list.Site, err = a.siteOf(id); err != nil {
		return list, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	t := a.cfg.Telling
	items, sealed, err := t.Notices.Uncollected(ctx, id)
	if err != nil {
		return list, a.fail(ctx, "parcel", err)
	}
	list.Items = make([]waiting, len(items))
	for i, p := range items {
		row := waiting{Waybill: p.Waybill.Waybill, Stage: p.Stage, Since: p.Since, Days: int(a.cfg.Now().Sub(p.Since) / (24 * time.Hour)), Place: p.Place, Cell: p.Cell}
		if who, err := t.Addressees.Unseal(sealed[i]); err == nil && len(sealed[i]) > 0 {
			who = t.Addressees.Mask(who)
			row.Name, row.Phone = who.Name, who.Phone
		}
		list.Items[i] = row
	}
	return list, nil
}

// call is somebody whom a person has to tell something.
type call struct {
	Notice  string             `json:"notice" doc:"POST /notices/{notice}/told when it is done"`
	Waybill string             `json:"waybill"`
	Event   county.NoticeEvent `json:"event"`
	Reason  string             `json:"reason"`
	Since   time.Time          `json:"since"`
	Owner   string             `json:"owner"`
	Result  string             `json:"result,omitempty" doc:"of the last call"`
	Name    string             `json:"name,omitempty"`
	Phone   string             `json:"phone,omitempty"`
	Text    string             `json:"text" doc:"what to say"`
}

type callList struct {
	Site  county.Site `json:"site"`
	Items []call      `json:"items"`
}

func (a *API) calls(ctx context.Context, in *byID) (*answer[callList], error) {
	list, err := a.callList(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return reply(list), nil
}

func (a *API) callList(ctx context.Context, id string) (list callList, err error) {
	if list.Site, err = a.siteOf(id); err != nil {
		return list, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	t := a.cfg.Telling
	tasks, _, err := t.Notices.Notices(ctx, county.NoticeQuery{Site: id, Tasks: true, Limit: 500})
	if err != nil {
		return list, a.fail(ctx, "notice", err)
	}
	slices.SortStableFunc(tasks, func(x, y county.Notice) int { return x.Task.Compare(y.Task) })
	list.Items = make([]call, len(tasks))
	for i := range tasks {
		n := &tasks[i]
		who, _, _, err := t.Addressees.Recipient(ctx, n.Waybill)
		if err != nil {
			return list, a.fail(ctx, "notice", err)
		}
		list.Items[i] = call{
			Notice: n.ID, Waybill: n.Waybill, Event: n.Event, Reason: n.Reason, Since: n.Task, Owner: n.Owner, Result: n.Result,
			Name: who.Name, Phone: who.Phone, Text: t.Teller.Text(n, &who, true),
		}
	}
	return list, nil
}

// preferences are what the owner of a phone wants.
type preferences struct {
	Phone     string   `json:"phone" minLength:"5" maxLength:"24"`
	AllOff    bool     `json:"all_off,omitempty" doc:"nothing at all"`
	Off       []string `json:"off,omitempty" maxItems:"11" enum:"arrived,deposited,reminder,last_day,expired,extended,collected,late,exception,resolved,offline"`
	QuietFrom string   `json:"quiet_from,omitempty" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" example:"20:00"`
	QuietTo   string   `json:"quiet_to,omitempty" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" example:"08:00"`
}

func (a *API) setPreferences(ctx context.Context, in *struct{ Body preferences }) (*answer[county.NoticePrefs], error) {
	p := county.NoticePrefs{AllOff: in.Body.AllOff, QuietFrom: in.Body.QuietFrom, QuietTo: in.Body.QuietTo}
	if (p.QuietFrom == "") != (p.QuietTo == "") {
		return nil, huma.Error422UnprocessableEntity("quiet hours need both ends", &huma.ErrorDetail{Location: "body.quiet_to", Message: "goes with quiet_from"})
	}
	for _, e := range in.Body.Off {
		p.Off = append(p.Off, county.NoticeEvent(e))
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := a.cfg.Telling.Notices.PutNoticePrefs(ctx, a.cfg.Telling.Addressees.PhoneHash(in.Body.Phone), p); err != nil {
		return nil, a.fail(ctx, "notice", err)
	}
	return reply(p), nil
}

func (a *API) lookUpPreferences(ctx context.Context, in *struct {
	Body struct {
		Phone string `json:"phone" minLength:"5" maxLength:"24"`
	}
},
) (*answer[county.NoticePrefs], error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	p, err := a.cfg.Telling.Notices.NoticePrefs(ctx, a.cfg.Telling.Addressees.PhoneHash(in.Body.Phone))
	if err != nil {
		return nil, a.fail(ctx, "notice", err)
	}
	return reply(p), nil
}
