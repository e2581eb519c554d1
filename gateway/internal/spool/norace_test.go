//go:build !race

package spool_test

// stride is how far apart the places are at which the power goes, an operation fails or a byte rots: each.
const stride = 1
