package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/firmware-sim/internal/power"
)

// gsm is a mobile network of the second generation, at the edge of its cell: 64 kbit/s, 600 ms there and back, one packet in
// fifty lost.
var gsm = power.Weather{Rate: 8000, Delay: 300 * time.Millisecond, Loss: 0.02}

// halfOpen is within which time a gateway finds out that nobody answers any more (gateway/internal/uplink: 45 s); the rest is
// for a busy machine.
const halfOpen = 45*time.Second + 30*time.Second

// backlog is how many weights a board keeps while its network is away.
const backlog = 12_000

// outpost is a board that is connected over a bad link.
type outpost struct {
	b       *board
	probe   *probe
	weather func(power.Weather)
	through func() (up, down uint64)
	reset   func(t *testing.T, off func() bool) // has the network forget the connection, until off
}

// Gateways behind a bad 2G link: one whose network forgets its connections, and three whose network falls silent, both ways, upwards
// and downwards. Each finds out, comes back, ships what it kept meanwhile, and every weight that was told safe is in the
// database once.
func TestBadLinks(t *testing.T) {
	t.Parallel()
	if !inside(t, syscall.CLONE_NEWNET) {
		return
	}
	if own(t) {
		require.NoError(t, wireUp("lo", [4]byte{}))
	}
	var posts []*outpost
	p := play(t, options{speed: 1, boards: "wh-1,lk-qingshi-1,lk-baihe-1,lk-yuntai-1,lk-beixi-1"}, func(s *site) {
		posts = standOut(t, s)
	})
	want := 0
	for _, o := range posts {
		o.weather(gsm)
		runProbe(t, o.probe, o.b.broker())
		o.probe.weigh(o.b.id, 20)
		want += 20
	}
	require.True(t, within(patience, func() bool { return stored(t, p.site) == want }), "it works: %d of %d", stored(t, p.site), want)

	silent := []power.Weather{{Deaf: [2]bool{true, true}}, {Deaf: [2]bool{power.Up: true}}, {Deaf: [2]bool{power.Down: true}}}
	began := time.Now()
	for i, w := range silent {
		w.Rate, w.Delay, w.Loss = gsm.Rate, gsm.Delay, gsm.Loss
		posts[1+i].weather(w)
	}
	found := make([]time.Duration, len(silent))
	var watching sync.WaitGroup
	for i, o := range posts[1:] {
		watching.Go(func() { found[i] = o.noticed(began) })
	}
	posts[0].forgets(t)
	watching.Wait()
	for i, what := range []string{"both ways", "upwards", "downwards"} {
		t.Logf("silent %s: found after %v", what, found[i].Round(100*time.Millisecond))
		require.Less(t, found[i], halfOpen, what)
	}
	for _, o := range posts {
		require.True(t, within(patience, func() bool { return o.probe.Waiting() == 0 }), "all is told safe at %s", o.b.id)
		require.GreaterOrEqual(t, counters(o.b)["uplink connects"]+1, 2.0)
		require.Equal(t, 1, p.rack.Starts(o.b.id))
	}
	p.auditOf(t, probesOf(posts))
	for _, o := range posts {
		require.True(t, within(patience, func() bool { a := p.books(o.b.id); return a.Spooled == 0 && a.Unexplained+a.Dropped == 0 }), "%+v", p.books(o.b.id))
	}
}

// noticed returns when, after began, the board found out that its link is dead; the link is then as it was.
func (o *outpost) noticed(began time.Time) (after time.Duration) {
	within(patience, func() bool {
		if o.probe.Waiting() == 0 {
			o.probe.weigh(o.b.id, 1) // so that there is something to say
		}
		c := counters(o.b)
		return c != nil && c["uplink connected"] == 0
	})
	after = time.Since(began)
	o.weather(gsm)
	return after
}

func probesOf(posts []*outpost) (out []*probe) {
	for _, o := range posts {
		out = append(out, o.probe)
	}
	return out
}

