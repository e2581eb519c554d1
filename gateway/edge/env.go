package edge

import (
	"context"
	"crypto/rand"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"time"

	"yizhan/broker/frame"
	"yizhan/devices"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/clock"
	"yizhan/gateway/internal/config"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/uplink"
)

// Config is a gateway's configuration; see configs/gateway.example.yaml.
type Config = config.Config

// Identity names the files of a board's key and certificate.
type Identity = uplink.Files

// FS is a file system as the spool needs it.
type FS = spool.FS

// Clock is the board's time.
type Clock interface {
	Stamp() (boot frame.Boot, monoNS, wallMS int64, q telemetry.Quality)
	Mono() (frame.Boot, int64)
	Now() (time.Time, telemetry.Quality)
	Observe(telemetry.Reading)
	ObserveCloud(time.Time)
}

// Env is what a gateway takes from the machine. Only Kinds is required.
type Env struct {
	Kinds   []devices.Factory // the drivers there are
	Version string
	Clock   Clock
	FS      FS
	Dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	Listen  func(network, addr string) (net.Listener, error)
	Open    port.Opener
	Socket  func(path string) (net.Listener, error) // where recordings are asked for; nil: nowhere
	Rand    io.Reader                               // of epochs
	Root    fs.FS                                   // where the kernel tells of the board: "/"
	Jitter  func() float64                          // 0 to 1, of pauses
	Logger  *slog.Logger
}

func (e *Env) defaults(cfg *Config) error {
	if e.Clock == nil {
		src, err := clock.Open()
		if err != nil {
			return err
		}
		e.Clock = clock.New(src, cfg.Clock.RTC)
	}
	if e.FS == nil {
		e.FS = spool.OS()
	}
	if e.Dial == nil {
		e.Dial = (&net.Dialer{}).DialContext
	}
	if e.Listen == nil {
		e.Listen = net.Listen
	}
	if e.Root == nil {
		e.Root = os.DirFS("/")
	}
	if e.Open == nil {
		e.Open = port.Open
	}
	if e.Logger == nil {
		e.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// random is what ids are drawn from.
func (e *Env) random() io.Reader {
	if e.Rand == nil {
		return rand.Reader
	}
	return e.Rand
}

// Load reads and checks a configuration file.
func Load(file string, kinds []devices.Factory) (Config, error) { return config.Load(file, kinds) }

// Parse is Load for content that was read before; file is its name in errors, and relative paths start at its folder.
func Parse(file string, src []byte, kinds []devices.Factory) (Config, error) {
	return config.Parse(file, src, kinds)
}

// Request returns the request for the certificate of cfg's board, and makes the board's key if there is none.
func Request(cfg *Config) ([]byte, error) { return files(cfg).Request(cfg.Gateway) }

func files(cfg *Config) Identity {
	return Identity{CA: cfg.Uplink.CA, Cert: cfg.Uplink.Cert, Key: cfg.Uplink.Key}
}

// Dump writes a spool's folder, or one file of it, for people.
func Dump(w io.Writer, path string) error { return spool.Dump(w, spool.OS(), path) }

// PrintFrame writes the frame in a file as JSON.
func PrintFrame(w io.Writer, file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return frame.Print(w, b)
}
