package broker

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

// While nobody watches mochi is told nothing; who comes sees the last reading of each stand, and from then on all.
func TestShelfWaitsForWatchers(t *testing.T) {
	var told []string
	s := newShelf(4, new(counters), func(topic string, payload []byte) { told = append(told, topic+" "+string(payload)) })
	put := func(device string, n int) {
		s.put([]stand{{device, telemetry.KindScan}}, func(int) []byte { return fmt.Append(nil, n) })
	}
	drain := func() {
		for len(s.fan) > 0 {
			s.tell(<-s.fan)
		}
	}
	for n := range 10 {
		put("a", n)
	}
	drain()
	require.Empty(t, told)
	s.watch()
	require.Equal(t, []string{"dev/a/scan 9"}, told)
	put("a", 10)
	put("b", 1)
	s.watch() // a second one: nothing is told twice
	drain()
	require.Equal(t, []string{"dev/a/scan 9", "dev/a/scan 10", "dev/b/scan 1"}, told)
	s.leave()
	put("b", 2)
	s.leave()
	put("b", 3)
	put("a", 11)
	told = nil
	s.watch() // before what is still queued
	require.ElementsMatch(t, []string{"dev/a/scan 11", "dev/b/scan 3"}, told)
	told = nil
	drain()
	require.Empty(t, told, "an older reading never replaces a newer one")
	for n := range 10 {
		put("a", 100+n)
	}
	require.EqualValues(t, 6, s.count.all()["fanout_dropped"])
	drain()
	require.Equal(t, "dev/a/scan 109", told[len(told)-1])
}

// However watchers come and go, what mochi retains at the end is the newest, and what is told of a stand is in order.
func TestShelfTellsInOrder(t *testing.T) {
	var mu sync.Mutex
	var told []int
	s := newShelf(8, new(counters), func(_ string, payload []byte) {
		n := 0
		fmt.Sscan(string(payload), &n)
		mu.Lock()
		told = append(told, n)
		mu.Unlock()
	})
	const count = 5000
	stop := make(chan struct{})
	var teller, others sync.WaitGroup
	teller.Go(func() {
		for {
			select {
			case it := <-s.fan:
				s.tell(it)
			case <-stop:
				return
			}
		}
	})
	others.Go(func() {
		for n := range count {
			s.put([]stand{{"a", telemetry.KindScan}}, func(int) []byte { return fmt.Append(nil, n+1) })
		}
	})
	for range 2 {
		others.Go(func() {
			for range 500 {
				s.watch()
				s.leave()
			}
		})
	}
	others.Wait()
	close(stop)
	teller.Wait()
	s.watch()
	require.IsIncreasing(t, told)
	if left := len(s.fan); left == 0 {
		require.Equal(t, count, told[len(told)-1])
	}
}

// The last reading of each kind is there for a technician who comes later, also one that nobody watched.
func TestLateTechnicianSeesTheLastReadings(t *testing.T) {
	log := &memLog{auto: true}
	e := startEdge(t, log, Limits{})
	r := login(t, e, "lk1")
	for n := range 3 {
		r.publish(uint16(n+1), 1, "dev/lk1/scan", scan(n))
		r.acked(uint16(n + 1))
	}
	for range 2 {
		tech := login(t, e, "tech")
		require.Zero(t, tech.subscribe("dev/#", 0))
		topic, payload := tech.message()
		require.Equal(t, "dev/lk1/scan", topic)
		require.Contains(t, payload, scan(2)[1:10])
		tech.quiet()
		tech.c.Close()
		require.Eventually(t, func() bool {
			e.shelf.mu.Lock()
			defer e.shelf.mu.Unlock()
			return e.shelf.watchers == 0
		}, time.Minute, time.Millisecond)
	}
}

// Who subscribes while new devices speak gets what is retained, and mochi's tree isn't read while it is written.
func TestSubscribingWhileDevicesSpeak(t *testing.T) {
	e := startEdge(t, &memLog{auto: true}, Limits{})
	tech := login(t, e, "tech")
	tech.subscribe("dev/#", 0) // from now on mochi is told
	done := make(chan error, 1)
	go func() {
		for i := range 200 {
			r := telemetry.New("probe-"+strconv.Itoa(i), time.Date(2026, 3, 1, 8, 0, i, 0, time.UTC), telemetry.GNSS, telemetry.Climate{TemperatureC: telemetry.Some(4.5)})
			if err := e.Accept(t.Context(), r); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range 20 {
		other := login(t, e, "tech")
		other.subscribe("dev/+/climate", 0)
	}
	require.NoError(t, <-done)
}
