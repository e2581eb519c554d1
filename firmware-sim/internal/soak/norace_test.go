//go:build !race

package soak

// share is how many seeds run where nobody says how many.
const share = 150
