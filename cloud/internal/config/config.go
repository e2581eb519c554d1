package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"yizhan/cloud/internal/county/channels"
	"yizhan/configs/strict"
)

// Config is the cloud's configuration with defaults filled in.
type Config struct {
	Listen          string    `yaml:"listen"`            // console and API, host:port
	Ops             string    `yaml:"ops"`               // /healthz, /metrics, /openapi.json; empty: on listen, if that is loopback
	TLS             TLS       `yaml:"tls"`               // of listen; empty: http
	Public          string    `yaml:"public"`            // the URL people use when a proxy stands before listen; https makes cookies Secure
	TokenFile       string    `yaml:"token_file"`        // the token of programs and of the first login
	PersonalKeyFile string    `yaml:"personal_key_file"` // seals names, phones and addresses; made at the first start; empty: personal.key beside token_file
	MQTT            MQTT      `yaml:"mqtt"`              // where gateways connect
	State           string    `yaml:"state"`             // sqlite:FILE or postgres://...
	History         string    `yaml:"history"`           // sqlite: or influx+http://host:port/db?token=...
	County          string    `yaml:"county"`            // folder of county.yaml and map.geojson
	Archive         Archive   `yaml:"archive"`           // frames as they came
	Command         Command   `yaml:"command"`           // orders to devices
	Notify          Notify    `yaml:"notify"`            // how recipients are told
	Callbacks       Callbacks `yaml:"callbacks"`         // who else is told, by HTTP
	Pickup          Pickup    `yaml:"pickup"`            // codes that open cells
	Log             string    `yaml:"log"`               // debug, info, warn, error
	Demo            bool      `yaml:"demo"`              // a fresh token at each start, loopback only
	Speed           float64   `yaml:"speed"`             // of the demo's story; shown on the page, never a clock
}

// MQTT is the listener for gateways: mutual TLS.
type MQTT struct {
	Listen string `yaml:"listen"`
	CA     string `yaml:"ca" strict:"required"`   // who signed the gateways
	Cert   string `yaml:"cert" strict:"required"` // the listener's
	Key    string `yaml:"key" strict:"required"`
}

// TLS is the certificate of a listener, in PEM; it is read again when the files change.
type TLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Archive says how long frames are kept.
type Archive struct {
	Keep time.Duration `yaml:"keep"`
}

// Command says how long an order may be on its way.
type Command struct {
	Lease time.Duration `yaml:"lease"`
}

// Notify says how recipients are told, Callbacks who else is.
type (
	Notify    = channels.Notify
	Callbacks = channels.Callbacks
)

// Pickup says what codes come from.
type Pickup struct {
	MasterFile  string         `yaml:"master_file"` // as cloud ca locker makes it; empty: pickup.key beside mqtt.ca, if it is there
	Generations map[string]int `yaml:"generations"` // of a locker's key, where it isn't 1
}

// Default is a configuration with all that has a default.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:8080", TokenFile: "data/token", MQTT: MQTT{Listen: "127.0.0.1:8883"},
		State: "sqlite:data/state.db", History: "sqlite:", County: "configs/county",
		Archive: Archive{Keep: 30 * 24 * time.Hour}, Command: Command{Lease: 30 * time.Second},
		Notify: channels.DefaultNotify(), Callbacks: channels.DefaultCallbacks(),
		Log: "info", Speed: 1,
	}
}

// Load reads file.
func Load(file string) (Config, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	return Parse(file, src)
}

// Parse reads src, the content of file. Its error has a line for all that is wrong.
func Parse(file string, src []byte) (Config, error) {
	c := Default()
	if err := strict.Decode(file, src, &c); err != nil {
		return Config{}, err
	}
	return c, nil
}

// Print is c as YAML, without passwords.
func (c Config) Print() string {
	c.State, c.History = redact(c.State), redact(c.History)
	return strict.Print(c)
}

