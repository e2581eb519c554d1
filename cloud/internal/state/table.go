package state

import (
	"strconv"
	"strings"
)

// table is how rows of a table are put: inserted, or changed where the key is there already.
type table struct {
	name       string
	columns    []column
	keys       int    // so many columns, from the first, are the key
	append     bool   // no row is there already
	pgUpsert   string // one statement for all rows
	liteUpsert string // one row a statement
}

type column struct {
	name string
	kind kind
}

type kind byte

const (
	text kind = iota
	number
	blob
)

var pgKinds = [...]string{text: "text[]", number: "bigint[]", blob: "bytea[]"}

// array gathers column i of rows as an array for unnest. A value of another type than the
// column's is a programmer's error and panics.
func (c column) array(rows [][]any, i int) any {
	switch c.kind {
	case number:
		return gather[int64](rows, i)
	case blob:
		return gather[[]byte](rows, i)
	}
	return gather[string](rows, i)
}

func gather[T any](rows [][]any, i int) []T {
	out := make([]T, len(rows))
	for j, r := range rows {
		out[j] = r[i].(T)
	}
	return out
}

// newTable makes a table of "name kind" columns, the key's first. guard, where not empty, is the
// condition under which a row that is there is changed; "nothing" leaves it as it is.
func newTable(name string, keys int, columns, guard string) *table {
	t := &table{name: name, keys: keys}
	for _, f := range strings.Split(columns, ",") {
		n, k, _ := strings.Cut(strings.TrimSpace(f), " ")
		t.columns = append(t.columns, column{n, map[string]kind{"": text, "n": number, "b": blob}[k]})
	}
	var marks, types []string
	for i, c := range t.columns {
		p := "$" + strconv.Itoa(i+1)
		marks = append(marks, p)
		types = append(types, p+"::"+pgKinds[c.kind])
	}
	head := "insert into " + name + " (" + strings.Join(t.names(), ", ") + ") "
	tail := t.conflict(guard)
	t.liteUpsert = head + "values (" + strings.Join(marks, ", ") + ")" + tail
	t.pgUpsert = head + "select * from unnest(" + strings.Join(types, ", ") + ")" + tail
	return t
}

// newChange makes a table of which rows that are there are changed, in the columns named; the key's are first.
func newChange(name string, keys int, columns string) *table {
	t := newTable(name, keys, columns, "")
	var sets, pgSets, match, pgMatch, types []string
	for i, c := range t.columns {
		p := "$" + strconv.Itoa(i+1)
		types = append(types, p+"::"+pgKinds[c.kind])
		if i < keys {
			match, pgMatch = append(match, c.name+" = "+p), append(pgMatch, name+"."+c.name+" = v."+c.name)
			continue
		}
		sets, pgSets = append(sets, c.name+" = "+p), append(pgSets, c.name+" = v."+c.name)
	}
	t.liteUpsert = "update " + name + " set " + strings.Join(sets, ", ") + " where " + strings.Join(match, " and ")
	t.pgUpsert = "update " + name + " set " + strings.Join(pgSets, ", ") + " from unnest(" + strings.Join(types, ", ") + ") as v(" + strings.Join(t.names(), ", ") + ") where " + strings.Join(pgMatch, " and ")
	return t
}

func (t *table) conflict(guard string) string {
	if t.keys == 0 {
		return ""
	}
	s := " on conflict (" + strings.Join(t.names()[:t.keys], ", ") + ") do "
	if guard == "nothing" || t.keys == len(t.columns) {
		return s + "nothing"
	}
	var set []string
	for _, c := range t.columns[t.keys:] {
		set = append(set, c.name+" = excluded."+c.name)
	}
	s += "update set " + strings.Join(set, ", ")
	if guard != "" {
		s += " where " + guard
	}
	return s
}

func (t *table) names() []string {
	out := make([]string, len(t.columns))
	for i, c := range t.columns {
		out[i] = c.name
	}
	return out
}

func appended(t *table) *table { t.append = true; return t }

const evidenceKinds = "id, subject, kind, step, thing, device, at_ms n, tq, gateway, epoch, lane n, seq n, body, te_ms n"

