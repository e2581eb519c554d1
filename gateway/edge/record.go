package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"yizhan/devices"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/config"
	"yizhan/gateway/internal/record"
	"yizhan/gateway/internal/supervise"
)

// A Recording is what Record writes to.
type Recording = record.File

// NewRecording makes a transcript on w of one connection, or with raw only what the device says on it. peer picks the
// connection by a part of its address.
func NewRecording(w io.Writer, raw bool, peer string) *Recording { return record.NewFile(w, raw, peer) }

func socket(cfg *Config) string { return filepath.Join(cfg.Data, "record.sock") }

// Socket makes the socket of a running gateway, for its owner alone.
func Socket(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// Before it has its final name nobody finds it: its mode is right from the first moment.
	early := path + ".new"
	if err := os.Remove(early); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ln, err := net.Listen("unix", early)
	if err != nil {
		return nil, err
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(early, 0o600), os.Rename(early, path)); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

// serveRecordings answers who wants to listen in on a device. Without it a gateway is as good.
func (e *Edge) serveRecordings(ctx context.Context) {
	if e.env.Socket == nil {
		return
	}
	ln, err := e.env.Socket(socket(&e.cfg))
	if err == nil {
		err = e.taps.Serve(ctx, ln, e.allowRecording)
	}
	if err != nil {
		e.log.Warn("no recordings", "err", err)
	}
}

func (e *Edge) allowRecording(q record.Request) ([]string, error) {
	i := slices.IndexFunc(e.drivers, func(d driver) bool { return d.id == q.Device })
	if i < 0 {
		return nil, fmt.Errorf("the gateway that runs has no device %q", q.Device)
	}
	if err := mayRecord(&e.cfg, q.Device, e.drivers[i].Driver, q.Private); err != nil {
		return nil, err
	}
	var notes []string
	if s, ok := e.drivers[i].Driver.(devices.Suspecting); ok {
		for _, b := range s.LastBad() {
			notes = append(notes, fmt.Sprintf("thrown away before, number %d: %s %s", b.N, b.Reason, b.Hex))
		}
	}
	return notes, nil
}

// mayRecord refuses, unless it was asked for by name, what passes at devices where it may be a person's.
func mayRecord(cfg *Config, id string, d devices.Driver, asked bool) error {
	if personal(cfg, id, d) && !asked {
		return errors.New("what passes there is a person's, such as numbers and texts: -private records it all the same")
	}
	return nil
}

// Asked is what Record is asked for.
type Asked = record.Request

// Record writes what passes between a device of cfg and its driver until ctx ends: in the gateway that runs over cfg's data if one
// does, else by running the driver here, its readings not kept. say is told which.
func Record(ctx context.Context, cfg *Config, env Env, q Asked, to *Recording, say func(string)) error {
	id := q.Device
	at := slices.IndexFunc(cfg.Devices, func(d config.Device) bool { return d.ID == id })
	if at < 0 {
		return fmt.Errorf("there is no device %q in the configuration", id)
	}
	kind := cfg.Devices[at].Kind
	to.Note(fmt.Sprintf("%s/%s (%s), recorded by the gateway %s at %s. It may hold what people typed.",
		cfg.Gateway, id, kind, env.Version, time.Now().UTC().Format(time.RFC3339)))
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket(cfg))
	switch {
	case err == nil:
		return record.Receive(ctx, conn, q, func(notes []string) {
			say("recording in the gateway that runs")
			for _, n := range notes {
				to.Note(n)
			}
		}, to.Add)
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED):
		return err
	}
	return recordAlone(ctx, cfg, env, &cfg.Devices[at], q, to, say)
}

func recordAlone(ctx context.Context, cfg *Config, env Env, d *config.Device, q Asked, to *Recording, say func(string)) error {
	if err := env.defaults(cfg); err != nil {
		return err
	}
	log := env.Logger.With("gateway", cfg.Gateway, "device", d.ID, "kind", d.Kind)
	taps := record.New()
	listen := func(_ context.Context, network, addr string) (net.Listener, error) { return env.Listen(network, addr) }
	i := slices.IndexFunc(env.Kinds, func(f devices.Factory) bool { return f.Kind == d.Kind })
	if i < 0 {
		return fmt.Errorf("device %s: no kind %q", d.ID, d.Kind)
	}
	made, err := env.Kinds[i].New(d.Settings, devices.Env{
		Name: d.ID, Log: log, Open: taps.Opener(d.ID, env.Open), Listen: taps.Listener(d.ID, listen), LAN: noLAN{},
	})
	if err != nil {
		return fmt.Errorf("device %s: %w", d.ID, err)
	}
	if err := mayRecord(cfg, d.ID, made, q.Private); err != nil {
		return err
	}
	say("no gateway runs: the driver runs here, and what it reads is not kept")
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r := taps.Follow(d.ID)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.Close()
		supervise.New(env.Jitter).Keep(ctx, supervise.Part{Name: d.ID, Kind: d.Kind, Log: log, Run: func(ctx context.Context) error {
			return made.Run(ctx, func(ctx context.Context, _ ...telemetry.Reading) error { return ctx.Err() })
		}})
	}()
	for e := range r.C {
		if err != nil {
			continue
		}
		if err = to.Add(e); err != nil {
			stop()
		}
	}
	<-done
	return err
}

// noLAN is the broker of a gateway that doesn't run.
type noLAN struct{}

var errNoBroker = errors.New("no broker runs")

// Publish fails.
func (noLAN) Publish(string, string, []byte, time.Duration) error { return errNoBroker }

// HangUp has nobody to hang up on.
func (noLAN) HangUp(string) {}