// Loopback reports whether only this machine reaches addr.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Validate names all keys that are wrong.
func (c *Config) Validate() error {
	var errs []error
	bad := func(path, format string, args ...any) { errs = append(errs, strict.Field(path, format, args...)) }
	for _, a := range []struct {
		path, addr string
		optional   bool
	}{{"listen", c.Listen, false}, {"ops", c.Ops, true}, {"mqtt.listen", c.MQTT.Listen, false}} {
		if a.addr == "" && a.optional {
			continue
		}
		if err := checkAddr(a.addr); err != nil {
			bad(a.path, "%v", err)
		}
	}
	if c.Public != "" {
		if u, err := url.Parse(c.Public); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			bad("public", "%q is not http://host or https://host", c.Public)
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		bad("tls", "needs cert and key, or neither")
	}
	if c.TLS.Cert != "" && strings.HasPrefix(c.Public, "http:") {
		bad("public", "%q is not https, and listen speaks TLS", c.Public)
	}
	for _, f := range [][2]string{{"token_file", c.TokenFile}, {"county", c.County}, {"mqtt.ca", c.MQTT.CA}, {"mqtt.cert", c.MQTT.Cert}, {"mqtt.key", c.MQTT.Key}} {
		if f[1] == "" {
			bad(f[0], "must name a file")
		}
	}
	c.validateStores(bad)
	c.Notify.Validate("notify", bad)
	c.Callbacks.Validate("callbacks", bad)
	for l, g := range c.Pickup.Generations {
		if g < 1 {
			bad("pickup.generations."+l, "%d: the first generation is 1", g)
		}
	}
	if !c.Demo {
		for i, ch := range c.Notify.Channels {
			if ch.Kind == "outbox" {
				bad(fmt.Sprintf("notify.channels[%d].kind", i), "outbox is for a demo: nobody would be told")
			}
		}
	}
	if c.Archive.Keep < 24*time.Hour {
		bad("archive.keep", "%v is less than 24h: a gateway that comes back needs more", c.Archive.Keep)
	}
	if c.Command.Lease < time.Second || c.Command.Lease > 5*time.Minute {
		bad("command.lease", "%v is outside 1s to 5m", c.Command.Lease)
	}
	switch c.Log {
	case "debug", "info", "warn", "error":
	default:
		bad("log", "%q is none of debug, info, warn, error", c.Log)
	}
	if !(c.Speed > 0 && c.Speed <= 1000) {
		bad("speed", "must be above 0 and at most 1000")
	}
	if c.Public == "" && !Loopback(c.Listen) {
		bad("public", "is needed, for %s can be reached from outside: by which URL?", c.Listen)
	}
	if c.Demo && !Loopback(c.Listen) {
		bad("listen", "%s can be reached from outside; a demo listens on 127.0.0.1 only", c.Listen)
	}
	return errors.Join(errs...)
}

func (c *Config) validateStores(bad func(path, format string, args ...any)) {
	switch {
	case strings.HasPrefix(c.State, "sqlite:"):
		if c.State == "sqlite:" {
			bad("state", "sqlite: needs a file")
		}
	case strings.HasPrefix(c.State, "postgres://"), strings.HasPrefix(c.State, "postgresql://"):
		if _, err := url.Parse(c.State); err != nil {
			bad("state", "is no URL")
		}
	default:
		bad("state", "must begin sqlite: or postgres://")
	}
	switch {
	case c.History == "sqlite:":
	case strings.HasPrefix(c.History, "influx+http://"), strings.HasPrefix(c.History, "influx+https://"):
		if u, err := url.Parse(c.History); err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "" {
			bad("history", "must be influx+http://host:port/database?token=...")
		}
	default:
		bad("history", "must be sqlite: or begin influx+http://")
	}
}

func checkAddr(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not host:port", addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q: port %q is outside 0 to 65535", addr, port)
	}
	return nil
}

// redact takes passwords and tokens out of a URL.
func redact(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Opaque != "" {
		return s
	}
	if q := u.Query(); q.Has("token") {
		q.Set("token", "xxxxx")
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}
