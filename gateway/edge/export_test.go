package edge

import (
	"context"
	"time"

	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/supervise"
)

// FileAt gives tests a file on the operating system's file system.
func FileAt(path string) interface {
	Read() ([]byte, error)
	Append([]byte) error
	Replace([]byte) error
} {
	return file{spool.OS(), path}
}

// OS is the file system of the machine.
func OS() FS { return spool.OS() }

// SetPatience sets after how long a commit counts as stuck.
func (e *Edge) SetPatience(d time.Duration) {
	e.pulse = supervise.NewPulse(d, supervise.Probe{Name: "spool", Send: e.probeSpool})
}

// Accept hands readings to the gateway as a driver does.
func (e *Edge) Accept(ctx context.Context, rs ...telemetry.Reading) error {
	return e.broker.Accept(ctx, rs...)
}
