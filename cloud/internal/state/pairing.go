package state

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/locker"
	"yizhan/devices/telemetry"
)

// A pairing is a deposit and what scan belongs to it, if one does.
type pairing struct {
	deposit county.Sighting
	scan    string // its id
	waybill string
}

// A stretch is the pairings of a gateway's deposits from one time to another.
type stretch struct {
	from, to time.Time
	pairs    []pairing
}

func (s *stretch) covers(at time.Time) bool { return !at.Before(s.from) && !at.After(s.to) }

// pairs are the pairings of a gateway that were read in this transaction; evidence that is put makes them stale.
type pairs map[string][]stretch

// at returns the pairings that were prepared around a time: all to which a scan or deposit of then may belong.
func (p pairs) at(gateway string, t time.Time) []pairing {
	for i := range p[gateway] {
		if s := &p[gateway][i]; s.covers(t) && s.covers(t.Add(locker.Window)) {
			return s.pairs
		}
	}
	return nil
}

// prepare reads the pairings at most Reach away from times, a gateway's times that lie together at once.
func (c *commit) prepare(ctx context.Context, times map[string][]time.Time) error {
	for _, g := range slices.Sorted(maps.Keys(times)) {
		ts := slices.DeleteFunc(times[g], func(t time.Time) bool {
			return slices.ContainsFunc(c.pairs[g], func(s stretch) bool { return s.covers(t.Add(-locker.Reach)) && s.covers(t.Add(locker.Reach)) })
		})
		slices.SortFunc(ts, time.Time.Compare)
		for len(ts) > 0 {
			n := 1
			for n < len(ts) && ts[n].Sub(ts[n-1]) <= 2*locker.Reach {
				n++
			}
			s := stretch{from: ts[0].Add(-locker.Reach), to: ts[n-1].Add(locker.Reach)}
			var err error
			if s.pairs, err = c.pair(ctx, g, s.from, s.to); err != nil {
				return err
			}
			c.pairs[g] = append(c.pairs[g], s)
			ts = ts[n:]
		}
	}
	return nil
}

// maxCellEvents bounds what is read of one gateway at once; more than a county's lockers tell in a day.
const maxCellEvents = 20_000

// pair binds the deposits of a gateway from one time to another. Of scans it reads only those that lie right before
// something that happened at a door, however many there are.
func (c *commit) pair(ctx context.Context, gateway string, from, to time.Time) ([]pairing, error) {
	events, err := readEvidence(ctx, c.c, "gateway = $1 and kind = 'locker' and at_ms between $2 and $3 and step in ('opened', 'forced', "+contentSteps+")"+inOrder+" limit $4",
		gateway, ms(from.Add(-locker.Reach)), ms(to.Add(locker.Reach)), maxCellEvents)
	if err != nil {
		return nil, err
	}
	deposits, err := c.deposits(ctx, events)
	if err != nil || len(deposits) == 0 {
		return nil, err
	}
	scans, err := c.lastScans(ctx, gateway, deposits)
	if err != nil {
		return nil, err
	}
	var unnamed []locker.Deposit // what names its parcel asks for no scan
	name := map[string]string{}
	for i := range deposits {
		if w := depositOf(&deposits[i].Sighting); w != "" {
			name[deposits[i].ID] = w
		} else {
			unnamed = append(unnamed, deposits[i])
		}
	}
	bound := locker.Bind(scans, unnamed)
	text := make(map[string]string, len(scans))
	for i := range scans {
		text[scans[i].ID] = strings.TrimPrefix(scans[i].Subject, "scan/")
	}
	var out []pairing
	for i := range deposits {
		if d := &deposits[i]; !d.At.Before(from) && !d.At.After(to) {
			out = append(out, pairing{d.Sighting, bound[d.ID], cmp.Or(name[d.ID], text[bound[d.ID]])})
		}
	}
	return out, nil
}

// contentSteps are the steps that say what is in a cell.
const contentSteps = "'deposited', 'emptied', 'closed_full', 'closed_empty'"

