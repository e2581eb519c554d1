package state

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

func record(t testing.TB, typ frame.Type, body any) frame.Record {
	b, err := json.Marshal(body)
	require.NoError(t, err)
	return frame.Record{Type: typ, Quality: telemetry.Unknown, Payload: b}
}

// fixes are n records of lane track.
func fixes(n int) (out []frame.Record) {
	for i := range n {
		out = append(out, entry(position("gps", float64(i), 30.5, 103.2)))
	}
	return out
}

// says is a hello of van-01 that holds first..next-1 of each lane.
func (w *world) says(lanes ...frame.LaneState) {
	w.t.Helper()
	w.now = w.now.Add(time.Minute)
	_, _, err := w.Hello(w.t.Context(), "van-01", &frame.Hello{Boot: frame.Boot{9}, MonoNS: 77, Lanes: lanes}, w.now)
	require.NoError(w.t, err)
}

func (w *world) ledger() county.Ledger {
	w.t.Helper()
	l, ok, err := w.Ledger(w.t.Context(), "van-01")
	require.NoError(w.t, err)
	require.True(w.t, ok)
	require.Equal(w.t, l.Produced, l.Committed+l.Spooled+l.Dropped+l.Unexplained)
	for _, a := range l.Lanes {
		require.Equal(w.t, a.Produced, a.Committed+a.Spooled+a.Dropped+a.Unexplained)
	}
	return l
}

// holeAlarms are the details of the alarms of holes.
func (w *world) holeAlarms() (out []string) {
	err := w.each(w.t.Context(), func(scan func(...any) error) error {
		var s string
		err := scan(&s)
		out = append(out, s)
		return err
	}, "select detail from alarms where code = $1 order by at_ms, detail", holeCode)
	require.NoError(w.t, err)
	return out
}

func TestLedgerKnowsWhereEveryRecordIs(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		s := w.lane("van-01", telemetry.Track)
		w.commit(w.arrival(s, fixes(3)...)) // 1-3
		w.arrival(s, fixes(2)...)           // 4, 5: 4 is dropped, 5 is on its way
		w.commit(w.arrival(s, fixes(2)...)) // 6-7
		w.commit(w.arrival(w.lane("van-01", telemetry.Command), record(t, frame.TypeTombstone, frame.Tombstone{Epoch: s.epoch, Count: 4, Reason: "thinned"})))
		w.says(frame.LaneState{Epoch: s.epoch, Lane: s.lane, First: 5, Next: 11})
		w.arrival(s, fixes(3)...)
		w.commit(w.arrival(s, record(t, frame.TypeTombstone, frame.Tombstone{Epoch: s.epoch, Ranges: []frame.Range{{From: 3, To: 4}}, Count: 2, Reason: "lane_full"}))) // 11
		l := w.ledger()
		require.Equal(t, w.now, *l.Said)
		var got county.LaneAccount
		for _, a := range l.Lanes {
			if a.Lane == "track" {
				got = a
			}
		}
		require.Equal(t, county.LaneAccount{
			Epoch: s.epoch.String(), Lane: "track", Known: true,
			Account: county.Account{Produced: 10, Committed: 5, Spooled: 4, Dropped: 1, Newer: 1},
			Ranges:  []frame.Range{{From: 1, To: 3}, {From: 6, To: 7}, {From: 11, To: 11}}, Holes: []frame.Range{},
			Drops: []county.Drop{{Reason: "lane_full", Tombstones: 1, Count: 2}},
		}, got, "3 arrived although a tombstone names it")
		require.Empty(t, w.holeAlarms())
		_, ok, err := w.Ledger(t.Context(), "nobody")
		require.NoError(t, err)
		require.False(t, ok)
		quiet, ok, err := w.Ledger(t.Context(), "van-02")
		require.NoError(t, err)
		require.True(t, ok, "a board of the registry that never spoke")
		require.Nil(t, quiet.Said)
		require.Empty(t, quiet.Lanes)
	})
}

