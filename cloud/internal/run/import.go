package run

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"yizhan/cloud/internal/county"
)

// Bounds of an import.
const (
	MaxBytes = 4 << 20
	maxRows  = 200_000
	maxRuns  = 2_000
	maxStops = 200
	maxFault = 200 // faults that are told; more are counted
)

// Fault is what is wrong with a row.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line"` // from 1, the header's; 0: the file as a whole
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// Imported is what came of an import.
type Imported struct {
	Runs   []county.Run
	Faults []Fault
	More   int // faults that aren't listed
}

// Places are where runs may stop and what may run.
type Places struct {
	Sites    []county.Site
	Vehicles []county.Vehicle
}

// importer gathers runs and faults.
type importer struct {
	places Places
	file   string // in which runs stand
	day    string
	out    Imported
	bad    map[string]bool // runs with a fault
	runs   map[string]*draft
}

type draft struct {
	county.Run
	seq []int
}

func (m *importer) fault(file string, line int, field, format string, args ...any) {
	if len(m.out.Faults) >= maxFault {
		m.out.More++
		return
	}
	m.out.Faults = append(m.out.Faults, Fault{file, line, field, fmt.Sprintf(format, args...)})
}

// CSV reads a sheet of runs of a day.
func CSV(body []byte, day string, places Places) Imported {
	m := &importer{places: places, file: "csv", day: day, bad: map[string]bool{}, runs: map[string]*draft{}}
	t, err := readTable("csv", body, map[string]string{
		"run": "run", "班次": "run", "seq": "seq", "序号": "seq", "stop": "stop", "站点": "stop", "arrive": "arrive", "到达": "arrive",
		"depart": "depart", "发车": "depart", "vehicle": "vehicle", "车辆": "vehicle", "name": "name", "名称": "name",
	}, "run", "stop")
	if err != nil {
		m.fault("csv", 0, "", "%v", err)
		return m.out
	}
	for i := range t.rows {
		m.sheetRow(t, i)
	}
	m.finish()
	return m.out
}

func (m *importer) sheetRow(t *table, i int) {
	id, line := t.get(i, "run"), t.lines[i]
	if !validRun(id) {
		m.fault("csv", line, "run", "%.40q is not 1 to 64 of letters, digits, '-', '_', '.'", id)
		return
	}
	wrong := func(field, format string, args ...any) {
		m.bad[id] = true
		m.fault("csv", line, field, format, args...)
	}
	d := m.draft(id)
	site := m.site(t.get(i, "stop"))
	if site == "" {
		wrong("stop", "there is no site %.40q", t.get(i, "stop"))
		return
	}
	stop := county.RunStop{Site: site}
	for _, f := range []struct {
		name string
		to   *string
	}{{"arrive", &stop.Arrive}, {"depart", &stop.Depart}} {
		if text := t.get(i, f.name); text != "" {
			clock, ok := clockTime(text)
			if !ok {
				wrong(f.name, "%.20q is no time of day", text)
				return
			}
			*f.to = clock
		}
	}
	seq := len(d.Stops)
	if text := t.get(i, "seq"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			wrong("seq", "%.20q is no number", text)
			return
		}
		seq = n
	}
	if v := t.get(i, "vehicle"); v != "" {
		known := m.vehicle(v)
		if known == "" || d.Vehicle != "" && d.Vehicle != known {
			wrong("vehicle", "%.40q is none, or another than in the row before", v)
			return
		}
		d.Vehicle = known
	}
	d.Name = cmp.Or(d.Name, cut(t.get(i, "name"), 80))
	d.Stops, d.seq = append(d.Stops, stop), append(d.seq, seq)
}

func (m *importer) draft(id string) *draft {
	d := m.runs[id]
	if d == nil {
		d = &draft{Run: county.Run{ID: id, Day: m.day, Stops: []county.RunStop{}}}
		m.runs[id] = d
	}
	return d
}

