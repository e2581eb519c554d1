package uplink

import (
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
)

// Bounds of one frame.
const (
	MaxRecords = 1000
	MaxRaw     = 96 << 10 // bytes of payload before packing
)

const (
	ackWait       = 30 * time.Second // after which what is under way is a hole again
	creditLife    = 60 * time.Second
	tellWait      = 2 * time.Second // for the ack of a lane, after which nothing of it counts as committed
	helloMax      = 5 * time.Minute
	gather        = 200 * time.Millisecond // between live frames of a lane, command aside: a packed frame of many costs a tenth
	gatherRecords = 250                    // that don't wait
	gatherSaving  = time.Minute            // between them while data are saved
	maxLag        = 8192                   // live records
	keepLive      = 1024
	readPause     = 5 * time.Second // after a failed read
)

// Source is the spool.
type Source interface {
	// Lanes lists every (epoch, lane) of which something waits, the newest epoch of which nothing does, and the four lanes of the
	// live epoch; oldest epoch first.
	Lanes() []frame.LaneState
	// Kept lists the others: committed, and on the card in case the cloud comes back older than it was.
	Kept() []frame.LaneState
	// Read returns consecutive durable records of (epoch, lane) from seq on, at most limit and about maxBytes of payload, and the
	// hash of the record before the first. None there yet: none, and no error. After a gap it starts at the next that exists.
	Read(epoch frame.Epoch, lane telemetry.Lane, from uint64, limit, maxBytes int) (recs []frame.Record, prev [32]byte, err error)
	// Commit says that these seqs are committed in the cloud.
	Commit(epoch frame.Epoch, lane telemetry.Lane, ranges []frame.Range)
}

// Message is something to publish on up/{gateway}/{What}.
type Message struct {
	What    string
	Payload []byte
}

// CoreConfig is what a Core is made of.
type CoreConfig struct {
	Gateway string
	Version string
	Source  Source
	Encode  func(newest int, f *frame.Frame) ([]byte, error) // in a version that a reader of versions up to newest knows
	Mono    func() (frame.Boot, int64)
	Log     *slog.Logger
	Behind  bool // the cloud lacked what it once had, and doesn't have all of it yet: of the connection before
}

// Core decides what is sent. It is not safe for concurrent use.
type Core struct {
	cfg   CoreConfig
	lanes map[laneKey]*lane
	order []*lane // urgent lanes first, in each the oldest epoch first

	online     bool
	conn       uint64
	wantHello  bool
	helloAt    time.Time
	helloEvery time.Duration
	ackAt      time.Time // of the last ack since the connect
	heldAt     time.Time // since when something is held all the time; zero: nothing is
	behind     bool      // the cloud lacks what it once had: the kept tail is offered until it has all of it
	version    int       // of frames, the newest that the cloud said it reads since the connect

	credit   int
	creditAt time.Time
	tokens   float64 // backlog records that may be sent now
	filledAt time.Time

	liveDue time.Time // when live records have gathered for long enough; zero when none wait

	pace   pace
	saving bool

	count Counts
}

// Counts is what Core has counted.
type Counts struct {
	Frames, Records, Bytes, Backlog, Resent, Acks, BadAcks, Hellos, Behind, Unsendable, ReadErrors uint64
}

type laneKey struct {
	epoch frame.Epoch
	lane  telemetry.Lane
}

type lane struct {
	laneKey
	state     frame.LaneState
	live      bool      // of the epoch that is being written
	liveNext  uint64    // first live seq not sent yet
	liveAt    time.Time // of the last live frame
	told      bool      // the cloud said what it has
	committed ranges    // as it said since the connect
	gone      ranges    // not on the card, or not to be sent
	chunks    []chunk
	refused   []refusal
	retryAt   time.Time // after a failed or empty read
}

// chunk is a frame under way.
type chunk struct {
	frame.Range
	bytes  int
	sent   time.Time
	live   bool
	before int       // bytes that had been acknowledged when it was sent
	since  time.Time // when they had been
}

