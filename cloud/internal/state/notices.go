package state

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"yizhan/cloud/internal/county"
)

// noticeColumns are the columns of notices as scanNotice and noticeRow have them.
const noticeColumns = "id, waybill, event, occasion, kind, site, status, reason, about, tries, seq, evidence_ms, due_ms, next_ms, task_ms, owner, result, said_by, created_ms, changed_ms, version"

func noticeRow(n *county.Notice) []any {
	about, _ := json.Marshal(n.About) // both always marshal
	tries, _ := json.Marshal(n.Tries)
	return []any{
		n.ID, n.Waybill, string(n.Event), n.Occasion, n.Kind, n.About.Site, string(n.Status), clean(n.Reason), clean(string(about)), clean(string(tries)), n.Seq,
		ms(n.Evidence), ms(n.Due), ms(n.Next), ms(n.Task), n.Owner, clean(n.Result), clean(n.By), ms(n.Created), ms(n.Changed), n.Version,
	}
}

func readNotices(ctx context.Context, c conn, sql string, args ...any) ([]county.Notice, error) {
	out := []county.Notice{}
	err := c.each(ctx, func(scan func(...any) error) error {
		var n county.Notice
		var event, site, status, about, tries string
		var evidence, due, next, task, created, changed int64
		if err := scan(&n.ID, &n.Waybill, &event, &n.Occasion, &n.Kind, &site, &status, &n.Reason, &about, &tries, &n.Seq, &evidence, &due, &next, &task,
			&n.Owner, &n.Result, &n.By, &created, &changed, &n.Version); err != nil {
			return err
		}
		n.Event, n.Status = county.NoticeEvent(event), county.NoticeStatus(status)
		n.Evidence, n.Due, n.Next, n.Task, n.Created, n.Changed = moment(evidence), moment(due), moment(next), moment(task), moment(created), moment(changed)
		if err := json.Unmarshal([]byte(about), &n.About); err != nil {
			return fmt.Errorf("notice %s: %w", n.ID, err)
		}
		if err := json.Unmarshal([]byte(tries), &n.Tries); err != nil {
			return fmt.Errorf("notice %s: %w", n.ID, err)
		}
		out = append(out, n)
		return nil
	}, sql, args...)
	return out, err
}

const putNotice = "insert into notices (" + noticeColumns + `) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
	on conflict (id) do update set status = excluded.status, reason = excluded.reason, about = excluded.about, site = excluded.site, seq = excluded.seq,
	evidence_ms = excluded.evidence_ms, due_ms = excluded.due_ms, next_ms = excluded.next_ms, changed_ms = excluded.changed_ms, version = notices.version + 1
	where notices.status = 'dropped' and notices.reason = 'retracted'`

// FollowNotices makes notices of the next facts, at most limit, in one transaction with the cursor: of each fact once. It
// returns how many facts it saw, and the notices that are new.
func (s *Store) FollowNotices(ctx context.Context, limit int, plan func(facts []county.Fact, desk county.NoticeDesk) (county.NoticePlan, error)) (n, made int, err error) {
	n, err = s.FollowFacts(ctx, "notify", limit, func(tx Tx, facts []county.Fact) error {
		made = 0
		restored, err := readMark(ctx, tx.c, "restored")
		if err != nil {
			return err
		}
		p, err := plan(facts, county.NoticeDesk{
			Restored: moment(restored),
			At: func(place string) ([]county.Waybill, error) {
				return waybillsOf(ctx, tx.c, "where place = $1 order by waybill", place)
			},
			Of: func(waybill string) (county.Waybill, error) {
				all, err := waybillsOf(ctx, tx.c, "where waybill = $1", waybill)
				if err != nil || len(all) == 0 {
					return county.Waybill{}, err
				}
				return all[0], nil
			},
		})
		if err != nil {
			return err
		}
		for i := range p.Void {
			if err := voidNotices(ctx, tx.c, &p.Void[i], ms(tx.now)); err != nil {
				return err
			}
		}
		for i := range p.Put {
			changed, err := tx.c.exec(ctx, putNotice, noticeRow(&p.Put[i])...)
			if err != nil {
				return err
			}
			made += int(changed)
		}
		return nil
	})
	return n, made, err
}

func waybillsOf(ctx context.Context, c conn, where, arg string) ([]county.Waybill, error) {
	rows, err := readParcels(ctx, c, where, clean(arg))
	out := make([]county.Waybill, len(rows))
	for i := range rows {
		out[i] = rows[i].Waybill
	}
	return out, err
}

// voidNotices drops what isn't sent. What may be out is dropped too, so that it isn't repeated; told again it doesn't come back.
func voidNotices(ctx context.Context, c conn, v *county.NoticeVoid, now int64) error {
	w := c.words()
	events := make([]string, len(v.Events))
	for i, e := range v.Events {
		events[i] = string(e)
	}
	set := "update notices set status = 'dropped', next_ms = 0, task_ms = 0, changed_ms = $1, version = version + 1, reason = $2 where "
	args := []any{now, v.Reason, w.list(events), v.Before}
	where := w.in("event", "$3") + " and seq <= $4"
	for _, f := range []struct{ column, value string }{{"waybill", v.Waybill}, {"occasion", v.Occasion}} {
		if f.value != "" {
			args = append(args, f.value)
			where += fmt.Sprintf(" and %s = $%d", f.column, len(args))
		}
	}
	if _, err := c.exec(ctx, set+where+" and status in ('due', 'unknown')", args...); err != nil {
		return err
	}
	if v.Reason == county.VoidRetracted {
		args[1] = "withdrawn"
	}
	_, err := c.exec(ctx, set+where+" and status in ('sending', 'open', 'sent', 'failed')", args...)
	return err
}

