package devices

import (
	"time"

	"yizhan/devices/telemetry"
)

// Lodger is implemented by drivers of devices that log in to the gateway's own MQTT broker and speak in topics
// and payloads of their own. What such a device publishes is translated before it is kept, so that its acknowledgement,
// too, follows the fsync.
type Lodger interface {
	// Lodging says who it is. It doesn't change.
	Lodging() Lodging
	// Translate makes readings of a publish on one of its topics. It is called in the connection's reader, whether Run runs or
	// not, and doesn't block.
	Translate(topic string, payload []byte) (good []telemetry.Reading, bad []telemetry.Rejected)
	// Present tells that the device has logged in, or that its connection is over: what it was told and didn't answer may be
	// lost, and what it said last and wasn't acknowledged comes again. It doesn't block and doesn't call LAN.
	Present(online bool)
}

// Lodging is a user of the gateway's broker and the topics that are its own. A level of a topic may be +.
type Lodging struct {
	User      string
	Publish   []string
	Subscribe []string
}

// LAN is the gateway's own broker, as a Lodger needs it.
type LAN interface {
	// Publish sends payload to the user at most once; an error means that nothing was sent. The payload may lie in a buffer for as
	// long as the connection lives, unless HangUp throws it away.
	Publish(user, topic string, payload []byte, expires time.Duration) error
	// HangUp ends the user's connection, and what it hasn't received is lost.
	HangUp(user string)
}
