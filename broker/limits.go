package broker

import (
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// Limits bound what clients may take. Zero values stand for the defaults (Edge, Cloud).
type Limits struct {
	MaxConns       int           // connections in total: 64, 2048
	MaxConnsPerIP  int           // of one address: 16, no limit
	MaxPacketBytes uint32        // of one MQTT packet: 256 KiB, 1 MiB and 4 KiB
	ConnectTimeout time.Duration // from accept to CONNECT, the TLS handshake included: 5 s
	WriteTimeout   time.Duration // of one write: 10 s
	Unacked        int           // publishes of one client that wait for their fsync: 256 (Edge only)
	UnackedBytes   int           // and their payloads: 1 MiB (Edge only)
	FanOut         int           // readings that wait to be shown: 4096 (Edge only)
	PacketRate     int           // packets a second of one client, which is read no faster: 5,000 (Edge only); negative: none
	ByteRate       int           // and bytes: 4 MiB (Edge only)
	Filters        int           // subscriptions of one client: 64 (Edge only)
}

const (
	maxConnectBytes = 8 << 10 // of a CONNECT packet
	writesPending   = 1024    // packets queued for one slow subscriber
	readBuffer      = 8 << 10 // of one connection: a reading or fifty
	never           = 1 << 30 // seconds between $SYS updates, which nobody reads and which stop the world
)

func or[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

func (l Limits) withDefaults(conns, perIP int, packet uint32) Limits {
	l.MaxConns = or(l.MaxConns, conns)
	l.MaxConnsPerIP = or(l.MaxConnsPerIP, perIP)
	l.MaxPacketBytes = or(l.MaxPacketBytes, packet)
	l.ConnectTimeout = or(l.ConnectTimeout, 5*time.Second)
	l.WriteTimeout = or(l.WriteTimeout, 10*time.Second)
	l.Unacked = or(l.Unacked, 256)
	l.UnackedBytes = or(l.UnackedBytes, 1<<20)
	l.FanOut = or(l.FanOut, 4096)
	l.PacketRate = or(l.PacketRate, 5000)
	l.ByteRate = or(l.ByteRate, 4<<20)
	l.Filters = or(l.Filters, 64)
	return l
}

// capabilities are what mochi offers to clients here.
func (l Limits) capabilities() *mqtt.Capabilities {
	c := mqtt.NewDefaultServerCapabilities()
	c.MaximumPacketSize = l.MaxPacketBytes       // D6
	c.TopicAliasMaximum = 0                      // D3
	c.MaximumQos = 1                             // told to MQTT 5 clients; who publishes at 2 is disconnected
	c.MaximumClientWritesPending = writesPending // a queue walked once stays in memory
	c.MaximumInflight = writesPending
	c.MaximumSessionExpiryInterval = 0 // no session outlives its connection
	c.MaximumMessageExpiryInterval = 0 // the last reading is shown however old it is
	return c
}
