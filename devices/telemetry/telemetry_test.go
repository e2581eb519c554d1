package telemetry

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 8, 5, 12, 0, 0, 250e6, time.UTC)

// bodies is one full value of each kind.
var bodies = []Body{
	Position{Lat: Some(47.661981667), Lon: Some(-122.326393667), AltitudeM: Some(76.5), SpeedMPS: Some(0.0), HeadingDeg: Some(286.35), Fix: Fix3D, Satellites: Some(14), HDOP: Some(0.9), Valid: true},
	Position{Fix: FixNone},
	Tag{EPC: "urn:epc:id:sgtin:0614141.812345.6789", EPCHex: "3074257BF7194E4000001A85", Antenna: Some(1), RSSIDBm: Some(-50.0), Reads: Some(12), FirstSeen: noon, LastSeen: noon.Add(time.Second), Passage: Arrive},
	Climate{Probe: "cold-1", TemperatureC: Some(-18.5), HumidityPct: Some(63.9), Quality: ClimateOK},
	Climate{Probe: "cold-1", Quality: ClimateFault},
	Door{Door: "rear", Open: Some(false)},
	Locker{Cell: Some(7), Event: CellDeposited, Occupied: Some(true)},
	Weight{WeightKg: Some(2.35), Stable: Some(true)},
	Scan{Symbology: "code128", Text: `YZ-1 "a"` + "\n中"},
	Alarm{Code: "probe_lost", Severity: Major, Detail: "no reply"},
	Result{Command: "c-1", Outcome: Done, Detail: "opened"},
	Health{{"rss_bytes", 14680064}, {"fsync_p99_ms", 1.25}},
}

func TestEachBodyReadsBackAsWritten(t *testing.T) {
	for _, b := range bodies {
		r := New("dev-1", noon, GNSS, b)
		r.N, r.ErrMS = "7-19", 40
		wire := r.AppendJSON(nil)
		require.True(t, json.Valid(wire), "%s", wire)
		good, bad := Parse(wire, "dev-1", b.Kind())
		require.Empty(t, bad, "%s", wire)
		require.Equal(t, []Reading{r}, good)
		require.Equal(t, wire, good[0].AppendJSON(nil))
	}
	p, err := As[Position](New("gps", noon, GNSS, bodies[0]))
	require.NoError(t, err)
	require.Equal(t, bodies[0], p)
	s, err := As[Scan](New("gun", noon, RTC, bodies[8]))
	require.NoError(t, err)
	require.Equal(t, bodies[8], s)
	h, err := As[Health](New("gateway", noon, NTP, bodies[11]))
	require.NoError(t, err)
	require.Equal(t, bodies[11], h)
}

func TestLanes(t *testing.T) {
	want := map[Kind]Lane{
		KindResult: Command, KindAlarm: Command, KindTag: Custody, KindLocker: Custody, KindScan: Custody, KindWeight: Custody,
		KindDoor: Custody, KindClimate: Condition, KindPosition: Track, KindHealth: Track,
	}
	for k, l := range want {
		got, ok := LaneOf(k)
		require.True(t, ok)
		require.Equal(t, l, got, k)
	}
	_, ok := LaneOf("weather")
	require.False(t, ok)
	for _, l := range Lanes {
		text, err := l.MarshalText()
		require.NoError(t, err)
		var back Lane
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, l, back)
	}
	_, err := ParseLane("fast")
	require.Error(t, err)
	_, err = Lane(0).MarshalText()
	require.Error(t, err)
}

