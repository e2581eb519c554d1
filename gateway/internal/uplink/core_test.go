package uplink

import (
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
)

// card is a spool in memory. It checks that nothing is given up that the cloud does not have.
type card struct {
	t     *testing.T
	cloud *cloud
	rng   *rand.Rand
	lanes []*cardLane // oldest epoch first
	fail  bool        // reads fail
	tail  []frame.LaneState
}

type cardLane struct {
	laneKey
	first, next uint64
	durable     uint64 // seqs below are durable
	missing     ranges
	committed   ranges
}

func (c *card) open(epoch frame.Epoch) {
	for _, l := range telemetry.Lanes {
		c.lanes = append(c.lanes, &cardLane{laneKey: laneKey{epoch, l}, first: 1, next: 1, durable: 1})
	}
	for _, l := range telemetry.Lanes {
		c.append(l, 1)
	}
}

func (c *card) liveLane(l telemetry.Lane) *cardLane {
	return c.lanes[len(c.lanes)-4+slices.Index(telemetry.Lanes[:], l)]
}

func (c *card) append(l telemetry.Lane, n int) {
	k := c.liveLane(l)
	k.next += uint64(n)
	k.durable = k.next
}

func record(k laneKey, seq uint64) frame.Record {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 24), uint64(k.epoch)<<8|uint64(k.lane))
	return frame.Record{Seq: seq, Type: frame.TypeReading, MonoNS: int64(seq), Payload: binary.BigEndian.AppendUint64(b, seq)}
}

func (c *card) Lanes() []frame.LaneState {
	var out []frame.LaneState
	for i, l := range c.lanes {
		if live := i >= len(c.lanes)-4; live || l.first < l.next {
			out = append(out, frame.LaneState{Epoch: l.epoch, Lane: l.lane, First: l.first, Next: l.next})
		}
	}
	return out
}

func (c *card) Kept() []frame.LaneState { return c.tail }

func (c *card) Read(epoch frame.Epoch, ln telemetry.Lane, from uint64, limit, maxBytes int) (recs []frame.Record, prev [32]byte, err error) {
	if c.fail {
		return nil, prev, fmt.Errorf("card: input/output error")
	}
	i := slices.IndexFunc(c.lanes, func(l *cardLane) bool { return l.laneKey == laneKey{epoch, ln} })
	require.GreaterOrEqual(c.t, i, 0)
	l := c.lanes[i]
	for seq := max(from, l.first); seq < l.durable && len(recs) < limit && maxBytes > 0; seq++ {
		if _, gone := l.missing.end(seq); gone {
			if len(recs) > 0 {
				break
			}
			continue
		}
		r := record(l.laneKey, seq)
		recs = append(recs, r)
		maxBytes -= len(r.Payload)
	}
	if len(recs) > 0 && recs[0].Seq > 1 {
		before := record(l.laneKey, recs[0].Seq-1)
		prev = before.Hash(epoch, ln)
	}
	return recs, prev, nil
}

func (c *card) Commit(epoch frame.Epoch, ln telemetry.Lane, rs []frame.Range) {
	for _, l := range c.lanes {
		if l.laneKey != (laneKey{epoch, ln}) {
			continue
		}
		for _, r := range rs {
			require.Less(c.t, r.To, l.next, "a record that is not made yet was given up")
			for seq := r.From; seq <= r.To; seq++ {
				if _, had := c.cloud.ever[l.laneKey].end(seq); !had {
					c.t.Fatalf("given up before the cloud had it: %v %d", l.laneKey, seq)
				}
			}
			l.committed.add(r.From, r.To)
		}
		// Only whole segments go, here now and then, and the newest records stay.
		if end, ok := l.committed.end(l.first); ok && c.rng.IntN(3) == 0 {
			l.first = max(l.first, min(end+1, l.next))
		}
	}
}

// cloud commits frames by range identity.
type cloud struct {
	t       *testing.T
	dec     *frame.Decoder
	have    map[laneKey]ranges
	ever    map[laneKey]ranges
	applied map[laneKey]map[uint64]int // how often since the last restore
	credit  int
}

