package state

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
)

// errFull rolls back an intent whose quota is used up.
var errFull = errors.New("quota used up")

// reportDays is how long a report waits for the try it speaks of, and how long providers' names of tries are kept.
const reportDays = 7

// PutNoticeReport keeps what a channel said about a try until a worker takes it; said twice it is one.
func (s *Store) PutNoticeReport(ctx context.Context, r county.NoticeReport) error {
	return s.update(ctx, "report", func(c conn) error { return putReport(ctx, c, r, s.opt.Now()) })
}

func putReport(ctx context.Context, c conn, r county.NoticeReport, now time.Time) error {
	id := digest("report", r.Ref, strconv.FormatBool(r.Delivered))
	_, err := c.exec(ctx, "insert into notice_reports (id, ref, delivered, detail, at_ms, next_ms) values ($1, $2, $3, $4, $5, $6) on conflict (id) do nothing",
		id, clean(r.Ref), oneIf(r.Delivered), clean(r.Detail), ms(r.At), ms(now))
	return err
}

// A claimedReport has its id, and the ref of our try.
type claimedReport struct {
	county.NoticeReport
	ID string
}

// ClaimNoticeReports takes reports to be applied, each with the ref of the try it speaks of. One whose try isn't known yet stays.
func (s *Store) ClaimNoticeReports(ctx context.Context, now time.Time, lease time.Duration, limit int) (ids []string, reports []county.NoticeReport, err error) {
	var all []claimedReport
	err = s.update(ctx, "reports", func(c conn) error {
		w := c.words()
		skip := ""
		if w.postgres {
			skip = " for update skip locked"
		}
		all = nil
		err := c.each(ctx, func(scan func(...any) error) error {
			var r claimedReport
			var delivered, at int64
			err := scan(&r.ID, &r.Ref, &delivered, &r.Detail, &at)
			r.Delivered, r.At = delivered != 0, moment(at)
			all = append(all, r)
			return err
		}, "select id, ref, delivered, detail, at_ms from notice_reports where next_ms <= $1 order by next_ms limit $2"+skip, ms(now), limit)
		if err != nil || len(all) == 0 {
			return err
		}
		var taken, names []string
		for i := range all {
			taken = append(taken, all[i].ID)
			names = append(names, all[i].Ref)
		}
		ours := map[string]string{}
		err = c.each(ctx, func(scan func(...any) error) error {
			var name, ref string
			err := scan(&name, &ref)
			ours[name] = ref
			return err
		}, "select ref, try from notice_refs where "+w.in("ref", "$1"), w.list(names))
		if err != nil {
			return err
		}
		for i := range all {
			if ref, ok := ours[all[i].Ref]; ok {
				all[i].Ref = ref
			}
		}
		_, err = c.exec(ctx, "update notice_reports set next_ms = $1 where "+w.in("id", "$2"), ms(now.Add(lease)), w.list(taken))
		return err
	})
	for i := range all {
		ids, reports = append(ids, all[i].ID), append(reports, all[i].NoticeReport)
	}
	return ids, reports, err
}

// DropNoticeReport takes a report off the list that changes nothing.
func (s *Store) DropNoticeReport(ctx context.Context, id string) error {
	return s.update(ctx, "report", func(c conn) error {
		_, err := c.exec(ctx, "delete from notice_reports where id = $1", id)
		return err
	})
}

