package mqttlocker

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"yizhan/devices/telemetry"
)

// The words of the settings.
const (
	OpenLocker = "open-locker" // shape
	LKAAS      = "lkaas"
	Door       = "door" // command.confirm
	Response   = "response"
	JSON       = "json" // snapshots.format
	Letters    = "letters"
)

// Config is one locker.
type Config struct {
	User  string `yaml:"user" strict:"required"`  // of the gateway's broker, with the role device
	Shape string `yaml:"shape"`                   // open-locker or lkaas fills the sections that are not given here
	UID   string `yaml:"uid"`                     // what {uid} stands for in topics; empty: the user's name
	Cells int    `yaml:"cells" strict:"required"` // numbered from 1

	ZeroBased    bool          `yaml:"zero_based"`    // the locker counts its cells from 0
	AnswerWithin time.Duration `yaml:"answer_within"` // a command's deadline; 10s
	OfflineAfter time.Duration `yaml:"offline_after"` // without a connection, before the alarm; 1m

	Events     []Events   `yaml:"events"`
	Snapshots  []Snapshot `yaml:"snapshots"`
	Responses  Responses  `yaml:"responses"`
	Heartbeat  Heartbeat  `yaml:"heartbeat"`
	Connection Connection `yaml:"connection"`
	Command    Command    `yaml:"command"`
}

// Events is a topic on which one thing that happened at one cell is told.
type Events struct {
	Topic string `yaml:"topic" strict:"required"` // a level may be {cell}
	ID    string `yaml:"id"`                      // paths: the message's own id,
	At    string `yaml:"at"`                      // its time,
	Cell  string `yaml:"cell"`                    // the cell, where the topic doesn't tell it,
	Event string `yaml:"event"`                   // what happened,
	Item  string `yaml:"item"`                    // and whether there is an item

	Words  map[string]string `yaml:"words"`  // theirs to ours: opened, closed, deposited, emptied, jammed, forced
	Ignore []string          `yaml:"ignore"` // words that tell nothing
	Items  []string          `yaml:"items"`  // words that mean an item is there; true, 1 unless given
}

// Snapshot is a topic on which the state of all cells is told.
type Snapshot struct {
	Topic  string `yaml:"topic" strict:"required"`
	Format string `yaml:"format"` // json (default) or letters: time,CE,OL,.. with a pair of letters for each cell
	ID     string `yaml:"id"`     // paths in the message
	At     string `yaml:"at"`
	List   string `yaml:"list"` // an array of cells, or an object of them by number; empty: the message itself

	Cell string `yaml:"cell"` // paths in a cell; empty: its place in the list
	Door string `yaml:"door"`
	Item string `yaml:"item"`

	Open   []string `yaml:"open"`   // words that mean an open door; open, true, 1 unless given
	Closed []string `yaml:"closed"` // a closed one; closed, false, 0 unless given. Any other tells nothing.
	Items  []string `yaml:"items"`  // an item is there; true, 1 unless given
}

// Responses is the topic on which commands are answered.
type Responses struct {
	Topic   string   `yaml:"topic"`
	Command string   `yaml:"command"` // paths: the command's id,
	Result  string   `yaml:"result"`  // what became of it,
	Detail  string   `yaml:"detail"`  // and why
	Done    []string `yaml:"done"`    // words of the result; any other is passed over
	Refused []string `yaml:"refused"` // nothing was done
	Failed  []string `yaml:"failed"`  // something may have been done
}

// Heartbeat is a topic of numbers about the locker itself.
type Heartbeat struct {
	Topic  string            `yaml:"topic"`
	Gauges map[string]string `yaml:"gauges"` // our name, with its unit, to the path of a number
}

// Connection is a topic on which the locker says that it comes and goes.
type Connection struct {
	Topic   string   `yaml:"topic"`
	State   string   `yaml:"state"`   // path; empty: the payload is the word
	Online  []string `yaml:"online"`  // words
	Offline []string `yaml:"offline"` // words
}

// Command says how a cell is opened.
type Command struct {
	Topic   string `yaml:"topic"`   // a level may be {cell}
	Payload string `yaml:"payload"` // with {id} {cell} {now} {now_s} {deadline} {deadline_s} {expires_s}
	Confirm string `yaml:"confirm"` // door (default): only a door that was told open is done; or response
}

var cellEvents = []telemetry.CellEvent{
	telemetry.CellOpened, telemetry.CellClosed, telemetry.CellDeposited, telemetry.CellEmptied, telemetry.CellJammed, telemetry.CellForced,
}

