package broker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// PUBACKs leave in the order of the publishes, whatever becomes durable first.
func TestAcksLeaveInOrder(t *testing.T) {
	limits := Limits{}.withDefaults(1, 1, 1)
	a := newAcks()
	var numbers []uint64
	for id := range uint16(4) {
		n, ok := a.begin(id+1, 10, &limits)
		require.True(t, ok)
		numbers = append(numbers, n)
	}
	ids := func() (out []byte) {
		b := a.take(nil)
		for i := 0; i < len(b); i += 4 {
			out = append(out, b[i+3])
		}
		return out
	}
	a.finish(numbers[3])
	a.finish(numbers[1])
	require.Empty(t, ids())
	a.finish(numbers[0])
	require.Equal(t, []byte{1, 2}, ids())
	n, ok := a.begin(5, 10, &limits)
	require.True(t, ok)
	a.finish(n)
	require.Empty(t, ids())
	a.finish(numbers[2])
	require.Equal(t, []byte{3, 4, 5}, ids())
	require.Zero(t, a.bytes)
}

func TestAcksAreBounded(t *testing.T) {
	limits := Limits{Unacked: 3, UnackedBytes: 100}.withDefaults(1, 1, 1)
	a := newAcks()
	_, ok := a.begin(1, 1000, &limits)
	require.True(t, ok, "one may be as large as it likes")
	_, ok = a.begin(2, 1, &limits)
	require.False(t, ok)
	a = newAcks()
	for id := range uint16(3) {
		_, ok = a.begin(id, 1, &limits)
		require.True(t, ok)
	}
	require.True(t, a.full(&limits))
	_, ok = a.begin(4, 1, &limits)
	require.False(t, ok)
}
