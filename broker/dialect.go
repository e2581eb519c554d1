package broker

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"yizhan/devices/telemetry"
)

// ErrAbsent says that a user doesn't listen now.
var ErrAbsent = errors.New("user does not listen")

// A Dialect is what a user of the role Device says and hears on topics of its own, beside dev/{name}/ and
// cmd/{name}. A level of a topic may be +. Such a user has one connection: a second login ends the first, whatever its
// client id, so that nothing is heard twice.
type Dialect struct {
	Publish   []string // topics that it may publish on
	Subscribe []string // and hear

	// Translate makes readings of a publish on one of its topics, before it is kept and acknowledged. What it refuses is
	// quarantined. It is called in the client's reader and doesn't block. Its readings need no n and no at: it answers
	// for what a retry does.
	Translate func(topic string, payload []byte) (good []telemetry.Reading, bad []telemetry.Rejected)

	// Present, where it isn't nil, is told when the user has logged in and when its connection is over. It doesn't block
	// and doesn't call the broker.
	Present func(online bool)
}

// addDialects gives users their dialects.
func addDialects(users map[string]*user, dialects map[string]Dialect) error {
	var errs []error
	taken := map[string]string{} // topic to user
	for name, d := range dialects {
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("broker: dialect of %.40q: "+format, append([]any{name}, args...)...))
		}
		u := users[name]
		if u == nil || u.role != Device {
			bad("no user of the role device")
			continue
		}
		if d.Translate == nil {
			bad("nothing translates it")
		}
		for _, t := range append(append([]string(nil), d.Publish...), d.Subscribe...) {
			if err := checkOwnTopic(t); err != nil {
				bad("%w", err)
			}
			for other, by := range taken {
				if by != name && overlap(t, other) {
					bad("topic %.80q is also of %q", t, by)
				}
			}
			taken[t] = name
		}
		u.dialect = &d
	}
	return errors.Join(errs...)
}

// checkOwnTopic keeps dialects away from the broker's own topics.
func checkOwnTopic(t string) error {
	levels := strings.Split(t, "/")
	switch levels[0] {
	case "", "+", "dev", "cmd", "yz":
		return fmt.Errorf("topic %.80q: its first level must be a word, and not dev, cmd or yz", t)
	}
	for _, l := range levels {
		if l == "" || strings.HasPrefix(levels[0], "$") || l != "+" && strings.ContainsAny(l, "+#\x00") {
			return fmt.Errorf("topic %.80q: %.40q is no level", t, l)
		}
	}
	return nil
}

// overlap reports whether a name may match both filters.
func overlap(a, b string) bool {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	if len(as) != len(bs) {
		return false
	}
	for i := range as {
		if as[i] != bs[i] && as[i] != "+" && bs[i] != "+" {
			return false
		}
	}
	return true
}

// among reports whether one of the filters covers a topic name or filter.
func among(filters []string, name string) bool {
	for _, f := range filters {
		if covers(strings.Split(f, "/"), strings.Split(name, "/")) {
			return true
		}
	}
	return false
}

func covers(filter, name []string) bool {
	if len(filter) != len(name) {
		return false
	}
	for i := range filter {
		if filter[i] != name[i] && filter[i] != "+" || name[i] == "#" {
			return false
		}
	}
	return true
}

// translate is parse for a dialect. What panics is refused: it would come again and again.
func (e *Edge) translate(u *user, name string, payload []byte) (good []telemetry.Reading, bad []refusal) {
	defer func() {
		if p := recover(); p != nil {
			e.count.add(nPanics, 1)
			e.slog.Error("translator panicked", "device", u.name, "err", fmt.Sprint(p))
			good, bad = nil, []refusal{{u.name, "can't be translated", payload}}
		}
	}()
	rs, rejected := u.dialect.Translate(name, payload)
	for _, r := range rejected {
		bad = append(bad, refusal{u.name, r.Err.Error(), r.Raw})
	}
	for _, r := range rs {
		if err := r.Validate(); err != nil {
			bad = append(bad, refusal{u.name, err.Error(), payload})
			continue
		}
		good = append(good, r)
	}
	e.count.add(nTranslated, len(good))
	return good, bad
}

// present tells a dialect of its user. e.mu is held, so that coming and going are told in their order.
func (u *user) present(online bool) {
	if u.dialect != nil && u.dialect.Present != nil {
		u.dialect.Present(online)
	}
}

// Publish sends payload to a user on a topic that its dialect hears: QoS 0, never retained, and an MQTT 5 client is told
// when it expires. It fails with ErrAbsent when the user doesn't listen to the topic now. What it sent may lie in a
// buffer for as long as the connection lives: HangUp throws it away.
func (e *Edge) Publish(user, name string, payload []byte, expires time.Duration) error {
	u := e.door.users[user]
	if u == nil || u.dialect == nil || strings.Contains(name, "+") || !among(u.dialect.Subscribe, name) {
		return fmt.Errorf("broker: topic %.80q is none that %.40q hears", name, user)
	}
	if len(e.server.Topics.Subscribers(name).Subscriptions) == 0 {
		return fmt.Errorf("broker: %.40q, topic %.80q: %w", user, name, ErrAbsent)
	}
	inline, ok := e.server.Clients.Get(mqtt.InlineClientId)
	if !ok {
		return fmt.Errorf("broker: %w", ErrAbsent)
	}
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: name, Payload: payload}
	pk.Properties.MessageExpiryInterval = uint32(max(1, expires/time.Second))
	return e.server.InjectPacket(inline, pk)
}

// HangUp ends a user's connection at once, and what was sent and not received is lost.
func (e *Edge) HangUp(user string) {
	e.mu.Lock()
	c := e.clients[user]
	e.mu.Unlock()
	if c == nil {
		return
	}
	if t, ok := c.raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	e.slog.Warn("client disconnected, a command was not answered", "device", user, "addr", c.ip)
	c.Close()
}
