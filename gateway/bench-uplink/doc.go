// Command bench-uplink measures how a gateway uses a thin link, and prints a table in Markdown.
//
//	bench-uplink [-rate 512kbit] [-for 30s] [-backlog 500000]
//
// It starts itself again in a network namespace of its own (unshare, ip, tc: root is needed), where the loopback
// device carries no more than rate: tc's token bucket, both directions together, frames of 1,500 bytes. There a gateway's
// uplink over a real spool and TLS 1.3 ships a backlog of several days to a broker and a cloud that commits 20 ms after a frame came,
// while a live position is recorded every second and a live climate reading every 5 s.
//
// It prints the share of the line that was used (bytes that the device sent, headers of Ethernet, TCP, TLS and MQTT and the acks
// included), how much of that was the gateway's own, readings a second, bytes a reading, and how long live readings took from the
// record to the cloud's commit.
package main
