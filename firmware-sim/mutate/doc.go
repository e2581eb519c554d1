// Command mutate breaks one mechanism of the promises at a time and asks the tests whether they notice.
//
//	mutate [-only WORD] [-md] [-seeds 200]
//
// Each mutation replaces a few lines of the product, in an overlay of the go tool: the sources stay as they are and
// hold no switch. Then the tests that should notice run, one after the other, until one fails: those that are made for it,
// all of its package, and last the simulation of firmware-sim/internal/soak with 200 seeds. A mutation that none of
// them notices has survived: the program ends with 1. It prints a line each, and with -md the table that stands in
// gateway/DESIGN.md.
//
// A mutation whose lines are not in their file exactly once is an error: the product has moved on. That is a
// test of this folder, so that the list stays true.
package main