// ClaimNotices takes notices whose time has come, the one that waits longest first, and gives them to nobody else for as long
// as lease.
func (s *Store) ClaimNotices(ctx context.Context, now time.Time, lease time.Duration, limit int) (out []county.Notice, err error) {
	err = s.update(ctx, "notices", func(c conn) error {
		w := c.words()
		skip := ""
		if w.postgres {
			skip = " for update skip locked"
		}
		out, err = readNotices(ctx, c, "select "+noticeColumns+" from notices where next_ms > 0 and next_ms <= $1 order by next_ms limit $2"+skip, ms(now), limit)
		if err != nil || len(out) == 0 {
			return err
		}
		ids := make([]string, len(out))
		for i := range out {
			ids[i] = out[i].ID
			out[i].Version++
		}
		_, err = c.exec(ctx, "update notices set next_ms = $1, version = version + 1 where "+w.in("id", "$2"), ms(now.Add(lease)), w.list(ids))
		return err
	})
	return out, err
}

// NextNotice tells when the next notice comes up; ok is false where none does.
func (s *Store) NextNotice(ctx context.Context) (at time.Time, ok bool, err error) {
	err = s.each(ctx, func(scan func(...any) error) error {
		var next int64
		err := scan(&next)
		at, ok = moment(next), true
		return err
	}, "select next_ms from notices where next_ms > 0 order by next_ms limit 1")
	return at, ok, err
}

// Notice returns a notice.
func (s *Store) Notice(ctx context.Context, id string) (n county.Notice, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	all, err := readNotices(ctx, s.db.reader(), "select "+noticeColumns+" from notices where id = $1", clean(id))
	if err != nil || len(all) == 0 {
		return n, false, classify(err)
	}
	return all[0], true, nil
}

const saveNotice = `update notices set status = $1, reason = $2, tries = $3, due_ms = $4, next_ms = $5, task_ms = $6, owner = $7, result = $8, said_by = $9,
	changed_ms = $10, version = version + 1 where id = $11 and version = $12`

// writeNotice writes n over the version it was read with.
func writeNotice(ctx context.Context, c conn, n *county.Notice, now time.Time) (bool, error) {
	tries, _ := json.Marshal(n.Tries) // always marshals
	changed, err := c.exec(ctx, saveNotice, string(n.Status), clean(n.Reason), clean(string(tries)), ms(n.Due), ms(n.Next), ms(n.Task), n.Owner,
		clean(n.Result), clean(n.By), ms(now), n.ID, n.Version)
	return changed == 1, err
}

// IntendNotice writes the intent of a try, and counts it against quotas. Where one is used up nothing is written,
// and full is its key. ok is false when the notice was changed since it was read.
func (s *Store) IntendNotice(ctx context.Context, n *county.Notice, quotas []county.Quota) (ok bool, full string, err error) {
	now := s.opt.Now()
	err = s.update(ctx, "notice", func(c conn) error {
		full = ""
		var err error
		if ok, err = writeNotice(ctx, c, n, now); err != nil || !ok {
			return err
		}
		for _, q := range quotas {
			used := int64(0)
			err := c.each(ctx, func(scan func(...any) error) error { return scan(&used) },
				`insert into notice_counts (key, count, until_ms) values ($1, 1, $2) on conflict (key) do update set count = notice_counts.count + 1 returning count`, q.Key, ms(q.Until))
			if err != nil {
				return err
			}
			if used > q.Max {
				full = q.Key
				return errFull
			}
		}
		return nil
	})
	if full != "" {
		return false, full, nil
	}
	if ok && err == nil {
		n.Version++
	}
	return ok, "", err
}

// SaveNotice writes n, the provider's names of its tries, and takes reports that it has in it now off the list. ok is
// false, and nothing written, when the notice was changed since it was read.
func (s *Store) SaveNotice(ctx context.Context, n *county.Notice, refs map[string]string, reports ...string) (ok bool, err error) {
	now := s.opt.Now()
	err = s.update(ctx, "notice", func(c conn) error {
		var err error
		if ok, err = writeNotice(ctx, c, n, now); err != nil || !ok {
			return err
		}
		for name, ref := range refs {
			if _, err := c.exec(ctx, "insert into notice_refs (ref, try, at_ms) values ($1, $2, $3) on conflict (ref) do nothing", clean(name), ref, ms(now)); err != nil {
				return err
			}
		}
		w := c.words()
		_, err = c.exec(ctx, "delete from notice_reports where "+w.in("id", "$1"), w.list(reports))
		return err
	})
	if ok && err == nil {
		n.Version++
	}
	return ok, err
}