// Notices returns notices, the newest first. After is empty, or the next of the page before; ErrCursor says that it is neither.
func (s *Store) Notices(ctx context.Context, q county.NoticeQuery) (items []county.Notice, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	limit := min(max(q.Limit, 1), maxPage)
	created, id, err := cutCursor(q.After)
	if err != nil {
		return nil, "", err
	}
	if q.After == "" {
		id = "~"
	}
	where, args := "(created_ms, id) < ($1, $2)", []any{created, id}
	for _, f := range []struct{ column, value string }{{"status", string(q.Status)}, {"site", q.Site}, {"waybill", q.Waybill}} {
		if f.value != "" {
			args = append(args, clean(f.value))
			where += fmt.Sprintf(" and %s = $%d", f.column, len(args))
		}
	}
	if q.Tasks {
		where += " and task_ms > 0"
	}
	args = append(args, limit+1)
	items, err = readNotices(ctx, s.db.reader(), "select "+noticeColumns+" from notices where "+where+fmt.Sprintf(" order by created_ms desc, id desc limit $%d", len(args)), args...)
	if err != nil {
		return nil, "", classify(err)
	}
	if len(items) > limit {
		last := &items[limit-1]
		next = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", ms(last.Created), last.ID))
		items = items[:limit]
	}
	return items, next, nil
}

// NoticeCounts returns how many notices of each status there are, and how old the oldest is.
func (s *Store) NoticeCounts(ctx context.Context) (out []county.NoticeCount, err error) {
	err = s.each(ctx, func(scan func(...any) error) error {
		var c county.NoticeCount
		var status string
		var oldest int64
		err := scan(&status, &c.Count, &oldest)
		c.Status, c.Oldest = county.NoticeStatus(status), moment(oldest)
		out = append(out, c)
		return err
	}, "select status, count(*), min(created_ms) from notices group by status order by status")
	return out, err
}

// NoticeRecipient returns the sealed recipient of a waybill and what they want; found is false where there is no such waybill.
func (s *Store) NoticeRecipient(ctx context.Context, waybill string) (sealed []byte, prefs county.NoticePrefs, found bool, err error) {
	var doc string
	err = s.each(ctx, func(scan func(...any) error) error {
		found = true
		return scan(&sealed, &doc)
	}, "select p.recipient, coalesce(n.doc, '') from parcels p left join notice_prefs n on n.phone_hash = p.phone_hash and p.phone_hash <> '' where p.waybill = $1", clean(waybill))
	if err == nil && doc != "" {
		err = json.Unmarshal([]byte(doc), &prefs)
	}
	return sealed, prefs, found, err
}

// NoticePrefs returns what the owner of a phone wants, by the phone's keyed hash.
func (s *Store) NoticePrefs(ctx context.Context, phoneHash string) (prefs county.NoticePrefs, err error) {
	err = s.each(ctx, func(scan func(...any) error) error {
		var doc string
		if err := scan(&doc); err != nil {
			return err
		}
		return json.Unmarshal([]byte(doc), &prefs)
	}, "select doc from notice_prefs where phone_hash = $1", phoneHash)
	return prefs, err
}

// PutNoticePrefs keeps what the owner of a phone wants.
func (s *Store) PutNoticePrefs(ctx context.Context, phoneHash string, prefs county.NoticePrefs) error {
	doc, err := json.Marshal(prefs)
	if err != nil {
		return fmt.Errorf("state: prefs: %w", err)
	}
	return s.update(ctx, "prefs", func(c conn) error {
		_, err := c.exec(ctx, "insert into notice_prefs (phone_hash, doc, changed_ms) values ($1, $2, $3) on conflict (phone_hash) do update set doc = excluded.doc, changed_ms = excluded.changed_ms",
			phoneHash, clean(string(doc)), ms(s.opt.Now()))
		return err
	})
}

// Uncollected returns the parcels that wait at a site or in a locker of it, with their sealed recipients, the oldest first.
func (s *Store) Uncollected(ctx context.Context, site string) (items []county.Parcel, sealed [][]byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	places := []string{"site/" + site}
	for id, l := range s.registry.Load().locker {
		if l.Site == site {
			places = append(places, "locker/"+id)
		}
	}
	w := s.words()
	rows, err := readParcels(ctx, s.db.reader(), "where "+w.in("place", "$1")+" and stage in ('at_outlet', 'in_locker') order by since_ms, waybill limit 2000", w.list(places))
	if err != nil || len(rows) == 0 {
		return nil, nil, classify(err)
	}
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].Waybill.Waybill
	}
	bodies := map[string][]byte{}
	err = s.each(ctx, func(scan func(...any) error) error {
		var id string
		var body []byte
		err := scan(&id, &body)
		bodies[id] = body
		return err
	}, "select waybill, recipient from parcels where "+w.in("waybill", "$1"), w.list(ids))
	for i := range rows {
		items, sealed = append(items, rows[i].Parcel), append(sealed, bodies[ids[i]])
	}
	return items, sealed, err
}

