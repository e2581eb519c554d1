package edge

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"yizhan/broker"
	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/devices"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/clock"
	"yizhan/gateway/internal/command"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/uplink"
)

// TimeSource is what a machine knows of time.
type TimeSource = clock.Source

// SpoolOptions bound a spool; its Clock and Logger are set by OpenCore.
type SpoolOptions = spool.Options

// CoreConfig is what a Core is made of. All but Version and Log is required.
type CoreConfig struct {
	Gateway string
	Version string
	FS      FS
	Dir     string // the data folder
	Time    TimeSource
	RTC     string // as in the configuration: auto, trust or ignore
	Rand    io.Reader
	Key     ed25519.PrivateKey
	Spool   SpoolOptions
	Device  func(id string) (devices.Commander, bool) // that commands are for
	Log     *slog.Logger
}

// Core is a gateway as step functions: the clock, spool, broker, uplink and commands of an Edge, wired as there, without a
// goroutine, a socket or a timer. Whoever holds it calls its steps, one at a time; a simulation does, and so replays.
//
// Commit makes durable what was offered, Next gives what is to be published on up/, Take takes what came on down/, Act runs the
// commands that wait. Between steps it may be forgotten at any time: that is a kill -9.
type Core struct {
	cfg    CoreConfig
	clock  *clock.Clock
	spool  *spool.Spool
	broker *broker.Core
	enc    *frame.Encoder
	uplink *uplink.Core
	runs   *command.Commands
	step   *command.Stepper
	behind bool
}

// OpenCore opens a gateway over its card.
func OpenCore(cfg CoreConfig) (*Core, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Core{cfg: cfg, clock: clock.New(cfg.Time, cfg.RTC)}
	if err := cfg.FS.MkdirAll(cfg.Dir); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	opt := cfg.Spool
	opt.Clock, opt.Rand, opt.Logger, opt.Owner = c.clock, cfg.Rand, cfg.Log, cfg.Gateway
	var err error
	if c.spool, err = spool.Open(cfg.FS, filepath.Join(cfg.Dir, "spool"), opt); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if c.enc, err = frame.NewEncoder(cfg.Key); err != nil {
		return nil, errors.Join(fmt.Errorf("gateway: %w", err), c.spool.Close())
	}
	c.broker = broker.NewCore(c.spool)
	c.uplink = c.newUplink()
	c.runs = command.New(command.Config{
		Disk: file{cfg.FS, filepath.Join(cfg.Dir, "commands")}, Clock: c.clock, Accept: c.accept,
		Device: cfg.Device, Restart: func(string) bool { return false }, Ping: c.Hello, Log: cfg.Log,
	})
	c.step = c.runs.Stepper()
	return c, nil
}

func (c *Core) newUplink() *uplink.Core {
	return uplink.NewCore(uplink.CoreConfig{
		Gateway: c.cfg.Gateway, Version: c.cfg.Version, Source: c.spool, Encode: c.enc.EncodeAs, Mono: c.clock.Mono, Log: c.cfg.Log, Behind: c.behind,
	})
}

// Offer takes readings of a driver; done follows their commit. An error says that nothing was taken.
func (c *Core) Offer(rs []telemetry.Reading, done func(error)) error { return c.broker.Offer(rs, done) }

// Visit begins a connection of a LAN device.
func (c *Core) Visit(device string) *broker.Visit { return c.broker.Visit(device) }

// Observe takes the time of a satellite fix of a driver.
func (c *Core) Observe(r telemetry.Reading) { c.clock.Observe(r) }

// Commit commits what is due, and returns when to call it again at the latest.
func (c *Core) Commit() time.Duration { return c.spool.Step() }

// Connected begins a connection to the cloud.
func (c *Core) Connected(now time.Time, conn uint64) {
	c.uplink = c.newUplink()
	c.uplink.Connected(now, conn)
}

// Disconnected ends it.
func (c *Core) Disconnected() {
	c.behind = c.uplink.Behind()
	c.uplink.Disconnected()
}

// Hello has hello said again.
func (c *Core) Hello() { c.uplink.Hello() }

// Next returns the next message for up/{gateway}/{what}; ok is false when there is none now.
func (c *Core) Next(now time.Time) (what string, payload []byte, ok bool) {
	m, ok := c.uplink.Next(now)
	return m.What, m.Payload, ok
}

// Take takes a message that came on down/{gateway}/{what}.
func (c *Core) Take(now time.Time, what string, payload []byte) {
	switch what {
	case topic.Ack:
		c.uplink.Ack(now, payload)
		var a struct {
			WallMS int64 `json:"wall_ms"`
		}
		if json.Unmarshal(payload, &a) == nil && a.WallMS > 0 {
			c.clock.ObserveCloud(time.UnixMilli(a.WallMS))
		}
	case topic.Command:
		c.runs.Handle(payload)
	}
}

// Act runs the commands that wait.
func (c *Core) Act(ctx context.Context) { c.step.Step(ctx) }

// accept keeps readings before it returns.
func (c *Core) accept(_ context.Context, rs ...telemetry.Reading) error {
	err := errors.New("not committed")
	if refused := c.broker.Offer(rs, func(e error) { err = e }); refused != nil {
		return refused
	}
	c.spool.Flush()
	c.spool.Step()
	return err
}

// Epoch returns the epoch of this opening.
func (c *Core) Epoch() frame.Epoch { return c.spool.Epoch() }

// Lanes lists what is on the card, committed or not.
func (c *Core) Lanes() []frame.LaneState { return append(c.spool.Kept(), c.spool.Lanes()...) }

// Read reads records that are on the card, as the uplink does.
func (c *Core) Read(epoch frame.Epoch, lane telemetry.Lane, from uint64, limit int) ([]frame.Record, error) {
	recs, _, err := c.spool.Read(epoch, lane, from, limit, 1<<20)
	return recs, err
}

// Counters returns the spool's counters.
func (c *Core) Counters() map[string]uint64 { return c.spool.Counters() }

// Close closes the spool, as a gateway does that is asked to stop.
func (c *Core) Close() error { return c.spool.Close() }
