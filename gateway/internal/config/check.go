package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"yizhan/configs/strict"
	"yizhan/devices"
	"yizhan/devices/telemetry"
)

// Self is the device under which the gateway reports on itself; no driver may have this id.
const Self = "gateway"

// The roles of a broker's user.
const (
	RoleDevice     = "device"     // publishes as the device of its name, hears its commands
	RoleTechnician = "technician" // reads everything, writes nothing
)

// Validate checks what the file says beyond its shape. strict.Decode calls it.
func (c *Config) Validate() error {
	var errs []error
	bad := func(path, format string, args ...any) { errs = append(errs, strict.Field(path, format, args...)) }
	if !telemetry.ValidID(c.Gateway) {
		bad("gateway", "%.40q is no id: 1 to 32 of a-z, 0-9 and '-'", c.Gateway)
	}
	if c.Data == "" {
		bad("data", "is empty: name a folder")
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log) {
		bad("log", "%.40q is none of debug, info, warn, error", c.Log)
	}
	if !slices.Contains([]string{"auto", "trust", "ignore"}, c.Clock.RTC) {
		bad("clock.rtc", "%.40q is none of auto, trust, ignore", c.Clock.RTC)
	}
	errs = append(errs, c.Uplink.validate(), c.Broker.validate(), c.Spool.validate(), c.Locker.validate())
	if c.Status.Listen != "" {
		if err := checkLocal(c.Status.Listen); err != nil {
			bad("status.listen", "%v", err)
		}
	}
	return errors.Join(errs...)
}

func (u *Uplink) validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, strict.Field("uplink."+key, format, args...))
	}
	switch p, err := url.Parse(u.URL); {
	case err != nil || p.Scheme != "tls" || p.Path != "" || p.User != nil || p.RawQuery != "":
		bad("url", "%.80q is not tls://host:port", u.URL)
	default:
		if err := checkAddress(p.Host); err != nil || p.Hostname() == "" {
			bad("url", "%.80q is not tls://host:port", u.URL)
		}
	}
	for _, f := range []struct{ key, path string }{{"ca", u.CA}, {"cert", u.Cert}, {"key", u.Key}} {
		if f.path == "" {
			bad(f.key, "is empty: name a file")
		}
	}
	if u.RetryMin < 100*time.Millisecond {
		bad("retry_min", "%v, at least 100ms", u.RetryMin)
	}
	if u.RetryMax < u.RetryMin {
		bad("retry_max", "%v is less than retry_min %v", u.RetryMax, u.RetryMin)
	}
	if u.MonthMiB < 0 || u.MonthMiB > 1<<20 {
		bad("month_mib", "%d is outside 0 to %d", u.MonthMiB, 1<<20)
	}
	return errors.Join(errs...)
}

func (b *Broker) validate() error {
	var errs []error
	for i, a := range b.Listen {
		if err := checkAddress(a); err != nil {
			path := "broker.listen"
			if len(b.Listen) > 1 {
				path = fmt.Sprintf("broker.listen[%d]", i)
			}
			errs = append(errs, strict.Field(path, "%v", err))
		}
	}
	seen := map[string]bool{}
	for i, u := range b.Users {
		bad := func(key, format string, args ...any) {
			errs = append(errs, strict.Field(fmt.Sprintf("broker.users[%d].%s", i, key), format, args...))
		}
		switch {
		case !telemetry.ValidID(u.Name):
			bad("name", "%.40q is no id: 1 to 32 of a-z, 0-9 and '-'", u.Name)
		case u.Name == Self && u.Role == RoleDevice:
			bad("name", "%q is the gateway's own device", Self)
		case seen[u.Name]:
			bad("name", "%q is given twice", u.Name)
		}
		seen[u.Name] = true
		if u.Role != RoleDevice && u.Role != RoleTechnician {
			bad("role", "%.40q is neither device nor technician", u.Role)
		}
		if (u.PasswordHash == "") == (u.PasswordHashFile == "") {
			bad("password_hash_file", "give password_hash_file or password_hash")
		}
	}
	return errors.Join(errs...)
}

func (s *Spool) validate() error {
	var errs []error
	if s.SegmentBytes < 64<<10 || s.SegmentBytes > 64<<20 {
		errs = append(errs, strict.Field("spool.segment_bytes", "must be 64KiB to 64MiB"))
	}
	if s.MaxBytes < 8*s.SegmentBytes {
		errs = append(errs, strict.Field("spool.max_bytes", "must hold at least 8 segments"))
	}
	if s.Linger < 0 || s.Linger > 250*time.Millisecond {
		errs = append(errs, strict.Field("spool.linger", "%v is outside 0s to 250ms", s.Linger))
	}
	if s.Keep < 0 || s.Keep > 10*365*24*time.Hour {
		errs = append(errs, strict.Field("spool.keep", "%v is outside 0s to 10 years", s.Keep))
	}
	if s.CardTBW < 0 || s.CardTBW > 1e6 {
		errs = append(errs, strict.Field("spool.card_tbw", "%v is outside 0 to 1000000", s.CardTBW))
	}
	return errors.Join(errs...)
}

