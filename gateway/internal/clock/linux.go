package clock

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"yizhan/broker/frame"
)

// System is the Linux kernel's time.
type System struct {
	boot frame.Boot
	chip bool
}

// Open reads what doesn't change while the kernel runs.
func Open() (*System, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("clock: %w", err)
	}
	s := &System{chip: clockChip("/sys", "/proc")}
	if err := s.boot.UnmarshalText([]byte(strings.ReplaceAll(strings.TrimSpace(string(id)), "-", ""))); err != nil {
		return nil, fmt.Errorf("clock: %w", err)
	}
	return s, nil
}

// clockChip reports whether the kernel took its time from a clock that runs on battery. A machine without a
// device tree (a PC, a virtual machine) gets its time from firmware or its host.
func clockChip(sys, proc string) bool {
	if b, err := os.ReadFile(sys + "/class/rtc/rtc0/hctosys"); err == nil && strings.TrimSpace(string(b)) == "1" {
		return true
	}
	_, err := os.Stat(proc + "/device-tree/model")
	return os.IsNotExist(err)
}

// Boot returns the kernel's boot id.
func (s *System) Boot() frame.Boot { return s.boot }

// Mono returns CLOCK_BOOTTIME.
func (s *System) Mono() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("BUG: CLOCK_BOOTTIME: " + err.Error()) // since Linux 2.6.39
	}
	return ts.Nano()
}

// Wall returns CLOCK_REALTIME.
func (s *System) Wall() time.Time { return time.Now() }

// Synchronised reads the kernel's STA_UNSYNC flag, which chrony, ntpd and systemd-timesyncd clear.
func (s *System) Synchronised() bool {
	var t unix.Timex
	_, err := unix.Adjtimex(&t)
	return err == nil && t.Status&unix.STA_UNSYNC == 0
}

// HasClockChip says whether the system's clock runs on while the power is off.
func (s *System) HasClockChip() bool { return s.chip }
