package gnss

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/devicestest"
	"yizhan/devices/port"
)

// version is MON-VER of a receiver with these texts.
func version(extensions ...string) []byte {
	text := func(s string, n int) []byte { return append([]byte(s), make([]byte, n-len(s))...) }
	p := append(text("EXT CORE 1.00 (000000)", 30), text("00190000", 10)...)
	for _, e := range extensions {
		p = append(p, text(e, 30)...)
	}
	return p
}

func TestProtocolVersion(t *testing.T) {
	tests := []struct {
		name    string
		payload []byte
		want    float64
		ok      bool
	}{
		{"M10", version("ROM SPG 5.10", "FWVER=SPG 5.10", "PROTVER=34.10", "GPS;GLO;GAL;BDS"), 34.1, true},
		{"M8", version("ROM BASE 2.01", "FWVER=SPG 3.01", "PROTVER=18.00", "MOD=NEO-M8N-0"), 18, true},
		{"7", version("PROTVER 14.00"), 14, true},
		{"6", version(), 0, true},
		{"no number", version("PROTVER=new"), 0, false},
		{"cut", version()[:39], 0, false},
		{"empty", nil, 0, false},
	}
	for _, tt := range tests {
		v, ok := protocol(tt.payload)
		require.Equal(t, tt.ok, ok, tt.name)
		require.InDelta(t, tt.want, v, 1e-9, tt.name)
	}
}

// A chip answers questions as its firmware does.
type chip struct {
	version []byte               // nil: it doesn't know UBX
	refuses map[string]bool      // payloads in hex that it answers with ACK-NAK
	deaf    map[string]int       // payloads that it doesn't hear so many times
	heard   []string             // all that was asked: class, id, payload
	quiet   func() (silent bool) // nil: never
}

func (c *chip) answer(class, id byte, payload []byte) []byte {
	text := hex.EncodeToString(payload)
	c.heard = append(c.heard, fmt.Sprintf("%02x-%02x %s", class, id, text))
	switch {
	case c.version == nil || c.deaf[text] > 0:
		c.deaf[text]--
		return nil
	case class == classMON && id == monVER:
		return appendUBX(nil, classMON, monVER, c.version...)
	case c.refuses[text]:
		return appendUBX(nil, classACK, ackNAK, class, id)
	}
	return appendUBX(nil, classACK, ackACK, class, id)
}

// play is a receiver with a chip: it tells positions at 1 Hz.
func (c *chip) play(ctx context.Context, conn devicestest.Conn) {
	var count counters
	asked := newDecoder(Options{}, &count, nil)
	asked.framer.message = func(class, id byte, payload []byte) error {
		if a := c.answer(class, id, payload); a != nil {
			_, _ = conn.Write(a)
		}
		return nil
	}
	at := pvtTime
	buf := make([]byte, 256)
	next := time.Now()
	for ctx.Err() == nil {
		_ = conn.SetReadDeadline(next)
		n, err := conn.Read(buf)
		asked.feed(buf[:n])
		switch {
		case err == nil:
		case os.IsTimeout(err):
			if c.quiet == nil || !c.quiet() {
				_, err = conn.Write([]byte(ggaAt(at.Format("150405.00")) + rmcAt(at.Format("150405.00"), at.Format("020106"))))
			}
			at, next = at.Add(time.Second), next.Add(time.Second)
			if err != nil && !os.IsTimeout(err) {
				return
			}
		default:
			return
		}
	}
}

func setUpFor(t *testing.T, c *chip, config Config, d time.Duration) map[string]uint64 {
	var counters map[string]uint64
	synctest.Test(t, func(t *testing.T) {
		config.Port = "serial:/dev/ttyACM0"
		l := run(t, config)
		ctx, stop := context.WithCancel(t.Context())
		go c.play(ctx, l.End)
		time.Sleep(d)
		stop()
		l.stop()
		<-l.done
		l.Close()
		require.NotEmpty(t, l.readings)
		counters = l.driver.(devices.Counting).Counters()
	})
	return counters
}

