package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/broker"
	"yizhan/devices"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/board"
	"yizhan/gateway/internal/cabinet"
	"yizhan/gateway/internal/clock"
	"yizhan/gateway/internal/command"
	"yizhan/gateway/internal/config"
	"yizhan/gateway/internal/door"
	"yizhan/gateway/internal/record"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/status"
	"yizhan/gateway/internal/supervise"
	"yizhan/gateway/internal/uplink"
)

// Edge is a gateway.
type Edge struct {
	cfg     Config
	env     Env
	log     *slog.Logger
	began   time.Time
	spool   *spool.Spool
	broker  *broker.Edge
	keep    *supervise.Supervisor
	uplink  *uplink.Uplink
	command *command.Commands
	cabinet *cabinet.Cabinet // nil: this gateway keeps no locker
	doors   *door.Watch
	page    net.Listener // nil: no status page
	board   *board.Board
	pulse   *supervise.Pulse
	drivers []driver
	taps    *record.Taps

	alarms chan telemetry.Alarm // to be told

	mu    sync.Mutex
	parts map[string]error // vital parts; what ended them, nil while they run
}

type driver struct {
	id, kind string
	log      *slog.Logger
	devices.Driver
}

// New opens a gateway. Run runs and closes it; who doesn't call Run calls Close.
func New(cfg Config, env Env) (*Edge, error) {
	if err := env.defaults(&cfg); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	e := &Edge{cfg: cfg, env: env, log: env.Logger.With("gateway", cfg.Gateway), began: time.Now(), parts: map[string]error{}, taps: record.New(), alarms: make(chan telemetry.Alarm, 16)}
	if err := e.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("gateway: %w", err), e.Close())
	}
	return e, nil
}

func (e *Edge) open() (err error) {
	if err := e.env.FS.MkdirAll(e.cfg.Data); err != nil {
		return err
	}
	e.spool, err = spool.Open(e.env.FS, filepath.Join(e.cfg.Data, "spool"), spool.Options{
		Clock: e.env.Clock, Rand: e.env.Rand, SegmentBytes: int64(e.cfg.Spool.SegmentBytes), MaxBytes: int64(e.cfg.Spool.MaxBytes),
		Linger: e.cfg.Spool.Linger, Keep: keep(e.cfg.Spool.Keep), Mirror: e.cfg.Spool.Mirror, Owner: e.cfg.Gateway, Logger: e.log,
	})
	if err != nil {
		return err
	}
	e.keep = supervise.New(e.env.Jitter)
	e.board = board.New(e.env.Root)
	e.pulse = supervise.NewPulse(stuckAfter, supervise.Probe{Name: "spool", Send: e.probeSpool})
	if err := e.openDrivers(); err != nil {
		return err
	}
	if err := e.openBroker(); err != nil {
		return err
	}
	e.uplink, err = uplink.New(uplink.Config{
		Gateway: e.cfg.Gateway, Version: e.env.Version, URL: e.cfg.Uplink.URL, Files: files(&e.cfg),
		RetryMin: e.cfg.Uplink.RetryMin, RetryMax: e.cfg.Uplink.RetryMax, Dial: e.env.Dial, Jitter: e.env.Jitter,
		Source: e.spool, Wake: e.spool, Clock: e.env.Clock, Numbers: e.file("connection"),
		Past: clock.OpenPast(e.file("time"), e.log), Traffic: e.file("traffic"), MonthMiB: e.cfg.Uplink.MonthMiB, Alarm: e.alarm,
		Command: func(p []byte) { e.command.Handle(p) }, Expect: e.expect(), Log: e.log,
	})
	if err != nil {
		return err
	}
	e.doors = door.New(e.env.Clock, e.broker.Accept)
	e.command = command.New(command.Config{
		Disk: file{e.env.FS, filepath.Join(e.cfg.Data, "commands")}, Clock: e.env.Clock, Accept: e.broker.Accept,
		Device: e.commander, Restart: e.keep.Restart, Ping: e.uplink.Hello, Follow: e.doors, Log: e.log,
	})
	e.openCabinet()
	if e.cfg.Status.Listen != "" {
		if e.page, err = e.env.Listen("tcp", e.cfg.Status.Listen); err != nil {
			return fmt.Errorf("status: %w", err)
		}
	}
	return nil
}

func (e *Edge) openBroker() (err error) {
	c := broker.EdgeConfig{Log: e.spool, Logger: e.log, Dialects: map[string]broker.Dialect{}}
	for _, d := range e.drivers {
		if l, ok := d.Driver.(devices.Lodger); ok {
			at := l.Lodging()
			c.Dialects[at.User] = broker.Dialect{Publish: at.Publish, Subscribe: at.Subscribe, Translate: e.translator(l), Present: l.Present}
		}
	}
	for _, u := range e.cfg.Broker.Users {
		role := broker.Device
		if u.Role == config.RoleTechnician {
			role = broker.Technician
		}
		c.Users = append(c.Users, broker.User{Name: u.Name, Role: role, PasswordHash: u.PasswordHash})
	}
	if len(e.cfg.Broker.Listen) == 1 {
		if c.Listener, err = e.env.Listen("tcp", e.cfg.Broker.Listen[0]); err != nil {
			return fmt.Errorf("broker: %w", err)
		}
	} else {
		c.Listen = e.cfg.Broker.Listen
	}
	e.broker, err = broker.NewEdge(c)
	if err != nil && c.Listener != nil {
		err = errors.Join(err, c.Listener.Close())
	}
	return err
}

