// Package record lets a technician listen in on the bytes between a driver and its device while both work, and writes them down
// as a transcript (devices/devicestest/transcript), so that a fault in the field becomes a test.
//
// Taps stand between drivers and their ports. One that nobody follows costs a driver one atomic load a read or write. Serve answers
// on a local socket: one line of JSON that names a device, answered by one line with an error or what is known of the device
// (the frames its driver threw away last), then by events as lines of JSON. Receive is the other end, and File makes a transcript of the events, or the device's bytes alone.
//
// # Promises
//
//   - A recording holds no driver up: events that it doesn't take in time are lost, and the loss is an event.
//   - At most 4 recordings at a time; a client that takes nothing for 10 s is hung up on.
//   - Bytes to the device are noted before they are sent, so that no answer stands before its question.
//   - Of several connections at a time (terminals that report to one driver) a File keeps the first that
//     speaks after it began, or whose address is asked for, and says how many it left out.
//
// # It does not
//
// Record devices that have no byte stream (GPIO, I2C, files of the kernel, MQTT), start by itself, or judge what it hears: a
// recording may hold what people typed, telephone numbers included. Its file is for its owner alone.
package record
