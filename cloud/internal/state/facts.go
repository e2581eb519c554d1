package state

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"yizhan/cloud/internal/county"
)

// Tx is a transaction that other rooms' rows are written in. It ends with the function that it was given to.
type Tx struct {
	s    *Store
	c    conn
	now  time.Time
	told *bool
}

// Now is the store's time of the transaction.
func (tx Tx) Now() time.Time { return tx.now }

// Exec runs a statement, whose arguments are $1, $2, ... on both servers, and returns how many rows it changed.
func (tx Tx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	return tx.c.exec(ctx, sql, args...)
}

// Query calls row for each row of an answer, with what scans it.
func (tx Tx) Query(ctx context.Context, row func(scan func(...any) error) error, sql string, args ...any) error {
	return tx.c.each(ctx, row, sql, args...)
}

// Tell writes facts, numbered and dated as the transaction is. One whose key was told already isn't told again. It is the
// last thing to do in a transaction: from then on nobody else can write facts.
func (tx Tx) Tell(ctx context.Context, facts ...county.Fact) error {
	*tx.told = *tx.told || len(facts) > 0
	return tell(ctx, tx.c, tx.now, facts, true)
}

// Update runs f in one transaction, again where two stood in each other's way: f must start afresh each time.
func (s *Store) Update(ctx context.Context, f func(tx Tx) error) error {
	told := false
	err := s.update(ctx, "update", func(c conn) error { return f(Tx{s, c, s.opt.Now(), &told}) })
	if err == nil && told {
		s.wake()
	}
	return err
}

// tell numbers facts under the lock of the counter's row, which is held until the commit: so numbers become visible in
// their order. check leaves out facts that were told.
func tell(ctx context.Context, c conn, now time.Time, facts []county.Fact, check bool) error {
	if len(facts) == 0 {
		return nil
	}
	if check {
		if _, err := c.exec(ctx, "update counters set value = value where name = 'facts'"); err != nil {
			return err
		}
		var err error
		if facts, err = untold(ctx, c, facts); err != nil || len(facts) == 0 {
			return err
		}
	}
	last, err := draw(ctx, c, "facts", len(facts))
	if err != nil {
		return err
	}
	rows := make([][]any, len(facts))
	for i := range facts {
		f := &facts[i]
		rows[i] = []any{last - int64(len(facts)-i-1), ms(now), f.Object, string(f.Event), f.Key, string(f.Doc)}
	}
	return c.put(ctx, factsTable, rows)
}

// draw takes n numbers of a counter; they end with last.
func draw(ctx context.Context, c conn, counter string, n int) (last int64, err error) {
	err = c.each(ctx, func(scan func(...any) error) error { return scan(&last) },
		"update counters set value = value + $1 where name = $2 returning value", n, counter)
	return last, err
}

// untold leaves out facts whose key was told, or is given twice.
func untold(ctx context.Context, c conn, facts []county.Fact) ([]county.Fact, error) {
	seen := map[string]bool{}
	keys := make([]string, len(facts))
	for i := range facts {
		keys[i] = facts[i].Key
	}
	w := c.words()
	err := c.each(ctx, func(scan func(...any) error) error {
		var key string
		err := scan(&key)
		seen[key] = true
		return err
	}, "select key from facts where "+w.in("key", "$1"), w.list(keys))
	return slices.DeleteFunc(slices.Clone(facts), func(f county.Fact) bool {
		was := seen[f.Key]
		seen[f.Key] = true
		return was
	}), err
}

// NewFact makes a fact; doc is what it tells.
func NewFact(event county.FactEvent, object, key string, doc any) county.Fact {
	b, err := json.Marshal(doc)
	if err != nil {
		panic(fmt.Sprintf("BUG: %T doesn't marshal: %v", doc, err))
	}
	return county.Fact{Object: object, Event: event, Key: key, Doc: b}
}

const factColumns = "select seq, at_ms, object, event, key, doc from facts where "

