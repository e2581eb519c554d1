package jt808

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/devices"
	"yizhan/devices/devicestest"
	"yizhan/devices/telemetry"
)

// The offset by published pairs of WGS-84 and GCJ-02 positions.
func TestGCJ02(t *testing.T) {
	for _, c := range [][4]float64{
		{31.1774276, 121.5272106, 31.17530398364597, 121.531541859215},
		{22.543847, 113.912316, 22.540796131694766, 113.9171764808363},
		{39.911954, 116.377817, 39.91334545536069, 116.38404722455657},
	} {
		lat, lon := fromGCJ02(c[2], c[3])
		require.InDelta(t, c[0], lat, 2e-7)
		require.InDelta(t, c[1], lon, 2e-7)
	}
	lat, lon := fromGCJ02(48.2, 16.37)
	require.Equal(t, [2]float64{48.2, 16.37}, [2]float64{lat, lon}, "outside China nothing is moved")
	rapid.Check(t, func(t *rapid.T) {
		lat, lon := rapid.Float64Range(18, 53).Draw(t, "lat"), rapid.Float64Range(74, 134).Draw(t, "lon")
		dLat, dLon := gcjOffset(lat, lon)
		gotLat, gotLon := fromGCJ02(lat+dLat, lon+dLon)
		metres := math.Hypot(gotLat-lat, (gotLon-lon)*math.Cos(lat*math.Pi/180)) * 111_000
		require.Less(t, metres, 0.01)
	})
}

func TestGCJ02Profile(t *testing.T) {
	l, _ := parseLocation(where(noon, 0, 3))
	p := l.position(Terminal{GCJ02: true}.profile(phone{}))
	require.InDelta(t, 30.6571, p.Lat.Or(0), 0.01)
	require.NotEqual(t, 30.6571, p.Lat.Or(0))
}

func TestSignsAndLimits(t *testing.T) {
	body := where(noon, 0, 2|4|8)
	binary.BigEndian.PutUint16(body[16:], 0xffe2)
	l, _ := parseLocation(body)
	p := l.position(Terminal{}.profile(phone{}))
	require.InDelta(t, -30.6571, p.Lat.Or(0), 1e-9)
	require.InDelta(t, -103.2129, p.Lon.Or(0), 1e-9)
	require.InDelta(t, -30, p.AltitudeM.Or(0), 0, "two's complement")
	for _, break_ := range []func(b []byte){
		func(b []byte) { b[7] &^= 2 },                                      // no fix
		func(b []byte) { b[7] |= 1 << 5 },                                  // encrypted
		func(b []byte) { binary.BigEndian.PutUint32(b[8:], 90_000_001) },   // no latitude
		func(b []byte) { binary.BigEndian.PutUint32(b[12:], 180_000_001) }, // no longitude
		func(b []byte) { copy(b[8:16], make([]byte, 8)) },                  // nowhere
	} {
		b := where(noon, 0, 3)
		break_(b)
		l, _ := parseLocation(b)
		p := l.position(Terminal{}.profile(phone{}))
		require.False(t, p.Valid)
		require.False(t, p.Lat.Known() || p.SpeedMPS.Known() || p.HeadingDeg.Known())
	}
	b := where(noon, 0, 3)
	copy(b[18:22], []byte{0xff, 0xff, 0xff, 0xff})
	l, _ = parseLocation(b)
	p = l.position(Terminal{}.profile(phone{}))
	require.True(t, p.Valid)
	require.False(t, p.SpeedMPS.Known() || p.HeadingDeg.Known())
}

func TestItems(t *testing.T) {
	items := func(is2019 bool, p Terminal, b ...byte) string {
		l, _ := parseLocation(where(noon, 0, 2, b...))
		rs, _, ok := l.readings(nil, "x", p.profile(phone{}), is2019, false, new(counters))
		require.True(t, ok)
		require.NoError(t, rs[0].Validate())
		_, rest, _ := bytes.Cut(rs[0].Body, []byte(`"status":"00000002"`))
		return string(rest)
	}
	require.Equal(t, `,"mileage_km":10.1,"items":{"e4":"63","01.2":"00","rest":"0502"}}`,
		items(false, Terminal{}, 1, 4, 0, 0, 0, 101, 0xe4, 1, 99, 1, 1, 0, 5, 2))
	require.Equal(t, `,"items":{"64":"","00":"","02":"02"}}`, items(false, Terminal{}, 0x64, 0, 0, 0, 2, 1, 2), "the wrong profile")
	require.Equal(t, `,"items":{"64":"0102"}}`, items(false, Terminal{YueBiao: true}, 0x64, 0, 0, 0, 2, 1, 2))
	require.Equal(t, `,"items":{"06":"0005"}}`, items(false, Terminal{}, 6, 2, 0, 5), "reserved before 2019")
	require.Equal(t, `}`, items(true, Terminal{}, 6, 2, 0, 5), "it is a climate reading")
	require.Equal(t, `,"items":{"06":"fe00"}}`, items(true, Terminal{}, 6, 2, 0xfe, 0), "no cabin's")
}