// Validate reports every wrong field.
func (c Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !telemetry.ValidID(c.User) {
		fail("user: %.40q is not 1 to 32 of a-z, 0-9 and '-'", c.User)
	}
	if c.Shape != "" && c.Shape != OpenLocker && c.Shape != LKAAS {
		fail("shape: %.40q is none of %s, %s", c.Shape, OpenLocker, LKAAS)
	}
	if len(c.UID) > 64 || strings.ContainsAny(c.UID, "/+#{}\x00") {
		fail("uid: %.40q is no level of a topic", c.UID)
	}
	if c.Cells < 1 || c.Cells > 1024 {
		fail("cells: %d is outside 1 to 1024", c.Cells)
	}
	for _, d := range []struct {
		key    string
		v      time.Duration
		lo, hi time.Duration
	}{{"answer_within", c.AnswerWithin, time.Second, 25 * time.Second}, {"offline_after", c.OfflineAfter, time.Second, 24 * time.Hour}} {
		if d.v != 0 && (d.v < d.lo || d.v > d.hi) {
			fail("%s: %v is outside %v to %v", d.key, d.v, d.lo, d.hi)
		}
	}
	c = c.withDefaults()
	for i, e := range c.Events {
		errs = append(errs, e.validate(fmt.Sprintf("events[%d]", i)))
	}
	for i, s := range c.Snapshots {
		errs = append(errs, s.validate(fmt.Sprintf("snapshots[%d]", i)))
	}
	if len(c.Events)+len(c.Snapshots) == 0 {
		fail("events: neither events nor snapshots tell of any door")
	}
	return errors.Join(append(errs, c.validateTalk(), c.sameTopics())...)
}

func (e Events) validate(at string) error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(at+"."+format, args...))
	}
	if err := checkTopic(e.Topic); err != nil {
		fail("topic: %w", err)
	}
	if e.ID == "" && e.At == "" {
		fail("id: neither id nor at: a retry can't be told from a second event")
	}
	if strings.Contains(e.Topic, "{cell}") == (e.Cell != "") {
		fail("cell: give it once, here or as a level of the topic")
	}
	if e.Event == "" {
		fail("event: is empty: name the path of the word")
	}
	if len(e.Words) == 0 {
		fail("words: is empty")
	}
	for theirs, ours := range e.Words {
		if !slices.Contains(cellEvents, telemetry.CellEvent(ours)) {
			fail("words: %.40q is %.40q, which is none of %s", theirs, ours, list(cellEvents))
		}
	}
	return errors.Join(errs...)
}

func (s Snapshot) validate(at string) error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(at+"."+format, args...))
	}
	if err := checkTopic(s.Topic); err != nil {
		fail("topic: %w", err)
	}
	switch {
	case strings.Contains(s.Topic, "{cell}"):
		fail("topic: tells of all cells, and has no {cell}")
	case s.Format != JSON && s.Format != Letters:
		fail("format: %.40q is neither %s nor %s", s.Format, JSON, Letters)
	case s.Format == JSON && s.ID == "" && s.At == "":
		fail("id: neither id nor at: a retry can't be told from a second message")
	case s.Format == JSON && s.Door == "":
		fail("door: is empty: name the path of the word")
	}
	return errors.Join(errs...)
}

// validateTalk checks what is said both ways.
func (c Config) validateTalk() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	topic := func(key, t string) {
		if err := checkTopic(t); t != "" && err != nil {
			fail("%s.topic: %w", key, err)
		} else if strings.Contains(t, "{cell}") && key != "command" {
			fail("%s.topic: has no {cell}", key)
		}
	}
	topic("responses", c.Responses.Topic)
	topic("heartbeat", c.Heartbeat.Topic)
	topic("connection", c.Connection.Topic)
	topic("command", c.Command.Topic)
	if r := c.Responses; r.Topic != "" && (r.Command == "" || r.Result == "" || len(r.Done) == 0) {
		fail("responses: command, result and done must be given")
	}
	for name := range c.Heartbeat.Gauges {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			fail("heartbeat.gauges: %.40q is not of a-z, 0-9 and '_'", name)
		}
	}
	if cn := c.Connection; cn.Topic != "" && len(cn.Online)+len(cn.Offline) == 0 {
		fail("connection: online and offline are empty")
	}
	k := c.Command
	if k.Topic == "" {
		return errors.Join(errs...)
	}
	if !strings.Contains(k.Topic+k.Payload, "{cell}") {
		fail("command.payload: names no {cell}, nor does the topic")
	}
	sample := k.payload(order{id: "x", cell: 1, now: earliest, deadline: earliest})
	if strings.HasPrefix(strings.TrimSpace(k.Payload), "{\"") && !json.Valid(sample) {
		fail("command.payload: is no JSON: %.200s", sample)
	}
	switch {
	case k.Confirm != Door && k.Confirm != Response:
		fail("command.confirm: %.40q is neither %s nor %s", k.Confirm, Door, Response)
	case k.Confirm == Response && c.Responses.Topic == "":
		fail("command.confirm: %s, and there are no responses", Response)
	}
	return errors.Join(errs...)
}