// NoticeHead tells which database this is, and how far it is.
func (s *Store) NoticeHead(ctx context.Context) (h county.NoticeHead, err error) {
	beat := ""
	err = s.each(ctx, func(scan func(...any) error) error { return scan(&h.Store, &h.Cursor, &h.End, &beat) },
		`select coalesce((select value from notice_marks where name = 'store'), ''), coalesce((select value from counters where name = 'follower notify'), 0),
		coalesce((select value from counters where name = 'facts'), 0), coalesce((select value from notice_marks where name = 'beat'), '0')`)
	if err == nil {
		var at int64
		at, err = strconv.ParseInt(beat, 10, 64)
		h.Beat = moment(at)
	}
	return h, err
}

// BeatNotices says that a worker is at it.
func (s *Store) BeatNotices(ctx context.Context, now time.Time) error {
	return s.update(ctx, "beat", func(c conn) error {
		_, err := c.exec(ctx, "insert into notice_marks (name, value) values ('beat', $1) on conflict (name) do update set value = excluded.value", strconv.FormatInt(ms(now), 10))
		return err
	})
}

// NameNoticeStore gives the database its name where it has none.
func (s *Store) NameNoticeStore(ctx context.Context, name string) error {
	return s.update(ctx, "name", func(c conn) error {
		_, err := c.exec(ctx, "insert into notice_marks (name, value) values ('store', $1) on conflict (name) do nothing", name)
		return err
	})
}

// HoldNotices says that what happened up to point may have been told by a database that is gone: all that would be sent by
// itself waits for a person. It returns how many that are.
func (s *Store) HoldNotices(ctx context.Context, point time.Time) (held int, err error) {
	err = s.update(ctx, "hold", func(c conn) error {
		now := s.opt.Now()
		_, err := c.exec(ctx, `insert into notice_marks (name, value) values ('restored', $1) on conflict (name) do update set value = excluded.value
			where cast(notice_marks.value as bigint) < cast(excluded.value as bigint)`, strconv.FormatInt(ms(point), 10))
		if err != nil {
			return err
		}
		n, err := c.exec(ctx, `update notices set status = 'unknown', reason = 'restored', next_ms = 0, changed_ms = $1, version = version + 1
			where status in ('due', 'sending', 'open') and evidence_ms <= $2`, ms(now), ms(point))
		held = int(n)
		return err
	})
	return held, err
}

func readMark(ctx context.Context, c conn, name string) (value int64, err error) {
	err = c.each(ctx, func(scan func(...any) error) error {
		var s string
		if err := scan(&s); err != nil {
			return err
		}
		value, err = strconv.ParseInt(strings.TrimSpace(s), 10, 64)
		return err
	}, "select value from notice_marks where name = $1", name)
	return value, err
}

// pruneNotices forgets windows that are over and reports and names that nothing came of. Notices themselves are kept
// as long as facts.
func pruneNotices(ctx context.Context, c conn, now time.Time) error {
	past := ms(now.AddDate(0, 0, -reportDays))
	for _, sql := range []string{
		"delete from notice_counts where until_ms < $1", "delete from notice_reports where at_ms < $1", "delete from notice_refs where at_ms < $1",
	} {
		if _, err := c.exec(ctx, sql, past); err != nil {
			return err
		}
	}
	if err := pruneCallbacks(ctx, c, ms(now.AddDate(0, 0, -factDays))); err != nil {
		return err
	}
	_, err := c.exec(ctx, "delete from notices where created_ms < $1 and status in ('delivered', 'dropped', 'told')", ms(now.AddDate(0, 0, -factDays)))
	return err
}
