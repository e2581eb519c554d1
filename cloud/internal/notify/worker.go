package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
)

// Store keeps notices. Save and Intend write a notice only when it still has the version that n was read with, and
// give it the next; ok is false when somebody else was first.
type Store interface {
	// ClaimNotices takes notices whose time has come, for as long as lease; no other worker gets them meanwhile.
	ClaimNotices(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]county.Notice, error)
	Notice(ctx context.Context, id string) (n county.Notice, found bool, err error)
	// IntendNotice writes the intent of n's last try, and counts it; where a quota is used up nothing is written,
	// and full is its key.
	IntendNotice(ctx context.Context, n *county.Notice, quotas []county.Quota) (ok bool, full string, err error)
	// SaveNotice writes n; refs are a provider's names of its tries, name to ref; reports are those that n has in it now.
	SaveNotice(ctx context.Context, n *county.Notice, refs map[string]string, reports ...string) (ok bool, err error)
}

// People knows who a parcel is for.
type People interface {
	// Recipient returns who a waybill is for, and what they want; ok is false when nobody knows.
	Recipient(ctx context.Context, waybill string) (who county.Recipient, prefs county.NoticePrefs, ok bool, err error)
}

// A worker takes one notice at a time through its next step. It holds nothing between two steps.
type worker struct {
	rules  Rules
	lanes  []*lane
	store  Store
	people People
	names  names
	texts  map[string]channels.Template
	quiet  channels.Quiet
	now    func() time.Time
	count  *counters
}

// work does what is to be done with a notice that was claimed.
func (w *worker) work(ctx context.Context, n county.Notice) error {
	now := w.now()
	switch w.rules.Look(&n, now) {
	case Poll:
		return w.ask(ctx, &n)
	case Send:
		return w.send(ctx, &n)
	}
	return w.save(ctx, &n)
}

func (w *worker) save(ctx context.Context, n *county.Notice) error {
	_, err := w.store.SaveNotice(ctx, n, nil) // somebody else's word is newer: it is looked at again
	return err
}

// send tries one channel.
func (w *worker) send(ctx context.Context, n *county.Notice) error {
	who, prefs, known, err := w.people.Recipient(ctx, n.Waybill)
	if err != nil {
		return fmt.Errorf("recipient: %w", err)
	}
	if w.held(n, known, &prefs) {
		return w.save(ctx, n)
	}
	full := map[string]time.Time{} // channels that have no quota left, and until when
	for {
		now := w.now()
		l, at := w.choose(n, &who, &prefs, full, now)
		switch {
		case l == nil && at.IsZero():
			fail(n, reasonOf(n, &who), now)
			w.count.failed.Add(1)
			return w.save(ctx, n)
		case l == nil || at.After(now):
			n.Next = at
			return w.save(ctx, n)
		}
		m := w.names.message(n, &who, l, w.texts)
		try := *n
		try.Tries = append([]county.NoticeTry(nil), n.Tries...)
		m.Ref, m.At = w.rules.Begin(&try, l.set.Name, now), now
		quotas := l.quotas(now.In(w.names.zone))
		ok, used, err := w.store.IntendNotice(ctx, &try, quotas)
		if err != nil {
			return err
		}
		if used != "" {
			for _, q := range quotas {
				if q.Key == used {
					full[l.set.Name] = q.Until
				}
			}
			w.count.full.Add(1)
			continue
		}
		if !ok {
			return nil // somebody else has it
		}
		return w.hand(ctx, &try, l, m)
	}
}

// hand gives a message to a channel, whose intent is written, and writes down what it said.
func (w *worker) hand(ctx context.Context, n *county.Notice, l *lane, m Message) error {
	timeout := l.set.Timeout
	if timeout == 0 {
		timeout = 15 * time.Second
	}
	one, cancel := context.WithTimeout(ctx, timeout)
	o := l.via.Send(one, m)
	cancel()
	if ctx.Err() != nil {
		return ctx.Err() // the intent stands: after the restart it is an open one
	}
	w.count.tried(o.Class)
	l.did(o.Class, w.now())
	return w.settle(ctx, n, m.Ref, o)
}