func newCloud(t *testing.T) *cloud {
	dec, err := frame.NewDecoder()
	require.NoError(t, err)
	return &cloud{t: t, dec: dec, have: map[laneKey]ranges{}, ever: map[laneKey]ranges{}, applied: map[laneKey]map[uint64]int{}, credit: 5000}
}

func (c *cloud) take(m Message) (acks [][]byte) {
	if m.What == topic.Hello {
		var h frame.Hello
		require.NoError(c.t, json.Unmarshal(m.Payload, &h))
		for _, l := range h.Lanes {
			acks = append(acks, c.ack(laneKey{l.Epoch, l.Lane}))
		}
		return acks
	}
	f, err := c.dec.Decode(m.Payload)
	require.NoError(c.t, err)
	k := laneKey{f.Epoch, f.Lane}
	require.Equal(c.t, f.Lane.String(), m.What)
	if f.First() > 1 {
		before := record(k, f.First()-1)
		require.Equal(c.t, before.Hash(f.Epoch, f.Lane), f.Prev)
	}
	if c.applied[k] == nil {
		c.applied[k] = map[uint64]int{}
	}
	have, ever := c.have[k], c.ever[k]
	for _, r := range f.Records {
		if want := record(k, r.Seq); string(want.Payload) != string(r.Payload) {
			c.t.Fatalf("%v %d holds %s", k, r.Seq, r.Payload)
		}
		if _, dup := have.end(r.Seq); !dup {
			c.applied[k][r.Seq]++
		}
		have.add(r.Seq, r.Seq)
		ever.add(r.Seq, r.Seq)
	}
	c.have[k], c.ever[k] = have, ever
	return [][]byte{c.ack(k)}
}

func (c *cloud) ack(k laneKey) []byte {
	b, err := json.Marshal(frame.Ack{Epoch: k.epoch, Lane: k.lane, Ranges: append([]frame.Range{}, c.have[k]...), Credit: c.credit, Frames: frame.Newest})
	require.NoError(c.t, err)
	return b
}

// restore sets the cloud back to a backup without some of what it had.
func (c *cloud) restore(rng *rand.Rand) {
	for k, have := range c.have {
		var kept ranges
		for _, r := range have {
			if to := r.From + rng.Uint64N(r.To-r.From+1); rng.IntN(4) > 0 {
				kept.add(r.From, to)
			}
		}
		c.have[k] = kept
		for seq := range c.applied[k] {
			if _, ok := kept.end(seq); !ok {
				c.applied[k][seq] = 0
			}
		}
	}
}

func testCore(t *testing.T, src Source) *Core {
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	enc, err := frame.NewEncoder(key)
	require.NoError(t, err)
	return NewCore(CoreConfig{Gateway: "van-03", Source: src, Encode: enc.EncodeAs, Log: slog.New(slog.DiscardHandler),
		Mono: func() (frame.Boot, int64) { return frame.Boot{1}, 5 }})
}

// A story of lost, doubled, late and reordered messages, lost connections, restarts, failing reads, gaps and clouds that come back
// older ends with everything on the card committed, each record applied once, and nothing given up before.
func TestEverythingArrivesWhateverTheLinkDoes(t *testing.T) {
	for seed := range uint64(80) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { story(t, rand.New(rand.NewPCG(seed, 7)), int(30+seed%60)) })
		if t.Failed() {
			return
		}
	}
}

type message struct {
	at   time.Time
	up   Message
	ack  []byte
	conn uint64
}