func TestBadReadingsNameTheField(t *testing.T) {
	for _, c := range []struct{ payload, field string }{
		{``, "payload"},
		{`{`, "payload"},
		{`{"device":"gps"} x`, "payload"},
		{`"text"`, "payload"},
		{`{"kind":"door","body":{"open":true}}`, "device"},
		{`{"device":"GPS","kind":"door","body":{"open":true}}`, "device"},
		{`{"device":"` + strings.Repeat("a", 33) + `","kind":"door","body":{"open":true}}`, "device"},
		{`{"device":"a","body":{"open":true}}`, "kind"},
		{`{"device":"a","kind":"weather","body":{}}`, "kind"},
		{`{"device":"a","kind":"door"}`, "body"},
		{`{"device":"a","kind":"door","body":[]}`, "body"},
		{`{"device":"a","kind":"door","body":{}}`, "body.open"},
		{`{"device":"a","kind":"door","body":{"open":1}}`, "body.open"},
		{`{"device":"a","kind":"door","at":"yesterday","body":{"open":true}}`, "at"},
		{`{"device":"a","kind":"door","at":"0001-02-03T00:00:00Z","body":{"open":true}}`, "at"},
		{`{"device":"a","kind":"door","at":5,"body":{"open":true}}`, "at"},
		{`{"device":"a","kind":"door","tq":"sundial","at":"2026-08-05T12:00:00Z","body":{"open":true}}`, "tq"},
		{`{"device":"a","kind":"door","te_ms":-1,"body":{"open":true}}`, "te_ms"},
		{`{"device":"a","kind":"door","te_ms":1.5,"body":{"open":true}}`, "te_ms"},
		{`{"device":"a","kind":"door","n":"a\nb","body":{"open":true}}`, "n"},
		{`{"device":"a","kind":"door","n":true,"body":{"open":true}}`, "n"},
		{`{"device":"a","kind":"position","body":{"lat":30}}`, "body.lat"},
		{`{"device":"a","kind":"position","body":{"lat":91,"lon":0}}`, "body.lat"},
		{`{"device":"a","kind":"position","body":{"lat":"30","lon":0}}`, "body.lat"},
		{`{"device":"a","kind":"position","body":{"lat":1,"lon":1e400}}`, "body.lon"},
		{`{"device":"a","kind":"position","body":{"valid":true}}`, "body.valid"},
		{`{"device":"a","kind":"position","body":{"fix":"4d"}}`, "body.fix"},
		{`{"device":"a","kind":"position","body":{"satellites":1.5}}`, "body.satellites"},
		{`{"device":"a","kind":"tag","body":{}}`, "body.epc"},
		{`{"device":"a","kind":"tag","body":{"epc":"x","passage":"through"}}`, "body.passage"},
		{`{"device":"a","kind":"climate","body":{"probe":"p"}}`, "body.temperature_c"},
		{`{"device":"a","kind":"climate","body":{"humidity_pct":101}}`, "body.humidity_pct"},
		{`{"device":"a","kind":"locker","body":{"event":"opened"}}`, "body.cell"},
		{`{"device":"a","kind":"locker","body":{"cell":0,"event":"opened"}}`, "body.cell"},
		{`{"device":"a","kind":"locker","body":{"cell":1,"event":"melted"}}`, "body.event"},
		{`{"device":"a","kind":"weight","body":{}}`, "body.weight_kg"},
		{`{"device":"a","kind":"scan","body":{"text":""}}`, "body.text"},
		{`{"device":"a","kind":"alarm","body":{"severity":"major"}}`, "body.code"},
		{`{"device":"a","kind":"alarm","body":{"code":"x","severity":"loud"}}`, "body.severity"},
		{`{"device":"a","kind":"result","body":{"outcome":"done"}}`, "body.command"},
		{`{"device":"a","kind":"result","body":{"command":"x","outcome":"maybe"}}`, "body.outcome"},
		{`{"device":"a","kind":"scan","body":{"text":"` + strings.Repeat("x", MaxBody) + `"}}`, "body"},
	} {
		good, bad := Parse([]byte(c.payload), "", "")
		require.Empty(t, good, c.payload)
		require.Len(t, bad, 1, c.payload)
		var fe *FieldError
		require.True(t, errors.As(bad[0].Err, &fe), "%s: %v", c.payload, bad[0].Err)
		require.Equal(t, c.field, fe.Field, "%s: %v", c.payload, fe)
		require.ErrorIs(t, bad[0].Err, ErrInvalid)
	}
}

func TestTheTopicFillsInAndContradicts(t *testing.T) {
	good, bad := Parse([]byte(`{"at":"2026-08-05T20:00:00.250+08:00","body":{"open":true}}`), "box", KindDoor)
	require.Empty(t, bad)
	require.Equal(t, "box", good[0].Device)
	require.Equal(t, noon, good[0].At)
	require.Equal(t, RTC, good[0].TQ, "a device that dates a reading and says no more used its own clock")
	for _, p := range []string{`{"device":"other","body":{"open":true}}`, `{"kind":"tag","body":{"open":true}}`} {
		_, bad := Parse([]byte(p), "box", KindDoor)
		require.Len(t, bad, 1)
	}
	good, _ = Parse([]byte(`{"n":17,"tq":"gnss","body":{"open":true,"colour":"red"}}`), "box", KindDoor)
	require.Equal(t, "17", good[0].N)
	require.Equal(t, Unknown, good[0].TQ, "without a time there is no quality")
	require.JSONEq(t, `{"open":true,"colour":"red"}`, string(good[0].Body), "unknown fields are kept")
}

func TestBadItemsOfAnArrayLoseNothingElse(t *testing.T) {
	good, bad := Parse([]byte(` [ {"body":{"open":true}}, {"body":{}}, 7, {"body":{"open":false}} ] `), "box", KindDoor)
	require.Len(t, good, 2)
	require.Len(t, bad, 2)
	require.Equal(t, 1, bad[0].Index)
	require.Equal(t, 2, bad[1].Index)
	good, bad = Parse([]byte(`[{"body":{"open":true}}`), "box", KindDoor)
	require.Empty(t, good, "a cut array is not trusted in part")
	require.Len(t, bad, 1)
	good, bad = Parse([]byte("["+strings.Repeat(`{"body":{"open":true}},`, MaxItems)+`{"body":{"open":true}}]`), "box", KindDoor)
	require.Empty(t, good)
	require.Len(t, bad, 1)
	deep := strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40)
	_, bad = Parse([]byte(`{"body":`+deep+`}`), "box", KindDoor)
	require.Len(t, bad, 1)
}