func TestCabinTemperature(t *testing.T) {
	for w, want := range map[uint16]int{5: 5, 0xfffb: -5, 0x8005: -5, 0x8012: -18, 0: 0} {
		got, ok := celsius(w)
		require.True(t, ok)
		require.Equal(t, want, got, "%#x", w)
	}
	l, _ := parseLocation(where(noon, 0, 3, 6, 2, 0x80, 0x12))
	rs, _, _ := l.readings(nil, "x", Terminal{}.profile(phone{}), true, false, new(counters))
	require.Len(t, rs, 2)
	c, err := telemetry.As[telemetry.Climate](rs[1])
	require.NoError(t, err)
	require.Equal(t, telemetry.Climate{Probe: "cabin", TemperatureC: telemetry.Some(-18.0), Quality: telemetry.ClimateOK}, c)
	require.Equal(t, rs[0].At, rs[1].At)
}

// Noise between frames, half a frame, other protocols on the port: nothing is lost but what was hit.
func TestResync(t *testing.T) {
	good := unhex(t, vector1)
	for _, c := range []struct {
		name   string
		stream []byte
		n      int
		counts []string
	}{
		{"back to back", slices.Concat(good, good), 2, nil},
		{"one mark between", slices.Concat(good, good[1:]), 2, nil},
		{"marks", slices.Concat([]byte{mark, mark, mark}, good, []byte{mark}), 1, nil},
		{"half a frame", slices.Concat(good[:20], good), 1, []string{"bad_checksum"}},
		{"no end", slices.Concat(good, good[:30]), 1, []string{"cut"}},
		{"text", slices.Concat([]byte("(013912345678,BASE,2,TIME)"), good, []byte("\r\n"), good), 2, []string{"resync", "bad_checksum"}},
		{"escape of nothing", slices.Concat([]byte{mark, escape, 3, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}, good), 1, []string{"bad_escape"}},
		{"escape at the end", slices.Concat(good[:25], []byte{escape}, good), 1, []string{"bad_escape"}},
		{"endless", slices.Concat([]byte{mark}, bytes.Repeat([]byte("x"), 10_000), good), 1, []string{"too_long"}},
		{"wrong length", slices.Concat(withCheck(good, func(b []byte) { b[3]++ }), good), 1, []string{"bad_length"}},
		{"E7 in place of 7E", slices.Concat([]byte{0xe7}, good[1:len(good)-1], []byte{0xe7}, good), 1, []string{"bad_length"}}, // the two E7 cancel out in the check
	} {
		for _, chunk := range []int{1, 7, 1 << 20} {
			rs, counts := decodeChunks(t, c.stream, chunk, Options{})
			n := 0
			for _, r := range rs {
				if r.Kind == telemetry.KindPosition {
					n++
				}
			}
			require.Equal(t, c.n, n, "%s: %v", c.name, counts)
			for _, name := range c.counts {
				require.Positive(t, counts[name], "%s: %s", c.name, name)
			}
			require.EqualValues(t, c.n, counts["frames_ok"], c.name)
		}
	}
}

// withCheck changes the content of a frame and corrects its check.
func withCheck(frame []byte, change func(content []byte)) []byte {
	content, _ := unescape(nil, frame[1:len(frame)-1])
	content = content[:len(content)-1]
	change(content)
	return appendFrame(nil, content)
}

func decodeChunks(t testing.TB, raw []byte, chunk int, opt Options) ([]telemetry.Reading, map[string]uint64) {
	d := newDecoder(opt, nil)
	for b := raw; len(b) > 0; {
		n := min(len(b), chunk)
		d.feed(bytes.Clone(b[:n]))
		b = b[n:]
	}
	d.finish()
	return d.rs, d.counts.snapshot()
}

