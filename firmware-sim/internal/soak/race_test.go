//go:build race

package soak

// The race detector has nothing to find on one goroutine; a few seeds show that there is only one.
const share = 4
