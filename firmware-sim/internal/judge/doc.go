// Package judge holds tests in which drivers meet what they didn't grow up with: the simulated firmware, written apart from
// them, and programs that nobody here wrote. A driver and a firmware that read a standard wrong in the same way agree with each
// other, and with no third party.
//
//	gpsd, gpspipe   read the simulated receivers; the driver reads gpsd; all of them agree with where the receivers are
//
// Judges that concern a firmware or a driver alone are tested beside it (mbpoll and pymodbus in ../firmware, a pymodbus
// server in devices/modbus). They are installed by .ci/deps, started on ptys and loopback ports of the tests' own, and stopped
// with them; one that is missing fails its test.
//
// It has no code of its own.
package judge
