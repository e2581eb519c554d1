package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"golang.org/x/sync/errgroup"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
)

// Log keeps entries durably; gateway's spool is one.
type Log interface {
	// Append stages entries in order and returns without waiting, or fails with nothing staged. done is
	// called exactly once, in the order of the Appends, after the entries are durable (nil) or with the error that
	// lost them. It doesn't block.
	Append(entries []frame.Entry, done func(error)) error
	// Flush asks for what is staged to be made durable now.
	Flush()
}

// Role says what a user of the LAN broker may do.
type Role string

// The roles.
const (
	Device     Role = "device"     // publishes under dev/{name}, hears cmd/{name}
	Technician Role = "technician" // hears dev/
)

// User is a client of the LAN broker.
type User struct {
	Name         string // an id; of a Device it is the device's
	Role         Role
	PasswordHash string // as HashPassword makes it
}

type user struct {
	name  string
	role  Role
	hash  passwordHash
	known bool     // sum is of the right password
	sum   [32]byte // keyed with a secret of this process

	dialect *Dialect // nil: none
}

// EdgeConfig is what an Edge needs.
type EdgeConfig struct {
	Listen   []string     // TCP addresses
	Listener net.Listener // in place of Listen
	Users    []User
	Dialects map[string]Dialect // by user
	Limits   Limits
	Log      Log          // required
	Logger   *slog.Logger // discards
}

// Edge is the broker of a gateway.
type Edge struct {
	limits    Limits
	log       Log
	slog      *slog.Logger
	door      *door
	server    *mqtt.Server
	listeners []*listener
	window    window
	shelf     *shelf
	count     counters
	serial    atomic.Uint64 // of connections

	mu      sync.Mutex
	clients map[string]*conn // by user and client id
	once    sync.Once        // of Close
}

// NewEdge checks the config and binds. Run serves; without Run, Close must be called.
func NewEdge(cfg EdgeConfig) (*Edge, error) {
	if cfg.Log == nil {
		return nil, errors.New("broker: no log")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	users, err := parseUsers(cfg.Users)
	if err = errors.Join(err, addDialects(users, cfg.Dialects)); err != nil {
		return nil, err
	}
	e := &Edge{limits: cfg.Limits.withDefaults(64, 16, 256<<10), log: cfg.Log, slog: cfg.Logger, clients: map[string]*conn{}}
	if e.door, err = newDoor(users); err != nil {
		return nil, err
	}
	e.shelf = newShelf(e.limits.FanOut, &e.count, func(topic string, payload []byte) {
		_ = e.server.Publish(topic, payload, true, 0) // can't fail: the inline client is on
	})
	if err := e.bind(cfg); err != nil {
		return nil, err
	}
	e.server = mqtt.New(&mqtt.Options{
		Capabilities:            e.limits.capabilities(),
		Logger:                  slog.New(slog.DiscardHandler), // it logs packets with what is in them
		ClientNetReadBufferSize: readBuffer,
		SysTopicResendInterval:  never,
		InlineClient:            true,
	})
	if err := e.server.AddHook(&edgeHook{edge: e}, nil); err != nil {
		e.Close()
		return nil, fmt.Errorf("broker: %w", err)
	}
	for _, l := range e.listeners {
		l.forget = e.forget
		if err := e.server.AddListener(l); err != nil {
			e.Close()
			return nil, fmt.Errorf("broker: %w", err)
		}
	}
	return e, nil
}

func parseUsers(in []User) (map[string]*user, error) {
	users := map[string]*user{}
	var errs []error
	for _, u := range in {
		h, err := parseHash(u.PasswordHash)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("broker: user %.40q: %w", u.Name, err))
		case !telemetry.ValidID(u.Name):
			errs = append(errs, fmt.Errorf("broker: user %.40q: name is not 1 to 32 of a-z, 0-9 and '-'", u.Name))
		case users[u.Name] != nil:
			errs = append(errs, fmt.Errorf("broker: user %.40q is there twice", u.Name))
		case u.Role != Device && u.Role != Technician:
			errs = append(errs, fmt.Errorf("broker: user %.40q: role %.20q is neither device nor technician", u.Name, u.Role))
		}
		users[u.Name] = &user{name: u.Name, role: u.Role, hash: h}
	}
	return users, errors.Join(errs...)
}

func (e *Edge) bind(cfg EdgeConfig) error {
	if cfg.Listener != nil {
		e.listeners = []*listener{newListener("lan", cfg.Listener, e.limits, e.slog, &e.count)}
		return nil
	}
	for i, addr := range cfg.Listen {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			e.Close()
			return fmt.Errorf("broker: %w", err)
		}
		e.listeners = append(e.listeners, newListener(fmt.Sprint("lan-", i), l, e.limits, e.slog, &e.count))
	}
	return nil
}

// Addr returns the address of the first listener; nil when there is none.
func (e *Edge) Addr() net.Addr {
	if len(e.listeners) == 0 {
		return nil
	}
	return e.listeners[0].net.Addr()
}

// Counters returns the counters that the package comment lists.
func (e *Edge) Counters() map[string]uint64 { return e.count.all() }

// Run serves until ctx ends, then closes everything. It runs once.
func (e *Edge) Run(ctx context.Context) error {
	if err := e.server.Serve(); err != nil {
		e.close(true)
		return fmt.Errorf("broker: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		e.show(ctx)
		return nil
	})
	<-ctx.Done()
	e.close(true)
	return g.Wait()
}

// Close gives the listeners free when Run isn't going to.
func (e *Edge) Close() { e.close(false) }

func (e *Edge) close(served bool) {
	e.once.Do(func() {
		for _, l := range e.listeners {
			l.shut(served)
		}
		if served {
			_ = e.server.Close()
		}
	})
}

// forget drops a connection that is over.
func (e *Edge) forget(c *conn) {
	if c.user == nil {
		return
	}
	e.mu.Lock()
	if e.clients[c.key] == c {
		delete(e.clients, c.key)
		c.user.present(false)
	}
	e.mu.Unlock()
	if c.watching {
		e.shelf.leave()
	}
	if c.established.Load() {
		e.slog.Info("client disconnected", "device", c.user.name, "addr", c.ip)
	}
}

// show publishes what became durable, in order, and retains the last reading of each topic.
func (e *Edge) show(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case it := <-e.shelf.fan:
			e.shelf.tell(it)
		}
	}
}

// Command sends payload to cmd/{device} for whoever of the device listens now: QoS 0, never retained. The
// payload carries the command's own id; what becomes of it the device tells as a reading.
func (e *Edge) Command(device string, payload []byte) error {
	if !telemetry.ValidID(device) {
		return fmt.Errorf("broker: device %.40q is no id", device)
	}
	return e.server.Publish(topic.DeviceCommand(device), payload, false, 0)
}
