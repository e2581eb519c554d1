package state

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
)

const day = 24 * time.Hour

// dayOf is the day of the archive, counted from 1970.
func dayOf(t time.Time) int64 { return t.UnixMilli() / day.Milliseconds() }

func partition(day int64) string {
	return "frames_" + time.UnixMilli(day*24*3600*1000).UTC().Format("20060102")
}

// makeDays makes the partitions that arrivals will need, before their transaction.
func (s *Store) makeDays(ctx context.Context, arrivals []county.Arrival) error {
	if !s.words().postgres {
		return nil
	}
	for i := range arrivals {
		if err := s.makeDay(ctx, dayOf(arrivals[i].Received)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) makeDay(ctx context.Context, d int64) error {
	s.days.Lock()
	defer s.days.Unlock()
	if s.days.made[d] {
		return nil
	}
	err := s.update(ctx, "partition", func(c conn) error {
		if _, err := c.exec(ctx, "select pg_advisory_xact_lock(7946001)"); err != nil { // two starts at once
			return err
		}
		_, err := c.exec(ctx, fmt.Sprintf("create table if not exists %s partition of frames for values from (%d) to (%d)", partition(d), d, d+1))
		return err
	})
	if err == nil {
		s.days.made[d] = true
	}
	return err
}

func (c *commit) putLedger(ctx context.Context) error {
	var rows [][]any
	for _, id := range slices.Sorted(maps.Keys(c.lanes)) {
		if l := c.lanes[id]; l.changed {
			rows = append(rows, l.row())
		}
	}
	if err := c.c.put(ctx, rangesTable, rows); err != nil {
		return err
	}
	if err := c.c.put(ctx, openingsTable, c.openings); err != nil {
		return err
	}
	if err := c.c.put(ctx, tombstonesTable, c.tombstones); err != nil {
		return err
	}
	return c.c.put(ctx, alarmsTable, once(c.alarms))
}

// once keeps the first of rows with the same first column.
func once(rows [][]any) [][]any {
	seen := map[any]bool{}
	return slices.DeleteFunc(rows, func(r []any) bool {
		was := seen[r[0]]
		seen[r[0]] = true
		return was
	})
}

// putArchive numbers the frames under the lock of the counter's row, which is held until the
// commit: so numbers become visible in their order.
func (c *commit) putArchive(ctx context.Context) error {
	if err := quarantine(ctx, c.c, c.refused, maxRefused); err != nil {
		return err
	}
	if len(c.frames) > 0 {
		last, err := draw(ctx, c.c, "frames", len(c.frames))
		if err != nil {
			return err
		}
		for i := range c.frames {
			no := last - int64(len(c.frames)) + int64(i) + 1
			v := &c.verdicts[c.numbered[i]]
			v.No, v.Committed = no, moment(ms(c.now))
			c.frames[i][0] = no
		}
	}
	if err := c.c.put(ctx, framesTable, c.frames); err != nil {
		return err
	}
	return tell(ctx, c.c, c.now, c.facts, false)
}

// Frames reads the archive from the frame after no on, at most max frames and about maxBytes
// of them.
func (s *Store) Frames(ctx context.Context, after int64, max, maxBytes int) ([]county.Archived, error) {
	var out []county.Archived
	size := 0
	err := s.each(ctx, func(scan func(...any) error) error {
		var a county.Archived
		var received, committed int64
		if size > maxBytes {
			return nil
		}
		err := scan(&a.No, &received, &committed, &a.Raw)
		a.Received, a.Committed = moment(received), moment(committed)
		size += len(a.Raw)
		out = append(out, a)
		return err
	}, "select no, received_ms, committed_ms, body from frames where no > $1 order by no limit $2", after, max)
	return out, err
}

// FrameRange returns the numbers of the first and last frame of the archive that were received from
// one time to another, as days go; ok is false when there is none.
func (s *Store) FrameRange(ctx context.Context, from, to time.Time) (first, last int64, ok bool, err error) {
	err = s.each(ctx, func(scan func(...any) error) error {
		var n int64
		err := scan(&first, &last, &n)
		ok = n > 0
		return err
	}, "select coalesce(min(no), 0), coalesce(max(no), 0), count(*) from frames where day between $1 and $2", dayOf(from), dayOf(to))
	return first, last, ok, err
}

// FramesEnd returns the number of the archive's last frame.
func (s *Store) FramesEnd(ctx context.Context) (no int64, err error) {
	err = s.each(ctx, func(scan func(...any) error) error { return scan(&no) }, "select value from counters where name = 'frames'")
	return no, err
}

// Cursor returns how far a reader of the archive has come; 0 when it has never begun.
func (s *Store) Cursor(ctx context.Context, name string) (no int64, err error) {
	err = s.each(ctx, func(scan func(...any) error) error { return scan(&no) }, "select value from counters where name = $1", "cursor "+name)
	return no, err
}

// SetCursor keeps how far a reader of the archive has come.
func (s *Store) SetCursor(ctx context.Context, name string, no int64) error {
	return s.update(ctx, "cursor", func(c conn) error {
		_, err := c.exec(ctx, "insert into counters (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value", "cursor "+name, no)
		return err
	})
}

// Prune drops what is past its age: frames (by whole days), quarantine, facts and alarms; and makes the
// partitions of today and tomorrow.
func (s *Store) Prune(ctx context.Context) error {
	now := s.opt.Now()
	oldest := dayOf(now) - int64(s.opt.ArchiveDays)
	if s.words().postgres {
		for _, d := range []int64{dayOf(now), dayOf(now) + 1} {
			if err := s.makeDay(ctx, d); err != nil {
				return err
			}
		}
		if err := s.dropDays(ctx, oldest); err != nil {
			return err
		}
	}
	return s.update(ctx, "prune", func(c conn) error {
		if !s.words().postgres {
			if err := keepCheckpoints(ctx, c, "frames", " where day < $1", oldest); err != nil {
				return err
			}
			if _, err := c.exec(ctx, "delete from frames where day < $1", oldest); err != nil {
				return err
			}
		}
		past := ms(now.Add(-time.Duration(s.opt.QuarantineDays) * day))
		for _, q := range []string{"delete from quarantine where last_ms < $1", "delete from alarms where at_ms < $1"} {
			if _, err := c.exec(ctx, q, past); err != nil {
				return err
			}
		}
		if err := pruneNotices(ctx, c, now); err != nil {
			return err
		}
		if err := pruneUndated(ctx, c, now); err != nil {
			return err
		}
		if err := pruneTracks(ctx, c, now); err != nil {
			return err
		}
		return pruneFacts(ctx, c, ms(now.Add(-factDays*day)))
	})
}

func (s *Store) dropDays(ctx context.Context, oldest int64) error {
	var old []string
	err := s.each(ctx, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		if strings.HasPrefix(name, "frames_") && name < partition(oldest) {
			old = append(old, name)
		}
		return err
	}, "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent where p.relname = 'frames'")
	if err != nil {
		return err
	}
	for _, name := range old {
		err := s.update(ctx, "prune", func(c conn) error {
			if err := keepCheckpoints(ctx, c, name, ""); err != nil { // a name that partition made
				return err
			}
			_, err := c.exec(ctx, "drop table "+name)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// PutPoints keeps rows of the history by series and time; a row that is there is replaced.
func (s *Store) PutPoints(ctx context.Context, series []string, atNS []int64, body []string) error {
	type key struct {
		series string
		at     int64
	}
	at := map[key]int{}
	var rows [][]any
	for i := range series {
		k := key{series[i], atNS[i]}
		row := []any{series[i], atNS[i], clean(body[i])}
		if n, twice := at[k]; twice {
			rows[n] = row
			continue
		}
		at[k] = len(rows)
		rows = append(rows, row)
	}
	return s.update(ctx, "points", func(c conn) error { return c.put(ctx, pointsTable, rows) })
}

// Points calls each with the rows of a series from one time to before another, ascending.
func (s *Store) Points(ctx context.Context, series string, fromNS, toNS int64, each func(atNS int64, body string) error) error {
	return s.each(ctx, func(scan func(...any) error) error {
		var at int64
		var body string
		if err := scan(&at, &body); err != nil {
			return err
		}
		return each(at, body)
	}, "select at_ns, body from points where series = $1 and at_ns >= $2 and at_ns < $3 order by at_ns", series, fromNS, toNS)
}