func story(t *testing.T, rng *rand.Rand, steps int) {
	cl := newCloud(t)
	src := &card{t: t, cloud: cl, rng: rng}
	src.open(1)
	core := testCore(t, src)
	now := time.Unix(1_800_000_000, 0)
	var wire []message
	var conn, epoch uint64 = 0, 1
	connected := false
	faults := true
	send := func(m message) {
		copies := 1
		if faults {
			copies = []int{0, 1, 1, 1, 1, 2}[rng.IntN(6)]
		}
		for range copies {
			m.at, m.conn = now.Add(time.Duration(rng.IntN(3000))*time.Millisecond), conn
			wire = append(wire, m)
		}
	}
	turn := func(d time.Duration) {
		now = now.Add(d)
		n, rest := len(wire), wire[:0:0]
		for _, m := range wire[:n] {
			switch {
			case m.at.After(now):
				rest = append(rest, m)
			case m.ack == nil:
				for _, a := range cl.take(m.up) {
					send(message{ack: a})
				}
			case m.conn == conn && connected:
				core.Ack(now, m.ack)
			}
		}
		wire = append(rest, wire[n:]...)
		for connected {
			m, ok := core.Next(now)
			if !ok {
				break
			}
			send(message{up: m})
		}
	}
	for range steps {
		switch rng.IntN(12) {
		case 0:
			core.Disconnected()
			connected = false
		case 1, 2:
			conn++
			connected = true
			core.Connected(now, conn)
		case 3: // the gateway restarts; what was under way may still arrive
			connected = false
			epoch++
			src.open(frame.Epoch(epoch))
			core = testCore(t, src)
		case 4:
			src.fail = !src.fail
		case 5:
			cl.credit = []int{0, 1, 50, 5000}[rng.IntN(4)]
		case 6:
			l := src.liveLane(telemetry.Lanes[rng.IntN(4)])
			if l.next > 3 {
				from := 1 + rng.Uint64N(l.next-2)
				l.missing.add(from, from+rng.Uint64N(l.next-from-1))
			}
		case 7:
			if rng.IntN(4) == 0 {
				cl.restore(rng)
				core.Disconnected()
				connected = false
			}
		case 8:
			if rng.IntN(3) == 0 {
				src.append(telemetry.Track, 9000+rng.IntN(4000)) // more than stays live
			}
		default:
			src.append(telemetry.Lanes[rng.IntN(4)], 1+rng.IntN(300))
		}
		turn(time.Duration(rng.IntN(5000)) * time.Millisecond)
	}
	faults, src.fail, cl.credit = false, false, 20000
	conn++
	connected = true
	core.Connected(now, conn)
	for range 2000 {
		turn(500 * time.Millisecond)
		if len(wire) == 0 && !core.holding(now) {
			break
		}
	}
	for _, l := range src.lanes {
		for seq := l.first; seq < l.next; seq++ {
			if _, gone := l.missing.end(seq); gone {
				continue
			}
			if _, ok := cl.have[l.laneKey].end(seq); !ok {
				t.Fatalf("%v seq %d never arrived (first %d, next %d, cloud %v)", l.laneKey, seq, l.first, l.next, cl.have[l.laneKey])
			}
			if n := cl.applied[l.laneKey][seq]; n != 1 {
				t.Fatalf("%v %d was applied %d times", l.laneKey, seq, n)
			}
		}
	}
	require.False(t, core.holding(now))
	require.Zero(t, core.pace.underway())
}

// drain publishes all that may be sent now.
func drain(c *Core, now time.Time) (out []Message) {
	for {
		m, ok := c.Next(now)
		if !ok {
			return out
		}
		out = append(out, m)
	}
}

func whats(ms []Message) (out []string) {
	for _, m := range ms {
		out = append(out, m.What)
	}
	return out
}

