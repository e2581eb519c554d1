package spool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
	"time"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// ErrFull says that nothing was staged, or that staged entries were lost, because there is no room.
var ErrFull = errors.New("spool is full")

// ErrClosed says that the spool is closed.
var ErrClosed = errors.New("spool is closed")

// Clock dates records. WallMS is 0 and q Unknown while no time can be trusted. mono never goes
// back within a boot; the spool measures its linger with it.
type Clock interface {
	Stamp() (boot frame.Boot, monoNS int64, wallMS int64, q telemetry.Quality)
}

// Options of a spool. Zero values stand for the defaults.
type Options struct {
	Clock        Clock         // required
	Rand         io.Reader     // of epochs and incarnations; crypto/rand
	SegmentBytes int64         // 4 MiB, at most 256 MiB
	MaxBytes     int64         // of all segments and spares; 1 GiB
	Linger       time.Duration // of may-thin entries; 250 ms, which is also the most
	Keep         time.Duration // how long committed records stay, while there is room; 14 days; negative: not at all
	Mirror       string        // folder on another device that the must-keep log is written to as well; empty: none
	Owner        string        // whose records these are; a mirror of another owner isn't touched
	Logger       *slog.Logger  // discards
}

const (
	maxLinger   = 250 * time.Millisecond
	lingerBytes = 64 << 10         // staged bytes that end the linger
	batchBytes  = 1 << 20          // written by one commit
	maxStaged   = 8 << 20          // waiting to be written
	retryAfter  = time.Second      // of the spool's own records after a failed write
	cursorEvery = 10 * time.Minute // between writes of the cursor; without it a restart asks the cloud
	stepEvery   = 5 * time.Second
	refillPause = time.Minute // after room for a spare could not be had
	maxFreed    = 4           // segments that go for one batch on a card without room

	maxSpares  = 8 // for which room is taken beforehand
	held       = 1 // of them only for what must be said of a segment before it can go
	moreSpares = 4 // that are kept of what is let go: so many go at once where they are small beside the whole
)

