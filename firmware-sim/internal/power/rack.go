package power

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Unit is a program that the rack keeps running.
type Unit struct {
	Name string
	Path string
	Args []string
	Log  string // file that takes what it prints
}

// Rack keeps units running. Add them before Run, or while it runs.
type Rack struct {
	Logger *slog.Logger
	Grace  time.Duration // between SIGTERM and SIGKILL; 3 s where zero

	mu      sync.Mutex
	units   map[string]*unit
	orders  chan func()    // what the starting thread is to do
	waiting errgroup.Group // one waiter a process
	stopped bool
}

type unit struct {
	Unit
	cmd    *exec.Cmd // nil while it doesn't run
	off    bool
	starts int
	pause  time.Duration
	since  time.Time
}

// The pause before a unit that ended is started again.
const (
	firstPause = 100 * time.Millisecond
	mostPause  = 5 * time.Second
)

// Run starts units and starts them again until ctx ends; then it stops them all.
//
// PR_SET_PDEATHSIG kills a child when the thread that forked it ends, not the process; so one
// goroutine, bound to its thread for as long as there are children, forks them all.
func (r *Rack) Run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	orders := r.inbox()
	for {
		select {
		case f := <-orders:
			f()
		case <-ctx.Done():
			return r.stop()
		}
	}
}

// inbox is the channel of orders; an order may be given before Run.
func (r *Rack) inbox() chan func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.orders == nil {
		r.orders = make(chan func(), 256)
		r.units = make(map[string]*unit)
	}
	return r.orders
}

// Add puts a unit into the rack and switches it on.
func (r *Rack) Add(u Unit) {
	orders := r.inbox()
	r.mu.Lock()
	r.units[u.Name] = &unit{Unit: u, pause: firstPause}
	r.mu.Unlock()
	orders <- func() { r.start(u.Name) }
}

// start forks a unit. It runs on the starting thread.
func (r *Rack) start(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.units[name]
	if u == nil || u.cmd != nil || u.off || r.stopped {
		return
	}
	if err := r.fork(u); err != nil {
		r.Logger.Error("unit not started", "device", name, "err", err)
		r.again(u)
	}
}

// fork is called with mu held.
func (r *Rack) fork(u *unit) error {
	log, err := os.OpenFile(u.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("power: %w", err)
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(u.Path, u.Args...)
	cmd.Stdout, cmd.Stderr = log, log
	// A group of its own: the terminal's Ctrl-C is for the rack, which then stops its units.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("power: %w", err)
	}
	u.cmd, u.since = cmd, time.Now()
	u.starts++
	r.waiting.Go(func() error {
		_ = cmd.Wait() // how it ended is in its state
		r.died(u)
		return nil
	})
	return nil
}

func (r *Rack) died(u *unit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := u.cmd.ProcessState
	u.cmd = nil
	if r.stopped || u.off {
		return
	}
	r.Logger.Info("unit ended", "device", u.Name, "err", state.String())
	if time.Since(u.since) > time.Second { // it came up
		u.pause = firstPause
	}
	r.again(u)
}

// again starts a unit after its pause. It is called with mu held.
func (r *Rack) again(u *unit) {
	pause := u.pause
	u.pause = min(2*u.pause, mostPause)
	orders, name := r.orders, u.Name
	time.AfterFunc(pause, func() { orders <- func() { r.start(name) } })
}

// stop ends all units: SIGTERM, and after the grace time SIGKILL.
func (r *Rack) stop() error {
	r.mu.Lock()
	r.stopped = true
	r.signalAll(syscall.SIGTERM)
	r.signalAll(syscall.SIGCONT) // a paused one must hear it too
	r.mu.Unlock()
	grace := r.Grace
	if grace == 0 {
		grace = 3 * time.Second
	}
	timer := time.AfterFunc(grace, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.signalAll(syscall.SIGKILL)
	})
	defer timer.Stop()
	return r.waiting.Wait()
}

func (r *Rack) signalAll(s syscall.Signal) {
	for _, u := range r.units {
		if u.cmd != nil {
			_ = u.cmd.Process.Signal(s)
		}
	}
}

// ErrNoUnit says that the rack has no unit of that name.
var ErrNoUnit = errors.New("no such unit")

// ErrNotRunning says that a unit's process doesn't run at the moment.
var ErrNotRunning = errors.New("unit not running")

// Kill ends a unit's process with SIGKILL; the rack starts it again.
func (r *Rack) Kill(name string) error { return r.signal(name, syscall.SIGKILL) }

// Pause stops a unit's process without ending it: it gets no processor time.
func (r *Rack) Pause(name string) error { return r.signal(name, syscall.SIGSTOP) }

// Resume lets a paused unit go on.
func (r *Rack) Resume(name string) error { return r.signal(name, syscall.SIGCONT) }

func (r *Rack) signal(name string, s syscall.Signal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.units[name]
	switch {
	case u == nil:
		return fmt.Errorf("power: %.40q: %w", name, ErrNoUnit)
	case u.cmd == nil:
		return fmt.Errorf("power: %s: %w", name, ErrNotRunning)
	}
	return u.cmd.Process.Signal(s)
}

// Off cuts a unit's power until On.
func (r *Rack) Off(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.units[name]
	if u == nil {
		return fmt.Errorf("power: %.40q: %w", name, ErrNoUnit)
	}
	u.off = true
	if u.cmd != nil {
		return u.cmd.Process.Signal(syscall.SIGKILL)
	}
	return nil
}

// On gives a unit its power back.
func (r *Rack) On(name string) error {
	r.mu.Lock()
	u := r.units[name]
	if u != nil {
		u.off, u.pause = false, firstPause
	}
	r.mu.Unlock()
	if u == nil {
		return fmt.Errorf("power: %.40q: %w", name, ErrNoUnit)
	}
	r.inbox() <- func() { r.start(name) }
	return nil
}

// Starts is how often a unit was started.
func (r *Rack) Starts(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u := r.units[name]; u != nil {
		return u.starts
	}
	return 0
}

// Running reports whether a unit's process runs.
func (r *Rack) Running(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.units[name]
	return u != nil && u.cmd != nil
}
