package broker

import (
	"fmt"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"yizhan/broker/topic"
)

// edgeHook is how mochi asks the Edge.
type edgeHook struct {
	mqtt.HookBase
	edge *Edge
}

// ID names the hook.
func (h *edgeHook) ID() string { return "edge" }

// Provides tells mochi what to ask.
func (h *edgeHook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnectAuthenticate, mqtt.OnSessionEstablish, mqtt.OnSessionEstablished,
		mqtt.OnACLCheck, mqtt.OnPacketRead, mqtt.OnSubscribe, mqtt.OnPacketProcessed, mqtt.OnPublish, mqtt.OnPublishDropped:
		return true
	}
	return false
}

// OnConnectAuthenticate lets a known user in. The client id becomes private to the user and unique to the
// connection, so that no session is ever found again (D5).
func (h *edgeHook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	e := h.edge
	c, ok := cl.Net.Conn.(*conn)
	if !ok {
		return false
	}
	u := e.door.enter(c.ip, string(pk.Connect.Username), string(pk.Connect.Password), time.Now())
	if u == nil {
		e.count.add(nAuthFailed, 1)
		e.slog.Warn("client refused, wrong user or password", "addr", c.ip)
		return false
	}
	c.user, c.key = u, u.name+"/"+cl.ID
	if u.dialect != nil {
		c.key = u.name
	}
	cl.ID = fmt.Sprintf("%s#%d", c.key, e.serial.Add(1))
	e.mu.Lock()
	old := e.clients[c.key]
	e.clients[c.key] = c
	e.mu.Unlock()
	if old != nil { // MQTT-3.1.4-2: the same client again
		old.Close()
	}
	return true
}

// OnSessionEstablish drops the will, which mochi would send past the ACL (D2), and makes the session end with the
// connection.
func (h *edgeHook) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	if cl.Properties.Will.Flag != 0 {
		h.edge.count.add(nWillsDropped, 1)
		cl.Properties.Will = mqtt.Will{}
	}
	cl.Properties.Clean = true
}

// OnSessionEstablished starts the writer of PUBACKs.
func (h *edgeHook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	c := cl.Net.Conn.(*conn)
	c.established.Store(true)
	h.edge.mu.Lock()
	if h.edge.clients[c.key] == c {
		c.user.present(true)
	}
	h.edge.mu.Unlock()
	c.guard.work.Go(c.writeAcks)
	h.edge.count.add(nConnects, 1)
	h.edge.slog.Info("client connected", "device", c.user.name, "addr", c.ip)
}

// OnACLCheck is asked with a topic for every publish and delivery and with a filter for every subscription.
func (h *edgeHook) OnACLCheck(cl *mqtt.Client, name string, write bool) bool {
	c, ok := cl.Net.Conn.(*conn)
	if ok && c.user != nil && c.user.may(name, write) {
		return true
	}
	h.edge.count.add(nACLDenied, 1)
	return false
}

func (u *user) may(name string, write bool) bool {
	switch d := u.dialect; {
	case d != nil && write && among(d.Publish, name), d != nil && !write && among(d.Subscribe, unshared(name)):
		return true
	case write:
		return u.role == Device && strings.HasPrefix(name, "dev/"+u.name+"/")
	case u.role == Device:
		return unshared(name) == topic.DeviceCommand(u.name)
	case u.role == Technician:
		return strings.HasPrefix(unshared(name), "dev/")
	}
	return false
}

// unshared takes $share/{group}/ off a filter (D11).
func unshared(filter string) string {
	p := strings.SplitN(filter, "/", 3)
	if len(p) == 3 && strings.EqualFold(p[0], "$share") {
		return p[2]
	}
	return filter
}

// OnPacketRead slows a client down that sends too much, and ends the connection of one that publishes at QoS 2: mochi would
// lower the QoS and answer with a packet that such a client doesn't expect.
func (h *edgeHook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c, ok := cl.Net.Conn.(*conn)
	if ok {
		c.throttle(pk.FixedHeader.Remaining)
	}
	if pk.FixedHeader.Type != packets.Publish || pk.FixedHeader.Qos < 2 {
		return pk, nil
	}
	h.edge.count.add(nQoS2Refused, 1)
	if ok && c.user != nil {
		h.edge.slog.Warn("client disconnected, it publishes at qos 2", "device", c.user.name, "addr", c.ip)
		refuseQoS2(c, pk.ProtocolVersion)
	}
	return pk, packets.ErrRejectPacket
}

// OnSubscribe brings mochi's retained readings up to date for who is about to watch. A client of too many filters is
// disconnected: each costs memory, and time at every reading.
func (h *edgeHook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	c, ok := cl.Net.Conn.(*conn)
	if !ok || c.user == nil {
		return pk
	}
	if cl.State.Subscriptions.Len()+len(pk.Filters) > h.edge.limits.Filters {
		h.edge.count.add(nFiltersRefused, 1)
		h.edge.slog.Warn("client disconnected, it subscribes to too many filters", "device", c.user.name, "addr", c.ip)
		c.Close()
		pk.Filters = nil
		return pk
	}
	if c.user.role == Technician && !c.watching {
		c.watching = true
		h.edge.shelf.watch()
	}
	c.holding = true
	h.edge.shelf.hold()
	return pk
}

// OnPacketProcessed lets the shelf go on once a subscription is done: mochi reads what it retains without the lock
// under which a publish changes it.
func (h *edgeHook) OnPacketProcessed(cl *mqtt.Client, pk packets.Packet, _ error) {
	if c, ok := cl.Net.Conn.(*conn); ok && pk.FixedHeader.Type == packets.Subscribe && c.holding {
		c.holding = false
		h.edge.shelf.release()
	}
}

// refuseQoS2 tells an MQTT 5 client why (MQTT 5, 3.14.2.1: 0x9B, QoS not supported).
func refuseQoS2(c *conn, version byte) {
	if version == 5 {
		_, _ = c.Write([]byte{0xe0, 1, 0x9b})
	}
}

// OnPublish takes what a device says out of mochi's hands: it gives no acknowledgement and shows nothing (D1).
func (h *edgeHook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	h.edge.publish(cl.Net.Conn.(*conn), &pk)
	return pk, packets.ErrRejectPacket
}

// OnPublishDropped counts what a slow subscriber misses (D9).
func (h *edgeHook) OnPublishDropped(*mqtt.Client, packets.Packet) {
	h.edge.count.add(nSubscriberDropped, 1)
}