func (o *Options) defaults() error {
	if o.Clock == nil {
		return errors.New("spool: no clock")
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 30
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = min(4<<20, o.MaxBytes/8)
	}
	if o.Linger <= 0 || o.Linger > maxLinger {
		o.Linger = maxLinger
	}
	if o.Keep == 0 {
		o.Keep = 14 * 24 * time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.SegmentBytes < 4<<10 || o.SegmentBytes > 256<<20 {
		return fmt.Errorf("spool: segments of %d bytes, must be 4 KiB to 256 MiB", o.SegmentBytes)
	}
	if o.MaxBytes < 4*o.SegmentBytes {
		return fmt.Errorf("spool: %d bytes are less than 4 segments of %d", o.MaxBytes, o.SegmentBytes)
	}
	return nil
}

// reserve is what only lane command and the spool itself may fill, the latter alone the last segment of it.
func (o *Options) reserve() int64 {
	return max(o.MaxBytes/64, min(64<<10, o.MaxBytes/4), (held+1)*o.SegmentBytes)
}

// spares is how many spare segments are held: about the reserve.
func (o *Options) spares() int { return int(min(maxSpares, max(1, o.reserve()/o.SegmentBytes))) }

// ranges is how many ranges a tombstone has at most: an eighth of a segment holds one.
func (o *Options) ranges() int { return int(max(4, min(maxTold, o.SegmentBytes/8/64))) }

// told is room of a may-thin segment that only the spool's own records take.
func (o *Options) told() int64 { return min(16<<10, o.SegmentBytes/8) }

type laneKey struct {
	epoch frame.Epoch
	lane  telemetry.Lane
}

// laneState is what is known of a lane beside its segments.
type laneState struct {
	gone  ranges // seqs that need not be kept: committed, dropped or lost
	acked uint64 // highest seq the cloud ever said is committed
}

// segment is what is kept in memory of a segment file.
type segment struct {
	log    int
	num    uint64
	epoch  frame.Epoch
	seed   uint32
	first  [2]uint64
	ended         // the durable records
	size   int64  // of the file
	born   uint64 // seconds that the spool had run when it was made
	sealed bool   // has a footer
	unsure bool   // behind the durable records are some of which it isn't known
	live   bool   // is being appended to
	doomed bool   // will be dropped when its tombstones are durable
	stays  bool   // is mostly tombstones: nothing would be won

	settled bool   // nothing of it waits any more: it is kept as part of the tail
	since   uint64 // seconds that the spool had run then
}

type stamp struct {
	boot frame.Boot
	mono int64
	wall int64
	q    telemetry.Quality
}

// group is the entries of one Append.
type group struct {
	entries []frame.Entry
	stamp   stamp
	size    need
	done    func(error)
}

// own is a record that the spool itself has to say.
type own struct {
	entry frame.Entry
	stamp stamp
}

// Spool is an open spool. Append, Flush, Read, Lanes, Commit and Counters may be called from any goroutine; Step and Run
// by one.
type Spool struct {
	fs    FS
	dir   string
	opt   Options
	log   *slog.Logger
	lock  io.Closer
	epoch frame.Epoch
	wake  chan struct{} // to the reader: records became durable
	kick  chan struct{} // to Run: look again

	files    sync.Mutex // held while files are written; taken before mu
	main     *volume
	mirror   *mirror // nil: none is wanted
	active   [logs]*appender
	buf      []byte
	lastNum  uint64
	retryAt  int64 // mono before which own records aren't tried again
	savedAt  int64 // mono of the last cursor
	refillAt int64 // mono before which no room is taken for spares
	settleAt int64 // mono before which no segment is sealed that the card refused to seal
	openedAt int64 // mono

	ranBefore uint64 // seconds that the spool ran in openings before

	mu         sync.Mutex
	closed     bool
	groups     []group
	staged     need
	since      int64 // mono of the oldest group
	urgent     bool
	own        []own
	segs       []*segment // by num
	lanes      map[laneKey]*laneState
	next       [4]uint64 // durable next seq of the live epoch, by lane
	used       int64     // bytes of all segments
	rest       int64     // of those that could be let go: may-thin and settled ones
	slack      need      // room in the live segments
	spareCount int
	dirty      bool // the cursor on the card is behind
	hints      hints
	counters   map[string]uint64
	hour       hour

	expireAt  int64 // mono when the kept tail is looked through
	expireNow bool
	admission admission
}

// Epoch returns the epoch of this opening.
func (s *Spool) Epoch() frame.Epoch { return s.epoch }

// Wake returns a channel that receives after new records became durable.
func (s *Spool) Wake() <-chan struct{} { return s.wake }

func (s *Spool) path(name string) string { return filepath.Join(s.dir, name) }

func (s *Spool) stamp() (st stamp) {
	st.boot, st.mono, st.wall, st.q = s.opt.Clock.Stamp()
	return st
}

// Append stages entries in order and returns without waiting. done is called exactly once, from the
// goroutine that commits and in the order of the Appends: with nil after the fsync that covers all entries, or with
// the error that lost them. It must not block. When Append fails nothing is staged and done is not
// called. The spool keeps entries until done.
func (s *Spool) Append(entries []frame.Entry, done func(error)) error {
	command, thin := true, true
	for i := range entries {
		e := &entries[i]
		if e.Lane < telemetry.Command || e.Lane > telemetry.Track {
			return fmt.Errorf("spool: entry %d: %v", i, e.Lane)
		}
		if len(e.Payload) > maxPayload {
			return fmt.Errorf("spool: entry %d: %d bytes, at most %d", i, len(e.Payload), maxPayload)
		}
		command = command && e.Lane == telemetry.Command
		thin = thin && !e.Lane.MustKeep()
	}
	st := s.stamp()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	entries = s.admit(entries, st.mono)
	var size, all need
	for i := range entries {
		log, _ := place(entries[i].Lane)
		size[log] += recordSize(len(entries[i].Payload))
	}
	for log := range all {
		all[log] = s.staged[log] + size[log]
	}
	limit := s.opt.MaxBytes - held*s.opt.SegmentBytes
	if !command {
		limit = s.opt.MaxBytes - s.opt.reserve()
	}
	if all.sum() > maxStaged || s.used-s.rest+s.growth(all) > limit {
		s.counters["refused"]++
		return fmt.Errorf("%w: %d of %d bytes", ErrFull, s.used+s.staged.sum(), s.opt.MaxBytes)
	}
	if len(s.groups) == 0 {
		s.since = st.mono
	}
	s.groups = append(s.groups, group{entries: entries, stamp: st, size: size, done: done})
	s.staged = all
	if !thin || all.sum() >= lingerBytes {
		s.urgent = true
	}
	if s.urgent || len(s.groups) == 1 {
		s.nudge()
	}
	return nil
}

// Flush ends the linger of what is staged now.
func (s *Spool) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.groups) > 0 && !s.urgent {
		s.urgent = true
		s.nudge()
	}
}

