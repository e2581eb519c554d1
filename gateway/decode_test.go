package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

func decodeText(t *testing.T, input string, args ...string) (code int, stdout, stderr string) {
	var out, side bytes.Buffer
	code = run(t.Context(), append([]string{"decode"}, args...), strings.NewReader(input), &out, &side)
	return code, out.String(), side.String()
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name  string
		args  []string
		input string
		want  []string // lines of stdout
		side  []string // among the lines of stderr
	}{
		{
			"gnss", []string{"gnss"},
			"$GNRMC,055234.200,A,4739.71890,N,12219.58362,W,0.00,286.35,050826,,,A,V*11\r\n$GNRMC,055234.200,A,4739.71890,N,12219.58362,W,0.00,286.35,050826,,,A,V*12\r\n",
			[]string{`"at":"2026-08-05T05:52:34.200Z"`},
			[]string{"frames_ok 1", "bad_checksum 1"},
		},
		{
			"epc", []string{"epc"},
			"3074257BF7194E4000001A85\nnonsense\n",
			[]string{`"epc":"urn:epc:id:sgtin:0614141.812345.6789"`},
			[]string{"25 6e6f6e73656e7365"},
		},
		{
			"modbus in hex", []string{"modbus", "-hex"},
			"0x01, 0x04 00:01-00 01 60 0A\n010402013179 74\nFF FF",
			[]string{`"body":{"probe":"unit-1","temperature_c":30.5,"quality":"ok"}`},
			[]string{"frames_ok 2", "15 ffff no frame begins here"},
		},
		{
			"modem", []string{"modem"},
			"AT+CMGS=25\r\r\n> 0891683108100005F011000D91683109423346F90008000A5DE54F5C61095FEBFF01\x1a\r\n+CMS ERROR: 304\r\n+CDS: 26\r\n0006\r\n",
			[]string{`"to":"+86139****3649","mr":0,"alphabet":"ucs2","characters":5`, `"error":"malformed cms=304"`},
			[]string{"frames_ok 2", "bad_pdu 1"},
		},
		{
			"modbus raw over TCP", []string{"modbus", "--framing", "tcp"},
			"\x00\x09\x00\x00\x00\x06\x01\x04\x00\x01\x00\x02" + "\x00\x09\x00\x00\x00\x07\x01\x04\x04\x01\x1D\x02\x7F",
			[]string{`{"probe":"unit-1","temperature_c":28.5,"humidity_pct":63.9,"quality":"ok"}`},
			[]string{"frames_ok 2"},
		},
		{
			"jt808", []string{"jt808", "-hex"},
			"7E0200002612345678901200 7D02 000000010000000200BA7F0E07E4F11C0028003C0000181015101010010400000064020200 7D01 13 7E 01 7E",
			[]string{`"at":"2018-10-15T02:10:10.000Z"`, `"code":"sos"`},
			[]string{"frames_ok 1", "resync 1"},
		},
		{
			"lock board", []string{"lockerbus", "--feedback", "open_short", "-hex"},
			"80010133B3 8001010080 8101011190",
			[]string{`{"cell":1,"event":"closed"}`, `{"cell":1,"event":"opened"}`},
			[]string{"frames_ok 3", "changes 1"},
		},
		{
			"a locker that speaks MQTT", []string{"mqttlocker", "--shape", "lkaas"},
			"wall/status 1795248000,CE,OL\n",
			[]string{`{"cell":1,"event":"closed","occupied":false}`, `{"cell":2,"event":"opened","occupied":true}`},
			[]string{"frames_ok 1"},
		},
		{
			"KERONG lock board", []string{"lockerbus", "--family", "kr-cu48", "-hex"},
			"020000600365 02000075FFFFFFFFFFFF0374 020000610366 02000075FEFFFFFFFFFF0373",
			closedThenOpened(48),
			[]string{"frames_ok 4", "pulses 1"},
		},
		{
			"uhf module", []string{"uhf", "-hex"},
			"BB 02 22 00 11 C9 34 00 30 75 1F EB 70 5C 59 04 E3 D5 0D 70 3A 76 EF 7E FF BB 01 FF 00 01 15 16 7E",
			[]string{`"antenna":1,"rssi_dbm":-55,"reads":1,"rssi_raw":201`},
			[]string{"frames_ok 2", "24 ff resync"},
		},
		{
			"uhf board by its family", []string{"uhf", "--family", "a0", "-hex", "--rssi", "none"},
			"A0 13 01 89 74 30 00 E2 00 40 74 85 0A 01 03 16 30 70 E1 36 29 A0 0A 01 89 00 00 11 00 00 00 05 B6",
			[]string{`{"epc":"E2004074850A0103163070E1","epc_hex":"E2004074850A0103163070E1","antenna":1,"reads":1,"rssi_raw":54}`},
			[]string{"frames_ok 2", "rounds 1"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := decodeText(t, c.input, c.args...)
			require.Equal(t, exitOK, code, stderr)
			lines := strings.Split(strings.TrimSpace(stdout), "\n")
			require.Len(t, lines, len(c.want), stdout)
			for i, line := range lines {
				good, bad := telemetry.Parse([]byte(line), "", "")
				require.Empty(t, bad)
				require.Equal(t, "decode", good[0].Device)
				require.Contains(t, line, c.want[i])
			}
			for _, s := range c.side {
				require.Contains(t, "\n"+stderr, "\n"+s)
			}
		})
	}
}

