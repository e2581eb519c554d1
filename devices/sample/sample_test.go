package sample

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/devicestest"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

var config = Config{Port: "serial:/dev/ttyUSB0?baud=9600", Probe: "shelf"}

// The suite that every driver passes, in memory and on a real tty.
func TestContract(t *testing.T) {
	driver := func(open port.Opener) devices.Driver {
		require.NoError(t, config.Validate())
		d, err := New(config, devices.Env{Name: "room", Log: slog.New(slog.DiscardHandler), Open: open})
		require.NoError(t, err)
		return d
	}
	firmware := devicestest.Play(t, "testdata/day.txt")
	devicestest.Contract(t, driver, firmware)
	devicestest.OnPTY(t, driver, firmware)
}

func decode(t testing.TB, stream string) (bodies, why []string, counters map[string]uint64) {
	counters, err := Decode(strings.NewReader(stream), func(r telemetry.Reading) error {
		require.NoError(t, r.Validate())
		bodies = append(bodies, string(r.Body))
		return nil
	}, func(_ int64, _ []byte, reason string) { why = append(why, reason) })
	require.NoError(t, err)
	return bodies, why, counters
}

// Every vector of the manual, and every error that the field knows.
func TestLines(t *testing.T) {
	const good, said = "T=23.5,H=45*2B\r\n", `{"probe":"decode","temperature_c":23.5,"humidity_pct":45,"quality":"ok"}`
	for _, tt := range []struct {
		name, stream string
		bodies, why  []string
	}{
		{"good", good + good, []string{said, said}, nil},
		{"LF alone", strings.ReplaceAll(good, "\r", ""), []string{said}, nil},
		{"checksum", "T=23.5,H=45*06\r\n" + good, []string{said}, []string{"bad_checksum"}},
		{"cut", good[:6] + "\r\n" + good, []string{said}, []string{"bad_checksum"}},
		{"cut by the end", good[:6], nil, nil},
		{"out of range", checked("T=93.5,H=45") + checked("T=23.5,H=101"), nil, []string{"malformed", "malformed"}},
		{"no number", checked("T=,H=45") + checked("T=NaN,H=45") + checked("23.5,45") + checked(""), nil, []string{"malformed", "malformed", "malformed", "malformed"}},
		{"endless", strings.Repeat("x", 2*maxLine) + "\n" + good, []string{said}, []string{"bad_checksum", "bad_checksum", "bad_checksum"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bodies, why, counters := decode(t, tt.stream)
			require.Equal(t, tt.bodies, bodies)
			require.Equal(t, tt.why, why)
			require.EqualValues(t, len(tt.bodies), counters["frames_ok"])
		})
	}
}

func checked(body string) string {
	xor := byte(0)
	for i := range len(body) {
		xor ^= body[i]
	}
	return fmt.Sprintf("%s*%02X\r\n", body, xor)
}

// A recording and what is made of it: a change of the codec shows as a change of the golden file.
func TestRecording(t *testing.T) {
	bodies, _, _ := decode(t, string(devicestest.Load(t, "testdata/day.txt").FromDevice()))
	want, err := os.ReadFile(filepath.Join("testdata", "day.jsonl"))
	require.NoError(t, err)
	require.Equal(t, string(want), strings.Join(bodies, "\n")+"\n")
}

func TestConfig(t *testing.T) {
	err := Config{Port: "serial:/dev/ttyUSB0?boud=9600"}.Validate()
	require.ErrorContains(t, err, "port:")
	require.ErrorContains(t, err, "probe:")
}

// No bytes crash it, no reading is invalid, and chunks don't matter.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("T=23.5,H=45*2B\r\nT=1"), uint64(1))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		bodies, why, _ := decode(t, string(stream))
		var n counts
		var got, gotWhy []string
		d := decoder{
			device: "decode", probe: "decode", counts: &n,
			emit:   func(r telemetry.Reading) error { got = append(got, string(r.Body)); return nil },
			reject: func(_ int64, _ []byte, reason string) { gotWhy = append(gotWhy, reason) },
		}
		rng := rand.New(rand.NewPCG(seed, 0))
		for b := bytes.NewBuffer(stream); b.Len() > 0; {
			require.NoError(t, d.feed(b.Next(1+rng.IntN(20))))
		}
		require.Equal(t, bodies, got)
		require.Equal(t, why, gotWhy)
	})
}
