package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"yizhan/firmware-sim/internal/power"
)

// technician is the user that may listen on every board's broker.
const technician = "tech"

// secret is a fresh word of 160 random bits.
func secret() string {
	b := make([]byte, 20)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// tool runs a program to its end and returns what it printed.
func tool(ctx context.Context, stdin string, path string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %.500s", filepath.Base(path), args[0], err, complaint.String())
	}
	return out.Bytes(), nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

// authority makes the county's certificate authority and the cloud's certificate.
func (s *site) authority(ctx context.Context) error {
	if !exists(filepath.Join(s.ca, "ca.key")) {
		if _, err := tool(ctx, "", s.cloud, "ca", "init", s.ca); err != nil {
			return err
		}
	}
	// The cloud's address follows from the port, so a certificate of an earlier run may be for another.
	for _, f := range []string{"server.crt", "server.key"} {
		if err := os.Remove(filepath.Join(s.ca, f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	_, err := tool(ctx, "", s.cloud, append([]string{"ca", "server", s.ca}, s.cloudHosts()...)...)
	return err
}

// enrol writes a board's configuration, lets it make its key, and signs its certificate.
func (s *site) enrol(ctx context.Context, b *board) error {
	var users strings.Builder
	fmt.Fprintf(&users, "    - {name: %s, role: technician, password_hash: %q}\n", technician, s.technicianHash)
	for _, u := range b.users {
		hash, err := tool(ctx, u.password+"\n", s.gateway, "hash")
		if err != nil {
			return err
		}
		fmt.Fprintf(&users, "    - {name: %s, role: device, password_hash: %q}\n", u.name, strings.TrimSpace(string(hash)))
	}
	keeps, err := s.keeps(ctx, b)
	if err != nil {
		return err
	}
	config := fmt.Sprintf(`gateway: %s
data: data
uplink: {url: "tls://%s", ca: %q, cert: cert.pem, key: key.pem, retry_min: 500ms, retry_max: 5s}
broker:
  listen: %q
  users:
%sstatus: {listen: %q}
spool: {max_bytes: 256MiB, segment_bytes: 1MiB}
devices:
  - %s
%s`, b.id, s.links[b.id].Addr(), filepath.Join(s.ca, "ca.crt"), b.broker(), users.String(), b.status(), strings.Join(b.devices, "\n  - "), keeps)
	file := b.file("gateway.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	if exists(b.file("cert.pem")) {
		return nil
	}
	request, err := tool(ctx, "", s.gateway, "key", "-config", file)
	if err != nil {
		return err
	}
	if err := os.WriteFile(b.file("request.pem"), request, 0o600); err != nil {
		return err
	}
	cert, err := tool(ctx, "", s.cloud, "ca", "sign", s.ca, b.file("request.pem"))
	if err != nil {
		return err
	}
	return os.WriteFile(b.file("cert.pem"), cert, 0o600)
}

// cloudConfig writes the cloud's configuration.
func (s *site) cloudConfig(o *options) (file string, err error) {
	file = filepath.Join(s.dir, "cloud.yaml")
	county, err := filepath.Abs(o.county)
	if err != nil {
		return "", err
	}
	config := fmt.Sprintf(`listen: %q
token_file: %q
mqtt: {listen: %q, ca: %q, cert: %q, key: %q}
state: %q
history: %q
county: %q
demo: true
speed: %v
%s`, s.listen, s.token, s.mqtt, filepath.Join(s.ca, "ca.crt"), filepath.Join(s.ca, "server.crt"), filepath.Join(s.ca, "server.key"),
		s.state, o.history, county, o.speed, s.channels())
	return file, os.WriteFile(file, []byte(config), 0o600)
}

// channels are how recipients are told: those of a village with a SIM by that, all others by the outbox alone.
func (s *site) channels() string {
	var out strings.Builder
	for _, b := range s.yard.boards {
		if b.sim != "" {
			fmt.Fprintf(&out, "    - {name: %s, kind: modem, device: %q, sites: [%s], per_minute: 12, quiet: {}}\n", b.id, b.id+"/modem", b.sim)
		}
	}
	return "notify:\n  channels:\n" + s.provider + out.String() + "    - {name: outbox, kind: outbox}\n"
}

// units are the programs: the cloud first, then a gateway a board.
func (s *site) units(cloudConfig string) []power.Unit {
	units := []power.Unit{{Name: "cloud", Path: s.cloud, Args: []string{"-config", cloudConfig}, Log: filepath.Join(s.dir, "log", "cloud.log")}}
	for _, b := range s.yard.boards {
		units = append(units, power.Unit{
			Name: b.id, Path: s.gateway, Args: []string{"-config", b.file("gateway.yaml")}, Log: filepath.Join(s.dir, "log", b.id+".log"),
		})
	}
	return units
}