func (e *Edge) openDrivers() error {
	for i := range e.cfg.Devices {
		d := &e.cfg.Devices[i]
		log := e.log.With("device", d.ID, "kind", d.Kind)
		for _, f := range e.env.Kinds {
			if f.Kind != d.Kind {
				continue
			}
			made, err := f.New(d.Settings, devices.Env{
				Name: d.ID, Log: log, Open: e.taps.Opener(d.ID, e.env.Open), Listen: e.taps.Listener(d.ID, e.listen), LAN: lan{e},
			})
			if err != nil {
				return fmt.Errorf("device %s: %w", d.ID, err)
			}
			e.drivers = append(e.drivers, driver{d.ID, d.Kind, log, made})
		}
	}
	return nil
}

// Close frees what New opened, for who doesn't call Run.
func (e *Edge) Close() error {
	var err error
	if e.page != nil {
		err = e.page.Close()
	}
	if e.broker != nil {
		e.broker.Close()
	}
	if e.spool != nil {
		err = errors.Join(err, e.spool.Close())
	}
	return err
}

// Addr returns the address of the LAN broker, nil when there is none.
func (e *Edge) Addr() net.Addr { return e.broker.Addr() }

// StatusAddr returns the address of the status page, nil when there is none.
func (e *Edge) StatusAddr() net.Addr {
	if e.page == nil {
		return nil
	}
	return e.page.Addr()
}

// Run runs the gateway until ctx ends, and closes it. It returns nil when it was asked to stop.
func (e *Edge) Run(ctx context.Context) error {
	e.log.Info("gateway up", "n", len(e.drivers), "path", e.cfg.Data)
	// The spool outlives all that writes to it.
	last, stop := context.WithCancel(context.WithoutCancel(ctx))
	spooling := make(chan error, 1)
	outer := ctx
	g, ctx := errgroup.WithContext(ctx)
	go func() { spooling <- e.vital("spool", e.spool.Run)(last) }()
	run := func(name string, f func(context.Context) error) {
		g.Go(func() error { return e.vital(name, f)(ctx) })
	}
	run("broker", e.broker.Run)
	run("uplink", e.uplink.Run)
	run("command", e.command.Run)
	run("doors", e.doors.Run)
	if e.cabinet != nil {
		run("cabinet", e.cabinet.Run)
	}
	run("health", e.report)
	if e.cfg.Watchdog.Device != "" {
		g.Go(func() error { e.feedWatchdog(ctx, outer); return nil })
	}
	run("alarms", e.tellAlarms)
	if e.page != nil {
		run("status", func(ctx context.Context) error { return status.Serve(ctx, e.page, e.log, e.Report) })
	}
	g.Go(func() error { e.serveRecordings(ctx); return nil })
	for _, d := range e.drivers {
		g.Go(func() error {
			e.keep.Keep(ctx, supervise.Part{Name: d.id, Kind: d.kind, Log: d.log, Progress: progress(d), Run: func(ctx context.Context) error { return d.Run(ctx, e.emitter(d.id)) }})
			return nil
		})
	}
	err := g.Wait()
	stop()
	err = errors.Join(err, <-spooling, e.spool.Close())
	e.log.Info("gateway down", "took", time.Since(e.began))
	return err
}

// vital notes that a part runs, and what ended it. A part that ends before ctx is a failure.
func (e *Edge) vital(name string, f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		note := func(err error) {
			e.mu.Lock()
			e.parts[name] = err
			e.mu.Unlock()
		}
		note(nil)
		err := f(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		err = fmt.Errorf("%s: %w", name, err)
		note(err)
		return err
	}
}

// emitter is what the driver with an id emits to. A satellite fix of its own dates the board; one from the LAN, or of a
// device that reports to the driver from far away, may be old.
func (e *Edge) emitter(id string) devices.Emit {
	return func(ctx context.Context, rs ...telemetry.Reading) error {
		for _, r := range rs {
			if r.Device == id {
				e.env.Clock.Observe(r)
			}
		}
		if rs = e.observe(rs); len(rs) == 0 {
			return nil
		}
		return e.broker.Accept(ctx, rs...)
	}
}

// translator is what a device that logs in to the broker says, as readings.
func (e *Edge) translator(l devices.Lodger) func(string, []byte) ([]telemetry.Reading, []telemetry.Rejected) {
	return func(topic string, payload []byte) ([]telemetry.Reading, []telemetry.Rejected) {
		good, bad := l.Translate(topic, payload)
		return e.observe(good), bad
	}
}

// lan is the broker as drivers know it before it is there.
type lan struct{ edge *Edge }

// Publish sends to a user of the broker.
func (l lan) Publish(user, topic string, payload []byte, expires time.Duration) error {
	return l.edge.broker.Publish(user, topic, payload, expires)
}

// HangUp ends a user's connection.
func (l lan) HangUp(user string) { l.edge.broker.HangUp(user) }

// listen is what drivers listen with.
func (e *Edge) listen(_ context.Context, network, addr string) (net.Listener, error) {
	return e.env.Listen(network, addr)
}

func (e *Edge) commander(id string) (devices.Commander, bool) {
	for _, d := range e.drivers {
		if d.id == id {
			c, _ := d.Driver.(devices.Commander)
			return c, true
		}
	}
	for _, d := range e.drivers {
		if h, ok := d.Driver.(devices.Hosting); ok && h.Hosts(id) {
			c, _ := d.Driver.(devices.Commander)
			return c, true
		}
	}
	return nil, false
}