func TestHoleIsAlarmedOnce(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		s := w.lane("van-01", telemetry.Track)
		w.commit(w.arrival(s, fixes(2)...)) // 1-2
		late := w.arrival(s, fixes(2)...)   // 3-4
		w.commit(w.arrival(s, fixes(1)...)) // 5
		holds := frame.LaneState{Epoch: s.epoch, Lane: s.lane, First: 5, Next: 6}
		w.says(holds)
		require.Equal(t, []frame.Range{{From: 3, To: 4}}, w.ledger().Lanes[0].Holes)
		require.Len(t, w.holeAlarms(), 1)
		require.Contains(t, w.holeAlarms()[0], "neither committed nor on the board nor dropped with a reason: 3-4 (2 in all)")
		w.says(holds)
		w.says()
		require.Len(t, w.holeAlarms(), 1, "told once")

		w.commit(late)
		require.Zero(t, w.ledger().Unexplained, "it came after all")
		w.arrival(s, fixes(1)...)           // 6
		w.commit(w.arrival(s, fixes(1)...)) // 7
		w.says(frame.LaneState{Epoch: s.epoch, Lane: s.lane, First: 7, Next: 8})
		require.Len(t, w.holeAlarms(), 2, "another hole is another alarm")
		require.Contains(t, w.holeAlarms()[1], ": 6-6 (1 in all)")
	})
}

func TestLaneThatLeftTheCardUncommittedIsAHole(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.says(frame.LaneState{Epoch: 7, Lane: telemetry.Custody, First: 1, Next: 4}, frame.LaneState{Epoch: 8, Lane: telemetry.Custody, First: 1, Next: 1})
		require.EqualValues(t, 3, w.ledger().Spooled)
		w.says(frame.LaneState{Epoch: 8, Lane: telemetry.Custody, First: 1, Next: 1})
		l := w.ledger()
		require.EqualValues(t, 3, l.Unexplained)
		require.Equal(t, frame.Epoch(7).String(), l.Lanes[0].Epoch, "what needs a look stands first")
		require.Len(t, w.holeAlarms(), 1)
	})
}

// The store was put back to a backup that had heard of more than it had: the board's first hello lists what may be news,
// its second what it has kept too. What it hasn't kept is alarmed then.
func TestAStoreThatWentBackWaitsForTheKeptTail(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		past, live := w.lane("van-01", telemetry.Track), w.lane("van-01", telemetry.Custody)
		w.says(frame.LaneState{Epoch: past.epoch, Lane: past.lane, First: 1, Next: 6})
		w.commit(w.arrival(past, fixes(2)...)) // of five; here is the backup
		news := frame.LaneState{Epoch: live.epoch, Lane: live.lane, First: 1, Next: 9, Acked: 8}
		w.says(news)
		require.Empty(t, w.holeAlarms(), "what is missing may be in the tail")
		w.says(frame.LaneState{Epoch: past.epoch, Lane: past.lane, First: 4, Next: 6, Acked: 5}, news)
		require.Len(t, w.holeAlarms(), 1)
		require.Contains(t, w.holeAlarms()[0], ": 3-3 (1 in all)")
	})
}

func TestAlarmWaitsForTombstonesThatAreOnTheirWay(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		s := w.lane("van-01", telemetry.Track)
		w.arrival(s, fixes(4)...) // 1-4 left the card
		said := w.arrival(s, record(t, frame.TypeTombstone, frame.Tombstone{Epoch: s.epoch, Ranges: []frame.Range{{From: 1, To: 3}}, Count: 3, Reason: "lane_full"}))
		holds := frame.LaneState{Epoch: s.epoch, Lane: s.lane, First: 5, Next: 6}
		w.says(holds)
		w.says(holds)
		require.EqualValues(t, 4, w.ledger().Unexplained)
		require.Empty(t, w.holeAlarms(), "record 5 may say why")
		w.commit(said)
		w.arrival(s, fixes(1)...)                                                // 6: the lane is never drained at a hello
		w.says(frame.LaneState{Epoch: s.epoch, Lane: s.lane, First: 5, Next: 7}) // all that was held has come
		require.Len(t, w.holeAlarms(), 1)
		require.Contains(t, w.holeAlarms()[0], ": 4-4 (1 in all)")
	})
}