// NewCore returns a Core that is offline.
func NewCore(cfg CoreConfig) *Core {
	return &Core{cfg: cfg, behind: cfg.Behind, lanes: map[laneKey]*lane{}, pace: newPace(time.Time{})}
}

// Connected begins a connection; Next says hello first.
func (c *Core) Connected(now time.Time, conn uint64) {
	c.Disconnected()
	c.online, c.conn, c.version = true, conn, 1
	c.wantHello, c.helloEvery = true, ackWait
	c.refresh()
	for _, l := range c.order {
		l.liveNext = l.state.Next
	}
	c.pace, c.filledAt = newPace(now), now
}

// Save says whether data are to be saved: then the lanes that may be thinned gather for a minute, and their backlog
// waits.
func (c *Core) Save(on bool) { c.saving = on }

// saves reports whether data are saved in a lane.
func (c *Core) saves(l *lane) bool { return c.saving && !l.lane.MustKeep() }

// Disconnected ends a connection: all that was under way is a hole again, and what the cloud said is forgotten.
func (c *Core) Disconnected() {
	c.online = false
	c.lanes, c.order = map[laneKey]*lane{}, nil
	c.pace = newPace(time.Time{})
	c.credit, c.tokens = 0, 0
	c.liveDue = time.Time{}
	c.helloAt, c.ackAt, c.heldAt, c.creditAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
}

// Hello makes Next say hello again.
func (c *Core) Hello() { c.wantHello = c.online }

// Behind reports whether the cloud lacks what it once had: the next connection's Core has to know.
func (c *Core) Behind() bool { return c.behind }

// Counts returns what was counted so far.
func (c *Core) Counts() Counts { return c.count }

// held lists what is offered to the cloud, the live epoch last.
func (c *Core) held() []frame.LaneState {
	if c.behind {
		return append(c.cfg.Source.Kept(), c.cfg.Source.Lanes()...)
	}
	return c.cfg.Source.Lanes()
}

// refresh takes over what the spool holds.
func (c *Core) refresh() {
	states := c.held()
	var newest frame.Epoch
	if n := len(states); n > 0 {
		newest = states[n-1].Epoch
	}
	seen := make(map[laneKey]bool, len(states))
	changed := false
	for _, s := range states {
		k := laneKey{s.Epoch, s.Lane}
		seen[k] = true
		l, ok := c.lanes[k]
		if !ok {
			l = &lane{laneKey: k, liveNext: 1}
			c.lanes[k] = l
			changed = true
		}
		l.state, l.live = s, s.Epoch == newest
	}
	for k, l := range c.lanes {
		if !seen[k] { // an old epoch of which everything is committed
			for i := range l.chunks {
				c.pace.gone(&l.chunks[i])
			}
			delete(c.lanes, k)
			changed = true
		}
	}
	if !changed {
		return
	}
	c.order = c.order[:0]
	for _, urgent := range telemetry.Lanes {
		for _, s := range states {
			if s.Lane == urgent {
				c.order = append(c.order, c.lanes[laneKey{s.Epoch, s.Lane}])
			}
		}
	}
}