func TestRawReadsAreToldFromPassages(t *testing.T) {
	require.True(t, New("r", noon, RTC, Tag{EPC: "E200", Antenna: Some(1)}).RawRead())
	require.False(t, New("r", noon, RTC, Tag{EPC: "E200", Passage: Depart}).RawRead())
	require.False(t, New("d", noon, RTC, Door{Open: Some(true)}).RawRead())
}

func TestSame(t *testing.T) {
	a := New("box", noon, RTC, Door{Open: Some(true)})
	b := New("box", noon, NTP, Door{Open: Some(true)})
	require.True(t, a.Same(b))
	b = New("box", noon, RTC, Door{Open: Some(false)})
	require.False(t, a.Same(b))
	undated := New("box", time.Time{}, Unknown, Door{Open: Some(true)})
	require.False(t, undated.Same(undated), "nothing tells a retry from a second event")
	a.N, b.N = "5", "5"
	require.True(t, a.Same(b), "the device's own number decides where there is one")
	b.Device = "box-2"
	require.False(t, a.Same(b))
}

func TestOpt(t *testing.T) {
	type row struct {
		A Opt[float64] `json:"a,omitzero"`
		B Opt[int]     `json:"b,omitzero"`
	}
	b, err := json.Marshal(row{A: Some(0.0)})
	require.NoError(t, err)
	require.Equal(t, `{"a":0}`, string(b))
	var r row
	require.NoError(t, json.Unmarshal([]byte(`{"a":null,"b":3}`), &r))
	require.Equal(t, row{B: Some(3)}, r)
	require.Equal(t, 5, r.B.Or(9)+2)
	require.InDelta(t, 1.5, r.A.Or(1.5), 0)
	require.Error(t, json.Unmarshal([]byte(`{"a":"x"}`), &r))
	b, err = json.Marshal(r.A)
	require.NoError(t, err)
	require.Equal(t, "null", string(b))
}

func TestReadingAsJSONValue(t *testing.T) {
	in := New("gps", noon, GNSS, bodies[0])
	b, err := json.Marshal(in)
	require.NoError(t, err)
	var out Reading
	require.NoError(t, json.Unmarshal(b, &out))
	require.Equal(t, in, out)
	require.Error(t, json.Unmarshal([]byte(`{"device":"gps"}`), &out))
}

// The scanner takes exactly what encoding/json takes, but for depth, UTF-8 and lone surrogates,
// where it is stricter or equal.
func TestScannerAgreesWithTheStandardLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[\[\]{}:,"\\ a-f0-9eE+.u\-trulsn]{0,24}`).Draw(t, "json")
		s = `{"k":` + s + `}`
		err := EachField([]byte(s), nil)
		require.Equal(t, json.Valid([]byte(s)), err == nil, "%s: %v", s, err)
	})
	for _, s := range []string{`"a\ud83d\ude00b"`, `"\u00e9\"\\\/\b\f\n\r\t"`, `"é"`, `"\u4e2d"`} {
		var want string
		require.NoError(t, json.Unmarshal([]byte(s), &want))
		got, err := text([]byte(s))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range bodies {
		f.Add(New("dev-1", noon, GNSS, b).AppendJSON(nil), "", "")
		f.Add([]byte(`[{"body":`+string(b.AppendJSON(nil))+`,"n":"1"}]`), "dev-1", string(b.Kind()))
	}
	f.Add([]byte(`{"body":{"text":"\ud83d"},"n":1}`), "a", "scan")
	f.Fuzz(func(t *testing.T, payload []byte, device, kind string) {
		good, _ := Parse(payload, device, Kind(kind))
		for _, r := range good {
			require.NoError(t, r.Validate())
			wire := r.AppendJSON(nil)
			require.True(t, json.Valid(wire), "%s", wire)
			again, bad := Parse(wire, "", "")
			require.Empty(t, bad, "%s", wire)
			require.Equal(t, r.N != "" || !r.At.IsZero(), r.Same(again[0]), "%s", wire)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	one := New("gps", noon, GNSS, bodies[0]).AppendJSON(nil)
	b.SetBytes(int64(len(one)))
	b.ReportAllocs()
	for b.Loop() {
		if _, bad := Parse(one, "gps", KindPosition); bad != nil {
			b.Fatal(bad[0].Err)
		}
	}
}