// ask asks a channel what became of the last try.
func (w *worker) ask(ctx context.Context, n *county.Notice) error {
	last := lastTry(n)
	o := Outcome{Class: county.TryUnknown, Detail: "interrupted"}
	for _, l := range w.lanes {
		if a, ok := l.via.(Asked); ok && l.set.Name == last.Channel {
			o = a.Ask(ctx, last.Ref)
			l.did(o.Class, w.now())
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if o.Class != county.TryPending {
		w.count.tried(o.Class)
	}
	return w.settle(ctx, n, last.Ref, o)
}

// settle writes down an outcome, on whatever the notice has become meanwhile.
func (w *worker) settle(ctx context.Context, n *county.Notice, ref string, o Outcome) error {
	var refs map[string]string
	if o.Provider != "" {
		if t := find(n, ref); t != nil {
			refs = map[string]string{t.Channel + "/" + o.Provider: ref}
		}
	}
	for range 5 {
		w.rules.Settle(n, ref, o, w.now())
		ok, err := w.store.SaveNotice(ctx, n, refs)
		if ok || err != nil {
			return err
		}
		fresh, found, err := w.store.Notice(ctx, n.ID)
		if err != nil || !found {
			return err
		}
		*n = fresh
	}
	return errors.New("somebody else writes all the time")
}

// held ends or puts off a notice that must not be sent, or not now. It tells whether it did.
func (w *worker) held(n *county.Notice, known bool, prefs *county.NoticePrefs) bool {
	now := w.now()
	if !known && !w.anybody() {
		fail(n, "no_recipient", now)
		return true
	}
	if n.Event == county.NoticeSignIn {
		if !now.Before(n.About.Until) {
			drop(n, "too_late")
			return true
		}
		return false
	}
	if prefs.AllOff {
		drop(n, "opted_out")
		return true
	}
	for _, e := range prefs.Off {
		if e == n.Event {
			drop(n, "opted_out")
			return true
		}
	}
	return false
}

// anybody reports whether a channel needs no recipient.
func (w *worker) anybody() bool {
	for _, l := range w.lanes {
		if l.set.Form == "data" || l.set.Kind == "outbox" {
			return true
		}
	}
	return false
}

// choose picks a channel that reaches the recipient now; at is when one does, where none does yet.
func (w *worker) choose(n *county.Notice, who *county.Recipient, prefs *county.NoticePrefs, full map[string]time.Time, now time.Time) (*lane, time.Time) {
	var soonest time.Time // that a channel is held back until
	byName := map[string]*lane{}
	quiet := true
	can := func(name string) bool {
		l := byName[name]
		if l == nil || !l.fits(n, who) {
			return false
		}
		until, held := full[name]
		if !held {
			until, held = l.resting(now)
		}
		if end, ok := w.hush(l, n, prefs).Around(now.In(w.names.zone)); ok {
			until, held = end, true
		} else {
			quiet = false
		}
		if held && (soonest.IsZero() || until.Before(soonest)) {
			soonest = until
		}
		return !held
	}
	for _, l := range w.lanes {
		byName[l.set.Name] = l
	}
	name, at := w.rules.Choose(n, can, now)
	if name == "" {
		if quiet && !soonest.IsZero() && len(n.Tries) == 0 {
			n.Due = soonest // what is put off by the clock isn't late
		}
		return nil, soonest
	}
	return byName[name], at
}

// hush is the quiet stretch of a channel for somebody.
func (w *worker) hush(l *lane, n *county.Notice, prefs *county.NoticePrefs) channels.Quiet {
	if n.Event == county.NoticeSignIn {
		return channels.Quiet{}
	}
	if prefs.QuietFrom != "" {
		return channels.Quiet{From: prefs.QuietFrom, To: prefs.QuietTo}
	}
	if l.set.Quiet != nil {
		return *l.set.Quiet
	}
	if l.set.Form == "mail" || l.set.Form == "data" || l.set.Kind == "outbox" {
		return channels.Quiet{}
	}
	return w.quiet
}

// reasonOf says why no channel is left.
func reasonOf(n *county.Notice, who *county.Recipient) string {
	switch {
	case len(n.Tries) > 0:
		return "no_channel_left"
	case who.Phone == "" && who.Email == "":
		return "no_address"
	}
	return "no_channel"
}
