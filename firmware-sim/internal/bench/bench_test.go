//go:build !race

// Go 1.26's race runtime itself ends with SIGSEGV now and then (one run in fifteen, in its stack depot) where
// a bubble has this many timers; make test runs this package without it, and each room in it under -race.

package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/gnss"
	"yizhan/devices/port"
	"yizhan/devices/port/porttest"
)

var kinds = []devices.Factory{devices.Kind("gnss", gnss.New)}

// receiver is a satellite receiver that drives due north at 10 m/s, a fix a second, and counts the fixes
// that left it.
type receiver struct {
	fixes chan int
}

func (r *receiver) open(ctx context.Context, _ string) (port.Port, error) {
	driver, device := porttest.Pipe()
	go func() {
		defer device.Close()
		for ctx.Err() == nil {
			n := <-r.fixes
			r.fixes <- n + 1
			now := time.Now().UTC()
			lat := 30.5 + float64(n)*10/111_320
			body := fmt.Sprintf("GPRMC,%s,A,%s,N,10315.0000,E,19.44,0.0,%s,,,A", now.Format("150405.000"), minutes(lat), now.Format("020106"))
			var sum byte
			for i := range len(body) {
				sum ^= body[i]
			}
			if _, err := fmt.Fprintf(device, "$%s*%02X\r\n", body, sum); err != nil {
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
	return driver, nil
}

func minutes(deg float64) string {
	return fmt.Sprintf("%02d%07.4f", int(deg), (deg-float64(int(deg)))*60)
}

type running struct {
	cancel context.CancelFunc
	done   chan error
}

func start(ctx context.Context, run func(context.Context) error) running {
	ctx, cancel := context.WithCancel(ctx)
	r := running{cancel, make(chan error, 1)}
	go func() { r.done <- run(ctx) }()
	return r
}

func (r running) stop(t *testing.T) {
	r.cancel()
	require.NoError(t, <-r.done)
}

// half of the second between two fixes: long enough for a fix to be on the card.
const half = 500 * time.Millisecond

// A gateway and a cloud in one process, in made-up time: a van's fixes come to the map, through a
// valley without a link, a gateway that loses power and a cloud that is restarted, each once.
func TestAVanComesThroughTheValley(t *testing.T) {
	dir := t.TempDir()
	county, err := filepath.Abs(filepath.Join("..", "..", "..", "configs", "county"))
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 12, 1, 6, 0, 0, 0, time.UTC))) // a bubble begins in 2000
		began := time.Now()
		b, err := New(dir, county, kinds)
		require.NoError(t, err)
		defer b.Close()
		cloud := func() running {
			s, err := b.Cloud(t.Context())
			require.NoError(t, err)
			return start(t.Context(), s.Run)
		}
		r := &receiver{fixes: make(chan int, 1)}
		r.fixes <- 0
		van := func() running {
			e, err := b.Gateway("van-01", `[{id: gps, kind: gnss, port: "serial:/dev/gps?baud=9600"}]`, r.open)
			require.NoError(t, err)
			return start(t.Context(), e.Run)
		}
		c, v := cloud(), van()
		time.Sleep(time.Minute)
		require.Less(t, age(t, b), int64(3), "live is within seconds")

		b.Net.Cut(CloudMQTT)
		time.Sleep(10*time.Minute + half)
		require.Greater(t, age(t, b), int64(590), "the map says how old it is")
		v.stop(t) // the power goes in the valley
		v = van()
		time.Sleep(time.Minute)
		b.Net.Mend(CloudMQTT)
		time.Sleep(time.Minute)
		require.Less(t, age(t, b), int64(3), "the newest first")

		c.stop(t)
		time.Sleep(time.Minute)
		c = cloud()
		time.Sleep(2*time.Minute + half)
		v.stop(t)
		sent := <-r.fixes
		time.Sleep(30 * time.Second)
		require.Equal(t, sent, trackLength(t, b, began), "each fix once")
		c.stop(t)
	})
}

// age is how old the map says the van's position is, in seconds.
func age(t *testing.T, b *Bench) int64 {
	var v struct {
		Position *struct {
			AgeS int64 `json:"age_s"`
		} `json:"position"`
	}
	require.NoError(t, b.Get(t.Context(), "/api/v1/vehicles/v01", &v))
	require.NotNil(t, v.Position)
	return v.Position.AgeS
}

func trackLength(t *testing.T, b *Bench, from time.Time) int {
	var track struct {
		Geometry struct {
			Coordinates [][]float64 `json:"coordinates"`
		} `json:"geometry"`
	}
	require.NoError(t, b.Get(t.Context(), "/api/v1/vehicles/v01/track?from="+from.Format(time.RFC3339)+"&to="+time.Now().Add(time.Minute).Format(time.RFC3339), &track))
	return len(track.Geometry.Coordinates)
}
