// Command bench-ingest measures how many readings a second the cloud commits end to end: from MQTT over
// mutual TLS through the broker and ingest into PostgreSQL (state, ledger and frame archive in one
// transaction) until the acknowledgement is back at the gateway, while the history is projected into
// InfluxDB.
//
//	bench-ingest [-gateways 1000] [-readings 1500000] [-workers 2] [-state postgres|sqlite]
//
// It starts a private PostgreSQL and InfluxDB (postgresql-15 and influxd must be installed) and a
// second process that plays the gateways: each has its own key, certificate and connection, sends
// frames signed beforehand (of 100 readings 85 positions, 10 climate, 5 tags of known parcels, in
// a frame a lane) and keeps a window of frames unacknowledged. All of them share the machine. Printed are the rate,
// the latency from sending a frame to its acknowledgement, the CPU time of each part, the lag of the history, whether
// every count at the end equals what was sent, and the rate of a raw COPY of the same rows.
package main
