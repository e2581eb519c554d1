package telemetry

// Door is the body of KindDoor: the state of a door or lid after an edge, or at start.
type Door struct {
	Door string // names the door within the device; empty when there is one
	Open Opt[bool]
}

// Kind returns KindDoor.
func (Door) Kind() Kind { return KindDoor }

// AppendJSON appends the body.
func (d Door) AppendJSON(dst []byte) []byte {
	o := newObject(dst)
	o.str("door", d.Door)
	o.bool("open", d.Open)
	return o.end()
}

func (d *Door) set(key, val []byte) error {
	switch string(key) {
	case "door":
		return setText(&d.Door, val)
	case "open":
		return setBool(&d.Open, val)
	}
	return nil
}

func (d *Door) check() error {
	if !d.Open.Known() {
		return invalid("body.open", "is absent")
	}
	return nil
}

// CellEvent is what happened at a locker cell: accepted, pulse_sent, opened, not_opened, wrong_door, closed, deposited, emptied, jammed, forced.
type CellEvent string

// The cell events.
const (
	CellOpened    CellEvent = "opened"
	CellClosed    CellEvent = "closed"
	CellDeposited CellEvent = "deposited" // closed and occupied after it was empty
	CellEmptied   CellEvent = "emptied"   // closed and empty after it was occupied
	CellJammed    CellEvent = "jammed"    // pulsed and did not open
	CellForced    CellEvent = "forced"    // opened without a pulse

	CellAccepted  CellEvent = "accepted"   // a code, ticket, scan or command was good: the cell is about to be opened
	CellPulseSent CellEvent = "pulse_sent" // the lock may have been pulsed from now on
	CellNotOpened CellEvent = "not_opened" // the door wasn't seen to move since its lock was pulsed, WaitedS ago
	CellWrongDoor CellEvent = "wrong_door" // this door opened when another one's lock was pulsed
)

// Locker is the body of KindLocker: an event at one cell, numbered from 1.
type Locker struct {
	Cell     Opt[int]
	Event    CellEvent
	Occupied Opt[bool] // unknown where the board has no sensor for it

	// What the gateway's cabinet knows of it, where there is one.
	Deposit    string   // id of what is, was or is to be put in
	Waybill    string   // of the deposit, where a courier scanned one
	Op         string   // id of what opened the cell: also the command of its result
	By         string   // code, ticket, courier; empty where no one at the locker did it
	Generation Opt[int] // of the locker's key when it was put in
	WaitedS    Opt[int] // of not_opened: the seconds for which the door was watched
}

// Kind returns KindLocker.
func (Locker) Kind() Kind { return KindLocker }

// AppendJSON appends the body.
func (l Locker) AppendJSON(dst []byte) []byte {
	o := newObject(dst)
	o.int("cell", l.Cell)
	o.str("event", string(l.Event))
	o.bool("occupied", l.Occupied)
	o.str("deposit", l.Deposit)
	o.str("waybill", l.Waybill)
	o.str("op", l.Op)
	o.str("by", l.By)
	o.int("generation", l.Generation)
	o.int("waited_s", l.WaitedS)
	return o.end()
}

func (l *Locker) set(key, val []byte) error {
	switch string(key) {
	case "cell":
		return setInt(&l.Cell, val)
	case "event":
		return setText((*string)(&l.Event), val)
	case "occupied":
		return setBool(&l.Occupied, val)
	case "deposit":
		return setText(&l.Deposit, val)
	case "waybill":
		return setText(&l.Waybill, val)
	case "op":
		return setText(&l.Op, val)
	case "by":
		return setText(&l.By, val)
	case "generation":
		return setInt(&l.Generation, val)
	case "waited_s":
		return setInt(&l.WaitedS, val)
	}
	return nil
}

func (l *Locker) check() error {
	if n, ok := l.Cell.Get(); !ok || n < 1 || n > 1024 {
		return invalid("body.cell", "must be 1 to 1024")
	}
	if max(len(l.Deposit), len(l.Waybill), len(l.Op), len(l.By)) > 128 {
		return invalid("body.deposit", "deposit, waybill, op and by have at most 128 bytes")
	}
	return oneOf("event", string(l.Event), "opened", "closed", "deposited", "emptied", "jammed", "forced", "accepted", "pulse_sent", "not_opened", "wrong_door")
}

// Weight is the body of KindWeight, in kilograms.
type Weight struct {
	WeightKg Opt[float64]
	Stable   Opt[bool]
}

// Kind returns KindWeight.
func (Weight) Kind() Kind { return KindWeight }

// AppendJSON appends the body.
func (w Weight) AppendJSON(dst []byte) []byte {
	o := newObject(dst)
	o.float("weight_kg", w.WeightKg, 4)
	o.bool("stable", w.Stable)
	return o.end()
}

func (w *Weight) set(key, val []byte) error {
	switch string(key) {
	case "weight_kg":
		return setFloat(&w.WeightKg, val)
	case "stable":
		return setBool(&w.Stable, val)
	}
	return nil
}

