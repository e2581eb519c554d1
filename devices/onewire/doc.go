// Package onewire reads DS18B20 temperature probes, and their kin, through Linux' w1_therm
// (Documentation/w1/slaves/w1_therm.rst): the file w1_slave in each probe's folder below
// /sys/bus/w1/devices. The scratchpad is that of the DS18B20 data sheet, "Memory"; its checksum that
// of Maxim application note 27.
//
//	devices:
//	  - id: cold
//	    kind: onewire
//	    every: 10s
//	    probes:
//	      - {address: 28-0316a2795e50, probe: front}
//	      - {address: 28-0416c1f3a8ff, probe: rear}
//
// One driver is one bus with its probes. Wiring: VDD 3.3 V, GND, data to the board's 1-Wire pin with
// 4.7 kΩ to VDD (Raspberry Pi: dtoverlay=w1-gpio, GPIO 4). Without probes every probe found is read
// and named by its address. root (/sys/bus/w1/devices) is the folder; another one serves tests.
// Families: 10 (DS18S20), 22 (DS1822), 28 (DS18B20), 3b (DS1825), 42 (DS28EA00).
//
// # Readings
//
// climate, one a probe and round. The probe tells no time, so at is absent and the record's own time
// dates it. A probe that gives no good value in three attempts has quality fault and no value: at
// once when it goes, then every fault_every (1m) while it lasts. With stuck_after a probe whose
// value doesn't change at all for that long gives quality stuck, value kept.
//
// # What is no value
//
//   - The kernel's NO; then the second line shows an older value. Or a checksum that isn't right:
//     it is computed anew.
//   - Nine zeros, a shorted bus: their checksum is 0, so the kernel says YES.
//   - Nine times FF, or 07FF (127.9 degrees): the probe has gone during the transfer.
//   - 85 degrees exactly, which a probe says after power-on before it has measured, unless it said
//     something within 5 degrees of it just before.
//   - A t= that isn't what the bytes say (within half a degree: undefined bits of low resolutions), or
//     a value outside -55 to 125 degrees.
//   - A read that fails (EIO), and a folder that has gone (unplugged).
//
// -0.0625 degrees is FFFF and a value like any other, if its checksum is right. Counterfeit probes
// have other bytes in the reserved places: those aren't looked at.
//
// # Promises
//
//   - One goroutine reads the bus, one probe after the other: a read starts a conversion of up to
//     750 ms. Run ends at once all the same; a read that the kernel doesn't finish within timeout
//     (5s) ends Run, and no second one is begun beside it.
//   - A probe that is gone doesn't stop the others, and is read again when it is back.
//   - A bus on which no probe gives an answer for three rounds ends Run, so that the device shows
//     as down.
//
// # It does not
//
// Set the resolution, use the bulk read, or search the bus: the kernel searches.
//
// # Counters
//
// frames_ok, bad_checksum (NO, or not right), all_zero, all_ones, power_on, disagree, malformed,
// out_of_range, read_errors, gone, timeouts, retries, probe_faults, probes_lost (now), unlisted (probes found
// that the config doesn't name, now). The last bad files are kept.
package onewire
