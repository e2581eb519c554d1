package supervise

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"yizhan/devices"
)

// The pauses between runs, and how long a run must last to be good.
const (
	MinPause = time.Second
	MaxPause = time.Minute
	Good     = time.Minute
)

// When a running part is taken for hung: it had got on in each of so many minutes, and then didn't for as many.
const (
	pulseEvery = time.Minute
	lively     = 5
	hung       = 5
	endWithin  = time.Minute // of a part that was asked to end
)

// Status is what a part is doing.
type Status string

// The statuses.
const (
	Running Status = "running"
	Waiting Status = "waiting" // for its next run
	Parked  Status = "parked"  // by devices.ErrPermanent
	Stopped Status = "stopped"
	Stuck   Status = "stuck" // doesn't end: only a new start of the program helps
)

// State is what Keep knows of one part.
type State struct {
	Name     string
	Kind     string
	Status   Status
	Since    time.Time // of Status
	Restarts uint64
	Panics   uint64
	Err      string // of the last run; empty after a good minute
}

// Part is something to keep running.
type Part struct {
	Name string
	Kind string
	Log  *slog.Logger // carries device and kind
	Run  func(ctx context.Context) error
	// Progress, where it isn't nil, is a number that grows while the part gets on.
	Progress func() uint64
}

// A Supervisor keeps parts running. Its methods may be called from any goroutine.
type Supervisor struct {
	rand func() float64 // 0 to 1

	mu    sync.Mutex
	parts map[string]*part
}

type part struct {
	state   State
	restart chan struct{} // holds one wish
}

var (
	errRestart = errors.New("restart was asked for")
	errHung    = errors.New("hung: no progress for 5 min")
)

// New returns a Supervisor. jitter gives numbers from 0 to 1; nil takes math/rand.
func New(jitter func() float64) *Supervisor {
	if jitter == nil {
		jitter = rand.Float64
	}
	return &Supervisor{rand: jitter, parts: map[string]*part{}}
}

// States returns the state of every part, by name.
func (s *Supervisor) States() []State {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []State
	for _, p := range s.parts {
		out = append(out, p.state)
	}
	slices.SortFunc(out, func(a, b State) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Restart ends the named part's run or pause and runs it again at once; it reports whether there is such a part.
func (s *Supervisor) Restart(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.parts[name]
	if ok {
		select {
		case p.restart <- struct{}{}:
		default:
		}
	}
	return ok
}

// Keep runs p until ctx ends. Names must differ.
func (s *Supervisor) Keep(ctx context.Context, p Part) {
	k := &part{state: State{Name: p.Name, Kind: p.Kind}, restart: make(chan struct{}, 1)}
	s.mu.Lock()
	s.parts[p.Name] = k
	s.mu.Unlock()
	pause := MinPause
	for {
		s.set(k, Running)
		began := time.Now()
		panicked, err := s.run(ctx, p, k)
		if ctx.Err() != nil {
			s.set(k, Stopped)
			return
		}
		asked := errors.Is(err, errRestart)
		if !asked && time.Since(began) >= Good {
			pause = MinPause
		}
		s.note(k, p.Log, err, panicked, time.Since(began))
		switch {
		case asked:
			pause = MinPause
		case errors.Is(err, devices.ErrPermanent):
			s.set(k, Parked)
			s.wait(ctx, k, nil)
		default:
			s.set(k, Waiting)
			t := time.NewTimer(pause - time.Duration(s.rand()*float64(pause)/2))
			s.wait(ctx, k, t.C)
			t.Stop()
			pause = min(2*pause, MaxPause)
		}
		if ctx.Err() != nil {
			s.set(k, Stopped)
			return
		}
		s.mu.Lock()
		k.state.Restarts++
		s.mu.Unlock()
	}
}

// wait returns when ctx ends, the timer fires or a restart is asked for.
func (s *Supervisor) wait(ctx context.Context, k *part, timer <-chan time.Time) {
	select {
	case <-ctx.Done():
	case <-timer:
	case <-k.restart:
	}
}

// run runs p once. A restart that is asked for ends it with errRestart.
func (s *Supervisor) run(ctx context.Context, p Part, k *part) (panicked bool, err error) {
	once, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { s.watch(p, k, once, cancel, ended) })
	defer func() {
		close(ended)
		watch.Wait()
		cause := context.Cause(once)
		cancel(nil)
		if v := recover(); v != nil {
			p.Log.Error("driver panic", "err", fmt.Sprint(v), "stack", string(debug.Stack()))
			panicked, err = true, fmt.Errorf("panic: %v", v)
		} else if cause == errRestart || cause == errHung {
			err = cause
		}
	}()
	if err := p.Run(once); err != nil {
		return false, err
	}
	return false, errors.New("ended by itself")
}

// watch ends a run when a restart is asked for or the part hangs, and forgets its last failure when it runs well. It returns
// when the run has ended.
func (s *Supervisor) watch(p Part, k *part, once context.Context, cancel context.CancelCauseFunc, ended <-chan struct{}) {
	good, tick := time.NewTimer(Good), time.NewTicker(pulseEvery)
	defer good.Stop()
	defer tick.Stop()
	var h hanging
	var late <-chan time.Time // it was asked to end
	for {
		select {
		case <-k.restart:
			cancel(errRestart)
		case <-good.C:
			s.mu.Lock()
			k.state.Err = ""
			s.mu.Unlock()
		case <-tick.C:
			if p.Progress != nil && h.look(p.Progress()) {
				cancel(errHung)
			}
		case <-late:
			p.Log.Error("device stuck, it doesn't end")
			s.set(k, Stuck)
		case <-ended:
			return
		}
		if late == nil && once.Err() != nil {
			t := time.NewTimer(endWithin)
			defer t.Stop()
			late = t.C
		}
	}
}

// hanging finds out whether a part that got on minute by minute has stopped to. One that is silent by nature is left alone.
type hanging struct {
	last         uint64
	alive, quiet int // minutes in a row with and then without progress
}

// look is called once a minute and reports whether the part hangs.
func (h *hanging) look(progress uint64) bool {
	moved := progress != h.last
	h.last = progress
	switch {
	case moved && h.quiet > 0:
		h.alive, h.quiet = 1, 0
	case moved:
		h.alive++
	default:
		h.quiet++
		if h.alive < lively {
			h.alive = 0
		}
	}
	return h.alive >= lively && h.quiet == hung
}

// note keeps and logs why a run ended.
func (s *Supervisor) note(k *part, log *slog.Logger, err error, panicked bool, took time.Duration) {
	s.mu.Lock()
	same := k.state.Err == err.Error()
	k.state.Err = err.Error()
	if panicked {
		k.state.Panics++
	}
	s.mu.Unlock()
	level := slog.LevelWarn
	switch {
	case errors.Is(err, errRestart):
		level = slog.LevelInfo
	case errors.Is(err, devices.ErrPermanent):
		level = slog.LevelError
	case same:
		level = slog.LevelDebug
	}
	log.Log(context.Background(), level, "device down", "err", err, "took", took)
}

func (s *Supervisor) set(k *part, st Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k.state.Status, k.state.Since = st, time.Now()
}
