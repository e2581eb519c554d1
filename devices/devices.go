package devices

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

// ErrPermanent is wrapped by an error of Run when running again can't help: a wrong device
// answers, a setting the hardware refuses. The runtime parks the driver and shows it.
var ErrPermanent = errors.New("permanent")

// Driver reads one physical device.
//
// Run returns nil or ctx's error after ctx ends, an error wrapping ErrPermanent if running
// again can't help, and any other error to be run again after a pause. Reconnect and back-off
// belong to the runtime.
type Driver interface {
	Run(ctx context.Context, emit Emit) error
}

// Commander is implemented by drivers that also act. Command is called from another goroutine
// than Run's, one call at a time, and may be called while Run isn't running (the answer is then
// Refused). A side effect happens at most once: what can't be told is OutcomeUnknown.
type Commander interface {
	Command(ctx context.Context, c telemetry.CommandTo) telemetry.Result
}

// Private is implemented by Commanders with actions whose arguments are a person's, such as a telephone number and a text. Whoever passes
// such a command on must neither log nor keep its arguments, nor anything that may repeat them.
type Private interface {
	Private(action string) bool
}

// Hosting is implemented by drivers that speak for several devices, such as a network of terminals. Their readings
// carry the devices' own ids, and commands to such a device go to its driver.
type Hosting interface {
	Hosts(device string) bool
}

// Counting is implemented by drivers that count (every one should): frames_ok, bad_checksum,
// resync, timeouts and what else doc.go lists. It may be called at any time.
type Counting interface {
	Counters() map[string]uint64
}

// Emit takes over readings and returns when they are durable. It blocks while the spool is
// full and fails when ctx ends or the readings are refused.
type Emit func(ctx context.Context, rs ...telemetry.Reading) error

// Env is what the house hands to a driver.
type Env struct {
	Name string       // the device's id in the config, the Device of its readings
	Log  *slog.Logger // carries device and kind
	Open port.Opener  // opens byte streams by address
	LAN  LAN          // the gateway's own broker, for a Lodger

	// Listen opens a listener, for drivers that devices report to.
	Listen func(ctx context.Context, network, addr string) (net.Listener, error)
}

// Factory makes drivers of one kind.
type Factory struct {
	Kind string // the word in the config: gnss, llrp, modbus, lockerbus

	// New decodes a config through decode, which fills the pointer it is given strictly and
	// fails on unknown keys, validates it and makes the driver. It does no I/O.
	New func(decode func(any) error, env Env) (Driver, error)
}

// Validator is what a driver's config must be able to do; every wrong field at once, joined.
type Validator interface{ Validate() error }

// Kind makes the Factory of a driver whose config is C.
func Kind[C Validator, D Driver](name string, open func(C, Env) (D, error)) Factory {
	return Factory{Kind: name, New: func(decode func(any) error, env Env) (Driver, error) {
		var c C
		if err := errors.Join(decode(&c), c.Validate()); err != nil {
			return nil, err
		}
		return open(c, env)
	}}
}

// Poll runs read at once and then every interval, each call with its own timeout, and emits what it
// returns. The first error of read or emit ends it. A call that takes longer than every delays
// the next one; calls are never made up for.
func Poll(ctx context.Context, every, timeout time.Duration, emit Emit, read func(context.Context) ([]telemetry.Reading, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		once, cancel := context.WithTimeout(ctx, timeout)
		rs, err := read(once)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if len(rs) > 0 {
			if err := emit(ctx, rs...); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
