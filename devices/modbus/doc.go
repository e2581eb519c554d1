// Package modbus reads sensors on a Modbus line: RTU on RS-485 ("MODBUS over Serial Line
// Specification and Implementation Guide" V1.02) and Modbus TCP ("MODBUS Messaging on TCP/IP
// Implementation Guide" V1.0b), function codes 3 (read holding registers) and 4 (read input
// registers) of the "MODBUS Application Protocol Specification" V1.1b3, sections 6.3 and 6.4.
//
//	devices:
//	  - id: cold
//	    kind: modbus
//	    port: serial:/dev/ttyUSB1?baud=9600
//	    every: 10s
//	    units:
//	      - {unit: 1, probe: cold-1, profile: xy-md02}
//	      - {unit: 2, probe: cold-2, profile: pt100}
//	    profiles:
//	      pt100:
//	        values:
//	          - {field: temperature_c, function: 3, address: 0, type: int16, scale: 0.1, min: -50, max: 120}
//
// One driver is one line with its units. Which register means what is a profile, and a profile
// is data: xy-md02 (an SHT20 board: temperature and humidity in input registers 1 and 2) comes
// with the package, others stand in the config. A profile whose values name probes of their own
// (probe: ch1) makes one reading a probe, named unit's probe, dash, value's probe.
//
// framing says how frames travel: rtu or tcp; it follows the port (serial: rtu, tcp: tcp)
// unless a serial server carries RTU over TCP.
//
// # Readings
//
// climate, one a probe and round. The protocol tells no time, so at is absent and the record's
// own time dates it. A probe that is disconnected (its value is one of fault), out of its
// range, silent after three attempts or answered by an exception gives quality fault without
// values: at once when it goes, then every fault_every while it lasts. Humidity up to 5 % past
// 0 or 100 is the sensor's tolerance and told as 0 or 100. With stuck_after a probe whose
// registers don't change for that long gives quality stuck, values kept.
//
// The default fault values of 16-bit types are 7FFF, 8000 and FFFF. FFFF is also -1, which a
// cold room reaches: xy-md02 therefore counts FFFF as a fault of humidity only, which a
// disconnected sensor shows as well.
//
// # Promises
//
//   - It only reads: there is no code that writes a register.
//   - A reply is taken only with the right unit, function, byte count and CRC (RTU) or
//     transaction (TCP). Anything else on the line is skipped byte by byte and counted.
//   - The line is silent for at least 3.5 characters and for silence (20ms) before each
//     request, and what arrived until then is thrown away.
//   - RTU has no transaction number, so a late reply is told from a timely one by time only:
//     after an attempt timed out, its unit is asked for another block only after one more
//     timeout has passed.
//   - A unit that doesn't answer costs the others three timeouts once, then one a round.
//   - A line on which nothing answers for three rounds ends Run, so that the runtime opens the
//     port anew.
//
// # It does not
//
// Write registers (design: no reading device needs it, and a repeated write may act twice),
// discover units, or broadcast.
//
// # Counters
//
// frames_ok, bad_checksum, resync (bytes skipped), timeouts, retries, exceptions,
// late_replies (TCP), probe_faults, out_of_range, text_reports (a unit talks text: the xy-md02's
// automatic report, to be ended with its STOP command), units_lost (now). The last bad frames
// are kept.
package modbus
