// Package sht3x reads Sensirion SHT30, SHT31 and SHT35 temperature and humidity sensors on I2C
// ("Datasheet SHT3x-DIS", version 5: single shot 4.3, status 4.11, checksum 4.12, conversion 4.13).
//
//	devices:
//	  - id: box
//	    kind: sht3x
//	    port: i2c:/dev/i2c-1
//	    every: 10s
//	    sensors:
//	      - {address: 0x44, probe: front}
//	      - {address: 0x45, probe: rear}
//
// One driver is one bus with its sensors. Wiring: VDD 3.3 V, GND, SDA, SCL; the ADDR pin to GND is
// address 0x44, to VDD 0x45. port is
//
//	i2c:/dev/i2c-1                            the board's own bus (periph's Linux I2C)
//	sc18im:serial:/dev/ttyUSB0?baud=9600      behind an NXP SC18IM700 or SC18IM704 UART bridge
//	sc18im:tcp:192.168.1.30:4001              the same bridge behind a serial server
//
// The bridge is for sensors too far away for I2C, and where the board has no bus of its own. Its
// commands (its data sheet, UART message format): S address count data P, R register P; the register
// I2CStat (0A) says whether the last transfer was acknowledged.
//
// # Readings
//
// climate, one a sensor and round. The sensor tells no time, so at is absent and the record's own
// time dates it. A sensor that can't be read in three attempts, or that measures outside -40 to
// 125 degrees, gives quality fault without values: at once when it goes, then every fault_every
// (1m) while it lasts. With stuck_after a sensor whose values don't change at all for that long
// gives quality stuck, values kept.
//
// repeatability high (the default), medium or low: how long a measurement takes (15.5, 6, 4 ms)
// and how much it scatters.
//
// # Promises
//
//   - A measurement is six bytes whose two checksums are right (CRC-8, polynomial 31, start FF);
//     with one wrong all six are dropped. A bus stuck at 0 or 1 never passes.
//   - Single shot without clock stretching: no sensor can hold the bus. A read that isn't
//     acknowledged is tried again after 5 ms, three times.
//   - A sensor is brought to a known state (periodic mode ended, soft reset, so the heater is off)
//     when Run starts and after each round it failed in.
//   - One that doesn't answer doesn't stop the others. A bus on which no sensor answers for three
//     rounds ends Run, so that it is opened anew.
//
// # It does not
//
// Switch the heater on, use the alert pin, or set the bus speed.
//
// # Counters
//
// frames_ok, bad_checksum, nacks (transfers that weren't acknowledged, or failed), timeouts (a
// bridge said nothing), retries, out_of_range, resets (sent), probe_faults, sensors_lost (now);
// decode also counts resync (bytes skipped). The last bad frames are kept.
package sht3x
