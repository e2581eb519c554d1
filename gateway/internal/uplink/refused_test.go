package uplink

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
)

// A cloud that never commits a frame costs few bytes a day, holds up nothing else, and may change its mind.
func TestWhatTheCloudDoesNotTakeIsSentSeldom(t *testing.T) {
	cl := newCloud(t)
	src := &card{t: t, cloud: cl, rng: rand.New(rand.NewPCG(1, 1))}
	src.open(1)
	src.open(2) // of the epoch before one record a lane waits
	now := time.Unix(1_800_000_000, 0)
	c := testCore(t, src)
	refuses := true
	bad, hellos, others := 0, 0, 0
	turn := func() {
		now = now.Add(time.Second)
		for _, m := range drain(c, now) {
			if m.What == topic.Hello {
				hellos++
			} else if f, err := cl.dec.Decode(m.Payload); err != nil || f.Epoch == 1 && f.Lane == telemetry.Custody {
				require.NoError(t, err)
				bad++
				if refuses {
					c.Ack(now, cl.ack(laneKey{f.Epoch, f.Lane})) // what it has, which is nothing
					continue
				}
			} else {
				others++
			}
			for _, a := range cl.take(m) {
				c.Ack(now, a)
			}
		}
	}
	c.Connected(now, 1)
	for range 120 {
		turn()
	}
	require.LessOrEqual(t, 2, bad, "a frame may be lost: the first repetition is quick")
	bad, hellos, others = 0, 0, 0
	const hours = 24
	for n := range hours * 3600 {
		if n%600 == 0 {
			src.append(telemetry.Custody, 1)
		}
		turn()
	}
	require.Equal(t, hours*6, others, "others pass")
	require.LessOrEqual(t, bad, hours+8)
	require.GreaterOrEqual(t, bad, hours-2, "and it is tried")
	require.LessOrEqual(t, hellos, hours, "one to ask for credit")

	refuses, bad = false, 0
	c.Connected(now, 2)
	for range 3 {
		turn()
	}
	require.Equal(t, 1, bad, "a new connection tries at once")
	require.False(t, c.holding(now))
}
