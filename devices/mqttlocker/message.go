package mqttlocker

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"yizhan/devices/telemetry"
)

// A message is what one publish says, in our words.
type message struct {
	n  string    // identity: the same for a retry
	at time.Time // by the locker's clock; zero when it isn't set

	event  telemetry.CellEvent // of one cell, in cells; empty: cells are a snapshot
	cells  []seen
	answer *answer
	gauges telemetry.Health
}

// seen is the state of a cell.
type seen struct {
	cell int
	open telemetry.Opt[bool]
	item telemetry.Opt[bool]
}

// answer is what became of a command.
type answer struct {
	command, result, detail string
	done, refused, failed   bool
}

var (
	errIgnored = errors.New("tells nothing")
	errTopic   = errors.New("topic: is none of this locker")
)

// A route is a topic and what is read from it.
type route struct {
	levels []string // "{cell}" is any
	read   func(name, cell string, payload []byte) (message, error)
}

// A reader reads messages. It holds no state.
type reader struct {
	cfg    Config
	routes []route
}

func newReader(c Config) *reader {
	r := &reader{cfg: c}
	add := func(topic string, read func(string, string, []byte) (message, error)) {
		if topic != "" {
			r.routes = append(r.routes, route{strings.Split(strings.ReplaceAll(topic, "{uid}", c.UID), "/"), read})
		}
	}
	for _, e := range c.Events {
		add(e.Topic, func(name, cell string, payload []byte) (message, error) { return r.event(e, name, cell, payload) })
	}
	for _, s := range c.Snapshots {
		add(s.Topic, func(name, _ string, payload []byte) (message, error) { return r.snapshot(s, name, payload) })
	}
	add(c.Responses.Topic, func(_, _ string, payload []byte) (message, error) { return r.response(payload) })
	add(c.Heartbeat.Topic, func(_, _ string, payload []byte) (message, error) { return r.heartbeat(payload) })
	add(c.Connection.Topic, func(_, _ string, payload []byte) (message, error) { return r.connection(payload) })
	return r
}

// message reads a publish.
func (r *reader) message(name string, payload []byte) (message, error) {
	levels := strings.Split(name, "/")
	for _, t := range r.routes {
		if cell, ok := t.match(levels); ok {
			return t.read(name, cell, payload)
		}
	}
	return message{}, errTopic
}

func (t *route) match(levels []string) (cell string, ok bool) {
	if len(levels) != len(t.levels) {
		return "", false
	}
	for i, l := range t.levels {
		switch {
		case l == "{cell}":
			cell = levels[i]
		case l != levels[i]:
			return "", false
		}
	}
	return cell, true
}

// decoded is a JSON payload. A payload that is a bare word is a string.
func decoded(payload []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, errors.New("payload: is no JSON")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("payload: bytes after the JSON value")
	}
	return v, nil
}

// long is an id that is unique by itself, such as a UUID.
const long = 16