// SmallChi's finding: the version bit over a header of 2013.
func TestVersionBitOverAnOldHeader(t *testing.T) {
	raw := withCheck(unhex(t, vector1), func(b []byte) { b[2] |= 0x40 })
	h, body := header{}, []byte(nil)
	f := framer{count: new(counters), take: func(content []byte, good bool) counter {
		var why counter
		h, body, why = parseHeader(content[:len(content)-1])
		return why
	}}
	f.feed(raw)
	require.False(t, h.is2019)
	require.Equal(t, "123456789012", h.phone.String())
	require.Len(t, body, 38)
}

func TestLenient(t *testing.T) {
	good := unhex(t, vector1)
	sum := bytes.Clone(good)
	sum[len(sum)-2] ^= 1
	rs, _ := decodeAll(t, sum, Options{})
	require.Empty(t, rs)
	rs, counts := decodeAll(t, sum, Options{LenientChecksum: true})
	require.Len(t, rs, 2)
	require.EqualValues(t, 1, counts["lenient"])
	length := withCheck(good, func(b []byte) { b[3]-- })
	rs, _ = decodeAll(t, length, Options{})
	require.Empty(t, rs)
	rs, _ = decodeAll(t, length, Options{LenientLength: true})
	require.Len(t, rs, 2)

	lenient := func(c *Config) { c.Terminals = map[string]Terminal{"7": {LenientChecksum: true}} }
	bubble(t, lenient, func(t *testing.T, y *yard) {
		for _, number := range []string{"7", "8"} {
			p := y.dial(number, false)
			p.login()
			y.take()
			raw := p.head.appendMessage(nil, locationReport, 9, where(noon, 0, 3))
			raw[len(raw)-2] ^= 0x01
			_, err := p.Write(raw)
			require.NoError(t, err)
			if number == "7" {
				require.Zero(t, p.acked(9, locationReport))
			} else {
				require.Zero(t, p.acked(p.say(heartbeat, nil), heartbeat), "a bad frame has no answer")
			}
		}
		require.EqualValues(t, 1, y.count("positions"))
		require.Len(t, y.driver.LastBad(), 1)
	})
}

func TestEncryptedMessages(t *testing.T) {
	bubble(t, nil, func(t *testing.T, y *yard) {
		p := y.dial("7", false)
		p.login()
		y.take()
		raw := withCheck(p.head.appendMessage(nil, locationReport, 9, where(noon, 0, 3)), func(b []byte) { b[2] |= 4 })
		_, err := p.Write(raw)
		require.NoError(t, err)
		require.EqualValues(t, resultUnsupported, p.acked(9, locationReport))
		require.Empty(t, y.take())
	})
}

func TestPhone(t *testing.T) {
	for in, want := range map[string]string{
		"13912345678": "013912345678", "4EB6FB4AD628": "4eb6fb4ad628", "0000000013912345678": "013912345678",
		"1234567890123": "00000001234567890123", "12345678901234567890": "12345678901234567890",
	} {
		p, ok := parsePhone(in)
		require.True(t, ok)
		require.Equal(t, want, p.String())
		require.True(t, telemetry.ValidID(p.device()))
		back, ok := numberOf(p.device())
		require.True(t, ok)
		require.Equal(t, p, back)
	}
	for _, in := range []string{"", "+86139", "123456789012345678901"} {
		_, ok := parsePhone(in)
		require.False(t, ok)
	}
}

func TestConfig(t *testing.T) {
	good := testConfig(t)
	require.NoError(t, good.Validate())
	hours := 15 * time.Hour
	bad := Config{
		Listen: "808", SecretFile: "secret", Unknown: "maybe", MaxConnections: 1e6, Heartbeat: time.Second, LoginWithin: time.Hour, ReplyWithin: 1,
		Terminals: map[string]Terminal{
			"7": {ID: "a"}, "007": {ID: "b"}, "8": {ID: "a"}, "+9": {}, "10": {ID: "Van"}, "11": {ID: "t000000000012"},
			"13": {UTCOffset: &hours}, "14": {Auth: "never"}, "15": {AckFragments: "some"},
		},
	}
	err := bad.Validate()
	for _, field := range []string{
		"listen:", "secret_file:", "unknown:", "max_connections:", "heartbeat:", "login_within:", "reply_within:",
		"same number", `"8".id: "a" is taken`, `"+9": is no number`, `"10".id`, "of another number", "utc_offset", "auth:", "ack_fragments",
	} {
		require.ErrorContains(t, err, field)
	}
	require.ErrorContains(t, Config{Listen: ":808", SecretFile: "/s"}.Validate(), "terminals:")
	good.Terminals = map[string]Terminal{"7": {ID: "terminals"}}
	_, err = New(good, devices.Env{Name: "terminals"})
	require.ErrorContains(t, err, "id of the driver")
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	made, err := openSecret(filepath.Join(dir, "made"))
	require.NoError(t, err)
	again, err := openSecret(filepath.Join(dir, "made"))
	require.NoError(t, err)
	require.Equal(t, made, again)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing but the secret")
	short := filepath.Join(dir, "short")
	require.NoError(t, os.WriteFile(short, []byte("x\n"), 0o600))
	for _, path := range []string{short, dir, filepath.Join(dir, "no", "folder")} {
		_, err := openSecret(path)
		require.ErrorContains(t, err, "secret:")
		require.NotErrorIs(t, err, devices.ErrPermanent)
	}
}

