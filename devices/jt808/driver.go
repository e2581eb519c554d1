package jt808

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/devices"
	"yizhan/devices/telemetry"
)

// Driver serves the terminals that report to one address.
type Driver struct {
	devices.BadFrames

	cfg      Config
	env      devices.Env
	profiles map[phone]*profile
	ids      map[string]phone // of the listed terminals
	count    counters
	seed     maphash.Seed
	open     atomic.Int64 // bytes of messages in fragments

	mu        sync.Mutex
	running   bool
	terminals map[phone]*terminal // those that were ever logged in, bounded
}

// New makes the driver of a valid config.
func New(c Config, env devices.Env) (*Driver, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	d := &Driver{
		cfg: c.withDefaults(), env: env, seed: maphash.MakeSeed(),
		profiles: map[phone]*profile{}, ids: map[string]phone{}, terminals: map[phone]*terminal{},
	}
	for key, t := range c.Terminals {
		p, _ := parsePhone(key)
		d.profiles[p] = t.profile(p)
		d.ids[d.profiles[p].device] = p
	}
	if _, taken := d.ids[env.Name]; taken {
		return nil, fmt.Errorf("terminals: %q is the id of the driver", env.Name)
	}
	return d, nil
}

// Counters returns what doc.go lists. The counts go on over Runs.
func (d *Driver) Counters() map[string]uint64 { return d.count.snapshot() }

// Hosts reports whether a device id is that of a terminal of this driver.
func (d *Driver) Hosts(device string) bool {
	_, ok := d.number(device)
	return ok
}

// number finds the terminal with an id.
func (d *Driver) number(device string) (phone, bool) {
	if p, ok := d.ids[device]; ok {
		return p, true
	}
	p, ok := numberOf(device)
	if _, listed := d.profiles[p]; listed {
		return p, false // under another id
	}
	return p, ok && d.cfg.Unknown == Accept
}

// profile returns how a terminal is read; nil for one that is turned away.
func (d *Driver) profile(p phone) *profile {
	if known := d.profiles[p]; known != nil {
		return known
	}
	if d.cfg.Unknown == Refuse {
		return nil
	}
	return Terminal{}.profile(p)
}

// A server is one Run.
type server struct {
	*Driver
	emit   devices.Emit
	secret []byte
}

// Run listens and serves terminals until ctx ends, the listener fails or emit does.
func (d *Driver) Run(ctx context.Context, emit devices.Emit) error {
	err := d.serve(ctx, emit)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("jt808: %w", err)
}

func (d *Driver) serve(ctx context.Context, emit devices.Emit) error {
	secret, err := openSecret(d.cfg.SecretFile)
	if err != nil {
		return err
	}
	l, err := d.env.Listen(ctx, "tcp", d.cfg.Listen)
	if err != nil {
		return err
	}
	d.setRunning(true)
	defer d.setRunning(false)
	g, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, func() { l.Close() })()
	s := &server{Driver: d, emit: emit, secret: secret}
	g.Go(func() error {
		defer l.Close()
		return s.accept(ctx, l, g)
	})
	return g.Wait()
}

func (d *Driver) setRunning(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running = on
}

// acceptPause is how long the listener rests when the machine is out of something.
const acceptPause = 100 * time.Millisecond

// accept gives each connection a goroutine of its own. It ends with an error, ctx's at last.
func (s *server) accept(ctx context.Context, l net.Listener, g *errgroup.Group) error {
	var open atomic.Int64
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return ctx.Err()
		case err != nil && passing(err):
			s.count.add(acceptErrors)
			if !wait(ctx, acceptPause) {
				return ctx.Err()
			}
			continue
		case err != nil:
			return err
		}
		if open.Load() >= int64(s.cfg.MaxConnections) {
			s.count.add(refusedConnections)
			c.Close()
			continue
		}
		s.count.add(connects)
		open.Add(1)
		s.count[connections].Add(1)
		g.Go(func() error {
			defer s.count[connections].Add(^uint64(0))
			defer open.Add(-1)
			return s.attend(ctx, c)
		})
	}
}

