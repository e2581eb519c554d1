package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"
)

const (
	ownerName   = "owner"
	mirrorRetry = time.Minute
	healEvery   = 50 * time.Millisecond // between chunks that are copied
	healChunk   = 256 << 10
)

// A mirror is a second folder, on another device, that every byte of the must-keep log is written to in the same
// commit, in files of the same names. It is let go of when it fails and taken up again when it is back; the
// segments that it missed are copied a chunk at a time. A nil mirror does nothing.
type mirror struct {
	spool *Spool
	vol   *volume
	lock  io.Closer

	lost    bool            // guarded by Spool.mu
	have    map[uint64]bool // segments that are whole there
	retryAt int64           // mono before which it isn't looked for again
	under   *copying
}

// copying is a segment on its way to the mirror.
type copying struct {
	seg      *segment
	from, to File
	off      int64
}

// newMirror returns the mirror that opt wants, attached if it is there.
func (s *Spool) newMirror() *mirror {
	if s.opt.Mirror == "" {
		return nil
	}
	m := &mirror{spool: s, vol: &volume{fs: s.fs, dir: s.opt.Mirror, size: s.opt.SegmentBytes, count: func(what string, n int64) {
		s.mu.Lock()
		s.counters["mirror_"+what] += uint64(n)
		s.mu.Unlock()
	}}}
	if err := m.attach(); err != nil {
		m.fail(err)
	}
	return m
}

// attach takes up the folder and finds out what is there.
func (m *mirror) attach() error {
	v := m.vol
	if err := v.fs.MkdirAll(v.dir); err != nil {
		return err
	}
	lock, err := v.fs.Lock(v.path(lockName))
	if err != nil {
		return err
	}
	names, err := v.fs.ReadDir(v.dir)
	if err == nil {
		err = m.own(names)
	}
	if err != nil {
		lock.Close()
		return err
	}
	m.lock, m.have, v.spares = lock, map[uint64]bool{}, nil
	for _, name := range names {
		if num, ok := parseSpareName(name); ok {
			v.adopt(num)
		}
		if log, num, ok := parseSegmentName(name); ok && log == logKeep {
			_, ft, ok := m.read(num)
			m.have[num] = ok && ft != nil
		}
	}
	m.spool.mu.Lock()
	m.lost = false
	m.spool.mu.Unlock()
	return nil
}

// own makes sure that the folder is this spool's: another's records must never be taken for its own.
func (m *mirror) own(names []string) error {
	v := m.vol
	var owner []byte
	segments := false
	for _, name := range names {
		_, _, segment := parseSegmentName(name)
		segments = segments || segment
		if name != ownerName {
			continue
		}
		f, err := v.fs.Open(v.path(name))
		if err != nil {
			return err
		}
		size, err := f.Size()
		owner = make([]byte, min(max(size, 0), 256))
		fill(f, owner, 0)
		f.Close()
		if err != nil {
			return err
		}
	}
	switch {
	case string(owner) == m.spool.opt.Owner && owner != nil:
		return nil
	case len(owner) > 0 || segments:
		return fmt.Errorf("spool: mirror: the folder is %.40q's", owner)
	}
	_ = v.fs.Remove(v.path(ownerName))
	f, err := v.fs.Create(v.path(ownerName))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := v.write(f, []byte(m.spool.opt.Owner), 0); err != nil {
		return err
	}
	if err := v.sync(f); err != nil {
		return err
	}
	return v.syncDir()
}

// fail lets go of the mirror.
func (m *mirror) fail(err error) {
	s := m.spool
	m.retryAt = s.stamp().mono + int64(mirrorRetry)
	m.stop()
	s.mu.Lock()
	first := !m.lost
	m.lost = true
	s.counters["mirror_errors"]++
	s.mu.Unlock()
	if m.lock != nil {
		m.lock.Close()
		m.lock = nil
	}
	if first {
		s.log.Error("spool mirror lost", "err", err)
	}
}

func (m *mirror) up() bool { return m != nil && m.lock != nil }

// read returns what the mirror's copy of a segment says of itself.
func (m *mirror) read(num uint64) (h header, ft *footer, ok bool) {
	f, err := m.vol.fs.Open(m.vol.path(segmentName(logKeep, num)))
	if err != nil {
		return h, nil, false
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return h, nil, false
	}
	h, ft, ok = readHead(f, size, num)
	return h, ft, ok && h.log == logKeep && h.num == num
}

// create begins the copy of a new segment; nil when there is none.
func (m *mirror) create(num uint64, head []byte) File {
	if !m.up() {
		return nil
	}
	c, err := m.vol.create(num, segmentName(logKeep, num), head, true)
	if err != nil {
		m.fail(err)
		return nil
	}
	return c.File
}

// put writes what the segment was given.
func (m *mirror) put(a *appender, b []byte, off int64) {
	if a.twin == nil {
		return
	}
	err := m.vol.write(a.twin, b, off)
	if err == nil {
		err = m.vol.sync(a.twin)
	}
	if err != nil {
		a.twin.Close()
		a.twin = nil
		m.fail(err)
	}
}

// seal writes the footer that the segment was given.
func (m *mirror) seal(a *appender, b []byte, off int64, cut bool) {
	if a.twin == nil {
		return
	}
	var err error
	if cut {
		err = a.twin.Truncate(off)
	}
	if err == nil {
		err = m.vol.write(a.twin, b, off)
	}
	if err == nil {
		err = m.vol.sync(a.twin)
	}
	a.twin.Close()
	a.twin = nil
	if err != nil {
		m.fail(err)
		return
	}
	m.have[a.seg.num] = true
}