// Ack takes an ack message.
func (c *Core) Ack(now time.Time, payload []byte) {
	var a frame.Ack
	if err := json.Unmarshal(payload, &a); err != nil || a.Credit < 0 {
		c.count.BadAcks++
		c.cfg.Log.Warn("ack refused", "err", err)
		return
	}
	if !c.online {
		return
	}
	c.count.Acks++
	c.refill(now)
	c.ackAt, c.helloEvery = now, ackWait
	c.credit, c.creditAt = a.Credit, now
	c.version = max(1, a.Frames)
	c.refresh()
	l, ok := c.lanes[laneKey{a.Epoch, a.Lane}]
	if !ok {
		return // of an epoch that is committed and gone
	}
	if a.Credit > 0 || len(a.Ranges) > 0 { // else the cloud's store is away, and it can't know
		l.told = true
	}
	for _, r := range a.Ranges {
		// A range beyond what was made here is a twin's, or nonsense: it must not give up a record that comes.
		l.committed.add(r.From, min(r.To, max(l.state.Next, 1)-1))
	}
	c.settle(now, l)
	l.taken()
	if l.told && l.lacks() && !c.behind {
		c.behind, c.wantHello = true, true
		c.count.Behind++
		c.cfg.Log.Warn("cloud came back older, the kept tail is offered", "epoch", l.epoch, "lane", l.lane)
	} else if c.behind && !c.holding(now) {
		c.behind = false
	}
	if len(l.committed) > 0 {
		c.cfg.Source.Commit(l.epoch, l.lane, slices.Clone(l.committed))
	}
}

// lacks reports whether the cloud has less of a lane than it once said it had.
func (l *lane) lacks() bool {
	n := len(l.committed)
	return l.state.Acked > 0 && (n == 0 || l.committed[n-1].To < l.state.Acked)
}

// settle ends what of a lane is under way and now committed.
func (c *Core) settle(now time.Time, l *lane) {
	var done []chunk
	l.chunks = slices.DeleteFunc(l.chunks, func(ch chunk) bool {
		end, ok := l.committed.end(ch.From)
		if ok = ok && end >= ch.To; ok {
			c.pace.gone(&ch)
			c.pace.delivered += ch.bytes
			done = append(done, ch)
		}
		return ok
	})
	for i := range done {
		c.pace.acked(now, &done[i])
	}
}

// Next returns the next message to publish; ok is false when there is nothing to send now.
func (c *Core) Next(now time.Time) (m Message, ok bool) {
	if !c.online {
		return m, false
	}
	c.refresh()
	c.refill(now)
	c.expire(now)
	c.pace.turn(now)
	if !c.holding(now) {
		c.heldAt = time.Time{}
	} else if c.heldAt.IsZero() {
		c.heldAt = now
	}
	since := slices.MaxFunc([]time.Time{c.helloAt, c.ackAt, c.heldAt}, time.Time.Compare)
	if !c.wantHello && !c.heldAt.IsZero() && now.Sub(since) >= c.helloEvery {
		c.wantHello, c.helloEvery = true, min(2*c.helloEvery, helloMax)
	}
	if c.wantHello {
		c.wantHello, c.helloAt = false, now
		return c.hello(), true
	}
	c.liveDue = time.Time{}
	for _, l := range c.order {
		if m, ok := c.sendLive(now, l); ok {
			return m, true
		}
	}
	for _, l := range c.order {
		if m, ok := c.sendBacklog(now, l); ok {
			return m, true
		}
	}
	return m, false
}

// Idle says how long Next need not be called when the spool has nothing new.
func (c *Core) Idle(now time.Time) time.Duration {
	switch {
	case !c.liveDue.IsZero():
		return min(max(0, c.liveDue.Sub(now)), 10*time.Second)
	case c.online && (c.wantHello || c.holding(now)):
		return 250 * time.Millisecond
	}
	return 10 * time.Second
}

// holding reports whether a record is on the card that the cloud has not said it has, and that is due to be sent.
func (c *Core) holding(now time.Time) bool {
	for _, l := range c.order {
		if len(l.chunks) > 0 || !l.told && l.state.First < l.state.Next {
			return true
		}
		if _, ok := l.hole(now, l.state.Next); ok {
			return true
		}
	}
	return false
}

func (c *Core) hello() Message {
	c.count.Hellos++
	boot, mono := c.cfg.Mono()
	h := frame.Hello{Conn: c.conn, Boot: boot, MonoNS: mono, Version: c.cfg.Version, Lanes: c.held()}
	b, err := json.Marshal(&h)
	if err != nil {
		panic("BUG: hello: " + err.Error())
	}
	return Message{What: topic.Hello, Payload: b}
}