func (w *Weight) check() error {
	if !w.WeightKg.Known() {
		return invalid("body.weight_kg", "is absent")
	}
	return nil
}

// Scan is the body of KindScan: a barcode or QR code that a person scanned.
type Scan struct {
	Symbology string // code128, qr, ean13, ...; empty when the scanner doesn't tell
	Text      string
}

// Kind returns KindScan.
func (Scan) Kind() Kind { return KindScan }

// AppendJSON appends the body.
func (s Scan) AppendJSON(dst []byte) []byte {
	o := newObject(dst)
	o.str("symbology", s.Symbology)
	o.str("text", s.Text)
	return o.end()
}

func (s *Scan) set(key, val []byte) error {
	switch string(key) {
	case "symbology":
		return setText(&s.Symbology, val)
	case "text":
		return setText(&s.Text, val)
	}
	return nil
}

func (s *Scan) check() error {
	if s.Text == "" || len(s.Text) > 1024 {
		return invalid("body.text", "must be 1 to 1024 bytes, has %d", len(s.Text))
	}
	return nil
}

// Severity of an alarm: critical, major, minor, info.
type Severity string

// The severities.
const (
	Critical Severity = "critical"
	Major    Severity = "major"
	Minor    Severity = "minor"
	Info     Severity = "info"
)

// Alarm is the body of KindAlarm.
type Alarm struct {
	Code     string // a constant word: spool_full, fork, probe_lost
	Severity Severity
	Detail   string // for people; holds nothing personal
}

// Kind returns KindAlarm.
func (Alarm) Kind() Kind { return KindAlarm }

// AppendJSON appends the body.
func (a Alarm) AppendJSON(dst []byte) []byte {
	o := newObject(dst)
	o.str("code", a.Code)
	o.str("severity", string(a.Severity))
	o.str("detail", a.Detail)
	return o.end()
}

func (a *Alarm) set(key, val []byte) error {
	switch string(key) {
	case "code":
		return setText(&a.Code, val)
	case "severity":
		return setText((*string)(&a.Severity), val)
	case "detail":
		return setText(&a.Detail, val)
	}
	return nil
}

func (a *Alarm) check() error {
	if a.Code == "" || len(a.Code) > 64 {
		return invalid("body.code", "must be 1 to 64 bytes")
	}
	return oneOf("severity", string(a.Severity), "critical", "major", "minor", "info")
}

// Outcome of a command: done, refused, or unknown: somebody must look.
type Outcome string

// The three honest outcomes.
const (
	Done           Outcome = "done"
	Refused        Outcome = "refused"
	OutcomeUnknown Outcome = "unknown"
)

// Result is the body of KindResult: what became of a command.
type Result struct {
	Command string // the command's id
	Outcome Outcome
	Detail  string // a constant word first: opened, stale, jammed, no_reply
}

// Kind returns KindResult.
func (Result) Kind() Kind { return KindResult }

// AppendJSON appends the body.
func (r Result) AppendJSON(dst []byte) []byte {
	o := newObject(dst)
	o.str("command", r.Command)
	o.str("outcome", string(r.Outcome))
	o.str("detail", r.Detail)
	return o.end()
}

func (r *Result) set(key, val []byte) error {
	switch string(key) {
	case "command":
		return setText(&r.Command, val)
	case "outcome":
		return setText((*string)(&r.Outcome), val)
	case "detail":
		return setText(&r.Detail, val)
	}
	return nil
}

func (r *Result) check() error {
	if r.Command == "" || len(r.Command) > 64 {
		return invalid("body.command", "must be 1 to 64 bytes")
	}
	return oneOf("outcome", string(r.Outcome), "done", "refused", "unknown")
}

// Gauge is one named number of a Health body.
type Gauge struct {
	Name  string
	Value float64
}

// Health is the body of KindHealth: named numbers, units in their names (rss_bytes, fsync_p99_ms).
// Fields that are no numbers are kept in the reading's Body and not decoded.
type Health []Gauge

// Kind returns KindHealth.
func (Health) Kind() Kind { return KindHealth }

// AppendJSON appends the body.
func (h Health) AppendJSON(dst []byte) []byte {
	o := newObject(dst)
	for _, g := range h {
		o.float(g.Name, Some(g.Value), 6)
	}
	return o.end()
}

func (h *Health) set(key, val []byte) error {
	if v, err := number(val); err == nil {
		*h = append(*h, Gauge{Name: string(key), Value: v})
	}
	return nil
}

func (h *Health) check() error { return nil }

// CommandTo is what the cloud asks a device to do.
type CommandTo struct {
	ID     string            // unique; a repeated id replays the first outcome
	Device string            // id within the gateway
	Action string            // open_cell, identify, restart
	Args   map[string]string // cell: "7"

	// Pulsed is told when a lock may have been pulsed from now on, at most once and before anything that comes of it is emitted. It
	// doesn't wait. Nil: nobody asks.
	Pulsed func()
}

// Pulse tells that the lock may have been pulsed.
func (c *CommandTo) Pulse() {
	if c.Pulsed != nil {
		c.Pulsed()
	}
}
