package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"yizhan/broker/pickup"
	"yizhan/configs/strict"
	"yizhan/devices"
)

// Config is a gateway's configuration with defaults filled in.
type Config struct {
	Gateway string `yaml:"gateway" strict:"required"` // id of the board, the common name of its certificate
	Data    string `yaml:"data" strict:"required"`    // folder of everything the gateway writes
	Log     string `yaml:"log"`                       // debug, info, warn or error
	Uplink  Uplink `yaml:"uplink" strict:"required"`
	Broker  Broker `yaml:"broker"`
	Status  Status `yaml:"status"`
	Spool   Spool  `yaml:"spool"`
	Clock   Clock  `yaml:"clock"`

	Watchdog Watchdog `yaml:"watchdog"`

	Devices []Device `yaml:"devices"`
	Locker  Locker   `yaml:"locker"`
}

// Locker is the locker that this gateway keeps: what lies in its cells, and who may open them.
type Locker struct {
	Device  string        `yaml:"device"`   // of the lock boards; empty: this gateway keeps no locker
	Scanner string        `yaml:"scanner"`  // device: parcels, badges and tickets are scanned there
	Keypad  string        `yaml:"keypad"`   // device: cells and codes are typed there
	KeyFile string        `yaml:"key_file"` // made by cloud ca locker, mode 0600
	Cells   []pickup.Size `yaml:"cells"`    // s, m, l or xl, cell 1 first
}

// Uplink is the connection to the cloud.
type Uplink struct {
	URL      string        `yaml:"url" strict:"required"`  // tls://host:port
	CA       string        `yaml:"ca" strict:"required"`   // certificates that the cloud's must descend from
	Cert     string        `yaml:"cert" strict:"required"` // this board's certificate
	Key      string        `yaml:"key" strict:"required"`  // this board's Ed25519 key, made by gateway key
	RetryMin time.Duration `yaml:"retry_min"`              // pause after a lost connection, at first
	RetryMax time.Duration `yaml:"retry_max"`              // and at most
	MonthMiB int           `yaml:"month_mib"`              // the data budget of a calendar month; 0: none
}

// Broker is the MQTT broker for devices and technicians on the local network.
type Broker struct {
	Listen Addresses `yaml:"listen"` // host:port, one or a list; none: no broker
	Users  []User    `yaml:"users"`
}

// User is somebody who may log in to the broker.
type User struct {
	Name             string `yaml:"name" strict:"required"`
	Role             string `yaml:"role" strict:"required"` // device or technician
	PasswordHash     string `yaml:"password_hash" strict:"secret"`
	PasswordHashFile string `yaml:"password_hash_file"`
}

// Status is the health and metrics page.
type Status struct {
	Listen string `yaml:"listen"` // host:port; empty: no page
}

// Spool is the log on the card.
type Spool struct {
	MaxBytes     Size          `yaml:"max_bytes"`     // of all segments
	SegmentBytes Size          `yaml:"segment_bytes"` // of one
	Linger       time.Duration `yaml:"linger"`        // how long a thinnable record may wait for company
	Keep         time.Duration `yaml:"keep"`          // how long committed records stay, while there is room
	Mirror       string        `yaml:"mirror"`        // folder on another device for what must never be lost; empty: none
	CardTBW      float64       `yaml:"card_tbw"`      // terabytes that the card's maker says can be written; 0: not known
}

// Clock says how far the board's own clock is believed.
type Clock struct {
	// RTC is auto (believe it on a board with a clock chip, and on machines that are no boards), trust or ignore.
	RTC string `yaml:"rtc"`
}

// Watchdog is the board's hardware watchdog, which resets a board whose gateway hangs.
type Watchdog struct {
	Device string `yaml:"device"` // /dev/watchdog; empty: none
}

// Addresses is one host:port or a list of them.
type Addresses []string

// UnmarshalYAML reads a string or a list.
func (a *Addresses) UnmarshalYAML(decode func(any) error) error {
	var list []string
	if decode(&list) == nil {
		*a = list
		return nil
	}
	var one string
	if err := decode(&one); err != nil {
		return err
	}
	*a = Addresses{one}
	return nil
}

// Size is a number of bytes, written 512KiB, 64MiB or 2GiB.
type Size int64

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(b []byte) error {
	for unit, shift := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if digits, ok := strings.CutSuffix(string(b), unit); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
			if err == nil && n > 0 && n <= 1<<40>>shift {
				*s = Size(n << shift)
				return nil
			}
		}
	}
	return fmt.Errorf("%.40q is no size such as 512KiB, 64MiB or 2GiB", b)
}

// MarshalText writes the size in the largest unit that fits.
func (s Size) MarshalText() ([]byte, error) {
	for _, u := range []struct {
		name  string
		shift int
	}{{"GiB", 30}, {"MiB", 20}} {
		if s >= 1<<u.shift && s%(1<<u.shift) == 0 {
			return fmt.Appendf(nil, "%d%s", s>>u.shift, u.name), nil
		}
	}
	return fmt.Appendf(nil, "%dKiB", s>>10), nil
}

// Device is one entry of the list of devices. ID and Kind are the gateway's, all other keys the driver's.
type Device struct {
	ID   string
	Kind string
	node strict.Node
	user string // of the broker, as which the device logs in; empty: none

	opens, typed bool // it takes commands; it is a keypad
}

// UnmarshalYAML keeps the driver's keys for later.
func (d *Device) UnmarshalYAML(decode func(any) error) error { return decode(&d.node) }

// Node is the entry as it stands in the file; strict.Print shows it.
func (d Device) Node() strict.Node { return d.node }

// Settings fills a driver's config; it fails on keys that the driver doesn't have.
func (d *Device) Settings(into any) error { return d.node.Decode(into, "id", "kind") }

// Default is the configuration before the file is read.
func Default() Config {
	return Config{
		Log:    "info",
		Uplink: Uplink{RetryMin: 5 * time.Second, RetryMax: 10 * time.Minute},
		Spool:  Spool{MaxBytes: 2 << 30, SegmentBytes: 4 << 20, Linger: 250 * time.Millisecond, Keep: 14 * 24 * time.Hour},
		Clock:  Clock{RTC: "auto"},
	}
}

// Load reads and checks a file. kinds are the drivers there are.
func Load(file string, kinds []devices.Factory) (Config, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	return Parse(file, src, kinds)
}

// Parse is Load for content that was read before.
func Parse(file string, src []byte, kinds []devices.Factory) (Config, error) {
	c := Default()
	errs := []error{strict.Decode(file, src, &c)}
	for i := range c.Devices {
		errs = append(errs, c.Devices[i].read(kinds))
	}
	errs = append(errs, c.sameIDs(), c.lodgings())
	c.resolve(filepath.Dir(file))
	errs = append(errs, c.hashes(file, src), c.standing(file, src))
	if err := strict.Join(errs...); err != nil {
		return Config{}, err
	}
	return c, nil
}

// resolve makes the paths in c those seen from dir.
func (c *Config) resolve(dir string) {
	paths := []*string{&c.Data, &c.Spool.Mirror, &c.Uplink.CA, &c.Uplink.Cert, &c.Uplink.Key, &c.Locker.KeyFile, &c.Watchdog.Device}
	for i := range c.Broker.Users {
		paths = append(paths, &c.Broker.Users[i].PasswordHashFile)
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// Print returns the effective configuration without secrets.
func (c *Config) Print() string { return strict.Print(c) }
