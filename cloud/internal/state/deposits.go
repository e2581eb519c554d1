package state

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

var depositsTable = newTable("deposits", 1, "id, waybill, locker, cell n, since_ms n, until_ms n, extended n, told_ms n, next_ms n, over_ms n, generation n", "")

// A depositRow is a row of deposits.
type depositRow struct {
	county.Deposit
	told, over int64
}

func (s *Store) depositValues(d *depositRow) []any {
	next := int64(0)
	if _, at := d.Dues(s.opt.Keeping, moment(d.told)); len(at) > 0 {
		next = ms(at[0])
	}
	return []any{d.ID, d.Waybill, d.Locker, int64(d.Cell), ms(d.Since), ms(d.Until), int64(d.Extended), d.told, next, d.over, int64(d.Generation)}
}

func readDeposits(ctx context.Context, c conn, rest string, args ...any) (out []depositRow, err error) {
	err = c.each(ctx, func(scan func(...any) error) error {
		var d depositRow
		var cell, since, until, extended, generation int64
		err := scan(&d.ID, &d.Waybill, &d.Locker, &cell, &since, &until, &extended, &d.told, &d.over, &generation)
		d.Cell, d.Since, d.Until, d.Extended, d.Generation = int(cell), moment(since), moment(until), int(extended), int(generation)
		out = append(out, d)
		return err
	}, "select id, waybill, locker, cell, since_ms, until_ms, extended, told_ms, over_ms, generation from deposits "+rest, args...)
	return out, err
}

// FollowDeposits makes deposits of the next facts, at most limit, and says how many facts those were.
func (s *Store) FollowDeposits(ctx context.Context, limit int) (n int, err error) {
	return s.FollowFacts(ctx, "deposits", limit, func(tx Tx, facts []county.Fact) error {
		for i := range facts {
			if err := tx.deposit(ctx, &facts[i]); err != nil {
				return fmt.Errorf("fact %d: %w", facts[i].Seq, err)
			}
		}
		return nil
	})
}

// deposit applies a fact: a step into a cell begins a deposit, any later step to another stage ends it; what is taken back is undone.
func (tx Tx) deposit(ctx context.Context, f *county.Fact) error {
	if f.Event != county.FactStep && f.Event != county.FactRetracted && f.Event != county.FactWaybill {
		return nil
	}
	var s county.StepTold
	if err := json.Unmarshal(f.Doc, &s); err != nil {
		return err
	}
	back := f.Event == county.FactRetracted
	switch {
	case s.Row.Stage == "":
		return nil
	case s.Row.Stage == county.InLocker:
		return tx.putDeposit(ctx, &s, back)
	case back: // what ended it isn't so: it lies there still
		_, err := tx.Exec(ctx, "update deposits set over_ms = 0 where waybill = $1 and over_ms = $2", s.Waybill, overAt(&s))
		return err
	}
	_, err := tx.Exec(ctx, "update deposits set over_ms = $2 where waybill = $1 and over_ms = 0 and since_ms <= $2", s.Waybill, overAt(&s))
	return err
}

func overAt(s *county.StepTold) int64 { return max(1, ms(s.Row.At)) }

func (tx Tx) putDeposit(ctx context.Context, s *county.StepTold, back bool) error {
	id := depositID(s)
	if back {
		_, err := tx.Exec(ctx, "delete from deposits where id = $1 and extended = 0", id)
		return err
	}
	old, err := readDeposits(ctx, tx.c, "where id = $1", id)
	if err != nil {
		return err
	}
	_, locker, _ := strings.Cut(s.Row.Place, "/")
	d := depositRow{Deposit: county.Deposit{ID: id, Waybill: s.Waybill, Locker: locker, Cell: s.Row.Cell, Since: s.Row.At, Until: s.Row.At.Add(tx.s.opt.Keeping.Expire), Generation: s.Row.Generation}}
	if len(old) > 0 { // told again, otherwise: what was promised stays
		d.Until, d.Extended, d.told, d.over = old[0].Until, old[0].Extended, old[0].told, old[0].over
		d.Generation = max(d.Generation, old[0].Generation)
	}
	return tx.c.put(ctx, depositsTable, [][]any{tx.s.depositValues(&d)})
}

// depositID names a deposit: as its cabinet does, or by its evidence.
func depositID(s *county.StepTold) string { return cmp.Or(s.Deposit, s.Row.ID) }

// TellDues tells the deadlines that have come, each once, of at most limit deposits, and says of how many.
func (s *Store) TellDues(ctx context.Context, limit int) (n int, err error) {
	err = s.Update(ctx, func(tx Tx) error {
		now := ms(tx.now)
		due, err := readDeposits(ctx, tx.c, "where next_ms > 0 and next_ms <= $1 and over_ms = 0 order by next_ms, id limit $2"+tx.c.words().lock, now, limit)
		if n = len(due); err != nil || n == 0 {
			return err
		}
		var rows [][]any
		var facts []county.Fact
		for i := range due {
			d := &due[i]
			what, at := d.Dues(s.opt.Keeping, moment(d.told))
			for j, w := range what {
				if ms(at[j]) > now {
					break
				}
				if j+1 < len(at) && ms(at[j+1]) <= now {
					continue // it was away for long: only the last counts
				}
				facts = append(facts, dueFact(&d.Deposit, w))
			}
			d.told = now
			rows = append(rows, s.depositValues(d))
		}
		if err := tx.c.put(ctx, depositsTable, rows); err != nil {
			return err
		}
		return tx.Tell(ctx, facts...)
	})
	return n, err
}

