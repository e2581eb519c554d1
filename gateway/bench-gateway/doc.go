// Command bench-gateway measures what a gateway costs: durable acknowledged publishes beside bare mochi, and the way of a
// driver's readings from Accept to the spooled record.
//
//	bench-gateway [-pairs 7] [-slice 1.2s] [-dir FOLDER] [-cpuprofile FILE]
//
// Each broker runs in a process of its own; this one plays the publishers, byte by byte. Pairs of samples are taken in turn
// (ours, bare, bare, ours, ...) while no other process uses a quarter of a core; a sample that others disturbed is
// dropped. Ratios are medians of the pairs' ratios, with the median distance from it.
package main
