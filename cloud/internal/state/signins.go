package state

import (
	"context"
	"time"

	"yizhan/cloud/internal/county"
)

var (
	signInsTable = newTable("sign_ins", 1, "phone_hash, nonce, asked_ms n, until_ms n, tries n, day n, asks n", "")
	visitsTable  = newTable("visits", 1, "session, phone_hash, until_ms n", "")
)

// The bounds of signing in.
const (
	signInFor    = 10 * time.Minute // a code is good
	signInTries  = 5                // of a code
	signInPause  = time.Minute      // between two codes of a phone
	signInsDaily = 5                // codes of a phone
)

const dayMS = int64(24 * time.Hour / time.Millisecond)

type signIn struct {
	nonce                          string
	asked, until, tries, day, asks int64
}

func (tx Tx) signIn(ctx context.Context, phone string) (r signIn, err error) {
	err = tx.c.each(ctx, func(scan func(...any) error) error {
		return scan(&r.nonce, &r.asked, &r.until, &r.tries, &r.day, &r.asks)
	}, "select nonce, asked_ms, until_ms, tries, day, asks from sign_ins where phone_hash = $1"+tx.c.words().lock, phone)
	return r, err
}

func (tx Tx) putSignIn(ctx context.Context, phone string, r signIn) error {
	return tx.c.put(ctx, signInsTable, [][]any{{phone, r.nonce, r.asked, r.until, r.tries, r.day, r.asks}})
}

// AskSignIn makes a sign-in of a phone, by its keyed hash; notice makes the message for it of one of its waybills, where it has any. Within a minute of
// the last one, and after five in a day, it does nothing. Both are counted alike for phones that nobody knows.
func (s *Store) AskSignIn(ctx context.Context, phone, nonce string, notice func(w county.Waybill, until time.Time) county.Notice) error {
	err := s.Update(ctx, func(tx Tx) error {
		now := ms(tx.now)
		// A row to lock: two forms at once are one.
		if _, err := tx.Exec(ctx, "insert into sign_ins (phone_hash, nonce, asked_ms, until_ms, tries, day, asks) values ($1, '', 0, 0, 0, 0, 0) on conflict (phone_hash) do nothing", phone); err != nil {
			return err
		}
		r, err := tx.signIn(ctx, phone)
		if err != nil {
			return err
		}
		if r.day != now/dayMS {
			r.day, r.asks = now/dayMS, 0
		}
		if now-r.asked < signInPause.Milliseconds() && now >= r.asked || r.asks >= signInsDaily {
			return nil
		}
		r.nonce, r.asked, r.until, r.tries, r.asks = clean(nonce), now, now+signInFor.Milliseconds(), 0, r.asks+1
		if err := tx.putSignIn(ctx, phone, r); err != nil {
			return err
		}
		rows, err := readParcels(ctx, tx.c, "where "+called(byPhone, "name = $1")+" order by changed_ms desc, waybill desc limit 1", phone)
		if err != nil {
			return err
		}
		for i := range rows {
			n := notice(rows[i].Waybill, moment(r.until))
			if _, err := tx.Exec(ctx, putNotice, noticeRow(&n)...); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, "delete from visits where until_ms <= $1", now); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "delete from sign_ins where asked_ms <= $1", now-2*dayMS)
		return err
	})
	if err == nil {
		s.wake()
	}
	return err
}

// TrySignIn opens a session of a phone where right says so of the nonce that was asked for last. A code has five tries, within ten minutes, and is good
// once.
func (s *Store) TrySignIn(ctx context.Context, phone string, right func(nonce string) bool, session string, until time.Time) (ok bool, err error) {
	err = s.Update(ctx, func(tx Tx) error {
		ok = false
		r, err := tx.signIn(ctx, phone)
		if err != nil || r.nonce == "" || ms(tx.now) >= r.until || r.tries >= signInTries {
			return err
		}
		r.tries++
		if right(r.nonce) {
			ok, r.nonce = true, ""
			if err := tx.c.put(ctx, visitsTable, [][]any{{clean(session), phone, ms(until)}}); err != nil {
				return err
			}
		}
		return tx.putSignIn(ctx, phone, r)
	})
	return ok && err == nil, err
}

// Visitor is the phone of a session, by its keyed hash; empty where there is none, or it is over.
func (s *Store) Visitor(ctx context.Context, session string) (phone string, err error) {
	err = s.each(ctx, func(scan func(...any) error) error { return scan(&phone) },
		"select phone_hash from visits where session = $1 and until_ms > $2", clean(session), ms(s.opt.Now()))
	return phone, err
}

// Leave ends a session.
func (s *Store) Leave(ctx context.Context, session string) error {
	return s.Update(ctx, func(tx Tx) error {
		_, err := tx.Exec(ctx, "delete from visits where session = $1", clean(session))
		return err
	})
}
