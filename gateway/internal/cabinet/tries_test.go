package cabinet

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/pickup"
	"yizhan/devices/telemetry"
)

// occupied is a stand with a parcel in cell 1.
func occupied(t testing.TB, seed uint64) *stand {
	k := newStand(t, seed, pickup.Small, pickup.Small)
	k.expects(list)
	k.scans("YL000100001")
	k.shut(1, true)
	return k
}

func TestDelaysGrow(t *testing.T) {
	k := occupied(t, 1)
	var waits []int
	for i := range 14 {
		require.Equal(t, "wrong", k.types(k.wrongFor(1, i*7919)))
		wait := k.core.tries.wait(k.core.ran(k.now()))
		waits = append(waits, int(wait/time.Minute))
		if wait > 0 {
			k.pass(wait - time.Second)
			for range 5 {
				require.Equal(t, "wait", k.types(k.wrongFor(1, 500_000)), "what is typed meanwhile makes nothing longer")
				require.Equal(t, "wait", k.types(k.code(1, 0)))
			}
			k.pass(time.Second)
		}
	}
	require.Equal(t, []int{0, 0, 1, 2, 4, 8, 15, 30, 45, 60, 128, 128, 128, 128}, waits)
	require.Equal(t, "take 1", k.types(k.code(1, 0)), "the right code opens when the wait is over")
}

// Whatever somebody types, and however often the power goes: no more than twenty wrong codes are looked at in any day, and nobody waits for
// longer than 128 minutes.
func TestTwentyADay(t *testing.T) {
	for seed := range uint64(60) {
		k := occupied(t, seed)
		if seed%3 == 1 {
			k.wall = time.Time{}
		}
		rng := rand.New(rand.NewPCG(seed, 2))
		patience := []time.Duration{time.Second, 10 * time.Minute, 3 * time.Hour, 20 * time.Hour}[seed%4]
		var at []time.Duration // of wrong tries, in real time
		real := time.Duration(0)
		pass := func(d time.Duration) { real += d; k.pass(d) }
		for n := 0; real < 12*day && n < 4000; n++ {
			before := k.core.counts.wrong
			k.types(k.wrongFor(1, rng.IntN(1_000_000)))
			if k.core.counts.wrong > before {
				at = append(at, real)
			}
			wait := k.core.tries.wait(k.core.ran(k.now()))
			require.LessOrEqual(t, wait, 128*time.Minute)
			switch rng.IntN(8) {
			case 0: // off and on
				off := time.Duration(rng.Int64N(int64(2 * time.Hour)))
				real += off
				if !k.wall.IsZero() {
					k.wall = k.wall.Add(off)
				}
				k.start()
			case 1:
				pass(time.Duration(rng.Int64N(int64(patience))))
			default:
				pass(wait + time.Second)
			}
		}
		for i := MaxTries; i < len(at); i++ {
			require.GreaterOrEqual(t, at[i]-at[i-MaxTries], day, "seed %d: %d tries in a day", seed, MaxTries+1)
		}
		require.Greater(t, len(at), 15, "seed %d", seed)
		require.Equal(t, "take 1", func() string { k.pass(128 * time.Minute); return k.types(k.code(1, 0)) }(), "no lock-out")
	}
}

// A wait isn't shortened by pulling the plug, nor for ever: a board that goes off every night is at the same place.
func TestWaitsOverRestarts(t *testing.T) {
	for _, dated := range []bool{true, false} {
		k := occupied(t, 3)
		if !dated {
			k.wall = time.Time{}
		}
		for i := range 3 {
			k.types(k.wrongFor(1, i*31))
		}
		for range 10 {
			k.start()
			require.Equal(t, "wait", k.types(k.code(1, 0)))
		}
		if dated {
			k.wall = k.wall.Add(time.Minute) // off for that long
			k.start()
		} else {
			k.pass(time.Minute)
		}
		require.Equal(t, "take 1", k.types(k.code(1, 0)), "dated %t", dated)
		k.shut(1, true)
		for range 40 { // on for 20 hours each: the hourly note counts them
			k.pass(10 * time.Hour)
			k.pass(10 * time.Hour)
			k.start()
		}
		require.Zero(t, k.core.tries.wait(k.core.ran(k.now())))
		require.Empty(t, k.core.tries.WrongMS, "dated %t", dated)
	}
}

// A board's own battery-backed clock is as anybody has set it: only one that others vouch for says how long the board was off.
func TestASetClockShortensNoWait(t *testing.T) {
	k := occupied(t, 5)
	for i := range 4 {
		k.pass(3 * time.Minute)
		k.types(k.wrongFor(1, i*31))
	}
	k.wall, k.tq = k.wall.Add(20*time.Hour), telemetry.RTC
	k.start()
	require.Equal(t, "wait", k.types(k.code(1, 0)))
	k.tq = telemetry.GNSS
	require.Equal(t, "take 1", k.types(k.code(1, 0)))
}

func TestTheSameMistakeCostsOnce(t *testing.T) {
	k := occupied(t, 4)
	for range 20 {
		require.Equal(t, "wrong", k.types(k.wrongFor(1, 99)))
		require.Equal(t, "wrong", k.types(k.wrongFor(2, 99)), "an empty cell")
		require.Equal(t, "wrong", k.types("77#123456"), "no cell")
	}
	require.Len(t, k.core.tries.WrongMS, 1)
}

// The schedule of delays alone keeps to twenty a day.
func TestTheSumOfDelays(t *testing.T) {
	sum := int64(0)
	for i := range MaxTries {
		sum += delays[min(i, len(delays)-1)]
	}
	require.GreaterOrEqual(t, time.Duration(sum)*time.Minute, day, fmt.Sprint(sum))
}
