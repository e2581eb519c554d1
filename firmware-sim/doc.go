// Command firmware-sim is the other side of every wire: simulated devices with the firmware of
// real ones, and the demo county that they serve.
//
//	firmware-sim county -data DIR -bin DIR [-port 8080] [-speed 10] [-seed 1] [-boards a,b,c]
//	firmware-sim power  -data DIR UNIT kill|pause|resume|off|on|cut|mend
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
// replay plays a recorded log of a device (gnss or any other word) onto a pty and prints the
// pty's path.
//
// Exit status: 0 asked to stop, 1 failed, 2 wrong usage.
package main