func TestLiveGoesFirstAndCreditHoldsTheBacklog(t *testing.T) {
	cl := newCloud(t)
	src := &card{t: t, cloud: cl, rng: rand.New(rand.NewPCG(1, 1))}
	src.open(1)
	src.append(telemetry.Custody, 500)
	now := time.Unix(1_800_000_000, 0)
	c := testCore(t, src)
	c.Connected(now, 1)
	require.Equal(t, []string{"hello"}, whats(drain(c, now)), "the backlog waits for the cloud's word")

	src.append(telemetry.Track, 3)
	src.append(telemetry.Command, 1)
	require.Equal(t, []string{"command", "track"}, whats(drain(c, now)))

	ack := func(credit int, lane telemetry.Lane) {
		cl.credit = credit
		c.Ack(now, cl.ack(laneKey{1, lane}))
	}
	for _, l := range telemetry.Lanes {
		ack(0, l)
	}
	now = now.Add(10 * time.Second)
	require.Empty(t, drain(c, now), "credit 0")
	ack(100, telemetry.Custody)
	require.Empty(t, drain(c, now), "no time has passed")
	now = now.Add(time.Second)
	src.append(telemetry.Custody, 2)
	sent := drain(c, now)
	require.Equal(t, "custody", sent[0].What)
	f, err := cl.dec.Decode(sent[0].Payload)
	require.NoError(t, err)
	require.Equal(t, uint64(502), f.First(), "live before backlog")
	n := 0
	for _, m := range sent[1:] {
		f, err := cl.dec.Decode(m.Payload)
		require.NoError(t, err)
		n += len(f.Records)
	}
	require.Equal(t, 100, n, "a second's credit")
	now = now.Add(creditLife)
	for _, m := range drain(c, now) {
		require.Equal(t, "hello", m.What, "an expired credit holds, and the cloud is asked again")
	}
}

func TestLiveRecordsGather(t *testing.T) {
	cl := newCloud(t)
	src := &card{t: t, cloud: cl, rng: rand.New(rand.NewPCG(1, 1))}
	src.open(1)
	now := time.Unix(1_800_000_000, 0)
	c := testCore(t, src)
	c.Connected(now, 1)
	drain(c, now)
	frames, worst := 0, time.Duration(0)
	waiting := time.Time{}
	for range 1000 { // a scan every 5 ms
		src.append(telemetry.Custody, 1)
		if waiting.IsZero() {
			waiting = now
		}
		if ms := drain(c, now); len(ms) > 0 {
			frames += len(ms)
			worst = max(worst, now.Sub(waiting))
			waiting = time.Time{}
			for _, m := range ms {
				for _, a := range cl.take(m) {
					c.Ack(now, a)
				}
			}
		}
		if !waiting.IsZero() {
			require.LessOrEqual(t, c.Idle(now), gather)
		}
		now = now.Add(5 * time.Millisecond)
	}
	require.LessOrEqual(t, frames, 35)
	require.LessOrEqual(t, worst, gather)
	src.append(telemetry.Command, 1)
	require.Equal(t, []string{"command"}, whats(drain(c, now))[:1], "a result never waits")
	now = now.Add(time.Second)
	src.append(telemetry.Track, 1)
	require.Contains(t, whats(drain(c, now)), "track", "a record of a quiet lane goes at once")
}

func TestAHoldingAckTellsNothing(t *testing.T) {
	cl := newCloud(t)
	src := &card{t: t, cloud: cl, rng: rand.New(rand.NewPCG(1, 1))}
	src.open(1)
	src.append(telemetry.Custody, 500)
	now := time.Unix(1_800_000_000, 0)
	c := testCore(t, src)
	c.Connected(now, 1)
	drain(c, now)
	cl.credit = 0
	for _, l := range telemetry.Lanes {
		c.Ack(now, cl.ack(laneKey{1, l})) // the store is away: no ranges, no credit
	}
	now = now.Add(time.Second)
	require.Empty(t, drain(c, now))
	cl.credit = 5000
	cl.have[laneKey{1, telemetry.Custody}] = ranges{{From: 1, To: 501}}
	cl.ever[laneKey{1, telemetry.Custody}] = ranges{{From: 1, To: 501}}
	c.Ack(now, cl.ack(laneKey{1, telemetry.Track}))
	now = now.Add(500 * time.Millisecond)
	require.Equal(t, []string{"track"}, whats(drain(c, now)), "custody is not sent before the cloud says what it has")
	c.Ack(now, cl.ack(laneKey{1, telemetry.Custody}))
	now = now.Add(time.Minute)
	require.NotContains(t, whats(drain(c, now)), "custody")
}

