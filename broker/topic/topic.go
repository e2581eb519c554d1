// Package topic holds every MQTT topic name of Yizhan, built and parsed in one place.
//
// On a gateway's LAN broker:
//
//	dev/{device}/{kind}   readings, JSON, one or an array
//	cmd/{device}          commands to a LAN device
//
// Between gateway and cloud (prefix yz/1):
//
//	yz/1/up/{gateway}/{lane}    frames (broker/frame)
//	yz/1/up/{gateway}/hello     what the gateway holds
//	yz/1/up/{gateway}/state     retained birth and last will
//	yz/1/down/{gateway}/ack     committed ranges and credit
//	yz/1/down/{gateway}/command
//	yz/1/down/{gateway}/config
//	yz/1/down/{gateway}/expect  what may be put into the locker there (broker/pickup)
//
// Ids are words of [a-z0-9-]{1,32}; every parse refuses anything else, so a topic level can
// hold no wildcard, no slash and no NUL. The package imports the vocabulary only.
package topic

import (
	"fmt"
	"strings"

	"yizhan/devices/telemetry"
)

// Prefix begins every topic between gateway and cloud; the number is the wire's version.
const Prefix = "yz/1"

// The last levels of the control topics.
const (
	Hello   = "hello"
	State   = "state"
	Ack     = "ack"
	Command = "command"
	Config  = "config"
	Expect  = "expect"
)

// AllDevices is the filter for everything that devices on a LAN broker publish.
const AllDevices = "dev/#"

// AllUp is the filter for everything that gateways send.
const AllUp = Prefix + "/up/+/+"

// Device is where a device's readings of one kind are published on the LAN broker.
func Device(device string, kind telemetry.Kind) string { return "dev/" + device + "/" + string(kind) }

// DeviceCommand is where a LAN device hears its commands.
func DeviceCommand(device string) string { return "cmd/" + device }

// Up is where gateway publishes what: a lane's name, Hello or State.
func Up(gateway, what string) string { return Prefix + "/up/" + gateway + "/" + what }

// UpLane is where gateway publishes frames of lane.
func UpLane(gateway string, lane telemetry.Lane) string { return Up(gateway, lane.String()) }

// Down is where gateway hears what: Ack, Command, Config or Expect.
func Down(gateway, what string) string { return Prefix + "/down/" + gateway + "/" + what }

// ParseDevice splits dev/{device}/{kind}.
func ParseDevice(t string) (device string, kind telemetry.Kind, err error) {
	p := strings.Split(t, "/")
	if len(p) != 3 || p[0] != "dev" {
		return "", "", fmt.Errorf("topic %.80q is not dev/{device}/{kind}", t)
	}
	if !telemetry.ValidID(p[1]) {
		return "", "", fmt.Errorf("topic %.80q: device is not 1 to 32 of a-z, 0-9 and '-'", t)
	}
	if _, ok := telemetry.LaneOf(telemetry.Kind(p[2])); !ok {
		return "", "", fmt.Errorf("topic %.80q: %.40q is no kind", t, p[2])
	}
	return p[1], telemetry.Kind(p[2]), nil
}

// ParseUp splits yz/1/up/{gateway}/{what}; what is a lane's name, Hello or State.
func ParseUp(t string) (gateway, what string, err error) {
	gateway, what, err = parse(t, "up")
	if err != nil || what == Hello || what == State {
		return gateway, what, err
	}
	if _, err := telemetry.ParseLane(what); err != nil {
		return "", "", fmt.Errorf("topic %.80q: %w", t, err)
	}
	return gateway, what, nil
}

// ParseDown splits yz/1/down/{gateway}/{what}; what is Ack, Command, Config or Expect.
func ParseDown(t string) (gateway, what string, err error) {
	gateway, what, err = parse(t, "down")
	if err != nil {
		return "", "", err
	}
	switch what {
	case Ack, Command, Config, Expect:
		return gateway, what, nil
	}
	return "", "", fmt.Errorf("topic %.80q: %.40q is none of ack, command, config, expect", t, what)
}

func parse(t, direction string) (gateway, what string, err error) {
	rest, ok := strings.CutPrefix(t, Prefix+"/"+direction+"/")
	if !ok {
		return "", "", fmt.Errorf("topic %.80q is not under %s/%s", t, Prefix, direction)
	}
	gateway, what, ok = strings.Cut(rest, "/")
	if !ok || strings.Contains(what, "/") || !telemetry.ValidID(gateway) {
		return "", "", fmt.Errorf("topic %.80q is not %s/%s/{gateway}/{what}", t, Prefix, direction)
	}
	return gateway, what, nil
}