// identify makes what is the same for a retry: the message's id, or else a hash of a message that says its time. A short id
// may be a counter that begins anew at each start, or one for each topic: it counts together with topic and time.
func identify(v any, name string, payload []byte, id, when string) (n string, t time.Time, err error) {
	stamp, dated := text(v, when)
	if dated {
		t = instant(stamp)
	}
	if n, ok := text(v, id); ok && n != "" {
		if len(n) >= long && len(n) <= 48 && printable(n) {
			return n, t, nil
		}
		return hash(name + "\x00" + n + "\x00" + stamp), t, nil
	}
	if !dated {
		return "", t, errors.New("n: neither id nor time: a retry can't be told from a second message")
	}
	return hash(name + "\x00" + string(payload)), t, nil
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "h" + hex.EncodeToString(sum[:12])
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// number makes a cell of ours of theirs.
func (r *reader) number(n int, ok bool) (int, error) {
	if r.cfg.ZeroBased {
		n++
	}
	switch {
	case !ok:
		return 0, errors.New("cell: is absent or no number")
	case n < 1 || n > r.cfg.Cells:
		return 0, fmt.Errorf("cell: %d is outside 1 to %d", n, r.cfg.Cells)
	}
	return n, nil
}

func (r *reader) event(e Events, name, level string, payload []byte) (message, error) {
	v, err := decoded(payload)
	if err != nil {
		return message{}, err
	}
	word, ok := text(v, e.Event)
	ours, known := e.Words[word]
	switch {
	case !ok:
		return message{}, fmt.Errorf("%s: is absent", e.Event)
	case slices.Contains(e.Ignore, word):
		return message{}, errIgnored
	case !known:
		return message{}, fmt.Errorf("%s: %.40q is no word of the config", e.Event, word)
	}
	n, ok := whole(v, e.Cell)
	if e.Cell == "" {
		i, err := strconv.Atoi(level)
		n, ok = i, err == nil
	}
	cell, err := r.number(n, ok)
	if err != nil {
		return message{}, err
	}
	m := message{event: telemetry.CellEvent(ours)}
	s := seen{cell: cell, item: item(v, e.Item, e.Items)}
	switch m.event {
	case telemetry.CellOpened, telemetry.CellForced:
		s.open = telemetry.Some(true)
	case telemetry.CellDeposited:
		s.open, s.item = telemetry.Some(false), telemetry.Some(true)
	case telemetry.CellEmptied:
		s.open, s.item = telemetry.Some(false), telemetry.Some(false)
	default:
		s.open = telemetry.Some(false)
	}
	m.cells = []seen{s}
	m.n, m.at, err = identify(v, name, payload, e.ID, e.At)
	return m, err
}

// item is whether something lies in a cell; unknown when it isn't told.
func item(v any, path string, yes []string) (o telemetry.Opt[bool]) {
	if word, ok := text(v, path); ok {
		o = telemetry.Some(slices.Contains(yes, word))
	}
	return o
}

func (r *reader) snapshot(s Snapshot, name string, payload []byte) (message, error) {
	if s.Format == Letters {
		return r.letters(name, payload)
	}
	v, err := decoded(payload)
	if err != nil {
		return message{}, err
	}
	all, ok := at(v, s.List)
	if !ok {
		return message{}, fmt.Errorf("%s: is absent", s.List)
	}
	var m message
	add := func(place int, placed bool, v any) error {
		n, ok := place, placed
		if s.Cell != "" {
			n, ok = whole(v, s.Cell)
		}
		cell, err := r.number(n, ok)
		if err != nil {
			return err
		}
		m.cells = append(m.cells, seen{cell, door(v, s), item(v, s.Item, s.Items)})
		return nil
	}
	first := 1
	if r.cfg.ZeroBased {
		first = 0
	}
	switch x := all.(type) {
	case []any:
		for i := 0; i < len(x) && err == nil; i++ {
			err = add(first+i, true, x[i])
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(x)) {
			n, bad := strconv.Atoi(key)
			if bad != nil && s.Cell == "" {
				continue // the message itself is the list, and this is no cell
			}
			if err = add(n, bad == nil, x[key]); err != nil {
				break
			}
		}
	default:
		return message{}, fmt.Errorf("%s: is no list", s.List)
	}
	if err != nil {
		return message{}, err
	}
	m.n, m.at, err = identify(v, name, payload, s.ID, s.At)
	return m, err
}

func door(v any, s Snapshot) (o telemetry.Opt[bool]) {
	switch word, _ := text(v, s.Door); {
	case word == "":
	case slices.Contains(s.Open, word):
		o = telemetry.Some(true)
	case slices.Contains(s.Closed, word):
		o = telemetry.Some(false)
	}
	return o
}

// letters reads seconds since 1970 and, for each cell from the first, C or O for its door and L or E for what it
// holds: 1700000000,CE,OL
func (r *reader) letters(name string, payload []byte) (message, error) {
	words := strings.Split(strings.TrimSpace(string(payload)), ",")
	if _, err := strconv.ParseUint(words[0], 10, 63); err != nil {
		return message{}, errors.New("payload: begins with no time")
	}
	m := message{at: instant(words[0]), n: hash(name + "\x00" + string(payload))}
	for i, w := range words[1:] {
		if i == r.cfg.Cells {
			break // cells that are not in use
		}
		if len(w) != 2 || !strings.Contains("CO", w[:1]) || !strings.Contains("LE", w[1:]) {
			return message{}, fmt.Errorf("payload: cell %d: %.20q is none of CE, CL, OE, OL", i+1, w)
		}
		m.cells = append(m.cells, seen{i + 1, telemetry.Some(w[0] == 'O'), telemetry.Some(w[1] == 'L')})
	}
	return m, nil
}

func (r *reader) response(payload []byte) (message, error) {
	v, err := decoded(payload)
	if err != nil {
		return message{}, err
	}
	c := r.cfg.Responses
	var a answer
	var ok bool
	if a.command, ok = text(v, c.Command); !ok {
		return message{}, fmt.Errorf("%s: is absent", c.Command)
	}
	if a.result, ok = text(v, c.Result); !ok {
		return message{}, fmt.Errorf("%s: is absent", c.Result)
	}
	a.detail, _ = text(v, c.Detail)
	a.done, a.refused, a.failed = slices.Contains(c.Done, a.result), slices.Contains(c.Refused, a.result), slices.Contains(c.Failed, a.result)
	return message{answer: &a}, nil
}

func (r *reader) heartbeat(payload []byte) (message, error) {
	v, err := decoded(payload)
	if err != nil {
		return message{}, err
	}
	m := message{gauges: telemetry.Health{{Name: "online", Value: 1}}}
	for _, name := range slices.Sorted(maps.Keys(r.cfg.Heartbeat.Gauges)) {
		if f, ok := number(v, r.cfg.Heartbeat.Gauges[name]); ok && name != "online" {
			m.gauges = append(m.gauges, telemetry.Gauge{Name: name, Value: f})
		}
	}
	return m, nil
}

func (r *reader) connection(payload []byte) (message, error) {
	c := r.cfg.Connection
	word := strings.TrimSpace(string(payload))
	if v, err := decoded(payload); err == nil {
		if s, ok := text(v, c.State); ok {
			word = s
		} else if s, ok := v.(string); ok {
			word = s
		}
	}
	switch {
	case slices.Contains(c.Online, word):
		return message{gauges: telemetry.Health{{Name: "online", Value: 1}}}, nil
	case slices.Contains(c.Offline, word):
		return message{gauges: telemetry.Health{{Name: "online"}}}, nil
	}
	return message{}, fmt.Errorf("state: %.40q is no word of the config", word)
}
