package firmware

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/jt808"
	"yizhan/devices/telemetry"
)

func spelled(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

func TestTerminalFrames(t *testing.T) {
	old := &Terminal{Phone: "40021679287"}
	require.Equal(t, spelled(t, "7E000200000400216792 87002B7D027E"), old.pack(jtBeat, 43, 0, 0, nil))
	late := &Terminal{Phone: "12345678901234567890", Version: 2019}
	require.Equal(t, spelled(t, "7e000240000112345678901234567890ffff437e"), late.pack(jtBeat, 65535, 0, 0, nil))
	acks := &Terminal{Phone: "12345678900"}
	require.Equal(t, spelled(t, "7E0001000501234567890004B303E8000200D37E"), acks.pack(jtAck, 1203, 0, 0, []byte{3, 0xe8, 0, 2, 0}))

	o, err := unpack(bufio.NewReader(bytes.NewReader(spelled(t, "7E800100050020026043230009 00EE 0200 00 43 7E"))), false)
	require.NoError(t, err)
	require.Equal(t, order{0x8001, 9, []byte{0, 0xee, 2, 0, 0}}, o)
	o, err = unpack(bufio.NewReader(bytes.NewReader(spelled(t, "7E810040170100000000000223456789000000 00 00 6E75676D515256 3461786C4C476A6A6F6E413D3D137E"))), true)
	require.NoError(t, err)
	require.Equal(t, "nugmQRV4axlLGjjonA==", string(o.body[3:]))
	_, err = unpack(bufio.NewReader(strings.NewReader("~noise~")), true)
	require.ErrorIs(t, err, errFrame)
}

func TestTerminalRegistrations(t *testing.T) {
	plate := spelled(t, "D4C14131323334 35") // 粤A12345
	for version, before := range map[int]int{2011: 25, 2013: 37, 2019: 76} {
		term := &Terminal{Phone: "13912345678", Version: version, Plate: "粤A12345"}
		b := term.registration()
		require.Len(t, b, before+len(plate), version)
		require.Equal(t, plate, b[before:])
	}
}

func TestTerminalReport(t *testing.T) {
	term := &Terminal{Phone: "123456789012"}
	at := time.Date(2018, 10, 15, 10, 10, 10, 0, time.FixedZone("", 8*3600))
	b := term.report(sample{at: at, alarm: 1, fix: Fix{Lat: 12.222222, Lon: 132.444444, AltitudeM: 40, SpeedMPS: 6 / 3.6}, driven: 10_000})
	require.Equal(t, spelled(t, "00000001")[:4], b[:4])
	require.Equal(t, spelled(t, "00BA7F0E07E4F11C0028003C0000181015101010010400000064"), b[8:34])
}

// exchange is the listener of a driver, in memory.
type exchange struct {
	conns chan net.Conn
	gone  chan struct{}
	once  sync.Once
}

func (x *exchange) Accept() (net.Conn, error) {
	select {
	case c := <-x.conns:
		return c, nil
	case <-x.gone:
		return nil, net.ErrClosed
	}
}

func (x *exchange) Close() error {
	x.once.Do(func() { close(x.gone) })
	return nil
}

func (x *exchange) Addr() net.Addr { return &net.TCPAddr{} }

func (x *exchange) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case x.conns <- theirs:
		return ours, nil
	case <-x.gone:
		return nil, io.ErrClosedPipe
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// platform is the gateway's driver, and what it kept.
type platform struct {
	*jt808.Driver
	*exchange
	mu   sync.Mutex
	kept map[string][]telemetry.Reading
}

func (p *platform) emit(ctx context.Context, rs ...telemetry.Reading) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range rs {
		if err := r.Validate(); err != nil {
			return err
		}
		p.kept[r.Device] = append(p.kept[r.Device], r)
	}
	return ctx.Err()
}

// positions returns a device's positions by time.
func (p *platform) positions(t *testing.T, device string) map[time.Time]telemetry.Position {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := map[time.Time]telemetry.Position{}
	for _, r := range p.kept[device] {
		if r.Kind == telemetry.KindPosition {
			pos, err := telemetry.As[telemetry.Position](r)
			require.NoError(t, err)
			m[r.At] = pos
		}
	}
	return m
}

func newPlatform(t *testing.T, dir string, terminals map[string]jt808.Terminal) *platform {
	p := &platform{exchange: &exchange{conns: make(chan net.Conn), gone: make(chan struct{})}, kept: map[string][]telemetry.Reading{}}
	var err error
	p.Driver, err = jt808.New(jt808.Config{
		Listen: "127.0.0.1:0", SecretFile: filepath.Join(dir, "secret"), Unknown: jt808.Accept, Terminals: terminals,
	}, devices.Env{Name: "terminals", Log: slog.New(slog.DiscardHandler), Listen: func(context.Context, string, string) (net.Listener, error) {
		return p.exchange, nil
	}})
	require.NoError(t, err)
	return p
}