// checkTopic checks a template.
func checkTopic(t string) error {
	if t == "" || len(t) > 200 {
		return fmt.Errorf("has %d bytes, must have 1 to 200", len(t))
	}
	for i, l := range strings.Split(t, "/") {
		plain := strings.ReplaceAll(l, "{uid}", "x")
		switch {
		case l == "{cell}" && i > 0:
		case plain == "" || strings.ContainsAny(plain, "{}+#\x00") || strings.HasPrefix(t, "$"):
			return fmt.Errorf("%.80q: %.40q is no level", t, l)
		case i == 0 && slices.Contains([]string{"dev", "cmd", "yz"}, l):
			return fmt.Errorf("%.80q: dev, cmd and yz are the gateway's own", t)
		}
	}
	return nil
}

// sameTopics finds topics that mean two things.
func (c Config) sameTopics() error {
	seen := map[string]bool{}
	for _, t := range append(c.publishes(), c.subscribes()...) {
		if seen[t] {
			return fmt.Errorf("topic: %.80q is given twice", t)
		}
		seen[t] = true
	}
	return nil
}

// filter makes a template what a broker matches with.
func (c Config) filter(topic string) string {
	return strings.ReplaceAll(strings.ReplaceAll(topic, "{uid}", c.UID), "{cell}", "+")
}

// publishes are the filters of what the locker says.
func (c Config) publishes() (out []string) {
	for _, e := range c.Events {
		out = append(out, c.filter(e.Topic))
	}
	for _, s := range c.Snapshots {
		out = append(out, c.filter(s.Topic))
	}
	for _, t := range []string{c.Responses.Topic, c.Heartbeat.Topic, c.Connection.Topic} {
		if t != "" {
			out = append(out, c.filter(t))
		}
	}
	return out
}

// subscribes are the filters of what it hears.
func (c Config) subscribes() []string {
	if c.Command.Topic == "" {
		return nil
	}
	return []string{c.filter(c.Command.Topic)}
}

func list[T ~string](words []T) string {
	var out []string
	for _, w := range words {
		out = append(out, string(w))
	}
	return strings.Join(out, ", ")
}

func (c Config) withDefaults() Config {
	c.UID = cmp.Or(c.UID, c.User)
	c.AnswerWithin = cmp.Or(c.AnswerWithin, 10*time.Second)
	c.OfflineAfter = cmp.Or(c.OfflineAfter, time.Minute)
	if preset, ok := shapes[c.Shape]; ok {
		if c.Events == nil && c.Snapshots == nil {
			c.Events, c.Snapshots = preset.Events, preset.Snapshots
		}
		if c.Responses.Topic == "" {
			c.Responses = preset.Responses
		}
		if c.Heartbeat.Topic == "" {
			c.Heartbeat = preset.Heartbeat
		}
		if c.Connection.Topic == "" {
			c.Connection = preset.Connection
		}
		if c.Command.Topic == "" {
			c.Command = preset.Command
		}
	}
	c.Command.Confirm = cmp.Or(c.Command.Confirm, Door)
	c.Events, c.Snapshots = slices.Clone(c.Events), slices.Clone(c.Snapshots)
	yes := []string{"true", "1"}
	for i := range c.Events {
		e := &c.Events[i]
		e.Items = orWords(e.Items, yes)
	}
	for i := range c.Snapshots {
		s := &c.Snapshots[i]
		s.Format = cmp.Or(s.Format, JSON)
		s.Open, s.Closed = orWords(s.Open, []string{"open", "true", "1"}), orWords(s.Closed, []string{"closed", "false", "0"})
		s.Items = orWords(s.Items, yes)
	}
	return c
}

func orWords(given, otherwise []string) []string {
	if len(given) > 0 {
		return given
	}
	return otherwise
}