// deposits finds among events of cells, in order, what was put in.
func (c *commit) deposits(ctx context.Context, events []county.Sighting) ([]locker.Deposit, error) {
	before, err := c.stepsBefore(ctx, events)
	if err != nil {
		return nil, err
	}
	var out []locker.Deposit
	opened := map[string]time.Time{}
	for i := range events {
		switch e := &events[i]; e.Step {
		case string(telemetry.CellOpened), string(telemetry.CellForced):
			opened[e.Subject] = e.At
		default:
			if locker.Puts(e.Step, before[e.ID]) {
				out = append(out, locker.Deposit{Sighting: *e, Opened: opened[e.Subject]})
			}
			delete(opened, e.Subject)
		}
	}
	return out, nil
}

// stepsBefore finds for statements that a cell is full what was known of the cell before.
func (c *commit) stepsBefore(ctx context.Context, events []county.Sighting) (map[string]string, error) {
	var ids []string
	for i := range events {
		if events[i].Step == locker.ClosedFull {
			ids = append(ids, events[i].ID)
		}
	}
	out := map[string]string{}
	if len(ids) == 0 {
		return out, nil
	}
	w := c.c.words()
	err := c.c.each(ctx, func(scan func(...any) error) error {
		var id, step string
		err := scan(&id, &step)
		out[id] = step
		return err
	}, `select e.id, coalesce((select p.step from evidence p where p.subject = e.subject and p.at_ms <= e.at_ms and p.step in (`+contentSteps+`)
		and (p.at_ms, p.gateway, p.epoch, p.lane, p.seq, p.id) < (e.at_ms, e.gateway, e.epoch, e.lane, e.seq, e.id)
		order by p.at_ms desc, p.gateway desc, p.epoch desc, p.lane desc, p.seq desc, p.id desc limit 1), '') from evidence e where `+w.in("e.id", "$1"), w.list(ids))
	return out, err
}

// lastScans reads the last scans before the moments of deposits.
func (c *commit) lastScans(ctx context.Context, gateway string, deposits []locker.Deposit) ([]county.Sighting, error) {
	moments := map[string]bool{}
	for i := range deposits {
		opened, shut := deposits[i].Door()
		for _, t := range []time.Time{opened, shut, deposits[i].At} {
			moments[strconv.FormatInt(ms(t), 10)] = true
		}
	}
	var ids []string
	w := c.c.words()
	err := c.c.each(ctx, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		if id != "" {
			ids = append(ids, id)
		}
		return err
	}, "select distinct coalesce((select e.id from evidence e where e.gateway = $1 and e.kind = 'scan' and e.at_ms <= cast(m.value as bigint) and e.at_ms >= cast(m.value as bigint) - $2"+
		backward+" limit 1), '') from "+w.values("$3")+" m", gateway, locker.Window.Milliseconds(), w.list(slices.Sorted(maps.Keys(moments))))
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return readEvidence(ctx, c.c, w.in("id", "$1"), w.list(ids))
}

// lastDeposit finds what was put into a cell last before e, or at all where e is nil, and is or was in it then.
func (c *commit) lastDeposit(ctx context.Context, subject string, e *county.Sighting) (*county.Sighting, error) {
	where, args := "subject = $1", []any{subject}
	if e != nil {
		where += " and at_ms <= $2 and (at_ms, gateway, epoch, lane, seq, id) < ($2, $3, $4, $5, $6, $7)"
		args = append(args, ms(e.At), e.Gateway, e.Epoch, int64(e.Lane), int64(e.Seq), e.ID)
	}
	last, err := readEvidence(ctx, c.c, where+" and step in ('deposited', 'emptied', 'closed_empty')"+backward+" limit 1", args...)
	switch {
	case err != nil || len(last) == 0:
		return nil, err
	case last[0].Step == string(telemetry.CellDeposited):
		return &last[0], nil
	}
	late, err := c.next(ctx, &last[0], "'closed_full'")
	if late == nil || e != nil && !late.Before(*e) {
		return nil, err
	}
	return late, nil
}

// next finds the next event of a cell after e with one of some steps.
func (c *commit) next(ctx context.Context, e *county.Sighting, steps string) (*county.Sighting, error) {
	after, err := readEvidence(ctx, c.c, "subject = $1 and at_ms >= $2 and (at_ms, gateway, epoch, lane, seq, id) > ($2, $3, $4, $5, $6, $7) and step in ("+steps+")"+inOrder+" limit 1",
		e.Subject, ms(e.At), e.Gateway, e.Epoch, int64(e.Lane), int64(e.Seq), e.ID)
	if err != nil || len(after) == 0 {
		return nil, err
	}
	return &after[0], nil
}