// checkLocal refuses what the county's network or the modem's might reach: there is no login.
func checkLocal(a string) error {
	if err := checkAddress(a); err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(a)
	if host == "localhost" {
		return nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.IsLoopback() && !ip.IsPrivate() && !ip.IsLinkLocalUnicast() {
		return fmt.Errorf("%.80q: there is no login, so name the board's address on its local network, or 127.0.0.1", a)
	}
	return nil
}

func checkAddress(a string) error {
	_, port, err := net.SplitHostPort(a)
	if err != nil {
		return fmt.Errorf("%.80q is not host:port", a)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%.80q: port %.20q is outside 0 to %d", a, port, uint16(n))
	}
	return nil
}

// read takes id and kind from the entry and lets the driver check its own keys.
func (d *Device) read(kinds []devices.Factory) error {
	var head struct {
		ID   string `yaml:"id"`
		Kind string `yaml:"kind"`
	}
	// The other keys are the driver's: what is wrong with id and kind alone is told here.
	known := d.node.Keys()
	others := slices.DeleteFunc(known, func(k string) bool { return k == "id" || k == "kind" })
	err := d.node.Decode(&head, others...)
	d.ID, d.Kind = head.ID, head.Kind
	if err != nil {
		return err
	}
	var errs []error
	switch {
	case d.ID == "":
		errs = append(errs, d.node.Locate(strict.Field("id", "is required")))
	case !telemetry.ValidID(d.ID):
		errs = append(errs, d.node.Locate(strict.Field("id", "%.40q is no id: 1 to 32 of a-z, 0-9 and '-'", d.ID)))
	case d.ID == Self:
		errs = append(errs, d.node.Locate(strict.Field("id", "%q is the gateway's own device", Self)))
	}
	i := slices.IndexFunc(kinds, func(f devices.Factory) bool { return f.Kind == d.Kind })
	if i < 0 {
		var names []string
		for _, f := range kinds {
			names = append(names, f.Kind)
		}
		text := "is required"
		if d.Kind != "" {
			text = fmt.Sprintf("there is no kind %.40q", d.Kind)
		}
		return errors.Join(append(errs, d.node.Locate(strict.Field("kind", "%s; the kinds are %s", text, strings.Join(names, ", "))))...)
	}
	driver, err := kinds[i].New(d.Settings, devices.Env{Name: d.ID, Log: slog.New(slog.DiscardHandler)})
	if l, ok := driver.(devices.Lodger); ok && err == nil {
		d.user = l.Lodging().User
	}
	_, d.typed = driver.(devices.Keypad)
	_, d.opens = driver.(devices.Commander)
	return errors.Join(append(errs, d.node.Locate(err))...)
}

// sameIDs finds ids that two devices share; a broker's user with the role device is a device too.
func (c *Config) sameIDs() error {
	var errs []error
	first := map[string]int{}
	for i := range c.Devices {
		d := &c.Devices[i]
		if line, twice := first[d.ID]; twice && d.ID != "" {
			errs = append(errs, d.node.Locate(strict.Field("id", "%q is the device of line %d too", d.ID, line)))
			continue
		}
		first[d.ID] = d.node.Line()
		for _, u := range c.Broker.Users {
			if u.Role == RoleDevice && u.Name == d.ID && d.ID != Self {
				errs = append(errs, d.node.Locate(strict.Field("id", "%q is a device that logs in to the broker too", d.ID)))
			}
		}
	}
	return errors.Join(errs...)
}

// lodgings finds devices that log in as nobody, or as another device.
func (c *Config) lodgings() error {
	var errs []error
	first := map[string]int{}
	for i := range c.Devices {
		d := &c.Devices[i]
		if d.user == "" {
			continue
		}
		if !slices.ContainsFunc(c.Broker.Users, func(u User) bool { return u.Name == d.user && u.Role == RoleDevice }) {
			errs = append(errs, d.node.Locate(strict.Field("user", "broker.users has no device %q", d.user)))
		}
		if line, twice := first[d.user]; twice {
			errs = append(errs, d.node.Locate(strict.Field("user", "%q is the user of the device of line %d too", d.user, line)))
			continue
		}
		first[d.user] = d.node.Line()
	}
	return errors.Join(errs...)
}

// hashes reads the password hashes that stand in files.
func (c *Config) hashes(file string, src []byte) error {
	root, err := strict.Parse(file, src)
	if err != nil {
		return nil // already told
	}
	var errs []error
	for i := range c.Broker.Users {
		u := &c.Broker.Users[i]
		if u.PasswordHashFile == "" {
			continue
		}
		b, err := os.ReadFile(u.PasswordHashFile)
		if err != nil {
			errs = append(errs, root.Locate(strict.Field(fmt.Sprintf("broker.users[%d].password_hash_file", i), "%v", err)))
			continue
		}
		u.PasswordHash = strings.TrimSpace(string(b))
	}
	return errors.Join(errs...)
}
