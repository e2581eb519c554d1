package state

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
	"yizhan/devices/telemetry"
)

// never is when a callback comes up that waits for a person: it still holds those after it.
const never = math.MaxInt64

// PutSubscription keeps a subscriber. One that is new is told what happens from now on.
func (s *Store) PutSubscription(ctx context.Context, sub channels.Subscription, origin string) error {
	doc, err := json.Marshal(sub)
	if err != nil {
		return fmt.Errorf("state: subscription: %w", err)
	}
	return s.update(ctx, "subscription", func(c conn) error {
		_, err := c.exec(ctx, `insert into subscriptions (id, doc, origin, next_ms, fails, changed_ms) values ($1, $2, $3, 0, 0, $4)
			on conflict (id) do update set doc = excluded.doc, origin = excluded.origin, next_ms = 0, fails = 0, changed_ms = excluded.changed_ms`, sub.ID, clean(string(doc)), origin, ms(s.opt.Now()))
		return err
	})
}

// DropSubscription forgets a subscriber and what it was to be told. found is false where there is none.
func (s *Store) DropSubscription(ctx context.Context, id string) (found bool, err error) {
	err = s.update(ctx, "subscription", func(c conn) error {
		n, err := c.exec(ctx, "delete from subscriptions where id = $1", clean(id))
		if found = n > 0; err == nil {
			_, err = c.exec(ctx, "delete from callbacks where subscription = $1", clean(id))
		}
		return err
	})
	return found, err
}

// RestSubscription says how often in a row a subscriber wasn't reached, and that nobody calls it before next.
func (s *Store) RestSubscription(ctx context.Context, id string, fails int, next time.Time) error {
	return s.update(ctx, "subscription", func(c conn) error {
		_, err := c.exec(ctx, "update subscriptions set fails = $1, next_ms = $2 where id = $3", int64(fails), ms(next), id)
		return err
	})
}

// Subscriptions returns who is called back.
func (s *Store) Subscriptions(ctx context.Context) ([]county.Subscriber, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	out, err := readSubscriptions(ctx, s.db.reader())
	return out, classify(err)
}

func readSubscriptions(ctx context.Context, c conn) (out []county.Subscriber, err error) {
	out = []county.Subscriber{}
	err = c.each(ctx, func(scan func(...any) error) error {
		var u county.Subscriber
		var doc string
		var next, fails int64
		if err := scan(&doc, &u.Origin, &next, &fails); err != nil {
			return err
		}
		u.Next, u.Fails = moment(next), int(fails)
		if err := json.Unmarshal([]byte(doc), &u.Subscription); err != nil {
			return fmt.Errorf("subscription: %w", err)
		}
		out = append(out, u)
		return nil
	}, "select doc, origin, next_ms, fails from subscriptions order by id")
	return out, err
}

// FollowCallbacks queues the next facts, at most limit, for whom they concern, in one transaction with the cursor.
func (s *Store) FollowCallbacks(ctx context.Context, limit int) (n, made int, err error) {
	n, err = s.FollowFacts(ctx, "callback", limit, func(tx Tx, facts []county.Fact) error {
		subs, err := readSubscriptions(ctx, tx.c)
		if err != nil {
			return err
		}
		made, err = queue(ctx, tx.c, subs, facts, ms(tx.now), "nothing")
		return err
	})
	return n, made, err
}

// queue puts callbacks of facts; again is what becomes of those that are there.
func queue(ctx context.Context, c conn, subs []county.Subscriber, facts []county.Fact, now int64, again string) (made int, err error) {
	for i := range facts {
		f := &facts[i]
		var told *county.StepTold
		if f.Event == county.FactStep || f.Event == county.FactRetracted || f.Event == county.FactWaybill {
			told = &county.StepTold{}
			if err := json.Unmarshal(f.Doc, told); err != nil {
				return made, fmt.Errorf("fact %d: %w", f.Seq, err)
			}
		}
		for j := range subs {
			if !subs[j].Matches(f, told) {
				continue
			}
			n, err := c.exec(ctx, `insert into callbacks (subscription, seq, subject, key, status, tries, next_ms, detail, created_ms, changed_ms, version)
				values ($1, $2, $3, $4, 'waiting', 0, $5, '', $5, $5, 1) on conflict (subscription, seq) do `+again, subs[j].ID, f.Seq, f.Object, f.Key, now)
			if err != nil {
				return made, err
			}
			made += int(n)
		}
	}
	return made, nil
}