var (
	m10 = version("FWVER=SPG 5.10", "PROTVER=34.10")
	m8  = version("FWVER=SPG 3.01", "PROTVER=18.00")
)

func TestSetUp(t *testing.T) {
	const askVersion = "0a-04 "
	tests := []struct {
		name   string
		config Config
		chip   chip
		want   []string
		counts [3]uint64 // set_up, refused, unanswered
	}{
		{"nothing asked for, nothing said", Config{}, chip{version: m10}, nil, [3]uint64{}},
		{
			"M10, UBX at 5 Hz, no USB on the chip", Config{Messages: "ubx", Every: 200 * time.Millisecond},
			chip{version: m10, refuses: map[string]bool{"0001000001007810010900912001" + "0200781000": true}},
			[]string{
				askVersion, "06-8a 00010000" + "0100741001" + "0700912001" + "0200741000",
				"06-8a 00010000" + "0100781001" + "0900912001" + "0200781000", "06-8a 00010000" + "01002130c800" + "020021300100",
			},
			[3]uint64{2, 1, 0},
		},
		{
			"M8, UBX", Config{Messages: "ubx", Every: time.Second}, chip{version: m8},
			[]string{
				askVersion, "06-08 e80301000100", "06-01 010701", "06-01 f00000", "06-01 f00100", "06-01 f00200", "06-01 f00300",
				"06-01 f00400", "06-01 f00500", "06-01 f00800", "06-01 f00d00",
			},
			[3]uint64{10, 0, 0},
		},
		{
			"M8, NMEA", Config{Messages: "nmea"}, chip{version: m8},
			[]string{
				askVersion, "06-01 f00401", "06-01 f00001", "06-01 f00201", "06-01 f00501", "06-01 f00300", "06-01 f00100", "06-01 010700",
			},
			[3]uint64{7, 0, 0},
		},
		{
			"6, which has no NAV-PVT, keeps its sentences", Config{Messages: "ubx"},
			chip{version: version(), refuses: map[string]bool{"010701": true}},
			[]string{askVersion, "06-01 010701"}, [3]uint64{0, 1, 0},
		},
		{
			"it doesn't hear at first", Config{Every: time.Second}, chip{version: m8, deaf: map[string]int{"": 2, "e80301000100": 1}},
			[]string{askVersion, askVersion, askVersion, "06-08 e80301000100", "06-08 e80301000100"}, [3]uint64{1, 0, 0},
		},
		{
			"another make is left as it is", Config{Every: time.Second, Messages: "ubx"}, chip{},
			[]string{askVersion, askVersion, askVersion}, [3]uint64{0, 0, 1},
		},
		{
			"it stops answering", Config{Messages: "nmea"}, chip{version: m8, deaf: map[string]int{"f00401": 3}},
			[]string{askVersion, "06-01 f00401", "06-01 f00401", "06-01 f00401"}, [3]uint64{0, 0, 1},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.chip.deaf == nil {
				tt.chip.deaf = map[string]int{}
			}
			counters := setUpFor(t, &tt.chip, tt.config, 20*time.Second)
			require.Equal(t, tt.want, tt.chip.heard)
			require.Equal(t, tt.counts, [3]uint64{counters["set_up"], counters["set_up_refused"], counters["set_up_unanswered"]})
		})
	}
}

// A receiver that was silent may have lost power, and with it what it was told.
func TestSetUpAfterSilence(t *testing.T) {
	began := time.Time{}
	c := chip{version: m8, deaf: map[string]int{}}
	c.quiet = func() bool {
		if began.IsZero() {
			began = time.Now()
		}
		s := time.Since(began)
		return s > 5*time.Second && s < 15*time.Second
	}
	counters := setUpFor(t, &c, Config{Every: time.Second}, 30*time.Second)
	require.Equal(t, []string{"0a-04 ", "06-08 e80301000100", "0a-04 ", "06-08 e80301000100"}, c.heard)
	require.EqualValues(t, 2, counters["set_up"])
}