// Every kind of terminal and fault for half an hour, with a tunnel: what a terminal may forget the gateway has, at the
// right time and place, once the profile says what is wrong with it.
func TestTerminalsOnTheDriver(t *testing.T) {
	terminals := []*Terminal{
		{Phone: "13900000001", Version: 2011, Plate: "川A00001"},
		{Phone: "13900000002", Version: 2013, Plate: "川A00002"},
		{Phone: "13900000003", Version: 2019, Plate: "川A00003", Cabin: func(time.Time) float64 { return -18 }},
		{Phone: "13900000004", Faults: TerminalFaults{Noise: 0.3, Cut: 0.1}},
		{Phone: "13900000005", Version: 2019, Batch: 100, Faults: TerminalFaults{LoseFirst: true}},
		{Phone: "13900000006", Faults: TerminalFaults{WrongCheck: true}},
		{Phone: "13900000007", Faults: TerminalFaults{GCJ02: true}},
	}
	profiles := map[string]jt808.Terminal{"13900000006": {LenientChecksum: true}, "13900000007": {GCJ02: true}}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)))
		p := newPlatform(t, dir, profiles)
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _ = p.Run(ctx, p.emit) })
		began := time.Now()
		where := func(now time.Time) Fix {
			return Fix{Lat: 30.65 + now.Sub(began).Seconds()*1e-4, Lon: 103.21, AltitudeM: 610, SpeedMPS: 11.1, HeadingDeg: 0, Satellites: 12}
		}
		for _, term := range terminals {
			term.Where, term.Dial = where, p.dial
			all.Go(func() { _ = term.Run(ctx) })
		}
		time.Sleep(5 * time.Minute)
		for _, term := range terminals {
			term.Raise(1, true)
			term.Tunnel(true)
		}
		time.Sleep(18 * time.Minute)
		for _, term := range terminals {
			term.Tunnel(false)
		}
		time.Sleep(7*time.Minute + 5*time.Second)
		for i, term := range terminals {
			device := fmt.Sprintf("t01390000000%d", i+1)
			safe, got := term.Safe(), p.positions(t, device)
			require.GreaterOrEqual(t, len(safe), 160, "%s %v", device, p.Counters())
			require.LessOrEqual(t, term.Kept(), 20, device)
			for _, at := range safe {
				pos, ok := got[at.UTC()]
				require.True(t, ok, "%s lost %v", device, at)
				want := where(at)
				require.Less(t, math.Hypot(want.Lat-pos.Lat.Or(0), want.Lon-pos.Lon.Or(0)), 2e-6, device)
				require.InDelta(t, want.SpeedMPS, pos.SpeedMPS.Or(0), 0.02)
			}
			require.Len(t, alarmsOf(p.kept[device]), 1, "%s: SOS once", device)
		}
		require.NotEmpty(t, climateOf(p.kept["t013900000003"]))
		require.Positive(t, p.Counters()["fragments"])
		require.Positive(t, p.Counters()["fragments_asked"])
		require.Positive(t, p.Counters()["resync"]+p.Counters()["bad_checksum"])
		stop()
		all.Wait()
	})
	info, err := os.Stat(filepath.Join(dir, "secret"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func alarmsOf(rs []telemetry.Reading) (out []telemetry.Reading) {
	for _, r := range rs {
		if r.Kind == telemetry.KindAlarm {
			out = append(out, r)
		}
	}
	return out
}

func climateOf(rs []telemetry.Reading) (out []telemetry.Reading) {
	for _, r := range rs {
		if r.Kind == telemetry.KindClimate && strings.Contains(string(r.Body), `"temperature_c":-18`) {
			out = append(out, r)
		}
	}
	return out
}

// What the platform orders is done.
func TestTerminalObeysTheDriver(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []int{2011, 2013, 2019} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlatform(t, dir, nil)
			term := &Terminal{Phone: "13900000001", Version: version, Plate: "川A00001", Dial: p.dial, Where: func(time.Time) Fix { return Fix{Lat: 30, Lon: 103} }}
			ctx, stop := context.WithCancel(t.Context())
			var all sync.WaitGroup
			all.Go(func() { _ = p.Run(ctx, p.emit) })
			all.Go(func() { _ = term.Run(ctx) })
			time.Sleep(time.Second)
			order := func(action string, args map[string]string) telemetry.Result {
				return p.Command(ctx, telemetry.CommandTo{ID: "c", Device: "t013900000001", Action: action, Args: args})
			}
			done := func(detail string) telemetry.Result {
				return telemetry.Result{Command: "c", Outcome: telemetry.Done, Detail: detail}
			}
			require.Equal(t, done("acknowledged"), order("text", map[string]string{"text": "三号车请回仓"}))
			require.Equal(t, []string{"三号车请回仓"}, term.Texts())
			require.Equal(t, done("acknowledged"), order("set_params", map[string]string{"interval_s": "2", "plate": "川B"}))
			require.Equal(t, 2*time.Second, term.every())
			require.Equal(t, done("read"), order("query_params", nil))
			require.Equal(t, done("located"), order("locate", nil))
			require.Equal(t, done("acknowledged"), order("track", map[string]string{"interval_s": "2", "duration_s": "60"}))
			require.Equal(t, done("acknowledged"), order("reset", nil))
			time.Sleep(time.Minute)
			require.Equal(t, done("located"), order("locate", nil), "back after the reset, with the code it had")
			require.EqualValues(t, 1, p.Counters()["registers"])
			stop()
			all.Wait()
		})
	}
}

// FuzzTerminal lets a platform say anything.
func FuzzTerminal(f *testing.F) {
	f.Add(uint16(0x8001), []byte{0, 0, 2, 0, 0})
	f.Add(uint16(0x8003), []byte{0, 0, 1, 0, 1})
	f.Add(uint16(0x8103), []byte{1, 0, 0, 0, 0x29, 4, 0, 0, 0, 9})
	f.Add(uint16(0x8300), []byte{1, 0xb4, 0xa8})
	f.Fuzz(func(t *testing.T, id uint16, body []byte) {
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		defer ours.Close()
		term := &Terminal{Phone: "1", Where: func(time.Time) Fix { return Fix{} }}
		c := &call{Terminal: term, conn: ours}
		term.kept = []sample{{}, {}}
		require.NoError(t, c.next())
		_ = c.obey(order{id, 1, body})
	})
}