// ReplayCallbacks queues for a subscriber all facts from a number on once more, with the ids they had. It returns how many.
func (s *Store) ReplayCallbacks(ctx context.Context, id string, from int64) (made int, found bool, err error) {
	after := max(from, 1) - 1
	for {
		n := 0
		err := s.Update(ctx, func(tx Tx) error {
			n = 0
			subs, err := readSubscriptions(ctx, tx.c)
			if err != nil {
				return err
			}
			found = false
			for _, u := range subs {
				if u.ID != id {
					continue
				}
				found = true
				followed, err := draw(ctx, tx.c, "follower callback", 0) // what isn't queued yet comes by itself
				if err != nil {
					return err
				}
				facts, err := readFacts(ctx, tx.c, "seq > $1 and seq <= $2 order by seq limit 500", after, followed)
				if err != nil || len(facts) == 0 {
					return err
				}
				n, after = len(facts), facts[len(facts)-1].Seq
				more, err := queue(ctx, tx.c, []county.Subscriber{u}, facts, ms(tx.now),
					"update set status = 'waiting', tries = 0, next_ms = excluded.next_ms, detail = '', created_ms = excluded.created_ms, changed_ms = excluded.changed_ms, version = callbacks.version + 1")
				made += more
				return err
			}
			return nil
		})
		if err != nil || n == 0 {
			return made, found, err
		}
	}
}

const callbackColumns = "subscription, seq, subject, key, status, tries, next_ms, detail, created_ms, changed_ms, version"

func readCallbacks(ctx context.Context, c conn, rest string, args ...any) (out []county.Callback, err error) {
	out = []county.Callback{}
	err = c.each(ctx, func(scan func(...any) error) error {
		var b county.Callback
		var tries, next, created, changed int64
		err := scan(&b.Subscription, &b.Seq, &b.Subject, &b.Key, &b.Status, &tries, &next, &b.Detail, &created, &changed, &b.Version)
		b.Tries, b.Created, b.Changed = int(tries), moment(created), moment(changed)
		if next != never {
			b.Next = moment(next)
		}
		out = append(out, b)
		return err
	}, "select "+callbackColumns+" from callbacks "+rest, args...)
	return out, err
}

// ClaimCallbacks takes callbacks whose time has come, with their facts, and of each object the oldest only: what comes after it
// waits until it is done. Nobody else gets them for as long as lease.
func (s *Store) ClaimCallbacks(ctx context.Context, now time.Time, lease time.Duration, limit int) (out []county.Callback, err error) {
	err = s.update(ctx, "callbacks", func(c conn) error {
		subs, err := readSubscriptions(ctx, c)
		if err != nil {
			return err
		}
		var up []string
		for _, u := range subs {
			if !u.Paused && !u.Next.After(now) {
				up = append(up, u.ID)
			}
		}
		w := c.words()
		skip := ""
		if w.postgres {
			skip = " for update skip locked"
		}
		out, err = readCallbacks(ctx, c, "where next_ms > 0 and next_ms <= $1 and "+w.in("subscription", "$2")+
			` and not exists (select 1 from callbacks e where e.subscription = callbacks.subscription and e.subject = callbacks.subject and e.seq < callbacks.seq and e.next_ms > 0)
			order by next_ms, seq limit $3`+skip, ms(now), w.list(up), limit)
		if err != nil || len(out) == 0 {
			return err
		}
		seqs := map[int64]*county.Fact{}
		for i := range out {
			b := &out[i]
			b.Version++
			if _, err := c.exec(ctx, "update callbacks set next_ms = $1, version = version + 1 where subscription = $2 and seq = $3", ms(now.Add(lease)), b.Subscription, b.Seq); err != nil {
				return err
			}
			if seqs[b.Seq] == nil {
				facts, err := readFacts(ctx, c, "seq = $1", b.Seq)
				if err != nil {
					return err
				}
				if len(facts) == 0 {
					facts = []county.Fact{{}} // past its age
				}
				seqs[b.Seq] = &facts[0]
			}
			b.Fact = *seqs[b.Seq]
		}
		return nil
	})
	return out, err
}