func TestProducedIsWhatTheBoardSaid(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		s := w.lane("van-01", telemetry.Track)
		w.arrival(s, fixes(1)...)
		w.commit(w.arrival(s, fixes(2)...)) // 2-3
		l := w.ledger()
		require.False(t, l.Lanes[0].Known)
		require.Equal(t, county.Account{Newer: 2}, l.Account, "a number in the database says nothing of what was made")
		// the next epoch names the ends of one that no hello ever listed
		next := &sender{gateway: "van-01", epoch: 77, lane: telemetry.Custody, next: 1}
		w.commit(w.arrival(next, record(t, frame.TypeOpening, frame.Opening{Prev: s.epoch, Ends: []frame.LaneEnd{{Lane: telemetry.Track, Last: 5}, {Lane: telemetry.Command, Last: 2}}})))
		require.EqualValues(t, 5, w.ledger().Unexplained, "1, 4, 5 and two of lane command")
		require.Empty(t, w.holeAlarms(), "no hello yet")
		w.says(frame.LaneState{Epoch: 77, Lane: telemetry.Custody, First: 1, Next: 2})
		require.Len(t, w.holeAlarms(), 2, "one a lane")
		l = w.ledger()
		require.EqualValues(t, 5+2+1, l.Produced)
		w.commit(w.arrival(&sender{gateway: "van-01", epoch: 78, lane: telemetry.Custody, next: 1}, record(t, frame.TypeOpening, frame.Opening{Prev: s.epoch, Ends: []frame.LaneEnd{{Lane: telemetry.Track, Last: 2}, {Lane: telemetry.Custody, Last: 1 << 63}}})))
		require.Equal(t, l.Produced, w.ledger().Produced, "a restored card doesn't take back what was said")
	})
}

func TestQuarantinedRecordsAreCountedInTheLedger(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		s := w.lane("van-01", telemetry.Track)
		w.commit(w.arrival(s,
			frame.Record{Type: frame.TypeReading, Quality: telemetry.Unknown, Payload: []byte(`{"device":"gps","kind":"position","body":{"lat":91,"lon":1}}`)},
			record(t, frame.TypeQuarantine, frame.Quarantine{Source: "gps", Reason: "body.lat"}), entry(position("gps", 1, 30.5, 103.2))))
		_, err := w.Poison(t.Context(), w.arrival(s, fixes(4)...), "test")
		require.NoError(t, err)
		w.says(frame.LaneState{Epoch: s.epoch, Lane: s.lane, First: 1, Next: 8})
		l := w.ledger()
		require.Equal(t, county.Account{Produced: 7, Committed: 7, Quarantined: 6}, l.Account)
		require.EqualValues(t, 3, l.Refused)
	})
}

func TestSpansAreSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (rs []frame.Range, set map[uint64]bool) {
			set = map[uint64]bool{}
			for range rapid.IntRange(0, 6).Draw(t, name) {
				r := frame.Range{From: rapid.Uint64Range(0, 30).Draw(t, "from"), To: rapid.Uint64Range(0, 30).Draw(t, "to")}
				rs = append(rs, r)
				for n := r.From; r.From > 0 && n <= r.To; n++ {
					set[n] = true
				}
			}
			return rs, set
		}
		ar, as := draw("a")
		br, bs := draw("b")
		a, b := merged(ar), merged(br)
		require.EqualValues(t, len(as), a.count())
		both, only := spans(nil), spans(nil)
		for n := uint64(1); n <= 30; n++ {
			switch {
			case as[n] && bs[n]:
				both = both.add(n, n)
			case bs[n]:
				only = only.add(n, n)
			}
		}
		require.Equal(t, both.String(), a.within(b).String())
		require.Equal(t, only.String(), a.without(b).String())
	})
}

// hello is one of van-01, said by boot at mono and heard late.
func (w *world) hello(boot byte, mono, late time.Duration, lanes ...frame.LaneState) {
	w.t.Helper()
	_, _, err := w.Hello(w.t.Context(), "van-01", &frame.Hello{Boot: frame.Boot{boot}, MonoNS: int64(mono), Lanes: lanes}, w.now.Add(late))
	require.NoError(w.t, err)
}

