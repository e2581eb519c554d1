package devicestest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/devicestest"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

// toy reads lines and emits a scan for each; fault names what it does wrong.
type toy struct {
	open  port.Opener
	fault string
}

func (d *toy) Run(ctx context.Context, emit devices.Emit) error {
	p, err := d.open(ctx, "serial:/dev/null")
	if err != nil {
		if d.fault == "swallows the error of open" {
			<-ctx.Done()
			return ctx.Err()
		}
		return err
	}
	defer p.Close()
	if d.fault != "ignores cancel" {
		defer context.AfterFunc(ctx, func() { p.Close() })()
	}
	if d.fault == "leaves a goroutine" {
		go func() { <-make(chan int) }()
	}
	err = d.read(ctx, p, emit)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case d.fault == "gives up":
		return fmt.Errorf("%w: %w", devices.ErrPermanent, err)
	case d.fault == "ends without an error":
		return nil
	}
	return err
}

func (d *toy) read(ctx context.Context, p port.Port, emit devices.Emit) error {
	var line []byte
	b := make([]byte, 64)
	for {
		n, err := p.Read(b)
		if err != nil {
			return err
		}
		for _, c := range b[:n] {
			if line = append(line, c); c != '\n' && len(line) < 64 {
				continue
			}
			text := strings.Map(func(r rune) rune {
				if r >= ' ' && r <= '~' {
					return r
				}
				return -1
			}, string(line))
			line = line[:0]
			if err := d.tell(ctx, emit, text); err != nil {
				return err
			}
		}
	}
}

func (d *toy) tell(ctx context.Context, emit devices.Emit, text string) error {
	if d.fault == "panics on garbage" && strings.Contains(text, "$") {
		panic("garbage")
	}
	if text == "" && d.fault != "emits nonsense" {
		return nil
	}
	err := emit(ctx, telemetry.New("toy", time.Time{}, telemetry.Unknown, telemetry.Scan{Text: text}))
	if d.fault == "drops the error of emit" {
		return nil
	}
	return err
}

func newToy(fault string) func(port.Opener) devices.Driver {
	return func(open port.Opener) devices.Driver { return &toy{open: open, fault: fault} }
}

func firmware(ctx context.Context, conn devicestest.Conn) {
	for i := 0; ; i++ {
		if _, err := fmt.Fprintf(conn, "parcel %d\n", i); err != nil {
			return
		}
		timer := time.NewTimer(50 * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func TestGoodDriver(t *testing.T) {
	devicestest.Contract(t, newToy(""), firmware)
	devicestest.OnPTY(t, newToy(""), firmware)
	devicestest.OnTCP(t, newToy(""), firmware)
}

const faultEnv = "DEVICESTEST_FAULT"

// TestFaultyDriver runs only in a process that TestFaultsAreFound starts.
func TestFaultyDriver(t *testing.T) {
	if fault := os.Getenv(faultEnv); fault != "" {
		devicestest.Contract(t, newToy(fault), firmware)
	}
}

// The suite has teeth: each fault fails it.
func TestFaultsAreFound(t *testing.T) {
	for _, fault := range []string{
		"swallows the error of open", "ignores cancel", "leaves a goroutine", "gives up",
		"ends without an error", "panics on garbage", "emits nonsense", "drops the error of emit",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFaultyDriver$", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), faultEnv+"="+fault)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			require.True(t, errors.As(err, &exit), "the suite passed a driver that %s: %s", fault, out)
			require.NotContains(t, string(out), "test timed out")
		})
	}
}

var _ io.ReadWriteCloser = devicestest.Conn(nil)
