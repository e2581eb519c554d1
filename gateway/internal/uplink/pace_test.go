package uplink

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
)

// van is a spool of one lane with the positions of a moving van; all before begin is backlog.
type van struct {
	next uint64
	made map[uint64]time.Time
}

func (v *van) Kept() []frame.LaneState                           { return nil }
func (v *van) Commit(frame.Epoch, telemetry.Lane, []frame.Range) {}
func (v *van) Lanes() []frame.LaneState {
	var out []frame.LaneState
	for _, l := range telemetry.Lanes {
		s := frame.LaneState{Epoch: 1, Lane: l, First: 1, Next: 1}
		if l == telemetry.Track {
			s.Next = v.next
		}
		out = append(out, s)
	}
	return out
}

func (v *van) Read(_ frame.Epoch, _ telemetry.Lane, from uint64, limit, maxBytes int) (recs []frame.Record, prev [32]byte, err error) {
	for seq := from; seq < v.next && len(recs) < limit && maxBytes > 0; seq++ {
		r := rand.New(rand.NewPCG(seq, 1))
		ms := int64(1_790_000_000_000) + int64(seq)*1000
		p := fmt.Appendf(nil, `{"device":"gps","kind":"position","at":%q,"tq":"gnss","body":{"lat":%.6f,"lon":%.6f,"altitude_m":%d,"speed_mps":%.2f,"heading_deg":%.1f,"fix":"3d","satellites":%d,"valid":true}}`,
			time.UnixMilli(ms).UTC().Format(telemetry.TimeLayout), 30+float64(seq)/1e4+r.Float64()/1e3, 103+r.Float64()/1e3, 700+r.IntN(9), r.Float64()*20, r.Float64()*360, 8+r.IntN(5))
		recs = append(recs, frame.Record{Seq: seq, Type: frame.TypeReading, Quality: telemetry.GNSS, MonoNS: ms * 1e6, WallMS: ms, Payload: p})
		maxBytes -= len(p)
	}
	return recs, prev, nil
}

// link is a line with a rate, a delay and a queue as long as it takes, and a cloud behind it that commits.
type link struct {
	rate  float64 // bytes a second
	delay time.Duration
	free  time.Time // when the line has sent what was given to it
	up    []transit
	acks  []transit
	bytes int
}

type transit struct {
	at   time.Time
	body []byte
	what string
}

const overhead = 130 // of a message: MQTT, TLS and TCP/IP, its PUBACK

func (l *link) send(now time.Time, m Message) {
	if l.free.Before(now) {
		l.free = now
	}
	n := len(m.Payload) + overhead
	l.bytes += n
	l.free = l.free.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
	l.up = append(l.up, transit{l.free.Add(l.delay), m.Payload, m.What})
}

type drained struct {
	used       float64 // of the line's rate
	live       []time.Duration
	liveShare  float64 // of the bytes
	backlogged int     // records of the backlog that arrived
}

// run plays a link for 25 s, of which the last 15 count: perSecond live records, a backlog without an end.
func runLink(t *testing.T, l *link, perSecond int, backlog uint64) drained {
	now := time.Unix(1_800_000_000, 0)
	v := &van{next: 1 + backlog, made: map[uint64]time.Time{}}
	c := testCore(t, v)
	dec, err := frame.NewDecoder()
	require.NoError(t, err)
	c.Connected(now, 1)
	var have ranges
	var out drained
	liveBytes, began, warm := 0, now, now.Add(10*time.Second)
	step := 5 * time.Millisecond
	for end := now.Add(25 * time.Second); now.Before(end); now = now.Add(step) {
		if now.Equal(warm) {
			l.bytes, liveBytes, out.backlogged = 0, 0, 0
		}
		if n := uint64(now.Sub(began).Seconds() * float64(perSecond)); 1+backlog+n > v.next {
			for seq := v.next; seq < 1+backlog+n; seq++ {
				v.made[seq] = now
			}
			v.next = 1 + backlog + n
		}
		for len(l.up) > 0 && !l.up[0].at.After(now) {
			m := l.up[0]
			l.up = l.up[1:]
			if m.what == topic.Hello {
				for _, lane := range telemetry.Lanes {
					l.ack(t, now, lane, nil)
				}
				continue
			}
			f, err := dec.Decode(m.body)
			require.NoError(t, err)
			have.add(f.First(), f.Last())
			if f.First() > backlog {
				liveBytes += len(m.body) + overhead
				if now.After(warm) {
					for _, r := range f.Records {
						out.live = append(out.live, now.Sub(v.made[r.Seq]))
					}
				}
			} else {
				out.backlogged += len(f.Records)
			}
			l.ack(t, now, telemetry.Track, have)
		}
		for len(l.acks) > 0 && !l.acks[0].at.After(now) {
			c.Ack(now, l.acks[0].body)
			l.acks = l.acks[1:]
		}
		for {
			m, ok := c.Next(now)
			if !ok {
				break
			}
			l.send(now, m)
		}
	}
	out.used = float64(l.bytes) / l.rate / 15
	out.liveShare = float64(liveBytes) / float64(l.bytes)
	slices.Sort(out.live)
	return out
}

// ack is what the cloud says 40 ms after a frame came: it has committed.
func (l *link) ack(t *testing.T, now time.Time, lane telemetry.Lane, have ranges) {
	b, err := json.Marshal(frame.Ack{Epoch: 1, Lane: lane, Ranges: append([]frame.Range{}, have...), Credit: 20_000, Frames: frame.Newest})
	require.NoError(t, err)
	l.acks = append(l.acks, transit{at: now.Add(40*time.Millisecond + l.delay), body: b})
}

func percentile(d []time.Duration, p float64) time.Duration {
	return d[min(len(d)-1, int(p*float64(len(d))))]
}

// A day's backlog takes what the line has, and the newest record waits for less than two seconds behind it.
func TestLiveRecordsWhileADayDrains(t *testing.T) {
	for name, c := range map[string]struct {
		rate  float64
		delay time.Duration
		p99   time.Duration
	}{
		"512 kbit/s":    {64_000, 30 * time.Millisecond, 1200 * time.Millisecond},
		"a bad 2G link": {2_500, 400 * time.Millisecond, 4 * time.Second},
		"far away":      {16_000, 350 * time.Millisecond, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			d := runLink(t, &link{rate: c.rate, delay: c.delay}, 1, 2_000_000)
			t.Logf("%.3f of the line, %d records of the backlog, live p50 %v p99 %v", d.used, d.backlogged, percentile(d.live, 0.5), percentile(d.live, 0.99))
			require.GreaterOrEqual(t, d.used, 0.9)
			require.LessOrEqual(t, percentile(d.live, 0.99), c.p99)
		})
	}
}

// Live records that want more than the line has leave a share to the backlog, which else would never arrive.
func TestTheBacklogHasAShare(t *testing.T) {
	d := runLink(t, &link{rate: 8_000, delay: 50 * time.Millisecond}, 1500, 2_000_000)
	t.Logf("%.3f of the line, live %.3f", d.used, d.liveShare)
	require.GreaterOrEqual(t, d.used, 0.9)
	require.InDelta(t, 0.7, d.liveShare, 0.1)
}
