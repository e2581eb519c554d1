package modem

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/devices/devicestest"
	"yizhan/devices/telemetry"
)

var update = flag.Bool("update", false, "rewrite golden files")

func decodeAll(t *testing.T, raw string) (readings, rejects []string, counters map[string]uint64) {
	t.Helper()
	counters, err := Decode(strings.NewReader(raw), Options{}, func(r telemetry.Reading) error {
		require.NoError(t, r.Validate())
		require.Equal(t, "decode", r.Device)
		readings = append(readings, string(r.Body))
		return nil
	}, func(_ int64, raw []byte, reason string) { rejects = append(rejects, string(raw)+" "+reason) })
	require.NoError(t, err)
	return readings, rejects, counters
}

func TestDecodeHidesWhatIsPersonal(t *testing.T) {
	readings, rejects, counters := decodeAll(t, "AT+CMGS=25\r\r\n> 0891683108100005F011000D91683109423346F90008000A5DE54F5C61095FEBFF01\x1a\r\n+CMGS: 17\r\n\r\nOK\r\n"+
		"+CMS ERROR: 304\r\n+CSQ: 18,99\r\n+CREG: 0,5\r\n+CDS: 26\r\n0006110D91683108108300F06211213260002362112132603023"+"46\r\n"+
		"\x80138001380\r\n0006110D916831081083\r\n")
	require.Equal(t, []string{
		`{"pdu":"submit","to":"+86139****3649","mr":0,"alphabet":"ucs2","characters":5}`,
		`{"mr":17}`,
		`{"error":"malformed cms=304"}`,
		`{"csq":18,"rssi_dbm":-77}`,
		`{"registration":5}`,
		`{"pdu":"report","to":"+86138****8000","mr":17,"status":70,"fate":"failed","sent":"2026-11-12T15:06:00Z","discharged":"2026-11-12T15:06:03Z"}`,
	}, readings)
	require.Equal(t, []string{"\x80######### garbled", "#################### is cut off"}, rejects)
	require.Equal(t, uint64(4), counters["frames_ok"])
	require.Equal(t, uint64(1), counters["bad_pdu"])
}

// Transcripts of a modem's day: what decode makes of the bytes both ways is in the golden file beside it.
func TestDecodeTranscripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			readings, _, counters := decodeAll(t, string(devicestest.Load(t, f).FromDevice()))
			c, err := json.Marshal(counters)
			require.NoError(t, err)
			got := strings.Join(readings, "\n") + "\n" + string(c) + "\n"
			golden := strings.TrimSuffix(f, ".txt") + ".jsonl"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

// The same transcripts, played to the driver: one message each, and what comes of it.
func TestTranscripts(t *testing.T) {
	for file, want := range map[string]string{
		"day.txt":   "done sent parts=1 mr=17 ref=job-c",
		"stuck.txt": "refused no_prompt ref=job-c",
	} {
		t.Run(file, func(t *testing.T) {
			k := newFake()
			play := devicestest.Play(t, filepath.Join("testdata", file))
			k.instead = func(ctx context.Context, conn devicestest.Conn) { play(ctx, conn) }
			in(t, Config{}, k, func(x *rig) {
				r := x.send(x.t.Context(), "c", "+8613902433649", "工作愉快！")
				require.Equal(t, want, string(r.Outcome)+" "+r.Detail)
				idle(30 * 1e9)
				if file == "day.txt" {
					require.Equal(t, []string{`{"command":"c","outcome":"done","detail":"delivered ref=job-c"}`}, x.readings(telemetry.KindResult))
				}
			})
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("AT+CMGS=25\r\r\n> 0891683108100005F011000D91683109423346F90008000A5DE54F5C61095FEBFF01\x1a\r\n+CMGS: 17\r\n\r\nOK\r\n"))
	f.Add([]byte("+CDS: 26\r\n0006110D91683108108300F0621121326000236211213260302346\r\n+CMGL: 1,2,,3\r\n0102\r\n+CMS ERROR: 38\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := Decode(bytes.NewReader(b), Options{}, func(r telemetry.Reading) error { return r.Validate() }, func(at int64, raw []byte, _ string) {
			require.True(t, at >= 0 && at <= int64(len(b)))
			require.NotEmpty(t, raw)
		})
		require.NoError(t, err)
	})
}
