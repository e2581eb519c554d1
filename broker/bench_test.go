package broker

import (
	"strconv"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// nullLog says at once that everything is durable. How long a real one takes, gateway/bench-gateway measures.
type nullLog struct{}

func (nullLog) Append(_ []frame.Entry, done func(error)) error {
	done(nil)
	return nil
}

func (nullLog) Flush() {}

// driven returns an Edge and a function that emits n batches of readings, as a driver does.
func driven(t testing.TB, batch int) func(n int) {
	e, err := NewEdge(EdgeConfig{Listen: []string{"127.0.0.1:0"}, Users: testUsers(t), Log: nullLog{}})
	require.NoError(t, err)
	t.Cleanup(e.Close)
	rs := make([]telemetry.Reading, batch)
	body := telemetry.Scan{Symbology: "code128", Text: "YZ1300000000000"}.AppendJSON(nil)
	serial := 0
	return func(n int) {
		for range n {
			for k := range rs {
				serial++
				rs[k] = telemetry.Reading{Device: "dock", Kind: telemetry.KindScan, TQ: telemetry.Unknown, N: strconv.Itoa(serial), Body: body}
			}
			if err := e.Accept(t.Context(), rs...); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// published returns a function that takes n publishes of a LAN device, as mochi hands them over.
func published(t testing.TB) func(n int) {
	e, err := NewEdge(EdgeConfig{Listen: []string{"127.0.0.1:0"}, Users: testUsers(t), Log: nullLog{}})
	require.NoError(t, err)
	t.Cleanup(e.Close)
	c := &conn{guard: e.listeners[0], acks: newAcks(), user: &user{name: "lk1", role: Device}, ctx: t.Context()}
	serial := 0
	var buf []byte
	return func(n int) {
		for range n {
			serial++
			pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, PacketID: uint16(serial), TopicName: "dev/lk1/scan", Payload: []byte(scan(serial))}
			e.publish(c, &pk)
			if buf = c.acks.take(buf[:0]); len(buf) != 4 {
				t.Fatal("not acknowledged")
			}
		}
	}
}

// A reading costs few allocations, however it comes: on a small board the collector is the price of each.
func TestAllocationsOfAReading(t *testing.T) {
	accept := driven(t, 100)
	accept(100) // the window is full
	require.LessOrEqual(t, testing.AllocsPerRun(20, func() { accept(1) })/100, 4.3)
	publish := published(t)
	publish(5000)
	require.LessOrEqual(t, testing.AllocsPerRun(2000, func() { publish(1) }), 14.0)
}

func BenchmarkAccept100(b *testing.B) {
	accept := driven(b, 100)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		accept(1)
		n += 100
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/reading")
}

func BenchmarkPublish(b *testing.B) {
	publish := published(b)
	b.ReportAllocs()
	for b.Loop() {
		publish(1)
	}
}
