// Package devicestest is the conformance suite that every driver runs.
//
//	func TestContract(t *testing.T) {
//		newDriver := func(open port.Opener) devices.Driver {
//			d, err := gnss.New(cfg, devices.Env{Name: "gps", Log: slog.New(slog.DiscardHandler), Open: open})
//			require.NoError(t, err)
//			return d
//		}
//		devicestest.Contract(t, newDriver, firmware) // in memory, time is free
//		devicestest.OnPTY(t, newDriver, firmware)    // on a real tty, for serial drivers
//		devicestest.OnTCP(t, newDriver, firmware)    // on a real socket, for network drivers
//	}
//
// firmware is a Device: it plays healthy hardware that makes the driver emit at least one reading
// (within 2 minutes in memory, within 10 seconds on a real wire), and goes on until its context
// ends or the driver hangs up. Play makes one from a transcript.
//
// Contract proves, each in a synctest bubble, where a goroutine that is left fails the test:
//
//   - Run emits valid readings only, all carrying the device name gateways know.
//   - Run returns within 1 s of cancel: while the device speaks, while it is silent, while emit blocks.
//   - Nothing is emitted after Run returned; a second Run works.
//   - An error of the opener ends Run; an unplugged device ends Run within 2 minutes, neither with
//     ErrPermanent nor with a nil error.
//   - Garbage never panics, never gives ErrPermanent, never gives an invalid reading.
//   - An error of emit ends Run and is wrapped by Run's.
//   - Counters and LastBad may be called at any time.
package devicestest
