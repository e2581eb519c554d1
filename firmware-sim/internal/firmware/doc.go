// Package firmware is simulated device firmware: the other side of every wire that the gateway
// reads. Each device is written from its standard, not from the gateway's driver, so that a
// misreading of the standard shows as a story that fails.
//
//	GPS       NMEA 0183 at 1 Hz: RMC, VTG, GGA, GSA with talker GN, on a Line
//	UBlox     u-blox M8 and M10: UBX beside NMEA, rates and messages set by CFG-MSG or CFG-VALSET
//	          (UBX-13003221, UBX-21035062), on a Line
//	Reader    LLRP 1.0.1 reader, TCP server for one client (EPCglobal LLRP 1.0.1, sections 16 and 18)
//	Cabinet   RS-485 lock boards of the family "8A/80 XOR", 300 ms relay pulse, on a Line
//	Kerong    RS-485 lock boards KERONG KR-CU12, 16, 24 and 48, several on a Line
//	Locker    a parcel locker that speaks MQTT 3.1.1 itself, on the topics of the Open-Locker contract
//	Climate   XY-MD02 temperature and humidity unit, Modbus function codes 3 and 4, RTU on a Line
//	          or TCP on a socket
//	Module    serial UHF RFID modules of four families (BB..7E, A0, UHFReader18/288, SW/CT), on a Line
//	          whose speed must be right
//	Terminal  a vehicle terminal of JT/T 808-2011, 2013 or 2019, TCP client, with a blind-zone store
//	Thermometers  DS18B20 probes as Linux' w1_therm shows them, in a folder
//	Bridge    NXP SC18IM704, I2C behind a UART, with SHT3x sensors on its bus, on a Line
//	Scale     a dock scale's indicator, eight ASCII formats sent ten times a second
//	Keypad    a locker's touch panel, or a numeric keypad: entries in, words out, on a Line
//	Scanner   a barcode scanner: AIM identifiers, GS1 element strings
//	Modem     a GSM modem with SIM, network and service centre: AT commands and SMS in PDU mode
//	          (3GPP TS 27.005, 23.040), on a Line
//	Handheld  a courier's scanner: an MQTT 3.1.1 client that keeps what wasn't acknowledged
//	Replay    a recorded device log, played onto a Line
//
// A Faulty is a Line with noise, cuts or a wrong speed; Share puts a Line behind a serial server.
//
// A Line is one end of a serial cable (a pty). Like a UART it loses bytes that nobody reads and
// it survives its reader: the gateway may die and open it again.
//
// Promises: a device answers garbage the way the hardware does, with silence; nothing here knows
// a store, the cloud or the gateway; a Handheld counts a publish as safe only when the four
// bytes of its PUBACK came back, a Terminal a position only when its 0x8001 did.
//
// It does not simulate radio or relay physics beyond what the protocols can show. Faults (jammed
// doors, silence, noise) are set by methods, so that a story can ask for them.
package firmware
