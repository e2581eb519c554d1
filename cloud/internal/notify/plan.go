package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
)

// Recipient is the kind of who a parcel is for.
const Recipient = "recipient"

// NoticeID is the stable id of a notice: telling the same thing again makes none anew.
func NoticeID(waybill string, e county.NoticeEvent, occasion, kind string) string {
	h := sha256.Sum256([]byte(waybill + "\x00" + string(e) + "\x00" + occasion + "\x00" + kind))
	return "n-" + hex.EncodeToString(h[:10])
}

// A planner makes notices of facts.
type planner struct {
	desk    county.NoticeDesk
	off     map[county.NoticeEvent]bool
	lockers map[string]bool // sites that have one
	keeper  func(site string) string
	now     time.Time
	wait    time.Duration // for a locker
	old     time.Duration
	plan    county.NoticePlan
}

// before are the events that an event makes pointless.
var before = map[county.NoticeEvent][]county.NoticeEvent{
	county.NoticeDeposited: {county.NoticeArrived},
	county.NoticeLastDay:   {county.NoticeReminder},
	county.NoticeExpired:   {county.NoticeDeposited, county.NoticeReminder, county.NoticeLastDay},
	county.NoticeExtended:  {county.NoticeReminder, county.NoticeLastDay, county.NoticeExpired},
	county.NoticeRecoded:   {county.NoticeDeposited, county.NoticeReminder, county.NoticeLastDay, county.NoticeExtended},
	county.NoticeCollected: {
		county.NoticeArrived, county.NoticeDeposited, county.NoticeReminder, county.NoticeLastDay, county.NoticeExpired, county.NoticeExtended, county.NoticeRecoded,
		county.NoticeLate, county.NoticeOffline,
	},
	county.NoticeResolved: {county.NoticeLate, county.NoticeException},
}

// facts plans all that facts ask for.
func (p *planner) facts(facts []county.Fact) error {
	for i := range facts {
		if err := p.fact(&facts[i]); err != nil {
			return fmt.Errorf("notify: fact %d: %w", facts[i].Seq, err)
		}
	}
	return nil
}

func (p *planner) fact(f *county.Fact) error {
	switch f.Event {
	case county.FactStep, county.FactRetracted:
		var s county.StepTold
		if err := json.Unmarshal(f.Doc, &s); err != nil {
			return err
		}
		if s.Direction == county.FromVillage {
			return nil
		}
		return p.step(f, &s)
	case county.FactDue:
		var d county.Due
		if err := json.Unmarshal(f.Doc, &d); err != nil {
			return err
		}
		return p.due(f, &d)
	case county.FactException:
		var e county.Exception
		if err := json.Unmarshal(f.Doc, &e); err != nil {
			return err
		}
		return p.exception(f, &e)
	case county.FactWaybill:
		var s county.StepTold
		if err := json.Unmarshal(f.Doc, &s); err != nil {
			return err
		}
		if s.Row.Stage == county.Returned || s.Row.Stage == county.LostClosed {
			p.void(county.NoticeVoid{Waybill: s.Waybill, Before: f.Seq, Events: before[county.NoticeCollected], Reason: county.VoidOvertaken})
		}
	}
	return nil
}

// step plans what a step of a parcel asks for.
func (p *planner) step(f *county.Fact, s *county.StepTold) error {
	n := county.Notice{Waybill: s.Waybill, Evidence: s.Row.At, About: county.NoticeAbout{Site: s.Site}}
	due := p.now
	switch s.Row.Stage {
	case county.AtOutlet:
		w, err := p.desk.Of(s.Waybill)
		if err != nil {
			return err
		}
		if s.Before == county.InLocker {
			return nil // taken out by somebody else than the recipient: an exception tells
		}
		if w.Plan() == county.WishHome && s.Before != county.OutForDelivery && f.Event == county.FactStep {
			return nil // it is brought to them: there is nothing to come for
		}
		at, known := strings.CutPrefix(s.Row.Place, "site/")
		if !known { // taken out of a vehicle there
			at = s.Site
		}
		n.Event, n.Occasion = county.NoticeArrived, at
		if w.Consent == county.ConsentYes && p.lockers[n.Occasion] {
			due = due.Add(p.wait)
		}
	case county.InLocker:
		n.Event, n.Occasion = county.NoticeDeposited, deposit(s)
		n.About.Locker, n.About.Cell, n.About.Deposit, n.About.Until = strings.TrimPrefix(s.Row.Place, "locker/"), s.Row.Cell, n.Occasion, s.Until
		n.About.KeyNo = s.Row.Generation
	case county.PickedUp, county.SignedFor:
		n.Event, n.Occasion = county.NoticeCollected, s.Row.Deposit
		n.About.Locker, n.About.Cell = lockerOf(s.Row.Place), s.Row.Cell
	case county.Returned, county.LostClosed:
		p.void(county.NoticeVoid{Waybill: s.Waybill, Before: f.Seq, Events: before[county.NoticeCollected], Reason: county.VoidOvertaken})
		return nil
	default:
		return nil
	}
	if f.Event == county.FactRetracted {
		p.void(county.NoticeVoid{Waybill: s.Waybill, Before: f.Seq, Events: []county.NoticeEvent{n.Event}, Occasion: n.Occasion, Reason: county.VoidRetracted})
		return nil
	}
	p.put(f, n, due)
	return nil
}

