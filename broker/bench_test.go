package broker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"yizhan/broker/frame"
)

// fileLog makes entries durable in groups, as a spool does.
type fileLog struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	dones []func(error)
	kick  chan struct{}
	file  *os.File
}

func (l *fileLog) Append(es []frame.Entry, done func(error)) error {
	l.mu.Lock()
	for i := range es {
		l.buf.Write(es[i].Payload)
	}
	l.dones = append(l.dones, done)
	l.mu.Unlock()
	signal(l.kick)
	return nil
}

func (l *fileLog) Flush() {}

func (l *fileLog) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.kick:
		}
		l.mu.Lock()
		b, dones := bytes.Clone(l.buf.Bytes()), l.dones
		l.buf.Reset()
		l.dones = nil
		l.mu.Unlock()
		_, err := l.file.Write(b)
		if err == nil {
			err = unix.Fdatasync(int(l.file.Fd()))
		}
		for _, d := range dones {
			d(err)
		}
	}
}

// countingHook is all that the bare broker does with a publish.
type countingHook struct {
	mqtt.HookBase
	n atomic.Int64
}

func (h *countingHook) Provides(b byte) bool {
	return b == mqtt.OnPublish || b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}
func (h *countingHook) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }
func (h *countingHook) OnACLCheck(*mqtt.Client, string, bool) bool              { return true }
func (h *countingHook) OnPublish(_ *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	h.n.Add(1)
	return pk, nil
}

// pump publishes count readings at QoS 1 with a window of 128 and returns when all are acknowledged.
func pump(b *testing.B, c net.Conn, r *bufio.Reader, from *int, count int) {
	var out []byte
	flying := 0
	ack := make([]byte, 4)
	for sent, acked := 0, 0; acked < count; {
		out = out[:0]
		for ; flying < 128 && sent < count; sent++ {
			*from++
			out = append(out, publishPacket(false, uint16(*from%60000+1), 1, "dev/lk1/scan", scan(*from))...)
			flying++
		}
		if _, err := c.Write(out); err != nil {
			b.Error(err)
			return
		}
		for n := max(1, r.Buffered()/4); n > 0 && acked < count; n-- {
			if _, err := io.ReadFull(r, ack); err != nil || binary.BigEndian.Uint16(ack) != 0x4002 {
				b.Errorf("%x %v", ack, err)
				return
			}
			acked++
			flying--
		}
	}
}

// BenchmarkDurableAcks shows publishes a second of one client that are durable and acknowledged, and their ratio to
// bare mochi with a hook that counts: the median of pairs taken in turn.
func BenchmarkDurableAcks(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	require.NoError(b, err)
	defer f.Close()
	log := &fileLog{file: f, kick: make(chan struct{}, 1)}
	run(b, log.Run)
	e := startEdge(b, log, Limits{})

	nl, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	bare := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(b, bare.AddHook(&countingHook{}, nil))
	require.NoError(b, bare.AddListener(listeners.NewNet("bare", nl)))
	require.NoError(b, bare.Serve())
	defer bare.Close()

	ours := login(b, e, "lk1")
	other := dialRaw(b, nl.Addr())
	require.Zero(b, other.connect(options{id: "x"}))
	_ = ours.c.SetReadDeadline(time.Time{})
	_ = other.c.SetReadDeadline(time.Time{})
	var ratios, rates []float64
	n, m := 0, 0
	const slice = 5000
	for b.Loop() {
		start := time.Now()
		pump(b, other.c, other.r, &m, slice)
		mid := time.Now()
		pump(b, ours.c, ours.r, &n, slice)
		end := time.Now()
		rates = append(rates, slice/end.Sub(mid).Seconds())
		ratios = append(ratios, mid.Sub(start).Seconds()/end.Sub(mid).Seconds())
	}
	slices.Sort(ratios)
	slices.Sort(rates)
	b.ReportMetric(rates[len(rates)/2], "acks/s")
	b.ReportMetric(ratios[len(ratios)/2], "of-bare")
	require.EqualValues(b, n, e.Counters()["readings"])
}
