package state

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/parcel"
	"yizhan/devices/telemetry"
)

// commit is one transaction over a group of frames.
type commit struct {
	s        *Store
	c        conn
	reg      *places
	now      time.Time
	arrivals []county.Arrival

	boards   map[string]*board
	boots    map[bootKey]boot     // what the group tells of them
	epochs   map[string][]opening // what the group opens, by gateway
	times    map[string]*timeline // of gateways with a record without any clock
	lanes    map[string]*lane
	verdicts []county.Verdict

	latest     map[[2]string]*last
	fixes      map[string][]fix
	climates   map[string][]climate
	tracks     [][]any
	undated    [][]any // fixes and climates
	evidence   map[string]county.Sighting
	results    []result
	refused    []county.Refusal
	alarms     [][]any
	openings   [][]any
	tombstones [][]any
	frames     [][]any
	numbered   []int // the verdict of each frame
	facts      []county.Fact
	opened     map[string]county.Exception
	ended      map[string]bool

	pairs   pairs
	cells   map[string]bool          // subjects, to be folded again
	parcels map[string]bool          // waybills, to be folded again
	items   map[string]bool          // waybills and containers, of which it is to be found again what they were in
	benches []county.Sighting        // scans at packing benches
	turned  []county.Sighting        // what lockers let not in
	boxes   map[string]bool          // containers, of which something went in or out, or that were counted
	lockers []string                 // that changed
	vans    map[string]*van          // vehicles that changed, as they are now
	loads   map[string]bool          // vehicles whose load changed
	rides   map[string][]parcel.Ride // by waybill, of what was folded
	orders  map[string]bool          // commands of which something is new
	changes []county.Change
}

func (s *Store) newCommit(c conn, arrivals []county.Arrival) *commit {
	return &commit{
		boots: map[bootKey]boot{}, epochs: map[string][]opening{}, times: map[string]*timeline{},
		s: s, c: c, reg: s.registry.Load(), now: s.opt.Now(), arrivals: arrivals,
		latest: map[[2]string]*last{}, fixes: map[string][]fix{}, climates: map[string][]climate{}, evidence: map[string]county.Sighting{},
		pairs: pairs{}, cells: map[string]bool{}, parcels: map[string]bool{}, vans: map[string]*van{}, loads: map[string]bool{},
		rides: map[string][]parcel.Ride{}, opened: map[string]county.Exception{}, ended: map[string]bool{}, orders: map[string]bool{}, items: map[string]bool{}, boxes: map[string]bool{},
	}
}