// deposit names a deposit: as its cabinet does, or by its evidence.
func deposit(s *county.StepTold) string {
	for _, id := range []string{s.Deposit, s.Row.Deposit} {
		if id != "" {
			return id
		}
	}
	return s.Row.ID
}

func lockerOf(place string) string {
	if l, ok := strings.CutPrefix(place, "locker/"); ok {
		return l
	}
	return ""
}

// due plans what a deadline of a deposit asks for.
func (p *planner) due(f *county.Fact, d *county.Due) error {
	e := county.NoticeEvent(d.What)
	switch e {
	case county.NoticeReminder, county.NoticeLastDay, county.NoticeExpired, county.NoticeExtended, county.NoticeRecoded:
	default:
		return nil
	}
	occasion := d.Deposit + "/" + d.Until.UTC().Format("20060102T1504") // once for each end of the keeping
	if e == county.NoticeRecoded {
		occasion = d.Deposit + "/key" + strconv.Itoa(d.Generation)
	}
	w, err := p.desk.Of(d.Waybill)
	if err != nil {
		return err
	}
	p.put(f, county.Notice{Waybill: d.Waybill, Event: e, Occasion: occasion, Evidence: f.At, About: county.NoticeAbout{
		Site: w.Site, Locker: d.Locker, Cell: d.Cell, Deposit: d.Deposit, Until: d.Until, KeyNo: d.Generation,
	}}, p.now)
	return nil
}

// own are exceptions that the county sorts out among itself.
var own = map[string]bool{
	"contradiction": true, "bad_sequence": true, "unmatched_address": true, "count_differs": true, "held_loaded": true,
	"no_consent": true, "needs_cold": true, "locker_full": true, "locker_unready": true,
}

// exception plans what an exception, or its end, asks for: of a parcel its recipient is told, of a locker that can't be reached
// all whose parcels lie in it.
func (p *planner) exception(f *county.Fact, e *county.Exception) error {
	kind, id, _ := strings.Cut(e.Object, "/")
	about := county.NoticeAbout{Class: e.Class, Cause: e.Cause, Exception: e.ID}
	n := county.Notice{Event: county.NoticeException, Occasion: e.ID, Evidence: e.Discovered, About: about}
	if e.Class == county.Delay {
		n.Event = county.NoticeLate
	}
	switch {
	case kind == "parcel" && !own[e.Cause] && e.Class != county.DataError:
		w, err := p.desk.Of(id)
		if err != nil {
			return err
		}
		n.Waybill, n.About.Site = id, w.Site
		if e.Ended != nil {
			n.Event, n.Evidence = county.NoticeResolved, *e.Ended
		}
		p.put(f, n, p.now)
	case kind == "locker" && e.Cause == "offline":
		if e.Ended != nil {
			p.void(county.NoticeVoid{Events: []county.NoticeEvent{county.NoticeOffline}, Occasion: e.ID, Before: f.Seq, Reason: county.VoidOvertaken})
			return nil
		}
		inside, err := p.desk.At("locker/" + id)
		if err != nil {
			return err
		}
		for _, w := range inside {
			n := n
			n.Event, n.Waybill, n.About.Site, n.About.Locker = county.NoticeOffline, w.Waybill, w.Site, id
			p.put(f, n, p.now)
		}
	}
	return nil
}

// put plans a notice, and the end of those that it makes pointless.
func (p *planner) put(f *county.Fact, n county.Notice, due time.Time) {
	if events := before[n.Event]; len(events) > 0 {
		v := county.NoticeVoid{Waybill: n.Waybill, Events: events, Before: f.Seq, Reason: county.VoidOvertaken}
		if n.Event == county.NoticeResolved {
			v.Occasion = n.Occasion
		}
		p.void(v)
	}
	if p.off[n.Event] {
		return
	}
	n.Kind, n.Seq, n.Status = Recipient, f.Seq, county.NoticeDue
	n.ID = NoticeID(n.Waybill, n.Event, n.Occasion, n.Kind)
	n.Due, n.Next, n.Created, n.Changed, n.Version = due, due, p.now, p.now, 1
	n.Owner = p.keeper(n.About.Site)
	switch {
	case !n.Evidence.After(p.desk.Restored):
		n.Status, n.Reason, n.Next = county.NoticeUnknown, "restored", time.Time{}
	case p.now.Sub(n.Evidence) > p.old:
		n.Status, n.Reason, n.Next = county.NoticeUnknown, "old", time.Time{}
	}
	if i := slices.IndexFunc(p.plan.Put, func(o county.Notice) bool { return o.ID == n.ID }); i >= 0 {
		if p.plan.Put[i].Reason == county.VoidRetracted {
			p.plan.Put[i] = n
		}
		return
	}
	p.plan.Put = append(p.plan.Put, n)
}

// void ends notices that aren't sent, of this plan and before it.
func (p *planner) void(v county.NoticeVoid) {
	for i := range p.plan.Put {
		n := &p.plan.Put[i]
		if (v.Waybill == "" || n.Waybill == v.Waybill) && slices.Contains(v.Events, n.Event) && (v.Occasion == "" || n.Occasion == v.Occasion) && n.Status != county.NoticeDropped {
			drop(n, v.Reason)
		}
	}
	p.plan.Void = append(p.plan.Void, v)
}
