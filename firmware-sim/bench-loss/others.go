package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// Mosquitto's configuration at its safest: every change is saved at once, nothing is dropped for want of room.
const mosquittoConfig = `user root
listener %[1]s 127.0.0.1
allow_anonymous true
persistence true
persistence_location %[2]s/
autosave_interval 1
autosave_on_changes true
max_queued_messages 0
max_queued_bytes 0
`

const bridgeConfig = `connection up
address %s
topic # out 1
cleansession false
local_cleansession false
remote_clientid edge
notifications false
try_private true
restart_timeout 1
keepalive_interval 5
`

// mosquitto adds a broker as a unit, and returns its disk.
func (b *bench) mosquitto(name, addr, more string) (disk string, err error) {
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		return "", err
	}
	disk = filepath.Join(b.dir, name)
	if err := os.Mkdir(disk, 0o700); err != nil {
		return "", err
	}
	config := disk + ".conf"
	port := addr[len("127.0.0.1:"):]
	if err := os.WriteFile(config, []byte(fmt.Sprintf(mosquittoConfig, port, disk)+more), 0o600); err != nil {
		return "", err
	}
	b.unit(name, path, "-c", config)
	return disk, b.listening(addr)
}

// A subscriber has a persistent session and writes down what it gets, in order.
type subscriber struct {
	client mqtt.Client

	mu   sync.Mutex
	seen []uint64
}

func subscribe(addr string) *subscriber {
	s := &subscriber{}
	o := mqtt.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("consumer").SetCleanSession(false).SetAutoReconnect(true).
		SetConnectRetry(true).SetConnectRetryInterval(500 * time.Millisecond).SetMaxReconnectInterval(time.Second).SetKeepAlive(5 * time.Second).
		SetOrderMatters(true).SetDefaultPublishHandler(s.take)
	o.SetOnConnectHandler(func(c mqtt.Client) { c.Subscribe("dev/#", 1, nil) })
	s.client = mqtt.NewClient(o)
	return s
}

// take is called before the message is acknowledged.
func (s *subscriber) take(_ mqtt.Client, m mqtt.Message) {
	var r struct{ N string }
	if json.Unmarshal(m.Payload(), &r) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, number(r.N))
}

func (s *subscriber) arrived(context.Context) ([]uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]uint64(nil), s.seen...), nil
}

func (s *subscriber) silence(gone bool) error {
	if gone {
		s.client.Disconnect(250)
		return nil
	}
	s.client.Connect() // it tries until it succeeds
	return nil
}

// far is the cloud's side of the usual ways.
func far(b *bench, edge string) (*way, error) {
	disk, err := b.mosquitto("broker", b.cloud, "")
	if err != nil {
		return nil, err
	}
	s := subscribe(b.cloud)
	if t := s.client.Connect(); !t.WaitTimeout(10*time.Second) || t.Error() != nil {
		return nil, fmt.Errorf("subscriber: %w", t.Error())
	}
	return &way{
		edge: edge, broker: "broker", silence: s.silence, arrived: s.arrived,
		wipe: func() error {
			err := os.Remove(filepath.Join(disk, "mosquitto.db"))
			if errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
			return err
		},
		close: func() error { s.client.Disconnect(0); return nil },
	}, nil
}

func openBridge(b *bench) (*way, error) {
	w, err := far(b, "edge")
	if err != nil {
		return nil, err
	}
	_, err = b.mosquitto("edge", b.edge, fmt.Sprintf(bridgeConfig, b.link.Addr()))
	return w, err
}

func openPaho(b *bench) (*way, error) {
	w, err := far(b, "edge")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b.unit("edge", self, "paho", b.edge, b.link.Addr(), filepath.Join(b.dir, "store"))
	return w, b.listening(b.edge)
}
