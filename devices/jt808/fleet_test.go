package jt808

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fleetEnv makes the test binary a fleet of terminals: address and count.
const fleetEnv = "JT808_FLEET"

func TestMain(m *testing.M) {
	if order := os.Getenv(fleetEnv); order != "" {
		if err := fleet(order); err != nil {
			fmt.Fprintln(os.Stderr, "fleet:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fleet logs terminals in, and lets each report at every line of standard input.
func fleet(order string) error {
	var addr string
	var n int
	if _, err := fmt.Sscan(order, &addr, &n); err != nil {
		return err
	}
	if err := openFiles(uint64(n + 100)); err != nil {
		return err
	}
	all := make([]*caller, n)
	for i := range all {
		var err error
		if all[i], err = call(addr, i); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for serial := uint16(1); lines.Scan(); serial++ {
		body := where(noon.Add(time.Duration(serial)*10*time.Second), 0, 3)
		for _, c := range all {
			if err := c.tell(locationReport, serial, body); err != nil {
				return err
			}
		}
		for _, c := range all {
			if err := c.acknowledged(); err != nil {
				return err
			}
		}
		fmt.Println("done")
	}
	return lines.Err()
}

// openFiles lets the process open so many files.
func openFiles(n uint64) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil || l.Cur >= n {
		return err
	}
	l.Cur, l.Max = n, max(n, l.Max)
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
}

func raiseLimit(b *testing.B, n uint64) {
	if err := openFiles(n); err != nil {
		b.Fatalf("this takes %d open files: %v", n, err)
	}
}

// resident is the process's memory as the kernel sees it, in bytes.
func resident() (bytes uint64) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			_, _ = fmt.Sscan(rest, &bytes)
		}
	}
	return bytes << 10
}