func readFacts(ctx context.Context, c conn, where string, args ...any) (out []county.Fact, err error) {
	err = c.each(ctx, func(scan func(...any) error) error {
		var f county.Fact
		var at int64
		var event, doc string
		err := scan(&f.Seq, &at, &f.Object, &event, &f.Key, &doc)
		f.At, f.Event, f.Doc = moment(at), county.FactEvent(event), county.RawJSON(doc)
		out = append(out, f)
		return err
	}, factColumns+where, args...)
	return out, err
}

// Facts reads the outbox from the fact after a number on, at most limit of them.
func (s *Store) Facts(ctx context.Context, after int64, limit int) ([]county.Fact, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	facts, err := readFacts(ctx, s.db.reader(), "seq > $1 order by seq limit $2", after, limit)
	if err != nil {
		return nil, fmt.Errorf("state: facts: %w", classify(err))
	}
	return facts, nil
}

// FactsEnd returns the number of the last fact; 0 when there is none.
func (s *Store) FactsEnd(ctx context.Context) (seq int64, err error) {
	err = s.each(ctx, func(scan func(...any) error) error { return scan(&seq) }, "select value from counters where name = 'facts'")
	return seq, err
}

// FollowFacts hands a follower the next facts, at most limit, and moves its cursor, in the transaction that apply
// writes its rows in: so each fact is applied once, by however many workers and through whatever restarts. The workers of one
// follower wait for each other. A follower that is new begins with the first fact kept. It returns how many facts
// were applied; apply isn't called where there is none. apply may be called again where its transaction was
// in another's way, and must start afresh then.
func (s *Store) FollowFacts(ctx context.Context, follower string, limit int, apply func(tx Tx, facts []county.Fact) error) (n int, err error) {
	cursor := "follower " + follower
	if idle, err := s.followed(ctx, cursor); idle || err != nil {
		return 0, err
	}
	told := false
	err = s.update(ctx, "follow", func(c conn) error {
		n = 0
		if err := c.put(ctx, newCountersTable, [][]any{{cursor, int64(0)}}); err != nil {
			return err
		}
		after, err := draw(ctx, c, cursor, 0)
		if err != nil {
			return err
		}
		facts, err := readFacts(ctx, c, "seq > $1 order by seq limit $2", after, limit)
		if err != nil || len(facts) == 0 {
			return err
		}
		n = len(facts)
		if _, err := c.exec(ctx, "update counters set value = $1 where name = $2", facts[n-1].Seq, cursor); err != nil {
			return err
		}
		return apply(Tx{s, c, s.opt.Now(), &told}, facts)
	})
	if err != nil {
		return 0, err
	}
	if told {
		s.wake()
	}
	return n, nil
}

// factDays is how long facts are kept, in days; those that a follower hasn't come to are kept longer.
const factDays = 90

func pruneFacts(ctx context.Context, c conn, past int64) error {
	_, err := c.exec(ctx, `delete from facts where at_ms < $1 and seq <= (select min(value) from counters where name = 'facts' or name like 'follower %')
		and seq < coalesce((select min(seq) from facts where at_ms >= $1), (select value + 1 from counters where name = 'facts'))`, past)
	return err
}

// followed tells that there is nothing for a follower, without a transaction that writes.
func (s *Store) followed(ctx context.Context, cursor string) (idle bool, err error) {
	var at, end int64
	err = s.each(ctx, func(scan func(...any) error) error { return scan(&at, &end) },
		"select coalesce(max(case when name = $1 then value end), 0), coalesce(max(case when name = 'facts' then value end), 0) from counters where name in ($1, 'facts')", cursor)
	return at >= end, err
}

// Wake is closed when this process next commits facts. Who follows asks for it before looking, and looks every few seconds
// anyway, for another process's facts.
func (s *Store) Wake() <-chan struct{} {
	s.facts.Lock()
	defer s.facts.Unlock()
	return s.facts.wake
}

func (s *Store) wake() {
	s.facts.Lock()
	defer s.facts.Unlock()
	close(s.facts.wake)
	s.facts.wake = make(chan struct{})
}