// A card was put back while a hello was under way: what the hello lists went with the card, although it is heard last.
func TestAHelloThatWasOvertakenTellsWhatWasMade(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		gone := frame.LaneState{Epoch: 7, Lane: telemetry.Custody, First: 1, Next: 26}
		live := frame.LaneState{Epoch: 8, Lane: telemetry.Custody, First: 1, Next: 1}
		w.hello(1, time.Minute, time.Second)
		w.now = w.now.Add(10 * time.Minute)
		w.hello(2, time.Minute, 0, live)
		clock := func() frame.Boot {
			boot, _, _, ok, err := w.GatewayClock(t.Context(), "van-01")
			require.NoError(t, err)
			require.True(t, ok)
			return boot
		}
		require.Equal(t, frame.Boot{2}, clock())
		w.now = w.now.Add(6 * time.Minute)
		w.hello(1, 2*time.Minute, 0, gone) // said 15 min ago
		l := w.ledger()
		require.EqualValues(t, 25, l.Produced)
		require.EqualValues(t, 25, l.Unexplained, "nothing of it is on the board")
		require.Len(t, w.holeAlarms(), 1)
		require.Equal(t, frame.Boot{2}, clock(), "commands are for the boot that runs")

		w.hello(2, 30*time.Second, 0, gone) // and of the same boot, said before
		require.EqualValues(t, 25, w.ledger().Unexplained)
	})
}

// Two boards with one name: each counts when it speaks.
func TestAHelloOfTheOtherBoardIsNotLate(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		for i := range 3 {
			for boot := byte(1); boot <= 2; boot++ {
				w.now = w.now.Add(time.Minute)
				w.hello(boot, time.Duration(2*i+int(boot))*time.Minute, 0, frame.LaneState{Epoch: frame.Epoch(boot), Lane: telemetry.Custody, First: 1, Next: 3})
				now, _, _, _, err := w.GatewayClock(t.Context(), "van-01")
				require.NoError(t, err)
				require.Equal(t, frame.Boot{boot}, now)
			}
		}
	})
}

func TestVoices(t *testing.T) {
	t0 := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	hello := func(boot byte, mono time.Duration) *frame.Hello {
		return &frame.Hello{Boot: frame.Boot{boot}, MonoNS: int64(mono)}
	}
	var v voices
	require.False(t, v.overtook(frame.Boot{}, hello(1, 0), t0), "nothing was heard")
	v.say(hello(1, time.Hour), t0)
	v.say(hello(2, time.Minute), t0.Add(10*time.Minute))
	for _, c := range []struct {
		name string
		h    *frame.Hello
		at   time.Duration
		want bool
	}{
		{"the same again", hello(2, time.Minute), 11 * time.Minute, false},
		{"said before", hello(2, time.Second), 11 * time.Minute, true},
		{"said later", hello(2, 2*time.Minute), 11 * time.Minute, false},
		{"a boot that is over", hello(1, time.Hour+5*time.Minute), 12 * time.Minute, true},
		{"a boot that isn't", hello(1, time.Hour+11*time.Minute), 12 * time.Minute, false},
		{"a new boot", hello(3, time.Second), 12 * time.Minute, false},
		{"heard by a clock that went back", hello(1, time.Hour+5*time.Minute), -time.Hour, false},
	} {
		require.Equal(t, c.want, v.overtook(frame.Boot{2}, c.h, t0.Add(c.at)), c.name)
	}
	v.hear(frame.Boot{2}, int64(10*time.Minute), t0.Add(10*time.Minute))
	require.Equal(t, t0.UnixNano(), v.of(frame.Boot{2}).Began, "the quickest message tells")
	for i := range 20 {
		v.hear(frame.Boot{byte(10 + i)}, 0, t0.Add(time.Duration(i)*time.Hour))
	}
	require.Len(t, v, maxVoices)
	require.NotNil(t, v.of(frame.Boot{29}))
	require.Nil(t, v.of(frame.Boot{1}))
}

// The opening names less than was made, for the card didn't say yet what of the last write it had; what went since is told in a tombstone.
func TestATombstoneTellsWhatWasMade(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		past := frame.Epoch(0xa11)
		w.commit(w.arrival(w.lane("van-01", telemetry.Track), record(t, frame.TypeOpening, frame.Opening{Prev: past, Ends: []frame.LaneEnd{{Lane: telemetry.Track, Last: 6}}}),
			record(t, frame.TypeTombstone, frame.Tombstone{Epoch: past, Ranges: []frame.Range{{From: 1, To: 12}}, Count: 12, Reason: "lane_full"})))
		l := w.ledger()
		require.EqualValues(t, 12, l.Produced)
		require.EqualValues(t, 12, l.Dropped)
		require.EqualValues(t, 2, l.Newer)
	})
}