// standOut puts each locker's gateway behind a sky of its own: in a network namespace over a TUN device, or where the machine has none,
// over a stream.
func standOut(t *testing.T, s *site) (posts []*outpost) {
	hosts := s.cloudHosts()
	self, err := os.Executable()
	require.NoError(t, err)
	wrapper := filepath.Join(s.dir, "gateway")
	script := fmt.Sprintf("#!/bin/sh\nexec '%s' board '%s' \"$@\"\n", self, s.gateway)
	require.NoError(t, os.WriteFile(wrapper, []byte(script), 0o700))
	for i, b := range s.yard.boards {
		if !strings.HasPrefix(b.id, "lk-") {
			continue
		}
		o := &outpost{b: b, probe: addProbe(s, b, "scale-1")}
		posts = append(posts, o)
		require.NoError(t, s.enrol(t.Context(), b))
		var a *air
		if own(t) {
			a, err = openAir(t, b, byte(i))
		}
		if a == nil {
			t.Logf("no TUN device here (%v): %s is behind a stream", err, b.id)
			link, sky := s.links[b.id], &power.Sky{}
			link.Sky, o.weather, o.through = sky, sky.Set, sky.Through
			o.reset = func(t *testing.T, off func() bool) {
				link.Cut()
				defer link.Mend()
				link.Reset()
				require.True(t, within(patience, off))
			}
			continue
		}
		file := b.file("gateway.yaml")
		alter(t, file, "tls://"+s.links[b.id].Addr(), "tls://"+a.cloud+":8883")
		alter(t, file, b.broker(), a.lan+":1883")
		alter(t, file, b.status(), a.lan+":9101")
		b.addr = a.lan
		hosts = append(hosts, a.cloud)
		o.weather, o.through = a.Set, a.Through
		o.reset = func(t *testing.T, off func() bool) {
			a.forgot.Store(true)
			defer a.forgot.Store(false)
			require.True(t, within(patience, off))
		}
	}
	if len(hosts) > len(s.cloudHosts()) {
		s.gateway, s.mqtt = wrapper, "0.0.0.0:8883"
		for _, f := range []string{"server.crt", "server.key"} {
			require.NoError(t, os.Remove(filepath.Join(s.ca, f)))
		}
		_, err = tool(t.Context(), "", s.cloud, append([]string{"ca", "server", s.ca}, hosts...)...)
		require.NoError(t, err)
	}
	return posts
}

// stored is how many weights the cloud has.
func stored(t *testing.T, s *site) int {
	rows, err := s.weights(t)
	if err != nil {
		return -1
	}
	return len(rows)
}

// forgets has the network forget the board's connections; the board keeps a backlog meanwhile, and how it ships them is
// measured.
func (o *outpost) forgets(t *testing.T) {
	t.Helper()
	before := counters(o.b)["uplink connects"]
	o.reset(t, func() bool {
		if o.probe.sent.count() < backlog && o.probe.Waiting() < 500 {
			o.probe.weigh(o.b.id, 500)
		}
		return counters(o.b)["uplink connected"] == 0 && o.probe.sent.count() >= backlog && o.probe.Waiting() == 0
	})
	require.True(t, within(patience, func() bool { return counters(o.b)["uplink connects"] > before }), "it comes back")
	began := time.Now()
	up, down := o.through()
	first := counters(o.b)["uplink records"]
	require.True(t, within(patience, func() bool { return pending(o.b) == 0 }), "the backlog is shipped")
	took := time.Since(began).Seconds()
	up2, down2 := o.through()
	sent := counters(o.b)["uplink records"] - first
	t.Logf("a backlog over 64 kbit/s, 600 ms, 2 %% loss: %.0f records in %.1f s, %.2f of the line up, %.2f down, %.1f bytes a record", sent, took,
		float64(up2-up)/took/gsm.Rate, float64(down2-down)/took/gsm.Rate, float64(up2-up)/max(1, sent))
}