// The tables; "n" is a number, "b" bytes, and anything else text.
var (
	registryTable    = newTable("registry", 2, "kind, id, doc", "")
	bindingsTable    = newTable("bindings", 2, "device, since_ms n, thing", "")
	gatewaysTable    = newTable("gateways", 1, "id, version n, received_ms n, software, boot, mono_ns n, mono_ms n, epochs n, committed n, backlog n, lanes, voices", "")
	rangesTable      = newTable("ranges", 1, "id, gateway, epoch, lane n, spans, records n, readings n, tip n, tip_hash b, quarantined n", "")
	openingsTable    = newTable("openings", 3, "gateway, epoch, lane n, doc, received_ms n, boot", "nothing")
	bootsTable       = newTable("boots", 2, "gateway, boot, start_ms n, last_ms n", "")
	tombstonesTable  = newTable("tombstones", 4, "gateway, epoch, lane n, seq n, of_epoch, ranges, dropped n, reason, received_ms n", "nothing")
	accountsTable    = newTable("accounts", 3, "gateway, epoch, lane n, last n, said_ms n, alarmed", "")
	keysTable        = newTable("gateway_keys", 2, "gateway, key, since_ms n", "nothing")
	checkpointsTable = newTable("checkpoints", 3, "gateway, epoch, lane n, spans, frames n, last n, body b", "")
	framesTable      = appended(newTable("frames", 0, "no n, day n, gateway, epoch, lane n, first n, last n, received_ms n, committed_ms n, fresh n, body b", ""))
	alarmsTable      = newTable("alarms", 1, "id, at_ms n, gateway, device, code, severity, detail", "nothing")
	factsTable       = appended(newTable("facts", 0, "seq n, at_ms n, object, event, key, doc", ""))
	latestTable      = newTable("latest", 2, "device, kind, at_ms n, tq, received_ms n, body", "(excluded.at_ms, excluded.body, excluded.tq) > (latest.at_ms, latest.body, latest.tq)")
	vehiclesTable    = newTable("vehicles", 1, "id, version n, at_ms n, tq, position, stay_site, stay_from n, stay_to n, since_ms n, trace", "")
	staysTable       = newTable("stays", 2, "vehicle, from_ms n, to_ms n, site", "")
	coldBoxesTable   = newTable("cold_boxes", 1, "id, version n, at_ms n, tq, climate, out_ms n, is_out n, in_ms n, since_ms n, trace", "")
	tracksTable      = newTable("tracks", 2, "thing, span n, trace", "")
	lockersTable     = newTable("lockers", 1, "id, version n", "")
	cellsTable       = newTable("cells", 2, "locker, cell n, state, since_ms n, waybill", "")
	containersTable  = newTable("containers", 1, "id, kind, epc, code", "")
	contentsTable    = newTable("contents", 3, "container, item, since_ms n, until_ms n", "")
	parcelsTable     = newTable("parcels", 1, "waybill, epc, site, locker, handling, created_ms n, stage, since_ms n, place, cell n, inferred n, version n, changed_ms n, direction, size, consent, hold n, order_no, recipient b, phone_hash, told, wrong, wish", "")
	foldsTable       = newChange("parcels", 1, "waybill, stage, since_ms n, place, cell n, inferred n, version n, changed_ms n, told, wrong")
	ridesTable       = newTable("rides", 2, "waybill, vehicle, first_ms n, until_ms n", "")
	namesTable       = newTable("names", 3, "kind, name, waybill", "nothing")
	amendsTable      = newChange("parcels", 1, "waybill, epc, site, locker, handling, size, consent, hold n, version n, changed_ms n, wish")
	recipientsTable  = newChange("parcels", 1, "waybill, recipient b, phone_hash")
	amendmentsTable  = newTable("amendments", 2, "waybill, n n, at_ms n, actor, doc, recipient b", "")
	exceptionsTable  = newTable("exceptions", 1, "id, class, cause, object, evidence, source, detail, discovered_ms n, ended_ms n, version n", "")
	evidenceTable    = newTable("evidence", 1, evidenceKinds,
		"(excluded.at_ms, excluded.gateway, excluded.epoch, excluded.lane, excluded.seq) < (evidence.at_ms, evidence.gateway, evidence.epoch, evidence.lane, evidence.seq)")
	newEvidenceTable = appended(newTable("evidence", 0, evidenceKinds, "")) // of which no row is there
	// Rows that are made to be locked, and left as they are where they exist.
	newGatewaysTable = newTable("gateways", 1, "id, version n, received_ms n, software, boot, mono_ns n, mono_ms n, epochs n, committed n, backlog n, lanes", "nothing")
	newLanesTable    = newTable("ranges", 1, "id, gateway, epoch, lane n, spans, records n, readings n, tip n, tip_hash b, quarantined n", "nothing")
	newVehiclesTable = newTable("vehicles", 1, "id, version n, at_ms n, tq, position, stay_site, stay_from n, stay_to n, since_ms n, trace", "nothing")
	newBoxesTable    = newTable("cold_boxes", 1, "id, version n, at_ms n, tq, climate, out_ms n, is_out n, in_ms n, since_ms n, trace", "nothing")
	newLockersTable  = newTable("lockers", 1, "id, version n", "nothing")
	newCountersTable = newTable("counters", 1, "name, value n", "nothing")

	pointsTable = newTable("points", 2, "series, at_ns n, body", "")
)