// A cloud says in each ack what it reads: until it has, and when it says less than before, frames are such as any cloud reads.
func TestFramesAreAsTheCloudReadsThem(t *testing.T) {
	cl := newCloud(t)
	src := &card{t: t, cloud: cl, rng: rand.New(rand.NewPCG(1, 1))}
	src.open(1)
	now := time.Unix(1_800_000_000, 0)
	c := testCore(t, src)
	sent := func() (versions []int) {
		now = now.Add(time.Second)
		src.append(telemetry.Command, 1)
		for _, m := range drain(c, now) {
			if h, err := frame.ReadHeader(m.Payload); err == nil {
				versions = append(versions, h.Version)
			}
		}
		return slices.Compact(versions)
	}
	ack := func(frames int) {
		c.Ack(now, fmt.Appendf(nil, `{"epoch":"0000000000000001","lane":"track","credit":100,"frames":%d}`, frames))
	}
	c.Connected(now, 1)
	require.Equal(t, []int{1}, sent(), "nobody said anything yet")
	ack(2)
	require.Equal(t, []int{2}, sent())
	ack(99)
	require.Equal(t, []int{2}, sent(), "the newest there is")
	ack(0)
	require.Equal(t, []int{1}, sent(), "an older release is back")
	ack(2)
	require.Equal(t, []int{2}, sent())
	c.Connected(now, 2)
	require.Equal(t, []int{1}, sent(), "it may be another cloud")
}

func TestWhatIsNotAcknowledgedIsSentAgain(t *testing.T) {
	cl := newCloud(t)
	src := &card{t: t, cloud: cl, rng: rand.New(rand.NewPCG(1, 1))}
	src.open(1)
	now := time.Unix(1_800_000_000, 0)
	c := testCore(t, src)
	c.Connected(now, 1)
	for _, m := range drain(c, now) {
		for _, a := range cl.take(m) {
			c.Ack(now, a)
		}
	}
	now = now.Add(time.Second)
	drain(c, now) // the opening records are lost on the way
	now = now.Add(ackWait - time.Second)
	require.Equal(t, []string{"hello"}, whats(drain(c, now)))
	now = now.Add(time.Second)
	require.ElementsMatch(t, []string{"command", "custody", "condition", "track"}, whats(drain(c, now)))
	require.Equal(t, uint64(4), c.Counts().Resent)
}

func TestAcksThatAreWrong(t *testing.T) {
	cl := newCloud(t)
	src := &card{t: t, cloud: cl, rng: rand.New(rand.NewPCG(1, 1))}
	src.open(1)
	now := time.Unix(1_800_000_000, 0)
	c := testCore(t, src)
	c.Connected(now, 1)
	for _, m := range drain(c, now) {
		for _, a := range cl.take(m) {
			c.Ack(now, a)
		}
	}
	now = now.Add(time.Second)
	for _, m := range drain(c, now) {
		cl.take(m)
	}
	for _, a := range []string{"", "{", `{"epoch":"xyz"}`, `{"epoch":"0000000000000001","lane":"custody","credit":-1}`} {
		c.Ack(now, []byte(a))
	}
	require.Equal(t, uint64(4), c.Counts().BadAcks)
	// Ranges of records that were never made, turned round, and of an unknown epoch. The card checks what is given up.
	for _, a := range []string{
		`{"epoch":"0000000000000001","lane":"custody","ranges":[{"from":1,"to":18446744073709551615}],"credit":1}`,
		`{"epoch":"0000000000000001","lane":"track","ranges":[{"from":9,"to":2},{"from":0,"to":0},{"from":5,"to":9}],"credit":1}`,
		`{"epoch":"00000000000000ff","lane":"track","ranges":[{"from":1,"to":2}],"credit":1}`,
	} {
		c.Ack(now, []byte(a))
	}
	src.append(telemetry.Custody, 1)
	require.Contains(t, whats(drain(c, now)), "custody", "a record made after a wrong ack is still sent")
}

func TestRanges(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		var r ranges
		var set [64]bool
		for range 20 {
			from := rng.Uint64N(63)
			to := from + rng.Uint64N(63-from+1)
			if r.add(from, to); from == 0 {
				continue
			}
			for i := from; i <= to; i++ {
				set[min(i, 63)] = true
			}
		}
		for i := uint64(1); i < 63; i++ {
			_, ok := r.end(i)
			require.Equal(t, set[i], ok, "%v %d", r, i)
		}
		for i := 1; i < len(r); i++ {
			require.Greater(t, r[i].From, r[i-1].To+1)
		}
	}
}