func (s *Spool) nudge() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Run commits what is staged, when it is due, until ctx ends.
func (s *Spool) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(s.Step())
		select {
		case <-ctx.Done():
			return nil
		case <-s.kick:
		case <-timer.C:
		}
	}
}

// Step commits what is due, drops what the cloud has committed, and returns when to call it again at
// the latest. It returns at once when nothing is due.
func (s *Spool) Step() time.Duration {
	s.files.Lock()
	defer s.files.Unlock()
	wait := s.due()
	for wait <= 0 {
		s.commit()
		wait = s.due()
	}
	s.mark()
	now := s.stamp().mono
	s.collect(now, 0)
	s.refill(now)
	s.resettle(now)
	if s.mirror.heal(now) {
		wait = min(wait, healEvery)
	}
	if now >= s.savedAt+int64(cursorEvery) {
		s.saveCursor()
	}
	s.mu.Lock()
	s.hour.turn(now, s.counters)
	if s.admission.toldAt != 0 { // what was turned away is told in time
		wait = min(wait, max(0, time.Duration(s.admission.toldAt-now)+tellThin))
	}
	s.mu.Unlock()
	return min(wait, stepEvery)
}

// due returns how long until something must be committed.
func (s *Spool) due() time.Duration {
	now := s.stamp().mono
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := time.Hour
	s.tellTurned(now, s.closed)
	if len(s.own) > 0 {
		wait = time.Duration(s.retryAt - now)
	}
	if len(s.groups) > 0 {
		linger := time.Duration(s.since-now) + s.opt.Linger
		if s.urgent || s.staged.sum() >= lingerBytes {
			linger = 0
		}
		wait = min(wait, linger)
	}
	return wait
}

// Close commits what is staged, seals the segments, saves the cursor and gives the folder free. Run must have returned.
func (s *Spool) Close() error {
	s.files.Lock()
	defer s.files.Unlock()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.tellTurned(0, true)
	s.mu.Unlock()
	for try := 0; s.pending(try == 0); try++ {
		s.commit()
	}
	for log := range s.active {
		s.seal(log, false)
	}
	s.collect(s.stamp().mono, 0)
	s.mu.Lock()
	s.dirty = true
	s.mu.Unlock()
	s.saveCursor()
	s.mirror.close()
	return s.lock.Close()
}

// pending reports whether somebody waits for a commit; the spool's own records count when own is set.
func (s *Spool) pending(own bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.groups) > 0 || own && len(s.own) > 0
}

// Counters returns the counters that the package comment lists.
func (s *Spool) Counters() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := maps.Clone(s.counters)
	c["bytes"] = uint64(s.used)
	c["segments"] = uint64(len(s.segs))
	return c
}