// AuthNone: a terminal that never authenticates is taken by its first message.
func TestAuthNoneAndAny(t *testing.T) {
	profiles := func(c *Config) { c.Terminals = map[string]Terminal{"7": {Auth: AuthNone}, "8": {Auth: AuthAny}} }
	bubble(t, profiles, func(t *testing.T, y *yard) {
		p := y.dial("7", false)
		require.Zero(t, p.acked(p.say(locationReport, where(noon, 0, 3)), locationReport))
		require.Len(t, y.take(), 1)
		p = y.dial("8", true)
		p.auth([]byte("8300200260432"))
		p.head.phone = phone{9: 9}
		require.EqualValues(t, resultFailed, p.acked(p.say(heartbeat, nil), heartbeat), "one terminal a connection")
	})
}

func TestTimeRequest(t *testing.T) {
	bubble(t, nil, func(t *testing.T, y *yard) {
		p := y.dial("7", true)
		p.login()
		require.EqualValues(t, resultUnsupported, p.acked(p.say(timeRequest, nil), timeRequest), "the bubble's clock was never set")
	})
	require.Equal(t, []byte{0x26, 0x11, 0x20, 0x04, 0, 0}, bcdTime(noon))
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("line broken") }

func TestDecodeTellsErrors(t *testing.T) {
	_, err := Decode(brokenReader{}, Options{}, nil, nil)
	require.ErrorContains(t, err, "line broken")
	_, err = Decode(bytes.NewReader(unhex(t, vector1)), Options{}, func(telemetry.Reading) error { return io.ErrShortWrite }, nil)
	require.ErrorIs(t, err, io.ErrShortWrite)
	var bad []string
	_, err = Decode(bytes.NewReader(append([]byte("noise~"), unhex(t, vector1)...)), Options{Device: "van"}, func(r telemetry.Reading) error {
		require.Equal(t, "van", r.Device)
		return nil
	}, func(offset int64, raw []byte, reason string) {
		require.Zero(t, offset)
		bad = append(bad, string(raw)+" "+reason)
	})
	require.NoError(t, err)
	require.Equal(t, []string{"noise resync"}, bad)
}

