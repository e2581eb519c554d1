package modbus

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"yizhan/devices"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

// pymodbusServer serves units 1 and 2 as xy-md02 has them: 28.5 °C and 63.9 %, -20.5 °C and 54.6 %; unit 3 has other registers.
const pymodbusServer = `
import sys
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server import StartSerialServer, StartTcpServer
from pymodbus.transaction import ModbusRtuFramer
unit = lambda first, values: ModbusSlaveContext(ir=ModbusSequentialDataBlock(first, values), zero_mode=True)
context = ModbusServerContext({1: unit(1, [285, 639]), 2: unit(1, [0x10000 - 205, 546]), 3: unit(100, [1])}, single=False)
if sys.argv[1] == "rtu":
    StartSerialServer(context=context, framer=ModbusRtuFramer, port=sys.argv[2], baudrate=9600, ignore_missing_slaves=True)
else:
    StartTcpServer(context=context, address=("127.0.0.1", int(sys.argv[2])), ignore_missing_slaves=True)
`

// serve starts a pymodbus server until the test ends.
func serve(t *testing.T, args ...string) {
	script := t.TempDir() + "/server.py"
	require.NoError(t, os.WriteFile(script, []byte(pymodbusServer), 0o600))
	cmd := exec.Command("/usr/bin/python3", append([]string{"-u", script}, args...)...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start(), "python3-pymodbus is installed by .ci/deps")
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("pymodbus: %s", log.Bytes())
		}
	})
}

// cross makes two ptys and a cable between them: what is written at one end comes out at the other.
func cross(t *testing.T) (one, other string) {
	var ends [2]*os.File
	var names [2]string
	for i := range ends {
		master, slave, err := pty.Open()
		require.NoError(t, err)
		set, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
		require.NoError(t, err)
		set.Iflag, set.Oflag, set.Lflag = 0, 0, 0
		require.NoError(t, unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, set))
		ends[i], names[i] = master, slave.Name()
		t.Cleanup(func() {
			_ = slave.Close()
		})
	}
	for i := range ends {
		go func() {
			_, _ = io.Copy(ends[i], ends[1-i])
		}()
		t.Cleanup(func() { _ = ends[i].Close() })
	}
	return names[0], names[1]
}

// Our driver and a server that nobody here wrote agree on what the registers say, on a line and on a socket.
func TestPymodbusServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	socket := ln.Addr().(*net.TCPAddr)
	require.NoError(t, ln.Close())
	ours, theirs := cross(t)
	for framing, where := range map[string]struct{ server, driver string }{
		"rtu": {theirs, "serial:" + ours + "?baud=9600"},
		"tcp": {fmt.Sprint(socket.Port), "tcp:" + socket.String()},
	} {
		t.Run(framing, func(t *testing.T) {
			serve(t, framing, where.server)
			c := Config{Port: where.driver, Every: time.Second, Timeout: 300 * time.Millisecond, Units: []Unit{
				{Unit: 1, Probe: "front", Profile: "xy-md02"}, {Unit: 2, Probe: "rear", Profile: "xy-md02"},
				{Unit: 3, Probe: "odd", Profile: "xy-md02"}, {Unit: 4, Probe: "gone", Profile: "xy-md02"},
			}}
			require.NoError(t, c.Validate())
			d, err := New(c, devices.Env{Name: "cold", Log: slog.New(slog.DiscardHandler), Open: port.Open})
			require.NoError(t, err)
			require.Equal(t, map[string]telemetry.Climate{
				"front": {Probe: "front", TemperatureC: telemetry.Some(28.5), HumidityPct: telemetry.Some(63.9), Quality: telemetry.ClimateOK},
				"rear":  {Probe: "rear", TemperatureC: telemetry.Some(-20.5), HumidityPct: telemetry.Some(54.6), Quality: telemetry.ClimateOK},
				"odd":   {Probe: "odd", Quality: telemetry.ClimateFault},
				"gone":  {Probe: "gone", Quality: telemetry.ClimateFault},
			}, judged(t, d))
			counters := d.Counters()
			require.NotZero(t, counters["exceptions"], "unit 3 refuses the address")
			require.NotZero(t, counters["timeouts"], "unit 4 isn't there")
			require.Zero(t, counters["bad_checksum"]+counters["resync"], counters)
		})
	}
}

// judged runs the driver, anew while the server isn't up yet, and returns what each probe said last.
func judged(t *testing.T, d *Driver) map[string]telemetry.Climate {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	said := map[string]telemetry.Climate{}
	for ctx.Err() == nil {
		_ = d.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
			for _, r := range rs {
				c, err := telemetry.As[telemetry.Climate](r)
				require.NoError(t, err)
				said[c.Probe] = c
			}
			if len(said) == 4 && said["front"].Quality == telemetry.ClimateOK && said["rear"].Quality == telemetry.ClimateOK {
				cancel()
			}
			return nil
		})
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	return said
}
