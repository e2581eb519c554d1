package broker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A client that sends more than its share is read more slowly and loses nothing; others don't feel it.
func TestRateOfOneClientIsLimited(t *testing.T) {
	log := &memLog{auto: true}
	inBubble(t, log, Limits{PacketRate: 100, Unacked: 1 << 20}, func(t *testing.T, e *Edge, l *pipeListener) {
		mad, well := l.dial(t), l.dial(t)
		require.Zero(t, mad.connect(options{user: "lk1", password: "pw", id: "x"}))
		require.Zero(t, well.connect(options{user: "lk2", password: "pw", id: "x"}))
		start := time.Now()
		done := make(chan time.Duration)
		_ = mad.c.SetDeadline(time.Time{})
		go func() {
			for i := range 1100 {
				mad.publish(uint16(i+1), 1, "dev/lk1/scan", scan(i))
				mad.acked(uint16(i + 1))
			}
			done <- time.Since(start)
		}()
		for i := range 50 { // within its share: never slowed
			time.Sleep(20 * time.Millisecond)
			synctest.Wait()
			before := time.Now()
			well.publish(uint16(i+1), 1, "dev/lk2/scan", scan(i))
			well.acked(uint16(i + 1))
			require.Zero(t, time.Since(before))
		}
		took := <-done
		require.InDelta(t, 10, took.Seconds(), 0.5, "a second's worth at once, the rest at 100 a second")
		require.EqualValues(t, 1150, e.Counters()["readings"])
		require.NotZero(t, e.Counters()["slowed"])
	})
}

func TestBytesOfOneClientAreLimited(t *testing.T) {
	log := &memLog{auto: true}
	inBubble(t, log, Limits{ByteRate: 10_000}, func(t *testing.T, e *Edge, l *pipeListener) {
		r := l.dial(t)
		require.Zero(t, r.connect(options{user: "lk1", password: "pw", id: "x"}))
		_ = r.c.SetDeadline(time.Time{})
		start := time.Now()
		for i := range 30 { // of a kilobyte each
			r.publish(uint16(i+1), 1, "dev/lk1/scan", fmt.Sprintf(`{"n":"%d","body":{"text":"%0950d"}}`, i, i))
			r.acked(uint16(i + 1))
		}
		require.InDelta(t, 2, time.Since(start).Seconds(), 0.3)
	})
}

// A client that is held back can still be ended.
func TestSlowedClientEndsWithTheBroker(t *testing.T) {
	log := &memLog{auto: true}
	inBubble(t, log, Limits{PacketRate: 1}, func(t *testing.T, e *Edge, l *pipeListener) {
		r := l.dial(t)
		require.Zero(t, r.connect(options{user: "lk1", password: "pw", id: "x"}))
		go func() {
			for range 100 {
				if _, err := r.c.Write([]byte{0xc0, 0}); err != nil {
					return
				}
			}
		}()
		go func() { _, _ = r.r.ReadString(0) }()
		time.Sleep(time.Second)
	}) // Run returns in made-up time
}

func TestBucket(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var b bucket
	for range 10 {
		require.Zero(t, b.take(1, 10, now))
	}
	require.Equal(t, 100*time.Millisecond, b.take(1, 10, now))
	require.Zero(t, b.take(1, 10, now.Add(200*time.Millisecond)))
	require.Equal(t, 100*time.Millisecond, b.take(1, 10, now.Add(200*time.Millisecond)))
	require.Zero(t, b.take(10, 10, now.Add(time.Hour)), "never more than a second's worth")
	require.NotZero(t, b.take(1, 10, now.Add(time.Hour)))
}

func TestFiltersOfOneClientAreCounted(t *testing.T) {
	e := startEdge(t, &memLog{auto: true}, Limits{Filters: 3})
	r := login(t, e, "tech")
	for i := range 3 {
		require.Zero(t, r.subscribe(fmt.Sprintf("dev/d%d/scan", i), 0))
	}
	r.send(packet(0x82, append(str([]byte{0, 9}, "dev/more/scan"), 0)))
	r.over()
	require.EqualValues(t, 1, e.Counters()["filters_refused"])
}