// tape is a card whose records are all committed and kept: epochs 1 to 3 are past, 4 is live.
type tape struct{ card }

func (c *tape) Lanes() (out []frame.LaneState) {
	for _, l := range c.card.Lanes() {
		if l.Epoch >= 3 {
			l.Acked = l.Next - 1
			out = append(out, l)
		}
	}
	return out
}

func (c *tape) Commit(frame.Epoch, telemetry.Lane, []frame.Range) {}

// A cloud that was put back to a backup is found out by the first lanes that it tells of, is then offered the whole kept tail,
// and has all of it in the end, across a lost connection; a cloud that has everything is offered nothing.
func TestACloudThatCameBackOlderIsRefilledFromTheKeptTail(t *testing.T) {
	cl := newCloud(t)
	src := &tape{card{t: t, cloud: cl, rng: rand.New(rand.NewPCG(1, 1))}}
	for epoch := range frame.Epoch(4) {
		src.open(epoch + 1)
		for _, l := range telemetry.Lanes {
			src.append(l, 700)
		}
	}
	for _, l := range src.lanes {
		if l.epoch < 3 {
			src.tail = append(src.tail, frame.LaneState{Epoch: l.epoch, Lane: l.lane, First: 1, Next: l.next, Acked: l.next - 1})
		}
		have := cl.have[l.laneKey]
		have.add(1, l.next-1)
		cl.have[l.laneKey] = have
	}
	now := time.Unix(1_800_000_000, 0)
	c := testCore(t, src)
	lanes := 0
	exchange := func(rounds int) (frames int) {
		for range rounds {
			for _, m := range drain(c, now) {
				if m.What == topic.Hello {
					var h frame.Hello
					require.NoError(t, json.Unmarshal(m.Payload, &h))
					lanes = len(h.Lanes)
				} else {
					frames++
				}
				for _, a := range cl.take(m) {
					c.Ack(now, a)
				}
			}
			now = now.Add(time.Second)
		}
		return frames
	}
	c.Connected(now, 1)
	require.Zero(t, exchange(5), "a cloud that has everything")
	require.Equal(t, 8, lanes, "what may be news, and no more")

	c.Disconnected()
	for k := range cl.have { // the backup knows epoch 1 and half of 2
		switch {
		case k.epoch == 2:
			cl.have[k] = ranges{{From: 1, To: 300}}
		case k.epoch > 2:
			delete(cl.have, k)
		}
	}
	cl.credit = 500
	c = testCore(t, src)
	c.Connected(now, 2)
	require.NotZero(t, exchange(2))
	require.Equal(t, 16, lanes, "the whole tail is offered")
	require.EqualValues(t, 1, c.Counts().Behind)
	c.Disconnected()
	c.Connected(now, 3)
	exchange(60)
	for _, l := range src.lanes {
		require.Equal(t, ranges{{From: 1, To: l.next - 1}}, cl.have[l.laneKey], "%v", l.laneKey)
	}
	require.False(t, c.behind)
	require.Zero(t, exchange(3))
}

// What was acknowledged once isn't sent again while the cloud is silent about its lane.
func TestTheKeptTailWaitsForTheCloudsWord(t *testing.T) {
	cl := newCloud(t)
	src := &tape{card{t: t, cloud: cl, rng: rand.New(rand.NewPCG(1, 1))}}
	src.open(3)
	src.open(4)
	now := time.Unix(1_800_000_000, 0)
	c := testCore(t, src)
	c.Connected(now, 1)
	drain(c, now)
	c.Ack(now, cl.ack(laneKey{4, telemetry.Track}))
	for range 20 {
		now = now.Add(time.Second)
		for _, m := range drain(c, now) {
			f, err := cl.dec.Decode(m.Payload)
			require.True(t, m.What == topic.Hello || err == nil && f.Epoch == 4 && f.Lane == telemetry.Track, "%s", m.What)
		}
	}
}