// The transcript's bytes as a capture: the same readings as the driver's.
func TestGolden(t *testing.T) {
	s := devicestest.Load(t, "testdata/live.txt")
	rs, _ := decodeAll(t, s.FromDevice(), Options{Device: "v03-term"})
	var got []byte
	for _, r := range rs {
		got = append(r.AppendJSON(got), '\n')
	}
	const file = "testdata/live.golden"
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

// quiet is a connection of nothing.
type quiet struct{ net.Conn }

func (quiet) Write(b []byte) (int, error)      { return len(b), nil }
func (quiet) Close() error                     { return nil }
func (quiet) SetWriteDeadline(time.Time) error { return nil }

// loggedIn makes a connection whose terminal is logged in, without a wire.
func loggedIn(t testing.TB, is2019 bool) *conn {
	d, err := New(Config{Listen: ":0", SecretFile: "/nowhere", Unknown: Accept}, devices.Env{Name: "terminals"})
	require.NoError(t, err)
	c := &conn{server: &server{Driver: d, secret: []byte(testSecret)}, Conn: quiet{}, done: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(t.Context())
	c.emit = func(_ context.Context, rs ...telemetry.Reading) error {
		for _, r := range rs {
			require.NoError(t, r.Validate(), "%s", r.AppendJSON(nil))
		}
		return nil
	}
	c.framer = framer{take: c.frame, count: &d.count}
	h := header{phone: phone{9: 7}, is2019: is2019, revision: 1}
	require.True(t, c.login(&h, d.profile(h.phone)))
	return c
}

func FuzzDecode(f *testing.F) {
	for _, v := range []string{vector1, vector2, vector3, vector5, vector7} {
		f.Add(unhex(f, v), uint8(9))
	}
	f.Add(slices.Concat(unhex(f, vector1)[:20], unhex(f, vector5)), uint8(1))
	f.Add([]byte("~(013912345678,BASE,2,TIME)~}}~"), uint8(3))
	f.Fuzz(func(t *testing.T, raw []byte, chunk uint8) {
		whole, counts := decodeChunks(t, raw, max(1, len(raw)), Options{})
		for _, r := range whole {
			require.NoError(t, r.Validate(), "%s", r.AppendJSON(nil))
		}
		cut, cutCounts := decodeChunks(t, raw, 1+int(chunk), Options{})
		require.Equal(t, counts, cutCounts)
		require.Equal(t, len(whole), len(cut))
		for i := range whole {
			require.Equal(t, whole[i], cut[i])
		}
		lax, _ := decodeChunks(t, raw, max(1, len(raw)), Options{LenientChecksum: true, LenientLength: true, YueBiao: true, GCJ02: true})
		for _, r := range lax {
			require.NoError(t, r.Validate(), "%s", r.AppendJSON(nil))
		}
	})
}

// FuzzMessage hands any body under any id to a terminal that is logged in: every message but 0x0001 and broken
// frames has an answer, and what is emitted is valid.
func FuzzMessage(f *testing.F) {
	f.Add(uint16(locationReport), false, where(noon, 1, 3, 1, 4, 0, 0, 0, 9))
	f.Add(uint16(locationBatch), false, batch(1, where(noon, 1, 3), where(noon, 1, 3)))
	f.Add(uint16(locationReply), true, append([]byte{0, 1}, where(noon, 1, 3, 6, 2, 0x80, 5)...))
	f.Add(uint16(paramsReply), false, append([]byte{0, 1}, appendParams(nil, []param{{1, []byte{0, 0, 0, 60}}, {0x83, []byte{0xb4, 0xa8}}})...))
	f.Add(uint16(registerRequest), true, make([]byte, 80))
	f.Add(uint16(registerRequest), false, make([]byte, 37))
	f.Add(uint16(authRequest), true, make([]byte, 40))
	f.Add(uint16(terminalAck), false, make([]byte, 5))
	f.Fuzz(func(t *testing.T, id uint16, is2019 bool, body []byte) {
		if len(body) > maxBody {
			body = body[:maxBody]
		}
		c := loggedIn(t, is2019)
		defer c.cancel()
		c.framer.feed(c.head.appendMessage(nil, id, 5, body))
		if id != terminalAck {
			require.NotEmpty(t, c.out)
		}
		require.NoError(t, c.settle())
	})
}

// FuzzFragments puts fragments together in any order and doubling.
func FuzzFragments(f *testing.F) {
	f.Add([]byte{2, 1, 2, 2, 2, 1})
	f.Add([]byte{0, 0, 255, 1, 3, 3, 3, 1, 3, 2})
	f.Fuzz(func(t *testing.T, plan []byte) {
		c := loggedIn(t, false)
		defer c.cancel()
		for i := 0; i+1 < len(plan); i += 2 {
			h := header{id: locationBatch, phone: c.head.phone, total: uint16(plan[i]), number: uint16(plan[i+1]), serial: uint16(plan[i+1])}
			c.fragment(&h, plan)
			require.LessOrEqual(t, len(c.terminal.parts.open), maxOpen)
			require.NoError(t, c.settle())
		}
		c.terminal.parts.clear()
		require.Zero(t, c.server.Driver.open.Load())
	})
}

// Garbage in any mix with good frames, at any cut, on the live path.
func TestNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	stream := unhex(t, vector1+vector5+vector7+vector2)
	for range 200 {
		c := loggedIn(t, false)
		noisy := bytes.Clone(stream)
		for range rng.IntN(20) {
			noisy[rng.IntN(len(noisy))] = byte(rng.Uint32())
		}
		for len(noisy) > 0 {
			n := 1 + rng.IntN(len(noisy))
			c.framer.feed(noisy[:n])
			require.NoError(t, c.settle())
			noisy = noisy[n:]
		}
		c.cancel()
	}
}