// Answers that fit no question, and any bytes at all, confuse nothing.
func TestSetUpHearsForeignAnswers(t *testing.T) {
	var count counters
	now := time.Unix(0, 0)
	s := newSetup(Config{Every: time.Second, Messages: sendUBX}, &count)
	s.hear(classACK, ackACK, []byte{classCFG, cfgMSG})
	s.begin(now)
	require.NotNil(t, s.next(now))
	require.Nil(t, s.next(now), "one question at a time")
	s.hear(classACK, ackNAK, []byte{classCFG, cfgRATE})
	s.hear(classMON, monVER, nil)
	require.Len(t, s.steps, 1)
	s.hear(classMON, monVER, m8)
	s.hear(classMON, monVER, m8)
	require.NotNil(t, s.next(now))
	s.hear(classACK, ackACK, []byte{classCFG, cfgMSG})
	s.hear(classACK, ackACK, []byte{classCFG})
	require.EqualValues(t, 0, count[setUp].Load())
	s.hear(classACK, ackACK, []byte{classCFG, cfgRATE})
	require.EqualValues(t, 1, count[setUp].Load())
}

func TestUBXContract(t *testing.T) {
	driver := func(open port.Opener) devices.Driver {
		c := Config{Port: "serial:/dev/ttyACM0", Messages: sendUBX, Every: 200 * time.Millisecond}
		d, err := New(c, devices.Env{Name: "gps", Log: slog.New(slog.DiscardHandler), Open: open})
		require.NoError(t, err)
		return d
	}
	firmware := func(ctx context.Context, conn devicestest.Conn) {
		c := chip{version: m10, deaf: map[string]int{}}
		c.play(ctx, conn)
	}
	devicestest.Contract(t, driver, firmware)
	devicestest.OnPTY(t, driver, firmware)
}

// A whole conversation, byte by byte: set up, then positions at 5 Hz, of which one loses its end.
func TestUBXTranscript(t *testing.T) {
	script := devicestest.Load(t, "testdata/ubx.txt")
	synctest.Test(t, func(t *testing.T) {
		l := run(t, Config{Port: "serial:/dev/ttyACM0", Messages: sendUBX, Every: 200 * time.Millisecond})
		played := make(chan error, 1)
		go func() { played <- script.Play(t.Context(), l.End) }()
		time.Sleep(4 * time.Second)
		l.stop()
		<-l.done
		require.NoError(t, <-played)
		require.Len(t, l.readings, 1+9)
		for i := range 10 {
			r, p := l.next(t)
			require.True(t, p.Valid)
			if i > 0 {
				require.Equal(t, pvtTime.Add(time.Duration([]int{0, 1, 2, 3, 5, 6, 7, 8, 9}[i-1])*200*time.Millisecond), r.At)
			}
		}
		counters := l.driver.(devices.Counting).Counters()
		require.EqualValues(t, 2, counters["set_up"])
		require.EqualValues(t, 1, counters["set_up_refused"])
		require.EqualValues(t, 1, counters["bad_checksum"])
		require.Zero(t, counters["timeouts"])
	})
}

func TestSetUpConfig(t *testing.T) {
	serial := "serial:/dev/ttyACM0"
	require.NoError(t, Config{Port: serial, Messages: "nmea", Every: time.Second, Protocol: "receiver"}.Validate())
	require.NoError(t, Config{Port: "tcp:127.0.0.1:2947", Protocol: "gpsd", GPSDDevice: "/dev/ttyACM0"}.Validate())
	for want, c := range map[string]Config{
		"protocol:":    {Port: serial, Protocol: "ubx"},
		"port: gpsd":   {Port: serial, Protocol: "gpsd"},
		"gpsd_device:": {Port: serial, GPSDDevice: "/dev/ttyACM0"},
		"gpsd's":       {Port: "tcp:127.0.0.1:2947", Protocol: "gpsd", Every: time.Second},
		"every:":       {Port: serial, Every: time.Millisecond},
		"stale_after:": {Port: serial, Every: 10 * time.Second},
		"messages:":    {Port: serial, Messages: "rtcm"},
	} {
		require.ErrorContains(t, c.Validate(), want)
	}
}
