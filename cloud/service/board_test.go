package service_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/cloud/service"
	"yizhan/devices/telemetry"
)

// town is a cloud with the demo county, and what boards need to reach it.
type town struct {
	*testing.T
	dir  string
	cfg  service.Config
	svc  *service.Service
	stop func()
}

func tool(t *testing.T, args ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, service.Tool(args, &out))
	return out.Bytes()
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{T: t, dir: t.TempDir()}
	ca := filepath.Join(w.dir, "ca")
	tool(t, "ca", "init", ca)
	tool(t, "ca", "server", ca, "127.0.0.1")
	file := filepath.Join(w.dir, "cloud.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`
listen: "127.0.0.1:0"
token_file: `+w.dir+`/token
mqtt: {listen: "127.0.0.1:0", ca: `+ca+`/ca.crt, cert: `+ca+`/server.crt, key: `+ca+`/server.key}
state: "sqlite:`+w.dir+`/state.db"
county: ../../configs/county
demo: true
speed: 12
`), 0o600))
	var err error
	w.cfg, err = service.Load(file)
	require.NoError(t, err)
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

// start runs the cloud until stop.
func (w *town) start() {
	w.Helper()
	svc, err := service.New(w.Context(), w.cfg, service.Env{Version: "test"})
	require.NoError(w, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	w.svc = svc
	var once sync.Once
	w.stop = func() { once.Do(func() { cancel(); require.NoError(w, <-done) }) }
}

// board is a gateway's end of the wire: enrolled, connected, signing.
type board struct {
	w      *town
	id     string
	key    ed25519.PrivateKey
	client mqtt.Client
	enc    *frame.Encoder
	epoch  frame.Epoch
	began  time.Time

	mu   sync.Mutex
	next map[telemetry.Lane]uint64
	prev map[telemetry.Lane][32]byte

	acks     chan frame.Ack
	commands chan frame.Command
}

func (w *town) board(id string) *board {
	w.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(w, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: id}}, key)
	require.NoError(w, err)
	csr := filepath.Join(w.dir, id+".csr")
	require.NoError(w, os.WriteFile(csr, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), 0o600))
	block, _ := pem.Decode(tool(w.T, "ca", "sign", filepath.Join(w.dir, "ca"), csr))
	root, err := os.ReadFile(filepath.Join(w.dir, "ca", "ca.crt"))
	require.NoError(w, err)
	pool := x509.NewCertPool()
	require.True(w, pool.AppendCertsFromPEM(root))

	b := &board{
		w: w, id: id, key: key, began: time.Now(), next: map[telemetry.Lane]uint64{}, prev: map[telemetry.Lane][32]byte{},
		acks: make(chan frame.Ack, 1000), commands: make(chan frame.Command, 10),
	}
	var raw [8]byte
	_, _ = rand.Read(raw[:])
	b.epoch = frame.Epoch(uint64(raw[0])<<32 | uint64(raw[1])<<16 | uint64(raw[2]) + 1)
	b.enc, err = frame.NewEncoder(key)
	require.NoError(w, err)
	b.client = mqtt.NewClient(mqtt.NewClientOptions().AddBroker("ssl://" + w.svc.MQTTAddr().String()).SetClientID(id).
		SetTLSConfig(&tls.Config{RootCAs: pool, ServerName: "127.0.0.1", Certificates: []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: key}}}).
		SetAutoReconnect(false).SetConnectTimeout(5 * time.Second))
	b.wait(b.client.Connect())
	b.wait(b.client.Subscribe(topic.Down(id, "+"), 1, b.hear))
	w.Cleanup(func() { b.client.Disconnect(0) })
	b.hello()
	return b
}

func (b *board) wait(t mqtt.Token) {
	b.w.Helper()
	require.True(b.w, t.WaitTimeout(10*time.Second), b.id)
	require.NoError(b.w, t.Error(), b.id)
}

func (b *board) hear(_ mqtt.Client, m mqtt.Message) {
	switch m.Topic() {
	case topic.Down(b.id, topic.Ack):
		var a frame.Ack
		if json.Unmarshal(m.Payload(), &a) == nil {
			select {
			case b.acks <- a:
			default:
			}
		}
	case topic.Down(b.id, topic.Command):
		var c frame.Command
		if json.Unmarshal(m.Payload(), &c) != nil {
			return
		}
		if c.Action == "ping" {
			go b.hello() // not in paho's reader
			return
		}
		b.commands <- c
	}
}

func (b *board) mono() int64 { return time.Since(b.began).Nanoseconds() + 1 }

func (b *board) hello() {
	h, err := json.Marshal(frame.Hello{Conn: 1, Boot: frame.Boot{1}, MonoNS: b.mono(), Version: "test", Lanes: []frame.LaneState{}})
	if err == nil {
		b.client.Publish(topic.Up(b.id, topic.Hello), 1, false, h)
	}
}

// send ships readings, all of one lane, as one frame; the first of a lane opens the epoch.
func (b *board) send(readings ...telemetry.Reading) {
	b.w.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	lane, _ := telemetry.LaneOf(readings[0].Kind)
	f := &frame.Frame{Gateway: b.id, Epoch: b.epoch, Lane: lane, Prev: b.prev[lane]}
	add := func(typ frame.Type, payload []byte) {
		b.next[lane]++
		f.Records = append(f.Records, frame.Record{
			Seq: b.next[lane], Type: typ, Quality: telemetry.NTP, Boot: frame.Boot{1}, MonoNS: b.mono(), WallMS: time.Now().UnixMilli(), Payload: payload,
		})
	}
	if b.next[lane] == 0 {
		opening, err := json.Marshal(frame.Opening{Ends: []frame.LaneEnd{}})
		require.NoError(b.w, err)
		add(frame.TypeOpening, opening)
	}
	for _, r := range readings {
		p, err := json.Marshal(r)
		require.NoError(b.w, err)
		add(frame.TypeReading, p)
	}
	b.prev[lane] = f.Records[len(f.Records)-1].Hash(b.epoch, lane)
	wire, err := b.enc.Encode(f)
	require.NoError(b.w, err)
	b.wait(b.client.Publish(topic.UpLane(b.id, lane), 1, false, wire))
}

// committed waits until the cloud says that a lane is committed up to what was sent.
func (b *board) committed(lane telemetry.Lane) {
	b.w.Helper()
	late := time.After(15 * time.Second)
	for {
		select {
		case a := <-b.acks:
			if a.Epoch == b.epoch && a.Lane == lane && len(a.Ranges) == 1 && a.Ranges[0].To >= b.next[lane] {
				return
			}
		case <-late:
			require.FailNow(b.w, "no ack", b.id)
		}
	}
}

func at(device string, lat, lon, speed, heading float64) telemetry.Reading {
	some := telemetry.Some[float64]
	return telemetry.New(device, time.Now(), telemetry.GNSS, telemetry.Position{
		Lat: some(lat), Lon: some(lon), SpeedMPS: some(speed), HeadingDeg: some(heading), Fix: "3d", Satellites: telemetry.Some(11), Valid: true,
	})
}

func climate(device string, c float64) telemetry.Reading {
	return telemetry.New(device, time.Now(), telemetry.NTP, telemetry.Climate{TemperatureC: telemetry.Some(c), HumidityPct: telemetry.Some(61.0), Quality: "ok"})
}

func cell(device string, n int, event telemetry.CellEvent, occupied bool) telemetry.Reading {
	return telemetry.New(device, time.Now(), telemetry.NTP, telemetry.Locker{Cell: telemetry.Some(n), Event: event, Occupied: telemetry.Some(occupied)})
}
