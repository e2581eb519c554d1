//go:build race

package spool_test

// Each place is ten times as slow, and the grids have one goroutine to look at: the whole grids are gone through without the
// race detector.
const stride = 13
