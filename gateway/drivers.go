package main

import (
	"yizhan/devices"
	"yizhan/devices/contact"
	"yizhan/devices/gnss"
	"yizhan/devices/jt808"
	"yizhan/devices/keypad"
	"yizhan/devices/llrp"
	"yizhan/devices/lockerbus"
	"yizhan/devices/modbus"
	"yizhan/devices/modem"
	"yizhan/devices/mqttlocker"
	"yizhan/devices/onewire"
	"yizhan/devices/scale"
	"yizhan/devices/scanner"
	"yizhan/devices/sht3x"
	"yizhan/devices/uhf"
)

// kinds lists every driver there is, by the word that stands in the config. A new one is one line here.
func kinds() []devices.Factory {
	return []devices.Factory{
		devices.Kind("contact", contact.New),
		devices.Kind("gnss", gnss.New),
		devices.Kind("jt808", jt808.New),
		devices.Kind("keypad", keypad.New),
		devices.Kind("llrp", llrp.New),
		devices.Kind("lockerbus", lockerbus.New),
		devices.Kind("modbus", modbus.New),
		devices.Kind("modem", modem.New),
		devices.Kind("mqttlocker", mqttlocker.New),
		devices.Kind("onewire", onewire.New),
		devices.Kind("scale", scale.New),
		devices.Kind("scanner", scanner.New),
		devices.Kind("sht3x", sht3x.New),
		devices.Kind("uhf", uhf.New),
	}
}
