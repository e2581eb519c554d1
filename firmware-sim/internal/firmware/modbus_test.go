package firmware

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// judge runs a third-party program to its end and returns what it said.
func judge(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	_, missing := err.(*exec.Error)
	require.False(t, missing, "%s is installed by .ci/deps: %v", name, err)
	return string(out), err
}

// A served unit is a climate unit on a line and on a socket.
func served(t *testing.T) (c *Climate, rtu string, tcp *net.TCPAddr) {
	line, err := OpenLine()
	require.NoError(t, err)
	c = &Climate{Line: line, Address: 7, Measure: func(time.Time) (float64, float64) { return -12.3, 54.6 }}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- c.Run(ctx) }()
	go func() { done <- c.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		require.NoError(t, line.Close())
	})
	return c, line.Path, ln.Addr().(*net.TCPAddr)
}

// libmodbus, by way of mbpoll, reads what the unit measures.
func TestMbpollReadsTheClimateUnit(t *testing.T) {
	c, line, addr := served(t)
	onLine := []string{"-m", "rtu", "-b", "9600", "-P", "none", "-a", "7", "-1", "-o", "2"}
	onSocket := []string{"-m", "tcp", "-p", fmt.Sprint(addr.Port), "-a", "7", "-1", "-o", "2"}
	read := func(common []string, target string, args ...string) (string, error) {
		return judge(t, "/usr/bin/mbpoll", append(append(append([]string{}, common...), args...), target)...)
	}
	value := regexp.MustCompile(`(?m)^\[(\d+)\]:\s+(\S+)(?: \((-?\d+)\))?$`)
	for target, common := range map[string][]string{line: onLine, "127.0.0.1": onSocket} {
		for _, table := range []string{"3", "4"} { // input registers, and on this clone the holding ones too
			out, err := read(common, target, "-t", table, "-0", "-r", "1", "-c", "2")
			require.NoError(t, err, out)
			got := value.FindAllStringSubmatch(out, -1)
			require.Len(t, got, 2, out)
			require.Equal(t, []string{"1", "65413", "-123"}, got[0][1:], out)
			require.Equal(t, []string{"2", "546"}, got[1][1:3], out)
		}
		out, err := read(common, target, "-t", "3", "-0", "-r", "9", "-c", "1")
		require.Error(t, err)
		require.Contains(t, out, "Illegal data address")
		out, err = read(common, target, "-t", "0", "-0", "-r", "1", "-c", "1")
		require.Error(t, err)
		require.Contains(t, out, "Illegal function")
	}
	c.SetFault(true)
	out, err := read(onLine, line, "-t", "3:hex", "-0", "-r", "1", "-c", "2")
	require.NoError(t, err, out)
	require.Equal(t, 2, strings.Count(out, "0x7FFF"), out)
	out, err = judge(t, "/usr/bin/mbpoll", "-m", "rtu", "-b", "9600", "-P", "none", "-a", "8", "-1", "-o", "0.5", "-t", "3", "-0", "-r", "1", line)
	require.Error(t, err)
	require.Contains(t, out, "timed out", "another unit's request is met with silence")
}

// pymodbus reads the same, and its own idea of the standard agrees.
func TestPymodbusReadsTheClimateUnit(t *testing.T) {
	_, line, addr := served(t)
	script := t.TempDir() + "/client.py"
	require.NoError(t, os.WriteFile(script, []byte(pymodbusClient), 0o600))
	for _, target := range [][]string{{"rtu", line}, {"tcp", fmt.Sprint(addr.Port)}} {
		out, err := judge(t, "/usr/bin/python3", append([]string{script}, target...)...)
		require.NoError(t, err, out)
		require.Equal(t, "input [65413, 546]\nholding [65413, 546]\naddress [7]\nrefused 2\nrefused 1\n", out)
	}
}

const pymodbusClient = `
import sys
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
if sys.argv[1] == "rtu":
    c = ModbusSerialClient(sys.argv[2], baudrate=9600, timeout=2)
else:
    c = ModbusTcpClient("127.0.0.1", port=int(sys.argv[2]), timeout=2)
assert c.connect()
print("input", c.read_input_registers(1, 2, slave=7).registers)
print("holding", c.read_holding_registers(1, 2, slave=7).registers)
print("address", c.read_holding_registers(0x101, 1, slave=7).registers)
print("refused", c.read_input_registers(9, 1, slave=7).exception_code)
print("refused", c.read_coils(1, 1, slave=7).exception_code)
c.close()
`

// What is no Modbus is hung up on, and nobody else notices.
func TestClimateHangsUpOnNonsense(t *testing.T) {
	_, _, addr := served(t)
	good, err := net.Dial("tcp", addr.String())
	require.NoError(t, err)
	defer good.Close()
	for _, nonsense := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00\x01\x00\x00\x00\x01\x07", "\x00\x01\x00\x00\x00\xff" + strings.Repeat("x", 255)} {
		bad, err := net.Dial("tcp", addr.String())
		require.NoError(t, err)
		_, err = bad.Write([]byte(nonsense))
		require.NoError(t, err)
		var answer bytes.Buffer
		_, _ = answer.ReadFrom(bad)
		require.Empty(t, answer.Bytes())
		require.NoError(t, bad.Close())
	}
	ask := func(request string) string {
		_, err := good.Write(unhex(t, request))
		require.NoError(t, err)
		b := make([]byte, 64)
		n, err := good.Read(b)
		require.NoError(t, err)
		return fmt.Sprintf("%x", b[:n])
	}
	require.Equal(t, "0009000000070704"+"04ff850222", ask("0009 0000 0006 07 04 0001 0002"))
	require.Equal(t, "000a0000000308840b", ask("000A 0000 0006 08 04 0001 0002"), "no such unit behind this socket")
	require.Equal(t, "000b00000003078601", ask("000B 0000 0006 07 06 0001 0002"))
}
