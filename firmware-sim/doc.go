// Command firmware-sim is the other side of every wire: simulated devices with the firmware of
// real ones, and the demo county that they serve.
//
//	firmware-sim county -data DIR -bin DIR [-port 8080] [-speed 10] [-seed 1] [-boards a,b,c]
//	firmware-sim power  -data DIR UNIT kill|pause|resume|off|on|cut|mend
//	firmware-sim key    -data DIR LOCKER CELL CODE
//	firmware-sim device KIND ADDRESS [FAULT[=VALUE] ...]
//	firmware-sim replay DEVICE FILE [-speed 1]
//	firmware-sim version
//
// county makes the county's authority and each board's key and configuration in DIR, starts the
// cloud and one gateway a board as a power supply would, plays the devices on ptys and TCP, and
// tells the story of a day. It prints the console's link when /healthz answers. SIGINT and
// SIGTERM end it and everything it started within seconds.
//
// power does to a running county's programs what a bad day does: UNIT is a board or cloud. cut and
// mend concern the board's cable to the county network.
//
// key types a cell and a code at the keypad of a running county's locker, takes out what is behind the door that opens, and
// prints the word that the keypad shows: take, wrong, wait, nothing_here ...
//
// device plays one device by itself, as on a test stand, and prints where: KIND is the word of a gateway's
// configuration (gnss, jt808, llrp, uhf, lockerbus, mqttlocker, modbus, onewire, sht3x, scale, scanner, modem, keypad) or handheld.
// ADDRESS is
//
//	pty             a terminal whose name is printed; a path beginning with / is a name for it
//	HOST:PORT       the port of a serial server to listen on; for llrp and modbus (TCP) the device's own
//	HOST:PORT       of the gateway, for what calls it: jt808, mqttlocker, handheld
//	FOLDER          for onewire, in place of /sys/bus/w1/devices
//
// Words say what is wrong with it, and some what it is; firmware-sim device KIND ADDRESS ? lists those of a kind:
//
//	noise, cut      foreign bytes, pieces that stop half-way; with =0.05 the chance of each
//	wrong_baud      it is set to another speed
//	unplug          it is unplugged every 20s (unplug=20s), for a quarter of that
//	brown_out       it loses its supply for a moment every 20s, and its settings
//	keys=3#483920   what is typed at a keypad every 5 s; a panel's screens are printed
//	jam=3           door 3 doesn't let go when its lock is pulsed
//	stuck_door=3    door 3 stands open and doesn't shut
//	dead_probe      its probe doesn't measure
//	clock_wrong     its clock is wrong, by -8h or what is given; a GPS receiver's weeks have rolled over
//
// replay plays a recorded log of a device (gnss or any other word) onto a pty and prints the
// pty's path.
//
// Exit status: 0 asked to stop, 1 failed, 2 wrong usage.
package main
