package soak

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// ledger reads the cloud's tables by itself: a judge who asks the accused learns little.
type ledger struct {
	file string
	db   *sql.DB
}

func (l *ledger) close() {
	if l.db != nil {
		_ = l.db.Close() // it only read
		l.db = nil
	}
}

// rows calls row for each row of a query.
func (l *ledger) rows(row func(scan func(...any) error) error, query string, args ...any) error {
	if l.db == nil {
		db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: l.file}).EscapedPath()+"?_pragma=busy_timeout(10000)&_pragma=query_only(1)")
		if err != nil {
			return err
		}
		db.SetMaxOpenConns(1)
		l.db = db
	}
	rows, err := l.db.Query(query, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// ranges are the committed seqs of all lanes.
func (c *cloud) ranges() (map[place][]frame.Range, error) {
	out := map[place][]frame.Range{}
	err := c.look.rows(func(scan func(...any) error) error {
		var gateway, epoch, text string
		var lane int64
		if err := scan(&gateway, &epoch, &lane, &text); err != nil {
			return err
		}
		at, err := placeOf(gateway, epoch, lane)
		out[at] = rangesOf(text)
		return err
	}, "select gateway, epoch, lane, spans from ranges")
	return out, err
}

func placeOf(gateway, epoch string, lane int64) (at place, err error) {
	at.gateway, at.lane = gateway, telemetry.Lane(lane)
	return at, at.epoch.UnmarshalText([]byte(epoch))
}

// rangesOf reads "1-41,43-50".
func rangesOf(text string) (out []frame.Range) {
	for part := range strings.SplitSeq(text, ",") {
		from, to, ok := strings.Cut(part, "-")
		a, err1 := strconv.ParseUint(from, 10, 64)
		b, err2 := strconv.ParseUint(to, 10, 64)
		if ok && err1 == nil && err2 == nil {
			out = append(out, frame.Range{From: a, To: b})
		}
	}
	return out
}

// buried are the seqs that tombstones name, by lane, how many readings others count, by gateway and lane, and where
// one says that it doesn't know how many.
func (c *cloud) buried() (named map[place][]frame.Range, counted map[place]uint64, untold map[place]bool, err error) {
	named, counted, untold = map[place][]frame.Range{}, map[place]uint64{}, map[place]bool{}
	err = c.look.rows(func(scan func(...any) error) error {
		var gateway, epoch, of, text, reason string
		var lane, n int64
		if err := scan(&gateway, &epoch, &lane, &of, &text, &n, &reason); err != nil {
			return err
		}
		if text == "" {
			all := place{gateway: gateway, laneKey: laneKey{lane: telemetry.Lane(lane)}}
			counted[all] += uint64(n)
			untold[all] = untold[all] || reason == "thinned_untold"
			return nil
		}
		at, err := placeOf(gateway, of, lane)
		if err == nil && at.epoch == 0 {
			at, err = placeOf(gateway, epoch, lane)
		}
		named[at] = append(named[at], rangesOf(text)...)
		return err
	}, "select gateway, epoch, lane, of_epoch, ranges, dropped, reason from tombstones")
	return named, counted, untold, err
}

// forked are the seqs of frames that contradict what is committed. The cloud keeps them as they came, raises an alarm and says so to
// nobody else: their board holds them until somebody looks.
func (c *cloud) forked() (map[place][]frame.Range, error) {
	out := map[place][]frame.Range{}
	err := c.look.rows(func(scan func(...any) error) error {
		var raw []byte
		if err := scan(&raw); err != nil {
			return err
		}
		h, err := frame.ReadHeader(raw)
		at := place{gateway: h.Gateway, laneKey: laneKey{h.Epoch, h.Lane}}
		out[at] = append(out[at], frame.Range{From: h.First, To: h.Last()})
		return err
	}, "select raw from quarantine where source = 'ingest' and reason like 'fork: %'")
	return out, err
}

// witnessed counts the rows of evidence of each event.
func (c *cloud) witnessed() (map[string]int, error) {
	out := map[string]int{}
	err := c.look.rows(func(scan func(...any) error) error {
		var body string
		if err := scan(&body); err != nil {
			return err
		}
		var b struct {
			X string `json:"x"`
		}
		if err := json.Unmarshal([]byte(body), &b); err != nil {
			return err
		}
		if b.X != "" {
			out[b.X]++
		}
		return nil
	}, "select body from evidence")
	return out, err
}

// told is the state that evidence decides, a line a row.
func (c *cloud) told() (out []string, err error) {
	for _, q := range []string{
		"select 'evidence', id, subject, kind, step, thing, device, at_ms, tq, gateway, epoch, lane, seq, body from evidence order by id",
		"select 'latest', device, kind, at_ms, tq, body from latest where kind <> 'result' order by device, kind",
		"select 'cells', locker, cell, state, since_ms, waybill from cells order by locker, cell",
		"select 'parcels', waybill, stage, since_ms, place, cell, inferred from parcels order by waybill",
		"select 'vehicles', id, at_ms, tq, position, stay_site, stay_from, stay_to, trace from vehicles order by id",
		"select 'stays', vehicle, from_ms, to_ms, site from stays order by vehicle, from_ms",
		"select 'cold_boxes', id, at_ms, tq, climate, is_out, out_ms, in_ms, trace from cold_boxes order by id",
		"select 'tracks', thing, span, trace from tracks order by thing, span",
	} {
		cols := strings.Count(q[:strings.Index(q, " from ")], ",") + 1
		err := c.look.rows(func(scan func(...any) error) error {
			vals, refs := make([]any, cols), make([]any, cols)
			for i := range vals {
				refs[i] = &vals[i]
			}
			err := scan(refs...)
			out = append(out, fmt.Sprint(vals...))
			return err
		}, q)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