// discard lets go of the copies of segments.
func (m *mirror) discard(dead []*segment) {
	if !m.up() {
		return
	}
	var files []discarded
	for _, g := range dead {
		if g.log == logKeep {
			files = append(files, discarded{segmentName(g.log, g.num), g.num})
			delete(m.have, g.num)
		}
	}
	if len(files) == 0 {
		return
	}
	if err := m.vol.discard(files, m.spool.opt.spares()+moreSpares); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.fail(err)
	}
}

// heal looks for a lost mirror, and copies what it missed, a chunk a call. It reports whether there is more to copy.
func (m *mirror) heal(now int64) bool {
	if m == nil {
		return false
	}
	if !m.up() {
		if now < m.retryAt {
			return false
		}
		if err := m.attach(); err != nil {
			m.fail(err)
			return false
		}
		m.spool.log.Info("spool mirror is back")
		m.spool.seal(logKeep, false) // the next segment begins in both
	}
	if m.under == nil && !m.begin() {
		return false
	}
	if err := m.copy(); err != nil {
		m.fail(err)
		return false
	}
	return true
}

// begin takes up the oldest segment that the mirror misses.
func (m *mirror) begin() bool {
	s := m.spool
	s.mu.Lock()
	var g *segment
	for _, o := range s.segs {
		if o.log == logKeep && o.sealed && !o.settled && !m.have[o.num] {
			g = o
			break
		}
	}
	s.mu.Unlock()
	if g == nil {
		return false
	}
	name := segmentName(logKeep, g.num)
	from, err := s.fs.Open(s.path(name))
	if err != nil {
		m.have[g.num] = true // there is nothing to copy
		return true
	}
	_ = m.vol.fs.Remove(m.vol.path(name + copyEnd))
	to, err := m.vol.fs.Create(m.vol.path(name + copyEnd))
	if err != nil {
		from.Close()
		m.fail(err)
		return false
	}
	m.under = &copying{seg: g, from: from, to: to}
	return true
}

func (m *mirror) copy() error {
	c := m.under
	if c == nil {
		return nil
	}
	b := make([]byte, min(healChunk, c.seg.size-c.off))
	fill(c.from, b, c.off)
	if err := m.vol.write(c.to, b, c.off); err != nil {
		return err
	}
	if c.off += int64(len(b)); c.off < c.seg.size {
		return nil
	}
	if err := m.vol.sync(c.to); err != nil {
		return err
	}
	name := m.vol.path(segmentName(logKeep, c.seg.num))
	if err := m.vol.fs.Rename(name+copyEnd, name); err != nil {
		return err
	}
	if err := m.vol.syncDir(); err != nil {
		return err
	}
	m.have[c.seg.num] = true
	m.stop()
	return nil
}

// stop gives up what is being copied.
func (m *mirror) stop() {
	if c := m.under; c != nil {
		c.from.Close()
		c.to.Close()
		m.under = nil
	}
}

func (m *mirror) close() {
	if m.up() {
		m.stop()
		m.lock.Close()
		m.lock = nil
	}
}

// restore copies a segment from the mirror to the spool's folder.
func (m *mirror) restore(num uint64) error {
	name := segmentName(logKeep, num)
	from, err := m.vol.fs.Open(m.vol.path(name))
	if err != nil {
		return err
	}
	defer from.Close()
	size, err := from.Size()
	if err != nil {
		return err
	}
	v := m.spool.main
	_ = v.fs.Remove(v.path(name + copyEnd))
	to, err := v.fs.Create(v.path(name + copyEnd))
	if err != nil {
		return err
	}
	defer to.Close()
	for off := int64(0); off < size; off += healChunk {
		b := make([]byte, min(healChunk, size-off))
		fill(from, b, off)
		if err := v.write(to, b, off); err != nil {
			return err
		}
	}
	if err := v.sync(to); err != nil {
		return err
	}
	if err := v.fs.Rename(v.path(name+copyEnd), v.path(name)); err != nil {
		return err
	}
	return v.syncDir()
}

// twin is the mirror's copy of a segment, opened when it is needed.
type twin struct {
	fs   FS
	path string
	f    File
	bad  bool
}

// twin returns the copy of a segment; nil when there is none.
func (s *Spool) twin(g *segment) *twin {
	if s.mirror == nil || g.log != logKeep {
		return nil
	}
	return &twin{fs: s.fs, path: filepath.Join(s.opt.Mirror, segmentName(g.log, g.num))}
}

func (t *twin) open() bool {
	if t == nil || t.bad {
		return false
	}
	if t.f == nil {
		f, err := t.fs.Open(t.path)
		if t.bad = err != nil; t.bad {
			return false
		}
		t.f = f
	}
	return true
}

// record returns the record at off.
func (t *twin) record(seed uint32, off int64) (r stored, ok bool) {
	if !t.open() {
		return r, false
	}
	b := make([]byte, recordHead)
	for {
		if n, err := t.f.ReadAt(b, off); n < len(b) && err != nil {
			return r, false
		}
		r, need, err := decodeRecord(b, seed)
		if err != nil {
			return r, false
		}
		if need <= len(b) {
			return r, true
		}
		b = make([]byte, need)
	}
}

func (t *twin) close() {
	if t != nil && t.f != nil {
		t.f.Close()
		t.f = nil
	}
}
