package clock

import (
	"log/slog"
	"sync"
	"time"

	"yizhan/devices/telemetry"
)

// File keeps a few bytes.
type File interface {
	Read() ([]byte, error) // nil when nothing was kept yet
	Replace([]byte) error  // durable when it returns
}

// noteEvery is how old what is kept may become: a write an hour.
const noteEvery = int64(time.Hour)

// Past is the latest time that is surely over, kept over restarts: a board that wakes in 1970 knows that much. Its methods
// may be called from any goroutine.
type Past struct {
	file File
	log  *slog.Logger

	mu    sync.Mutex
	kept  time.Time
	at    int64 // Mono when it was kept
	noted bool  // in this run
}

// OpenPast reads what was kept. A file that can't be read, or a date that can't be, counts as none.
func OpenPast(file File, log *slog.Logger) *Past {
	p := &Past{file: file, log: log}
	b, err := file.Read()
	if err == nil && len(b) > 0 {
		p.kept, err = time.Parse(time.RFC3339, string(b))
	}
	if err != nil {
		log.Error("last time not read", "err", err)
	}
	if !believable(p.kept) {
		p.kept = time.Time{}
	}
	return p
}

// Note keeps now, if satellites, NTP or the cloud told it, once a run and hour. mono is CLOCK_BOOTTIME in nanoseconds. A clock that
// was wrong doesn't stay for good: what is told later counts, though it be earlier.
func (p *Past) Note(now time.Time, q telemetry.Quality, mono int64) {
	if q != telemetry.GNSS && q != telemetry.NTP && q != telemetry.Cloud || !believable(now) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.noted && mono-p.at < noteEvery {
		return
	}
	p.kept, p.at, p.noted = now, mono, true
	if err := p.file.Replace([]byte(now.UTC().Format(time.RFC3339))); err != nil {
		p.log.Error("last time not kept", "err", err)
	}
}

// Time returns the later of Floor and the time that was kept.
func (p *Past) Time() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept.After(Floor) {
		return p.kept
	}
	return Floor
}
