package state

import (
	"context"
	"maps"
	"slices"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/locker"
	"yizhan/devices/telemetry"
)

// foldLast is how many events of a cell, back from the last, decide its state.
const foldLast = 256

// A cell is a row of cells.
type cell struct {
	locker  string
	cell    int64
	state   string
	since   int64
	waybill string
}

// foldCells folds the cells again that evidence marked, under the lock of their lockers.
func (c *commit) foldCells(ctx context.Context) error {
	byLocker := map[string][]int64{}
	for s := range c.cells {
		if id, n, ok := cutCell(s); ok {
			byLocker[id] = append(byLocker[id], n)
		}
	}
	if len(byLocker) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(byLocker))
	versions, err := c.lockLockers(ctx, ids)
	if err != nil {
		return err
	}
	var rows, lockers [][]any
	for _, id := range ids {
		have, err := readCells(ctx, c.c, id)
		if err != nil {
			return err
		}
		changed := false
		slices.Sort(byLocker[id])
		for _, n := range byLocker[id] {
			now, err := c.foldCell(ctx, id, n)
			if err != nil {
				return err
			}
			if old := have[id][n]; old != now {
				changed = true
				rows = append(rows, []any{id, n, now.state, now.since, now.waybill})
			}
		}
		if changed {
			lockers = append(lockers, []any{id, versions[id] + 1})
			c.lockers = append(c.lockers, id)
		}
	}
	if err := c.c.put(ctx, lockersTable, lockers); err != nil {
		return err
	}
	return c.c.put(ctx, cellsTable, rows)
}

func (c *commit) foldCell(ctx context.Context, id string, n int64) (cell, error) {
	out := cell{locker: id, cell: n}
	tail, err := readEvidence(ctx, c.c, "subject = $1"+backward+" limit 256", cellSubject(id, int(n)))
	if err != nil {
		return out, err
	}
	events := make([]locker.Event, 0, foldLast)
	for _, s := range slices.Backward(tail) {
		body, err := telemetry.As[telemetry.Locker](telemetry.Reading{Body: s.Body})
		if err != nil {
			return out, err
		}
		events = append(events, locker.Event{Sighting: s, Locker: body})
	}
	state, since := locker.Fold(events)
	out.state, out.since = string(state), ms(since)
	held, err := c.lastDeposit(ctx, cellSubject(id, int(n)), nil)
	if held == nil {
		return out, err
	}
	if err := c.prepare(ctx, map[string][]time.Time{held.Gateway: {held.At}}); err != nil {
		return out, err
	}
	for _, p := range c.pairs.at(held.Gateway, held.At) {
		if p.deposit.ID == held.ID {
			out.waybill = p.waybill
		}
	}
	return out, nil
}

func (c *commit) lockLockers(ctx context.Context, ids []string) (map[string]int64, error) {
	var rows [][]any
	for _, id := range ids {
		rows = append(rows, []any{id, int64(0)})
	}
	if err := c.c.put(ctx, newLockersTable, rows); err != nil {
		return nil, err
	}
	return readLockers(ctx, c.c, ids, true)
}

func readLockers(ctx context.Context, c conn, ids []string, lock bool) (map[string]int64, error) {
	w := c.words()
	q, args := "select id, version from lockers", []any(nil)
	if ids != nil {
		q, args = q+" where "+w.in("id", "$1"), []any{w.list(ids)}
	}
	q += " order by id"
	if lock {
		q += w.lock
	}
	versions := map[string]int64{}
	err := c.each(ctx, func(scan func(...any) error) error {
		var id string
		var v int64
		err := scan(&id, &v)
		versions[id] = v
		return err
	}, q, args...)
	return versions, err
}

// readCells reads the cells of one locker, or of all where id is empty.
func readCells(ctx context.Context, c conn, id string) (map[string]map[int64]cell, error) {
	out := map[string]map[int64]cell{}
	err := c.each(ctx, func(scan func(...any) error) error {
		var v cell
		if err := scan(&v.locker, &v.cell, &v.state, &v.since, &v.waybill); err != nil {
			return err
		}
		if out[v.locker] == nil {
			out[v.locker] = map[int64]cell{}
		}
		out[v.locker][v.cell] = v
		return nil
	}, "select locker, cell, state, since_ms, waybill from cells where locker = $1 or $1 = ''", id)
	return out, err
}

// lockerOf is a locker as the API shows it.
func (p *places) lockerOf(id string, version int64, cells map[int64]cell, last time.Time) county.Locker {
	noun := county.Locker{ID: id}
	if known := p.locker[id]; known != nil {
		noun = *known
		noun.Cells = slices.Clone(known.Cells)
	}
	noun.Version, noun.Last = version, last
	for _, n := range slices.Sorted(maps.Keys(cells)) {
		v := cells[n]
		i := slices.IndexFunc(noun.Cells, func(c county.Cell) bool { return int64(c.Cell) == n })
		if i < 0 { // the board has more cells than the registry says: shown, not hidden
			noun.Cells = append(noun.Cells, county.Cell{Cell: int(n)})
			i = len(noun.Cells) - 1
		}
		noun.Cells[i].State, noun.Cells[i].Waybill = county.CellState(v.state), v.waybill
		if v.since != 0 {
			t := moment(v.since)
			noun.Cells[i].Since = &t
		}
	}
	return noun
}
