package spool_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/spool/spooltest"
)

// slowCard takes a hundred writes a second; a sync takes 50 to 200 ms, and one in a hundred stalls for 2 s, as cards do that
// tidy up.
type slowCard struct {
	*spooltest.FS
	mu     sync.Mutex
	rng    *rand.Rand
	stalls int
}

const stall = 2 * time.Second

func (c *slowCard) Create(name string) (spool.File, error) { return c.slow(c.FS.Create(name)) }
func (c *slowCard) Open(name string) (spool.File, error)   { return c.slow(c.FS.Open(name)) }

func (c *slowCard) SyncDir(dir string) error {
	c.wait()
	return c.FS.SyncDir(dir)
}

func (c *slowCard) slow(f spool.File, err error) (spool.File, error) {
	if err != nil {
		return nil, err
	}
	return slowFile{f, c}, nil
}

func (c *slowCard) wait() {
	c.mu.Lock()
	d := 50*time.Millisecond + time.Duration(c.rng.Int64N(int64(150*time.Millisecond)))
	if c.rng.IntN(100) == 0 {
		d = stall
		c.stalls++
	}
	c.mu.Unlock()
	time.Sleep(d)
}

type slowFile struct {
	spool.File
	card *slowCard
}

func (f slowFile) WriteAt(b []byte, off int64) (int, error) {
	time.Sleep(10 * time.Millisecond)
	return f.File.WriteAt(b, off)
}

func (f slowFile) Sync() error {
	f.card.wait()
	return f.File.Sync()
}

// desk is who waits for the card, and for how long.
type desk struct {
	mu    sync.Mutex
	waits map[string][]time.Duration
	order map[string][]int
}

func (d *desk) told(who string, n int, since time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waits[who] = append(d.waits[who], time.Since(since))
	d.order[who] = append(d.order[who], n)
}

// Ten minutes on a slow card that stalls: scans are acknowledged in order, each driver keeps its pace and waits for the card only,
// and who reads for the uplink, commits or looks how the spool is never waits at all.
func TestASlowCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const length = 10 * time.Minute
		card := &slowCard{FS: spooltest.New(), rng: rand.New(rand.NewPCG(1, 1))}
		s, err := spool.Open(card, "spool", spool.Options{Clock: wall{time.Now()}, Rand: seeded(1), SegmentBytes: 64 << 10, MaxBytes: 4 << 20, Keep: -1})
		require.NoError(t, err)
		on, off := context.WithCancel(t.Context())
		var writer, all sync.WaitGroup
		writer.Go(func() { require.NoError(t, s.Run(on)) })
		d := &desk{waits: map[string][]time.Duration{}, order: map[string][]int{}}
		end := time.Now().Add(length)
		for i := range 3 {
			all.Go(func() { d.scans(t, s, fmt.Sprint("scanner", i), end) })
		}
		for i := range 20 {
			all.Go(func() { d.drives(t, s, i, end) })
		}
		reader, enough := context.WithCancel(on)
		read := 0
		writer.Go(func() { read = reads(reader, t, s) })
		all.Wait()
		time.Sleep(2 * stall) // the last scans
		enough()
		off()
		writer.Wait()
		require.NoError(t, s.Close())
		d.check(t)
		require.Greater(t, card.stalls, 10)
		require.GreaterOrEqual(t, read, 3*1200+20*400, "all goes out while it goes on")
		c := s.Counters()
		require.Zero(t, c["failed"]+c["refused"]+c["io_errors"])
		t.Logf("%d stalls, %d commits, %d records; a scan waits %v, at most %v; a driver %v, at most %v", card.stalls, c["commits"], c["appended"],
			d.median("scanner0"), slices.Max(d.waits["scanner0"]), d.median("driver"), slices.Max(d.waits["driver"]))
	})
}

func (d *desk) median(who string) time.Duration {
	w := slices.Sorted(slices.Values(d.waits[who]))
	return w[len(w)/2].Round(time.Millisecond)
}

// scans appends two scans a second and doesn't wait for them, as a LAN client does.
func (d *desk) scans(t *testing.T, s *spool.Spool, who string, end time.Time) {
	for n := 0; time.Now().Before(end); n++ {
		began := time.Now()
		err := s.Append([]frame.Entry{entry(telemetry.Custody, fmt.Sprint(who, n))}, func(err error) {
			require.NoError(t, err)
			d.told(who, n, began)
		})
		require.NoError(t, err)
		require.Zero(t, time.Since(began), "staging waits for nothing")
		time.Sleep(time.Until(began.Add(500 * time.Millisecond)))
	}
}

// drives appends a position a second and waits until it is durable, as a driver does.
func (d *desk) drives(t *testing.T, s *spool.Spool, i int, end time.Time) {
	next := time.Now().Add(time.Duration(i) * 37 * time.Millisecond)
	for n := 0; next.Before(end); n++ {
		time.Sleep(time.Until(next))
		began := time.Now()
		done := make(chan error, 1)
		require.NoError(t, s.Append([]frame.Entry{position(fmt.Sprint("driver", i), float64(n)/1000)}, func(err error) { done <- err }))
		require.NoError(t, <-done)
		d.told("driver", n, began)
		next = next.Add(time.Second)
	}
}

// reads plays the uplink until ctx ends, and returns how many records it read. A lock that is held while the card is at work would end
// the test: no time passes while somebody waits for it.
func reads(ctx context.Context, t *testing.T, s *spool.Spool) (n int) {
	from := map[telemetry.Lane]uint64{}
	for ctx.Err() == nil {
		select {
		case <-s.Wake():
		case <-ctx.Done():
		}
		began := time.Now()
		for _, l := range s.Lanes() {
			rs, _, err := s.Read(l.Epoch, l.Lane, max(1, from[l.Lane]), 1000, 1<<20)
			require.NoError(t, err)
			if len(rs) > 0 {
				from[l.Lane] = rs[len(rs)-1].Seq + 1
				s.Commit(l.Epoch, l.Lane, []frame.Range{{From: 1, To: from[l.Lane] - 1}})
			}
			n += len(readings(rs))
		}
		require.NotNil(t, s.Health())
		require.Zero(t, time.Since(began), "the uplink waits for no card")
	}
	return n
}

func (d *desk) check(t *testing.T) {
	for who, w := range d.waits {
		require.Less(t, slices.Max(w), 3*stall, who) // a stall while a segment is made, and one behind it
		if who != "driver" {
			require.True(t, slices.IsSorted(d.order[who]), "%s is told in order", who)
			require.Len(t, w, 1200, "each of %s is told", who)
		} else {
			require.Greater(t, len(w), 20*580, "drivers keep their pace")
		}
	}
}