// Commit takes a group of verified frames in one transaction: all of it, or an error and
// nothing. There is a verdict for each arrival, in their order. An error that wraps ErrAway
// says that another try may help; any other is about the frames.
func (s *Store) Commit(ctx context.Context, arrivals []county.Arrival) (verdicts []county.Verdict, changes []county.Change, err error) {
	if len(arrivals) == 0 {
		return nil, nil, nil
	}
	if err := s.makeDays(ctx, arrivals); err != nil {
		return nil, nil, err
	}
	facts := 0
	err = s.update(ctx, "commit", func(c conn) error {
		w := s.newCommit(c, arrivals)
		if err := w.run(ctx); err != nil {
			return err
		}
		verdicts, changes, facts = w.verdicts, w.changes, len(w.facts)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if facts > 0 {
		s.wake()
	}
	return verdicts, changes, nil
}

// run does the steps in an order in which locks are always taken: boards, lanes, vehicles, cold
// boxes, lockers, parcels, and the archive's counter last.
func (c *commit) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		c.lockBoards, c.lockLanes, c.readClocks, c.admit, c.dateUndated,
		c.putLatest, c.moveVehicles, c.measureBoxes, c.nameDoors, c.putEvidence, c.foldCells, c.foldContents, c.foldParcels, c.answerCommands, c.tellOrders,
		c.putLedger, c.putBoards, c.gatherChanges, c.putArchive,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// admit sorts what is new of each arrival by what has to be done with it.
func (c *commit) admit(ctx context.Context) error {
	for i := range c.arrivals {
		a := &c.arrivals[i]
		f := a.Frame
		l := c.lanes[laneID(f)]
		v := county.Verdict{Gateway: f.Gateway, Epoch: f.Epoch, Lane: f.Lane}
		fork, err := c.forked(ctx, l, a)
		if err != nil {
			return err
		}
		if fork != "" {
			v.Fork, v.Ranges = true, l.spans
			c.fork(a, fork)
			c.verdicts = append(c.verdicts, v)
			continue
		}
		refused := len(c.refused)
		for _, r := range l.spans.missing(f.First(), f.Last()) {
			for seq := r.From; seq <= r.To; seq++ {
				n := int(seq - f.First())
				if c.take(a, &f.Records[n], &a.Sights[n]) {
					v.Readings++
				}
				v.Fresh++
			}
		}
		l.refused += int64(len(c.refused) - refused)
		c.enter(l, a, &v)
		c.verdicts = append(c.verdicts, v)
	}
	for i := range c.verdicts { // a later arrival of the same lane may have added to it
		v := &c.verdicts[i]
		v.Ranges = c.lanes[laneID(c.arrivals[i].Frame)].spans
	}
	return nil
}

// enter puts an arrival that has something new into ledger and archive.
func (c *commit) enter(l *lane, a *county.Arrival, v *county.Verdict) {
	f := a.Frame
	b := c.boards[f.Gateway]
	b.heard(a, l, v)
	if v.Fresh == 0 {
		return
	}
	l.spans = l.spans.add(f.First(), f.Last())
	l.records += int64(v.Fresh)
	l.reads += int64(v.Readings)
	if f.Last() > l.tip {
		hash := f.Records[len(f.Records)-1].Hash(f.Epoch, f.Lane)
		l.tip, l.tipHash = f.Last(), hash[:]
	}
	l.changed = true
	l.group = append(l.group, a)
	c.numbered = append(c.numbered, len(c.verdicts)) // v's place, in a moment
	c.frames = append(c.frames, []any{
		int64(0), dayOf(a.Received), f.Gateway, f.Epoch.String(), int64(f.Lane), int64(f.First()), int64(f.Last()), ms(a.Received), ms(c.now), int64(v.Fresh), a.Raw,
	})
}

func (c *commit) fork(a *county.Arrival, reason string) {
	f := a.Frame
	c.refused = append(c.refused, county.Refusal{Gateway: f.Gateway, Source: "ingest", Reason: reason, Raw: a.Raw, Received: a.Received})
	id := digest("fork", f.Gateway, f.Epoch.String(), f.Lane.String())
	c.alarms = append(c.alarms, []any{id, ms(a.Received), f.Gateway, "", "fork", string(telemetry.Critical), reason})
}

// take handles one new record and reports whether it is a reading.
func (c *commit) take(a *county.Arrival, r *frame.Record, s *county.Sight) bool {
	f := a.Frame
	switch r.Type {
	case frame.TypeReading:
		if s.Bad == "" {
			c.reading(a, r, s)
			return true
		}
		c.refused = append(c.refused, county.Refusal{Gateway: f.Gateway, Source: "ingest", Reason: s.Bad, Raw: r.Payload, Received: a.Received})
	case frame.TypeOpening:
		c.openings = append(c.openings, []any{f.Gateway, f.Epoch.String(), int64(f.Lane), clean(string(r.Payload)), ms(a.Received), r.Boot.String()})
	case frame.TypeTombstone:
		var t frame.Tombstone
		if err := json.Unmarshal(r.Payload, &t); err != nil {
			c.refused = append(c.refused, county.Refusal{Gateway: f.Gateway, Source: "ingest", Reason: "tombstone: " + err.Error(), Raw: r.Payload, Received: a.Received})
			break
		}
		c.tombstones = append(c.tombstones, []any{f.Gateway, f.Epoch.String(), int64(f.Lane), int64(r.Seq), t.Epoch.String(), spans(t.Ranges).String(), int64(t.Count), clean(t.Reason), ms(a.Received)})
	case frame.TypeQuarantine:
		var q frame.Quarantine
		if err := json.Unmarshal(r.Payload, &q); err != nil {
			q = frame.Quarantine{Source: "gateway", Reason: "quarantine: " + err.Error(), Raw: r.Payload}
		}
		c.refused = append(c.refused, county.Refusal{Gateway: f.Gateway, Source: q.Source, Reason: q.Reason, Raw: q.Raw, Received: a.Received})
	}
	return false
}

// reading dates a reading and hands it to what it concerns.
func (c *commit) reading(a *county.Arrival, rec *frame.Record, s *county.Sight) {
	f, r := a.Frame, &s.Reading
	d := c.date(a, rec, r)
	device := f.Gateway + "/" + r.Device
	thing := c.reg.thing(device, d.At.UnixMilli())
	if !d.Future {
		c.keepLatest(device, a, r, d)
	}
	c.putBy(a, rec, r, d)
	switch r.Kind {
	case telemetry.KindPosition:
		if kind, id := cutThing(thing); kind == "vehicle" && !d.Future {
			c.fix(id, s, d)
		}
	case telemetry.KindClimate:
		if kind, id := cutThing(thing); kind == "coldbox" && !d.Future {
			c.climate(id, r, d)
		}
	case telemetry.KindTag, telemetry.KindScan, telemetry.KindLocker, telemetry.KindDoor, telemetry.KindWeight:
		if !r.RawRead() {
			c.sight(a, rec, r, d, device, thing)
		}
	case telemetry.KindResult:
		if res, err := telemetry.As[telemetry.Result](*r); err == nil {
			c.results = append(c.results, result{res, device, r.N, d.At})
		}
	case telemetry.KindAlarm:
		if al, err := telemetry.As[telemetry.Alarm](*r); err == nil {
			id := county.IdentityOf(f.Gateway, r, f.Epoch, f.Lane, rec.Seq).String()
			c.alarms = append(c.alarms, []any{id, ms(d.At), f.Gateway, device, clean(al.Code), string(al.Severity), clean(al.Detail)})
			if _, _, ok := turnedAway(al); ok {
				c.sight(a, rec, r, d, device, thing)
			}
		}
	}
}

// sight makes a reading of the custody lane a piece of evidence.
func (c *commit) sight(a *county.Arrival, rec *frame.Record, r *telemetry.Reading, d county.Dated, device, thing string) {
	f := a.Frame
	s := county.Sighting{
		ID: county.IdentityOf(f.Gateway, r, f.Epoch, f.Lane, rec.Seq).String(), At: d.At, TQ: d.TQ,
		Gateway: f.Gateway, Epoch: f.Epoch.String(), Lane: int(f.Lane), Seq: rec.Seq,
		Device: device, Thing: thing, Kind: r.Kind, Body: r.Body, ErrMS: d.ErrMS,
	}
	s.Subject, s.Step = subject(r, device, thing)
	c.witness(s)
	if m, ok := named(&s, r); ok {
		c.witness(m)
	}
}

// witness takes a piece of evidence; of one told twice the first in the total order stays.
func (c *commit) witness(s county.Sighting) {
	if old, ok := c.evidence[s.ID]; !ok || s.Before(old) {
		c.evidence[s.ID] = s
	}
}

// keepLatest keeps the latest reading of a device and kind. What can't be dated is only the
// latest where nothing dated is.
func (c *commit) keepLatest(device string, a *county.Arrival, r *telemetry.Reading, d county.Dated) {
	at := ms(d.At)
	if d.TQ == telemetry.Unknown {
		at = 0
	}
	key := [2]string{device, string(r.Kind)}
	old := c.latest[key]
	if old == nil {
		old = &last{at: -1}
		c.latest[key] = old
	}
	if at > old.at || at == old.at && (string(r.Body) > old.body || string(r.Body) == old.body && string(d.TQ) > old.tq) {
		*old = last{at: at, tq: string(d.TQ), received: ms(a.Received), body: string(r.Body)}
	}
}

type last struct {
	at, received int64
	tq, body     string
}

func (c *commit) putLatest(ctx context.Context) error {
	rows := make([][]any, 0, len(c.latest))
	for key, l := range c.latest {
		rows = append(rows, []any{key[0], key[1], l.at, l.tq, l.received, clean(l.body)})
	}
	slices.SortFunc(rows, func(a, b []any) int {
		return strings.Compare(a[0].(string)+"\x00"+a[1].(string), b[0].(string)+"\x00"+b[1].(string))
	})
	return c.c.put(ctx, latestTable, rows)
}
