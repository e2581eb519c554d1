// Package contact reads doors and light beams on the board's GPIO lines, through the kernel's GPIO
// character device (uAPI version 2, Linux 5.10 and later; Documentation/userspace-api/gpio/chardev.rst)
// by way of periph's gpioioctl.
//
//	devices:
//	  - id: doors
//	    kind: contact
//	    contacts:
//	      - {name: rear, line: GPIO17}
//	      - {name: side, line: GPIO27, debounce: 50ms}
//	      - {name: belt, line: GPIO22, type: beam, open_when: low, pull: none}
//
// One driver is a set of lines. Wiring of a door: a reed contact between the line and ground, closed
// when the door is shut; the line's pull-up (pull: up, the default) makes it high when the door is open
// (open_when: high, the default). A beam's open is its interruption: most receivers with an open
// collector pull low then (open_when: low). Industrial 24 V outputs need an optocoupler.
//
// line is the line's name in the device tree (gpioinfo shows it), or its number on chip. chip is the
// label or the name of the chip (pinctrl-rp1, gpiochip0); without it every chip's names are looked
// through, the processor's first, and a number is refused: the processor's chip is gpiochip0 or
// gpiochip4 as kernels go.
//
// # Readings
//
// door, one a change, and one for each contact when Run starts: edges may be lost while nobody
// listens. A beam's has "sensor":"beam" besides. The line's time isn't told (periph keeps the
// kernel's event time to itself), so at is absent and the record's own time dates the reading,
// later than the edge by debounce and a few milliseconds.
//
// alarm contact_storm (minor) when a line doesn't come to rest.
//
// # Promises
//
//   - A change is told when no edge came for debounce (40ms; beams 5ms). What went back to the state
//     that was told is counted as a bounce.
//   - An edge the kernel lost is found by reading the level five times a second.
//   - Every poll (10s) the line is claimed anew, so that a chip that is gone ends Run: a level that
//     can't be read would look like a shut door.
//   - A line with more than 200 edges a second, or without rest for a second (a torn cable, a fault of
//     the kernel's), is polled every 50 ms for a minute instead: it costs a known share of the
//     processor and stops no other contact.
//   - periph looks for hardware only when a contact is configured, and only by way of the kernel's
//     interfaces: no board's registers are mapped.
//
// # It does not
//
// Drive outputs, or find a chip that was plugged in after the program looked for chips first.
//
// # Counters
//
// edges, changes, bounces, missed_edges, storms, early_waits (the kernel returned at once without an
// edge), polls.
package contact