func TestDecodeExitStatus(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "capture")
	require.NoError(t, os.WriteFile(file, []byte("81010100"+"81"), 0o600))
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"a file, and flags after it", []string{"lockerbus", file, "-hex"}, exitOK},
		{"standard input by name", []string{"lockerbus", "-"}, exitOK},
		{"help", []string{"lockerbus", "-h"}, exitOK},
		{"no kind", nil, exitUsage},
		{"an unknown kind", []string{"zigbee"}, exitUsage},
		{"an unknown flag", []string{"gnss", "-feedback", "open_short"}, exitUsage},
		{"an unknown word", []string{"lockerbus", "-feedback", "maybe"}, exitUsage},
		{"an unknown profile", []string{"modbus", "-profile", "pt100"}, exitUsage},
		{"a bad number", []string{"lockerbus", "-doors", "0"}, exitUsage},
		{"two files", []string{"gnss", file, file}, exitUsage},
		{"no such file", []string{"gnss", filepath.Join(dir, "none")}, exitFailed},
		{"a folder", []string{"gnss", dir}, exitFailed},
		{"no hex", []string{"lockerbus", "-hex"}, exitFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, stderr := decodeText(t, "zz", c.args...)
			require.Equal(t, c.want, code, stderr)
			require.NotEmpty(t, stderr)
		})
	}
}

// Programs, pictures and random bytes: whatever a file holds, each kind reads it to its end, and
// what it lets through is valid.
func TestDecodeSurvivesAnyFile(t *testing.T) {
	inputs := map[string][]byte{"empty": nil}
	programs, err := filepath.Glob("/bin/*")
	require.NoError(t, err)
	for _, p := range programs {
		if b, err := os.ReadFile(p); err == nil && len(inputs) < 12 {
			inputs[p] = b[:min(len(b), 200_000)]
		}
	}
	rng := rand.New(rand.NewPCG(5, 6))
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	inputs["noise"] = noise
	inputs["boards"] = []byte(strings.Map(func(r rune) rune { return rune("\x8a\x80\x81\x01\x11\x33\x00"[r%7]) }, strings.Repeat("the quick brown fox ", 9999)))
	for name, input := range inputs {
		for _, d := range decodings {
			var out, side bytes.Buffer
			code := decode([]string{d.kind}, bytes.NewReader(input), &out, &side)
			require.Equal(t, exitOK, code, "%s as %s", name, d.kind)
			lines := bufio.NewScanner(&out)
			for lines.Scan() {
				_, bad := telemetry.Parse(lines.Bytes(), "", "")
				require.Empty(t, bad, "%s as %s: %s", name, d.kind, lines.Text())
			}
		}
	}
}

// A capture that still goes on is shown as it comes.
func TestDecodeDoesNotWaitForTheEnd(t *testing.T) {
	r, w := io.Pipe()
	shown, out := io.Pipe()
	done := make(chan int)
	go func() { done <- decode([]string{"lockerbus"}, r, out, io.Discard) }()
	_, err := w.Write([]byte{0x81, 1, 1, 0, 0x81})
	require.NoError(t, err)
	line, err := bufio.NewReader(shown).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, `"opened"`)
	require.NoError(t, w.Close())
	require.Equal(t, exitOK, <-done)
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }
func (failing) Read([]byte) (int, error)  { return 0, errors.New("line broken") }

func TestDecodeTellsBrokenStreams(t *testing.T) {
	require.Equal(t, exitFailed, decode([]string{"lockerbus"}, bytes.NewReader([]byte{0x81, 1, 1, 0, 0x81}), failing{}, io.Discard))
	var side bytes.Buffer
	require.Equal(t, exitFailed, decode([]string{"lockerbus"}, failing{}, io.Discard, &side))
	require.Contains(t, side.String(), "line broken")
}

// closedThenOpened tells of n cells that are closed, and of the first that opens.
func closedThenOpened(n int) (bodies []string) {
	for cell := range n {
		bodies = append(bodies, fmt.Sprintf(`{"cell":%d,"event":"closed"}`, cell+1))
	}
	return append(bodies, `{"cell":1,"event":"opened"}`)
}