// finish orders the stops of the good runs.
func (m *importer) finish() {
	for _, id := range slices.Sorted(maps.Keys(m.runs)) {
		d := m.runs[id]
		switch {
		case m.bad[id]:
			continue
		case len(d.Stops) < 2:
			m.fault(m.file, 0, "run", "%s has fewer than two stops", id)
			continue
		case len(d.Stops) > maxStops:
			m.fault(m.file, 0, "run", "%s has more than %d stops", id, maxStops)
			continue
		case len(m.out.Runs) >= maxRuns:
			m.fault(m.file, 0, "run", "more than %d runs", maxRuns)
			return
		}
		order := make([]int, len(d.Stops))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(d.seq[a], d.seq[b]) })
		stops := make([]county.RunStop, len(order))
		for i, j := range order {
			stops[i] = d.Stops[j]
		}
		d.Stops = stops
		m.out.Runs = append(m.out.Runs, d.Run)
	}
}

// site finds a site by id or name.
func (m *importer) site(text string) string {
	for i := range m.places.Sites {
		if s := &m.places.Sites[i]; text != "" && (s.ID == text || s.Name.ZH == text || strings.EqualFold(s.Name.EN, text)) {
			return s.ID
		}
	}
	return ""
}

func (m *importer) vehicle(text string) string {
	for i := range m.places.Vehicles {
		if v := &m.places.Vehicles[i]; v.ID == text || v.Plate == text {
			return v.ID
		}
	}
	return ""
}

func validRun(id string) bool {
	return id != "" && len(id) <= 64 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}

// clockTime writes 8:40 or 08:40:00 as 08:40.
func clockTime(text string) (string, bool) {
	parts := strings.Split(strings.TrimSpace(text), ":")
	if len(parts) != 2 && len(parts) != 3 {
		return "", false
	}
	var n [3]int
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || len(p) > 2 || v < 0 || i == 0 && v > 47 || i > 0 && v > 59 {
			return "", false
		}
		n[i] = v
	}
	return fmt.Sprintf("%02d:%02d", n[0], n[1]), true
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	s = s[:n]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}

// table is a sheet with a header.
type table struct {
	column map[string]int
	rows   [][]string
	lines  []int
}

func (t *table) get(i int, name string) string {
	c, ok := t.column[name]
	if !ok || c >= len(t.rows[i]) {
		return ""
	}
	return strings.TrimSpace(t.rows[i][c])
}

// readTable reads a sheet; names maps the words of its header to columns, need are those that must be there.
func readTable(file string, body []byte, names map[string]string, need ...string) (*table, error) {
	if len(body) > 16*MaxBytes {
		return nil, fmt.Errorf("%s: is larger than %d bytes", file, 16*MaxBytes)
	}
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(body) {
		var err error
		if body, err = simplifiedchinese.GB18030.NewDecoder().Bytes(body); err != nil {
			return nil, fmt.Errorf("%s: is neither UTF-8 nor GB18030", file)
		}
	}
	r := csv.NewReader(bytes.NewReader(body))
	r.FieldsPerRecord, r.LazyQuotes, r.ReuseRecord = -1, true, false
	if head, _, _ := bytes.Cut(body, []byte("\n")); bytes.Count(head, []byte(";")) > bytes.Count(head, []byte(",")) {
		r.Comma = ';'
	}
	t := &table{column: map[string]int{}}
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: has no header", file)
	}
	for i, h := range header {
		if name, ok := names[strings.ToLower(strings.TrimSpace(h))]; ok {
			t.column[name] = i
		}
	}
	for _, n := range need {
		if _, ok := t.column[n]; !ok {
			return nil, fmt.Errorf("%s: has no column %s", file, n)
		}
	}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if len(t.rows) >= maxRows {
			return nil, fmt.Errorf("%s: has more than %d rows", file, maxRows)
		}
		line, _ := r.FieldPos(0)
		t.rows, t.lines = append(t.rows, row), append(t.lines, line)
	}
}
