// Package devices is the contract between the gateway and what speaks to field hardware.
//
// A driver is one folder below this one: doc.go is the datasheet (standard, section, what is
// covered, counters), the codec is pure functions over bytes, and the adaptor that owns the
// port is thin. A driver package exports Config (with a Validate method) and
//
//	func New(Config, devices.Env) (devices.Driver, error)   // no I/O
//
// and is listed once, in gateway/drivers.go, through Kind.
//
// Promises a driver keeps, proven by devicestest.Contract:
//
//   - Run opens the device, emits, and blocks until ctx ends or the device fails. It has no
//     retry loop: the runtime restarts it with back-off.
//   - It emits from goroutines of its own only (one a connection for drivers that listen) and never after Run returned.
//   - Garbage from the device is counted and skipped: never a crash, never a wrong reading,
//     never ErrPermanent.
//   - Run may be called again after it returned.
//   - What it throws away is counted (Counting), and the last of it kept for support (Suspecting,
//     by way of BadFrames).
package devices
