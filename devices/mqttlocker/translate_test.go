package mqttlocker

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/telemetry"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func decodeFile(t *testing.T, r io.Reader, o Options) string {
	t.Helper()
	var out bytes.Buffer
	counters, err := Decode(r, o, func(r telemetry.Reading) error {
		fmt.Fprintf(&out, "%s\n", r.AppendJSON(nil))
		return r.Validate()
	}, func(offset int64, raw []byte, reason string) {
		fmt.Fprintf(&out, "rejected at %d, %d bytes: %s\n", offset, len(raw), reason)
	})
	require.NoError(t, err)
	fmt.Fprintf(&out, "%d messages, %d rejected\n", counters["frames_ok"], counters["rejected"])
	return out.String()
}

func TestDecodeGolden(t *testing.T) {
	for _, shape := range []string{OpenLocker, LKAAS} {
		t.Run(shape, func(t *testing.T) {
			b, err := os.ReadFile("testdata/" + shape + ".txt")
			require.NoError(t, err)
			got := decodeFile(t, bytes.NewReader(b), Options{Shape: shape})
			require.Equal(t, got, decodeFile(t, iotest.OneByteReader(bytes.NewReader(b)), Options{Shape: shape}))
			golden := "testdata/" + shape + ".golden"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

func TestDecodeOddInput(t *testing.T) {
	long := "locker/a/event " + strings.Repeat("x", longest) + "\n\n" + `locker/a/state/connection {"state":"online"}`
	got := decodeFile(t, strings.NewReader(long), Options{})
	require.Contains(t, got, "rejected at 0, 524288 bytes: line is too long")
	require.Contains(t, got, "1 messages, 1 rejected")
	_, err := Decode(iotest.ErrReader(io.ErrClosedPipe), Options{}, nil, nil)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	full := errors.New("full")
	_, err = Decode(strings.NewReader(`locker/a/state/connection {"state":"online"}`), Options{}, func(telemetry.Reading) error { return full }, nil)
	require.ErrorIs(t, err, full)
	for _, o := range []Options{{Shape: "x"}, {Cells: -1}, {UID: "a/b"}} {
		_, err := Decode(strings.NewReader(""), o, nil, nil)
		require.Error(t, err, "%+v", o)
	}
}

// custom is a locker of nobody's shape: cells from 0, in the topic or by key, times in milliseconds.
func custom() Config {
	return Config{
		User: "wall", UID: "k7", Cells: 4, ZeroBased: true,
		Events: []Events{{
			Topic: "lockers/{uid}/cell/{cell}/event", ID: "msg.id", At: "msg.time", Event: "what", Item: "parcel",
			Words: map[string]string{"unlocked": "opened", "locked": "closed", "jam": "jammed"}, Ignore: []string{"beep"},
		}},
		Snapshots:  []Snapshot{{Topic: "lockers/{uid}/state", At: "time", List: "cells", Door: "door", Open: []string{"o"}, Closed: []string{"c"}}},
		Responses:  Responses{Topic: "lockers/{uid}/answer", Command: "id", Result: "result", Detail: "why", Done: []string{"ok"}, Refused: []string{"denied"}, Failed: []string{"error"}},
		Heartbeat:  Heartbeat{Topic: "lockers/{uid}/alive", Gauges: map[string]string{"uptime_s": "uptime", "rssi_dbm": "wifi.0.rssi"}},
		Connection: Connection{Topic: "lockers/{uid}/online", Online: []string{"up"}, Offline: []string{"down"}},
		Command:    Command{Topic: "lockers/{uid}/open/{cell}", Payload: `{"id":"{id}","until":{deadline_s},"within":{expires_s}}`},
	}
}

func newDriver(t testing.TB, c Config, lan devices.LAN) *Driver {
	t.Helper()
	require.NoError(t, c.Validate())
	d, err := New(c, devices.Env{Name: "box", Log: slog.New(slog.DiscardHandler), LAN: lan})
	require.NoError(t, err)
	return d
}

// hashed is an identity that is a hash.
var hashed = regexp.MustCompile(`^h[0-9a-f]{24}`)

// say translates a publish and shows n, body and what was refused.
func say(t testing.TB, d *Driver, topic, payload string) (out []string) {
	t.Helper()
	rs, bad := d.Translate(topic, []byte(payload))
	for _, r := range rs {
		require.NoError(t, r.Validate())
		out = append(out, strings.TrimSpace(hashed.ReplaceAllString(r.N, "#")+" "+string(r.Body)))
	}
	for _, b := range bad {
		out = append(out, b.Err.Error())
	}
	return out
}

func TestCustomShape(t *testing.T) {
	d := newDriver(t, custom(), nil)
	require.Equal(t, devices.Lodging{
		User:      "wall",
		Publish:   []string{"lockers/k7/cell/+/event", "lockers/k7/state", "lockers/k7/answer", "lockers/k7/alive", "lockers/k7/online"},
		Subscribe: []string{"lockers/k7/open/+"},
	}, d.Lodging())
	for _, c := range []struct {
		topic, payload string
		want           []string
	}{
		{"lockers/k7/cell/0/event", `{"msg":{"id":17},"what":"unlocked"}`, []string{`# {"cell":1,"event":"opened"}`}},
		{"lockers/k7/cell/0/event", `{"msg":{"id":18},"what":"locked","parcel":true}`, []string{`# {"cell":1,"event":"closed","occupied":true}`}},
		{"lockers/k7/cell/3/event", `{"msg":{"id":"0b9c6e4e-1b1c-4f39"},"what":"jam"}`, []string{`0b9c6e4e-1b1c-4f39 {"cell":4,"event":"jammed"}`}},
		{"lockers/k7/cell/0/event", `{"msg":{"id":20},"what":"beep"}`, nil},
		{"lockers/k7/cell/4/event", `{"msg":{"id":21},"what":"jam"}`, []string{`topic "lockers/k7/cell/4/event": cell: 5 is outside 1 to 4`}},
		{"lockers/k7/cell/x/event", `{"msg":{"id":21},"what":"jam"}`, []string{`topic "lockers/k7/cell/x/event": cell: is absent or no number`}},
		{"lockers/k7/cell/0/event", `{"msg":{},"what":"jam"}`, []string{`topic "lockers/k7/cell/0/event": n: neither id nor time: a retry can't be told from a second message`}},
		{"lockers/k7/cell/0/event", `{"msg":{"id":1}}`, []string{`topic "lockers/k7/cell/0/event": what: is absent`}},
		{"lockers/k7/cell/0/event", `[1`, []string{`topic "lockers/k7/cell/0/event": payload: is no JSON`}},
		{"lockers/k7/cell/0/event", `{} {}`, []string{`topic "lockers/k7/cell/0/event": payload: bytes after the JSON value`}},
		{"lockers/k7/state", `{"time":1795248000000,"cells":{"0":{"door":"c"},"2":{"door":"o"},"3":{"door":"?"}}}`, []string{`#-3 {"cell":3,"event":"opened"}`}},
		{"lockers/k7/state", `{"time":1795248001000,"cells":[{"door":"o"},{"door":"c"}]}`, []string{`#-1 {"cell":1,"event":"opened","occupied":true}`, `#-2 {"cell":2,"event":"closed"}`}},
		{"lockers/k7/state", `{"time":1795248001000,"cells":7}`, []string{`topic "lockers/k7/state": cells: is no list`}},
		{"lockers/k7/state", `{"time":1795248001000}`, []string{`topic "lockers/k7/state": cells: is absent`}},
		{"lockers/k7/state", `{"cells":[]}`, []string{`topic "lockers/k7/state": n: neither id nor time: a retry can't be told from a second message`}},
		{"lockers/k7/alive", `{"uptime":3.5,"wifi":[{"rssi":"-61"}]}`, []string{`{"online":1,"rssi_dbm":-61,"uptime_s":3.5}`}},
		{"lockers/k7/alive", `{}`, []string{`{"online":1}`}},
		{"lockers/k7/online", `down`, []string{`{"online":0}`}},
		{"lockers/k7/online", `"up"`, []string{`{"online":1}`}},
		{"lockers/k7/online", `sideways`, []string{`topic "lockers/k7/online": state: "sideways" is no word of the config`}},
		{"lockers/k7/answer", `{"id":"c-9","result":"ok"}`, nil},
		{"lockers/k7/answer", `{"result":"ok"}`, []string{`topic "lockers/k7/answer": id: is absent`}},
		{"lockers/k7/else", `{}`, []string{`topic "lockers/k7/else": topic: is none of this locker`}},
	} {
		got := say(t, d, c.topic, c.payload)
		require.Equal(t, c.want, got, "%s %s", c.topic, c.payload)
	}
	require.EqualValues(t, 12, d.Counters()["rejected"])
	require.EqualValues(t, 1, d.Counters()["ignored"])
	require.EqualValues(t, 1, d.Counters()["late_replies"])
	require.Len(t, d.LastBad(), 12)
}

// The same message told again is the same reading, and after a login all is told again: the broker keeps it once.
func TestARetryIsTheSameReading(t *testing.T) {
	d := newDriver(t, Config{User: "wall", Shape: LKAAS, Cells: 2}, nil)
	d.Present(true)
	first, _ := d.Translate("wall/events", []byte("1795248000,CE,OL"))
	require.Len(t, first, 2)
	again, _ := d.Translate("wall/events", []byte("1795248000,CE,OL"))
	require.Empty(t, again, "nothing has changed")
	d.Present(false)
	d.Present(true)
	again, _ = d.Translate("wall/events", []byte("1795248000,CE,OL"))
	require.Len(t, again, 2)
	for i := range again {
		require.True(t, first[i].Same(again[i]))
		require.Equal(t, telemetry.RTC, again[i].TQ)
	}
	other, _ := d.Translate("wall/status", []byte("1795248001,CE,CL"))
	require.Len(t, other, 1)
	require.False(t, first[1].Same(other[0]))
}

// A locker that counts its messages from 1 after each start doesn't repeat itself.
func TestShortIdsCountWithTheirTopicAndTime(t *testing.T) {
	d := newDriver(t, custom(), nil)
	n := map[string]bool{}
	for _, p := range [][2]string{
		{"0", `{"msg":{"id":1,"time":1795248000000},"what":"unlocked"}`}, {"1", `{"msg":{"id":1,"time":1795248000000},"what":"unlocked"}`},
		{"0", `{"msg":{"id":1,"time":1795249000000},"what":"unlocked"}`}, {"0", `{"msg":{"id":2,"time":1795248000000},"what":"unlocked"}`},
		{"0", `{"msg":{"id":1,"time":1795248000000},"what":"unlocked"}`}, // again
	} {
		rs, _ := d.Translate("lockers/k7/cell/"+p[0]+"/event", []byte(p[1]))
		require.Len(t, rs, 1)
		n[rs[0].N] = true
	}
	require.Len(t, n, 4)
}

// Items are told by snapshots, doors by events: both make one story.
func TestEventsAndSnapshotsTogether(t *testing.T) {
	d := newDriver(t, Config{User: "wall", Shape: OpenLocker, Cells: 2}, nil)
	d.Present(true)
	n := 0
	snapshot := func(door, item string) []string {
		n++
		return say(t, d, "locker/wall/state/compartments", fmt.Sprintf(`{"message_id":"s%d","compartments":[{"compartment_number":1,"door_state":%q%s}]}`, n, door, item))
	}
	event := func(what string) []string {
		n++
		return say(t, d, "locker/wall/event", fmt.Sprintf(`{"message_id":"e%d","event":%q,"data":{"compartment_number":1}}`, n, what))
	}
	require.Equal(t, []string{`#-1 {"cell":1,"event":"closed","occupied":false}`}, snapshot("closed", `,"occupied":false`))
	require.Equal(t, []string{`# {"cell":1,"event":"opened","occupied":false}`}, event("door_opened"))
	require.Empty(t, snapshot("open", ""))
	require.Equal(t, []string{`# {"cell":1,"event":"closed"}`}, event("door_closed"))
	require.Equal(t, []string{`#-1 {"cell":1,"event":"deposited","occupied":true}`}, snapshot("closed", `,"occupied":true`))
	require.Empty(t, snapshot("closed", `,"occupied":true`))
	require.Empty(t, snapshot("unknown", ``))
	require.Equal(t, []string{`#-1 {"cell":1,"event":"opened","occupied":true}`}, snapshot("open", `,"occupied":true`))
	require.Equal(t, []string{`#-1 {"cell":1,"event":"emptied","occupied":false}`}, snapshot("closed", `,"occupied":false`))
}

func TestInstant(t *testing.T) {
	want := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	for s, ok := range map[string]bool{
		"2026-11-21T08:00:00Z": true, "2026-11-21T16:00:00+08:00": true, "1795248000": true, "1795248000000": true, "1795248000000000": true, "1.795248e9": true,
		"": false, "0": false, "-1": false, "NaN": false, "1970-01-01T00:00:05Z": false, "2300-01-01T00:00:00Z": false, "yesterday": false, "1e300": false,
	} {
		got := instant(s)
		require.Equal(t, ok, got.Equal(want), "%q: %v", s, got)
		require.Equal(t, !ok, got.IsZero(), s)
	}
}

func FuzzTranslate(f *testing.F) {
	for _, shape := range []string{OpenLocker, LKAAS} {
		b, err := os.ReadFile("testdata/" + shape + ".txt")
		require.NoError(f, err)
		for line := range strings.Lines(string(b)) {
			topic, payload, _ := strings.Cut(strings.TrimSpace(line), " ")
			f.Add(strings.ReplaceAll(topic, "0b9c", "wall"), []byte(payload))
		}
	}
	f.Add("lockers/k7/cell/0/event", []byte(`{"msg":{"id":17},"what":"unlocked"}`))
	f.Add("lockers/k7/state", []byte(`{"time":1795248000000,"cells":{"0":{"door":"c"}}}`))
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		for _, c := range []Config{{User: "wall", Shape: OpenLocker, Cells: 24}, {User: "wall", Shape: LKAAS, Cells: 3}, custom()} {
			d := newDriver(t, c, nil)
			for range 2 {
				rs, bad := d.Translate(topic, payload)
				for _, r := range rs {
					require.NoError(t, r.Validate())
					require.Equal(t, "box", r.Device)
					require.True(t, r.N != "" || r.Kind == telemetry.KindHealth)
				}
				for _, b := range bad {
					require.NotEmpty(t, b.Err.Error())
					require.Less(t, len(b.Err.Error()), 400)
				}
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, shape := range []string{OpenLocker, LKAAS} {
		b, err := os.ReadFile("testdata/" + shape + ".txt")
		require.NoError(f, err)
		f.Add(b, shape == LKAAS)
	}
	f.Fuzz(func(t *testing.T, b []byte, letters bool) {
		o := Options{Shape: OpenLocker}
		if letters {
			o.Shape = LKAAS
		}
		_, err := Decode(bytes.NewReader(b), o, func(r telemetry.Reading) error { return r.Validate() }, func(offset int64, raw []byte, reason string) {
			require.Equal(t, b[offset:offset+int64(len(raw))], raw)
			require.NotEmpty(t, reason)
		})
		require.NoError(t, err)
	})
}