// passing reports whether an error of Accept says nothing about the listener.
func passing(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// wait reports whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

const secretBytes = 32

// openSecret reads the secret, and makes it when there is none.
func openSecret(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeSecret(path)
	}
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	if b = bytes.TrimSpace(b); len(b) < 16 {
		return nil, fmt.Errorf("secret: %s has %d bytes, at least 16", path, len(b))
	}
	return b, nil
}

// makeSecret writes a secret so that a power cut leaves a whole one or none.
func makeSecret(path string) ([]byte, error) {
	raw := make([]byte, secretBytes)
	rand.Read(raw)
	b := hex.AppendEncode(nil, raw)
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // 0600
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), path)
	}
	if errors.Is(err, fs.ErrExist) {
		return openSecret(path) // another driver was faster
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	return b, nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// code is the auth code of a terminal: the same after every restart.
func (s *server) code(p phone) []byte {
	m := hmac.New(sha256.New, s.secret)
	m.Write(p[:])
	return hex.AppendEncode(nil, m.Sum(nil)[:8])
}

// remembered is how many acknowledged reports of a terminal are known again when they are sent again.
const remembered = 32

// A report is known again by its serial and content: serials wrap after 65536 and some terminals don't count.
type report struct {
	serial uint16
	hash   uint64
}

// A terminal is what outlives a connection. The connection that is logged in owns all but conn and left.
type terminal struct {
	profile *profile
	edges   edges
	told    [remembered]report
	tells   int
	parts   assemblies

	conn *conn     // nil: none; guarded by Driver.mu
	left time.Time // when the last one ended; guarded by Driver.mu
}

func (t *terminal) toldBefore(r report) bool {
	for _, old := range t.told[:min(t.tells, remembered)] {
		if old == r {
			return true
		}
	}
	return false
}

func (t *terminal) remember(r report) {
	t.told[t.tells%remembered] = r
	t.tells++
}

// take makes c the connection of a terminal. The connection before it, which a new address may have left behind
// half open, is ended first, so that one goroutine at a time owns the terminal. It fails when ctx ends.
func (d *Driver) take(ctx context.Context, c *conn, p phone, how *profile) (*terminal, error) {
	for {
		d.mu.Lock()
		t := d.terminals[p]
		if t == nil {
			d.makeRoom()
			t = &terminal{profile: how, parts: assemblies{all: &d.open}}
			d.terminals[p] = t
		}
		old := t.conn
		if old == nil {
			t.conn = c
		}
		d.mu.Unlock()
		if old == nil {
			return t, nil
		}
		d.count.add(relogins)
		old.cancel()
		select {
		case <-old.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// makeRoom forgets the terminal that has been away for longest when too many are known. mu is held.
func (d *Driver) makeRoom() {
	if len(d.terminals) < 2*d.cfg.MaxConnections+len(d.profiles) {
		return
	}
	var oldest *terminal
	var number phone
	for p, t := range d.terminals {
		if t.conn == nil && (oldest == nil || t.left.Before(oldest.left)) {
			oldest, number = t, p
		}
	}
	if oldest != nil {
		oldest.parts.clear()
		delete(d.terminals, number)
	}
}

// release gives a terminal back.
func (d *Driver) release(t *terminal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t.conn, t.left = nil, time.Now()
}

// connection returns the connection of a terminal that is logged in, and whether Run is running.
func (d *Driver) connection(p phone) (c *conn, running bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.terminals[p]; t != nil {
		c = t.conn
	}
	return c, d.running
}

// resultOf is the outcome that a terminal's result means.
func resultOf(result byte) outcome {
	switch result {
	case resultOK:
		return outcome{telemetry.Done, "acknowledged"}
	case resultFailed:
		return refused("failed")
	case resultBad:
		return refused("bad_message")
	case resultUnsupported:
		return refused("unsupported")
	}
	return refused(fmt.Sprintf("result_%d", result))
}
