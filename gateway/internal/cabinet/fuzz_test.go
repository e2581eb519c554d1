package cabinet

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/broker/pickup"
	"yizhan/devices/telemetry"
)

// Whatever is on the card: the cabinet starts, opens nothing by itself, and what it writes it can read.
func FuzzLog(f *testing.F) {
	k := occupied(f, 1)
	f.Add(append([]byte(nil), k.disk.b...), "1#000000", "YL000100001")
	f.Add(appendLine(nil, &change{Cells: []cell{{No: 1, Op: &op{ID: "k-1", Kind: "x"}}, {No: -7}, {No: 1 << 30, ReopenMS: 1 << 62}}, Tries: &tries{RanMS: -1 << 63, WrongMS: []int64{1 << 62, -1 << 63}}}), "2123456", "YZP1:a:0:b")
	f.Add([]byte("00000000 {}\n\n"), "*", "YZB1:")
	f.Fuzz(func(t *testing.T, raw []byte, keys, text string) {
		d := &disk{after: -1, b: raw}
		b := openBook(d)
		c := newCore(b, []pickup.Size{pickup.Small, pickup.Medium}, func(string) (telemetry.Result, bool) { return telemetry.Result{}, false }, source{rand.New(rand.NewPCG(1, 1))})
		key := k.key
		c.Key(&key)
		require.NoError(t, b.compact())
		require.Equal(t, uint64(0), openBook(d).damaged)
		for i := range 2 {
			_, fx := c.Door(k.now(), telemetry.Locker{Cell: telemetry.Some(i + 1), Event: telemetry.CellClosed, Occupied: telemetry.Some(i == 0)})
			for _, e := range fx {
				require.Nil(t, e.Open)
			}
		}
		c.Entry(k.now(), keys)
		c.Scan(k.now(), text)
		c.Tick(k.now())
		for _, x := range c.cells {
			require.NoError(t, b.write(write(x).Write))
		}
	})
}
