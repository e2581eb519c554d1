package service

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPostgresTakesTwoTransactionsAtOnce(t *testing.T) {
	require.Equal(t, 1, workers(0, "sqlite:data/state.db"))
	require.Equal(t, 2, workers(0, "postgres://localhost/yizhan"))
	require.Equal(t, 2, workers(0, "postgresql://localhost/yizhan"))
	require.Equal(t, 3, workers(3, "postgres://localhost/yizhan"))
}