// SaveCallback writes a callback over the version that it was claimed with. One that comes up again later, or never, holds the
// ones of its object after it for as long.
func (s *Store) SaveCallback(ctx context.Context, b *county.Callback) (ok bool, err error) {
	next := ms(b.Next)
	if b.Status == county.CallbackFailed {
		next = never
	}
	err = s.update(ctx, "callback", func(c conn) error {
		n, err := c.exec(ctx, "update callbacks set status = $1, tries = $2, next_ms = $3, detail = $4, changed_ms = $5, version = version + 1 where subscription = $6 and seq = $7 and version = $8",
			b.Status, int64(b.Tries), next, clean(b.Detail), ms(s.opt.Now()), b.Subscription, b.Seq, b.Version)
		ok = n == 1
		if err != nil || !ok || next == 0 || next == never {
			return err
		}
		_, err = c.exec(ctx, "update callbacks set next_ms = $1 where subscription = $2 and subject = $3 and seq > $4 and next_ms > 0 and next_ms < $1", next, b.Subscription, b.Subject, b.Seq)
		return err
	})
	if ok && err == nil {
		b.Version++
	}
	return ok, err
}

// DecideCallback has a callback tried again at once (retry), or never (skip). found is false where none waits.
func (s *Store) DecideCallback(ctx context.Context, id string, seq int64, skip bool) (found bool, err error) {
	now := ms(s.opt.Now())
	sql := "update callbacks set status = 'waiting', tries = 0, next_ms = $1, changed_ms = $1, version = version + 1 where subscription = $2 and seq = $3 and next_ms > 0"
	if skip {
		sql = "update callbacks set status = 'skipped', next_ms = 0, changed_ms = $1, version = version + 1 where subscription = $2 and seq = $3 and next_ms > 0"
	}
	err = s.update(ctx, "callback", func(c conn) error {
		n, err := c.exec(ctx, sql, now, clean(id), seq)
		found = n > 0
		return err
	})
	return found, err
}

// Callbacks returns a subscriber's callbacks, the newest fact first; status narrows. before is 0, or the seq to go on below.
func (s *Store) Callbacks(ctx context.Context, id, status string, before int64, limit int) ([]county.Callback, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	if before == 0 {
		before = never
	}
	where, args := "where subscription = $1 and seq < $2", []any{clean(id), before, min(max(limit, 1), maxPage)}
	if status != "" {
		where += " and status = $4"
		args = append(args, status)
	}
	out, err := readCallbacks(ctx, s.db.reader(), where+" order by seq desc limit $3", args...)
	return out, classify(err)
}

// CallbackCounts returns how many callbacks of each subscriber and status there are.
func (s *Store) CallbackCounts(ctx context.Context) (out []county.CallbackCount, err error) {
	out = []county.CallbackCount{}
	err = s.each(ctx, func(scan func(...any) error) error {
		var c county.CallbackCount
		var oldest int64
		err := scan(&c.Subscription, &c.Status, &c.Count, &oldest)
		c.Oldest = moment(oldest)
		out = append(out, c)
		return err
	}, "select subscription, status, count(*), min(created_ms) from callbacks group by subscription, status order by subscription, status")
	return out, err
}

// AlarmLateCallbacks alarms, once a day and subscriber, that facts of before a time weren't told. It returns how many there are.
func (s *Store) AlarmLateCallbacks(ctx context.Context, before time.Time) (late int, err error) {
	err = s.update(ctx, "callbacks", func(c conn) error {
		var rows [][]any
		late = 0
		now := s.opt.Now()
		err := c.each(ctx, func(scan func(...any) error) error {
			var id string
			var n int
			err := scan(&id, &n)
			late += n
			rows = append(rows, []any{
				digest("callback_late", id, now.UTC().Format(time.DateOnly)), ms(now), "", "callback/" + id, "callback_late", string(telemetry.Major), fmt.Sprintf("%d wait", n),
			})
			return err
		}, "select subscription, count(*) from callbacks where next_ms > 0 and created_ms < $1 group by subscription", ms(before))
		if err != nil {
			return err
		}
		return c.put(ctx, alarmsTable, rows)
	})
	return late, err
}

func pruneCallbacks(ctx context.Context, c conn, past int64) error {
	_, err := c.exec(ctx, "delete from callbacks where changed_ms < $1 and next_ms = 0", past)
	return err
}
