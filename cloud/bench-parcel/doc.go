// Command bench-parcel measures the state machine of parcels on PostgreSQL: how many parcel events a second are applied,
// and how long a query takes in a store of a year.
//
//	bench-parcel [-parcels 120000] [-batch 10000] [-workers 2] [-query 0] [-cpuprofile FILE]
//
// It starts a private PostgreSQL (postgresql-15 must be installed), announces the parcels, and commits frames of what
// readers, scanners and handhelds saw of them: at the inbound door, at the outbound door, aboard of a van, at the outlet.
// Of ten parcels three bear tags. An event is a reading that moves a parcel: it is archived, put down as evidence, its parcel is folded,
// and its step is told (facts), all in one transaction. It prints
//
//	live       each transaction has one step of so many parcels, so that every event folds its parcel again
//	backlog    each transaction has all steps of as many events, as after an outage
//	raw COPY   the same evidence rows into a table without an index
//
// With -query N it then fills the store with N parcels of ten events each, by COPY and generated rows, and asks for
// timelines and searches by the end of a waybill; printed are p50, p95 and p99. Client, server and disk share the machine.
package main
