package main

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCount(t *testing.T) {
	told := map[uint64]bool{1: true, 2: true, 3: true, 4: true, 5: true}
	for _, row := range []struct {
		seen                                     []uint64
		arrived, lost, doubled, disordered, told int
	}{
		{[]uint64{1, 2, 3, 4, 5}, 5, 0, 0, 0, 5},
		{[]uint64{1, 2, 4, 5}, 4, 1, 0, 0, 5},
		{[]uint64{1, 2, 2, 1, 3, 4, 5}, 5, 0, 2, 0, 5}, // a double isn't out of order, too
		{[]uint64{4, 5, 1, 2, 3, 6}, 6, 0, 0, 3, 5},    // 6 was never acknowledged, and came
		{nil, 0, 5, 0, 0, 5},
	} {
		var c count
		c.count(row.seen, told)
		require.Equal(t, count{told: row.told, arrived: row.arrived, lost: row.lost, doubled: row.doubled, disordered: row.disordered, drained: row.lost == 0}, c)
	}
	require.EqualValues(t, 17, number("b1-17"))
}

func TestTheStoryIsInOrder(t *testing.T) {
	for i := range story[1:] {
		require.Less(t, story[i].at, story[i+1].at)
	}
	require.Less(t, story[len(story)-1].at, length())
}

func TestWithin(t *testing.T) {
	n := 0
	require.NoError(t, within(t.Context(), length(), "three", func() bool { n++; return n == 3 }))
	require.Error(t, within(t.Context(), 0, "never", func() bool { return false }))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("over"))
	require.ErrorIs(t, within(ctx, length(), "never", func() bool { return false }), context.Canceled)
}
