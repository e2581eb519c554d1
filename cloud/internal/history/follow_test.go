package history

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// handed is a frame of the shelf as ingest hands it over.
func (s *shelf) handed(no int) county.Archived {
	dec, err := frame.NewDecoder()
	require.NoError(s.t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.frames[no-1]
	f, err := dec.Decode(a.Raw)
	require.NoError(s.t, err)
	a.Arrival = &county.Arrival{Frame: f, Raw: a.Raw, Received: a.Received}
	for _, r := range f.Records {
		good, bad := telemetry.Parse(r.Payload, "", "")
		require.Empty(s.t, bad)
		a.Arrival.Sights = append(a.Arrival.Sights, county.Sight{Reading: good[0]})
	}
	return a
}

// A lame sink takes two writes at once, some of them only later, and remembers what it has.
type lame struct {
	tableSink
	mu    sync.Mutex
	fails []bool // one a write, from the first
	slow  time.Duration
	has   map[int64]bool // by place
	most  int
}

func (l *lame) writers() int { return 2 }

func (l *lame) write(ctx context.Context, rows []row) error {
	if err := pause(ctx, l.slow); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.fails) > 0 {
		fail := l.fails[0]
		if l.fails = l.fails[1:]; fail {
			return errors.New("away")
		}
	}
	l.most = max(l.most, len(rows))
	for i := range rows {
		l.has[rows[i].at/1e6] = true
	}
	return nil
}

// What is handed over in part, in any order, to a history that fails now and then, is written whole; and the
// cursor is never before what isn't written.
func TestWhateverIsHandedOverEverythingIsWritten(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			l := &lame{has: map[int64]bool{}, slow: time.Duration(rapid.IntRange(0, 300).Draw(rt, "slow")) * time.Millisecond, fails: rapid.SliceOfN(rapid.Bool(), 0, 6).Draw(rt, "fails")}
			s := &watchedShelf{shelf: newShelf(t), sink: l, ends: []int64{0}}
			p, err := NewProjector(&History{l}, s, s, nil, nil)
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- p.Run(ctx) }()
			for range rapid.IntRange(1, 6).Draw(rt, "groups") {
				var group []county.Archived
				for range rapid.IntRange(1, 8).Draw(rt, "frames") {
					n := rapid.SampledFrom([]int{0, 1, 40, 3000}).Draw(rt, "points")
					no := s.more(n)
					if rapid.IntRange(0, 3).Draw(rt, "hand") > 0 {
						group = append(group, s.handed(no))
					}
				}
				group = rapid.Permutation(group).Draw(rt, "order")
				cut := rapid.IntRange(0, len(group)).Draw(rt, "cut")
				p.Take(group[cut:])
				time.Sleep(time.Duration(rapid.IntRange(0, 400).Draw(rt, "ms")) * time.Millisecond)
				p.Take(group[:cut])
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			require.True(t, s.done(), "%d of %d", s.cursor, len(s.frames))
			require.Len(t, l.has, int(s.ends[len(s.ends)-1]))
			require.LessOrEqual(t, l.most, full)
			require.Zero(t, p.Lag())
			require.Empty(t, p.handed.frames)
			require.Zero(t, p.handed.held())
			cancel()
			require.ErrorIs(t, <-ended, context.Canceled)
		})
	})
}

// A watchedShelf holds each point in a millisecond of its own, and checks each cursor.
type watchedShelf struct {
	*shelf
	sink  *lame
	ends  []int64 // how many points there are up to a frame
	empty int     // reads of the archive that found nothing
	found int     // frames that were read from it
}

func (s *watchedShelf) more(n int) (no int) {
	s.sink.mu.Lock()
	end := s.ends[len(s.ends)-1]
	s.ends = append(s.ends, end+int64(n)) // before the frame is there, for its cursor may follow at once
	no = len(s.ends) - 1
	s.sink.mu.Unlock()
	var rs []telemetry.Reading
	for i := range n {
		r := position(0, 30)
		r.At = t0.Add(time.Duration(end+int64(i)) * time.Millisecond)
		rs = append(rs, r)
	}
	if n == 0 { // a frame without a point
		rs = append(rs, telemetry.New("gps", t0, telemetry.GNSS, telemetry.Position{}))
	}
	s.put(telemetry.Track, t0.Add(time.Hour), rs...)
	return no
}

func (s *watchedShelf) Frames(ctx context.Context, after int64, most, bytes int) ([]county.Archived, error) {
	frames, err := s.shelf.Frames(ctx, after, most, bytes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found += len(frames); len(frames) == 0 {
		s.empty++
	}
	return frames, err
}

func (s *watchedShelf) SetCursor(ctx context.Context, name string, no int64) error {
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	for i := range s.ends[no] {
		if !s.sink.has[t0.UnixMilli()+i] {
			return fmt.Errorf("cursor %d, but point %d isn't written", no, i)
		}
	}
	return s.shelf.SetCursor(ctx, name, no)
}

func (h *handover) held() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.records
}

func TestHandedFramesAreNotReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lame{has: map[int64]bool{}}
		s := &watchedShelf{shelf: newShelf(t), sink: l, ends: []int64{0}}
		p, err := NewProjector(&History{l}, s, s, nil, nil)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		synctest.Wait()
		for range 10 {
			a, b, c := s.more(50), s.more(50), s.more(50)
			p.Take([]county.Archived{s.handed(b), s.handed(c)}) // another worker's come a little later
			synctest.Wait()
			p.Take([]county.Archived{s.handed(a)})
			time.Sleep(time.Second)
			synctest.Wait()
			require.True(t, s.done())
		}
		require.Zero(t, s.found, "from the archive")
		require.Len(t, l.has, 1500)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

// While the history is away the hand-over fills up and no more; the rest comes from the archive.
func TestHandoverIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lame{has: map[int64]bool{}, slow: 10 * time.Second}
		s := &watchedShelf{shelf: newShelf(t), sink: l, ends: []int64{0}}
		year := func() time.Time { return t0.AddDate(1, 0, 0) }
		p, err := NewProjector(&History{l}, s, s, year, nil)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		for range 60 {
			p.Take([]county.Archived{s.handed(s.more(4000))})
			require.LessOrEqual(t, p.handed.held(), maxHanded)
		}
		require.NotZero(t, p.Lag())
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		require.True(t, s.done())
		require.Positive(t, s.found)
		require.Len(t, l.has, 240_000)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}
