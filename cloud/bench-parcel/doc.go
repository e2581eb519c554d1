// Command bench-parcel measures the state machine of parcels on PostgreSQL: how many parcel events a second are applied,
// and how long a query takes in a store of a year.
//
//	bench-parcel [-parcels 120000] [-batch 10000] [-workers 2] [-statements] [-query 0] [-cpuprofile FILE]
//
// It starts a private PostgreSQL (postgresql-15 must be installed; fsync and synchronous_commit as they are by default: on), announces the
// parcels, and hands signed frames of what readers, scanners and handhelds saw of them (at an inbound door, at an outbound door, aboard of
// a van, at the outlet) to ingest as the broker does: a gateway's frames go to one worker. Of ten parcels three bear tags. The county has
// 4 gateways in the warehouse, 8 vans and 8 outlets. An event is a reading that moves a parcel: its frame is verified, unpacked and archived, it is
// put down as evidence, its parcel is folded, and its step is told (facts), all in one transaction. MQTT and TLS are not part of it,
// nor are rows of those who follow the facts (messages, EPCIS events, callbacks, deposits): they have transactions of their own. It prints
//
//	live       at any time parcels are at each of the steps, so that every event folds its parcel again
//	backlog    of few parcels at a time everything, as after an outage: a transaction has several events of a parcel
//	raw COPY   the same readings as rows into a table without an index, as many at a time
//
// and of each, what an event costs in processor time of this process and of the server, and in bytes of the server's log: figures that
// other work on the machine changes less than the rate. -statements prints which statements that time went to.
//
// With -query N it then fills the store with N parcels of ten events each, by COPY and generated rows, and asks for
// timelines and searches by the end of a waybill; printed are p50, p95 and p99, and processor time. Client, server and disk share the machine.
package main