func dueFact(d *county.Deposit, what string) county.Fact {
	key := fmt.Sprintf("due/%s/%s/%d", d.ID, what, ms(d.Until))
	if what == county.DueRecoded {
		key = fmt.Sprintf("due/%s/%s/%d", d.ID, what, d.Generation)
	}
	return NewFact(county.FactDue, "parcel/"+d.Waybill, key, county.Due{
		Waybill: d.Waybill, Deposit: d.ID, Locker: d.Locker, Cell: d.Cell, What: what, Until: d.Until, Generation: d.Generation,
	})
}

// ErrNotExtended says that a parcel can't be kept longer: it lies in no locker, is overdue, or was extended as often as may be.
var ErrNotExtended = errors.New("the parcel can't be kept longer")

// Extend keeps a parcel longer in its cell, as the county's keeping allows, and returns until when.
func (s *Store) Extend(ctx context.Context, waybill string) (until time.Time, err error) {
	err = s.Update(ctx, func(tx Tx) error {
		lying, err := readDeposits(ctx, tx.c, "where waybill = $1 and over_ms = 0 order by since_ms desc limit 1"+tx.c.words().lock, clean(waybill))
		if err != nil {
			return err
		}
		if len(lying) == 0 || lying[0].Extended >= s.opt.Keeping.Extensions || !tx.now.Before(lying[0].Until) {
			return refusal{ErrNotExtended}
		}
		d := &lying[0]
		d.Until, d.Extended = d.Until.Add(s.opt.Keeping.Extension), d.Extended+1
		until = d.Until
		if err := tx.c.put(ctx, depositsTable, [][]any{s.depositValues(d)}); err != nil {
			return err
		}
		return tx.Tell(ctx, dueFact(&d.Deposit, county.DueExtended))
	})
	return until, err
}

// KeyGeneration is that of a locker's key as its gateway told it last; 0 where it didn't.
func (s *Store) KeyGeneration(ctx context.Context, gateway string) (generation int, err error) {
	err = s.each(ctx, func(scan func(...any) error) error {
		var body string
		if err := scan(&body); err != nil {
			return err
		}
		var h struct {
			Generation float64 `json:"locker_key_generation"`
		}
		if json.Unmarshal([]byte(body), &h) == nil {
			generation = int(h.Generation)
		}
		return nil
	}, "select body from latest where device = $1 and kind = $2", clean(gateway)+"/gateway", string(telemetry.KindHealth))
	return generation, err
}

// Recode gives what lies in a locker with a key of that generation the codes of that key, where it had those of an older one, and tells of each
// once. n says how many there were.
func (s *Store) Recode(ctx context.Context, locker string, generation int) (n int, err error) {
	err = s.Update(ctx, func(tx Tx) error {
		old, err := readDeposits(ctx, tx.c, "where locker = $1 and over_ms = 0 and generation > 0 and generation < $2 order by id"+tx.c.words().lock, clean(locker), generation)
		if n = len(old); err != nil || n == 0 {
			return err
		}
		var rows [][]any
		var facts []county.Fact
		for i := range old {
			old[i].Generation = generation
			rows, facts = append(rows, s.depositValues(&old[i])), append(facts, dueFact(&old[i].Deposit, county.DueRecoded))
		}
		if err := tx.c.put(ctx, depositsTable, rows); err != nil {
			return err
		}
		return tx.Tell(ctx, facts...)
	})
	return n, err
}

// Deposit returns the deposit of an id; ok is false where it isn't known, or over.
func (s *Store) Deposit(ctx context.Context, id string) (d county.Deposit, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	rows, err := readDeposits(ctx, s.db.reader(), "where id = $1 and over_ms = 0", clean(id))
	if err != nil || len(rows) == 0 {
		return d, false, classify(err)
	}
	return s.asOf(&rows[0]), true, nil
}

// Deposits returns what lies in a locker, by cell.
func (s *Store) Deposits(ctx context.Context, locker string) (out []county.Deposit, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	rows, err := readDeposits(ctx, s.db.reader(), "where locker = $1 and over_ms = 0 order by cell, since_ms", clean(locker))
	for i := range rows {
		out = append(out, s.asOf(&rows[i]))
	}
	return out, classify(err)
}

func (s *Store) asOf(d *depositRow) county.Deposit {
	d.Overdue = !s.opt.Now().Before(d.Until)
	return d.Deposit
}

// Expected lists the parcels on their way to a site that may go into a locker there, the oldest first, at most limit. Those whose recipients
// haven't agreed are among them, so that the locker can say why it takes them not; those that go to a door aren't.
func (s *Store) Expected(ctx context.Context, site, locker string, limit int) (out []county.Waybill, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	rows, err := readParcels(ctx, s.db.reader(), `where site = $1 and (locker = '' or locker = $2) and direction = 'inbound' and hold = 0 and wish <> 'home'
		and stage in ('created', 'at_warehouse', 'sorted', 'loaded', 'in_transit', 'at_outlet', 'out_for_delivery') order by created_ms, waybill limit $3`, site, locker, limit)
	for i := range rows {
		out = append(out, rows[i].Waybill)
	}
	return out, classify(err)
}
