// Package spooltest is a file system in memory that behaves as badly as a card may: it loses what
// was not synced, tears writes at any byte and any sector, runs full and fails. It keeps to what package
// spool assumes of a disk: what was synced stays, renames are atomic, names become durable in order.
package spooltest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"sync"

	"yizhan/gateway/internal/spool"
)

// ErrCrashed is what every call returns after the power is gone.
var ErrCrashed = errors.New("power is gone")

var errLie = errors.New("says it is done")

// Op is a call that changes the disk.
type Op struct {
	Kind string // create, write, truncate, allocate, sync, rename, remove, syncdir
	Dir  string // folder
	Name string // in it; of a rename the old one
	Len  int    // bytes of a write
}

// FS is the file system. Its zero value is not usable; see New.
type FS struct {
	mu      sync.Mutex
	now     map[string]*inode // names as processes see them
	disk    map[string]*inode // names as a power cut leaves them
	names   []nameOp          // between the two
	locked  map[string]bool
	ops     []Op
	crashed bool

	crashOp, crashBytes int
	limit               int64
	fault               func(Op) error
	reads, readBytes    int
	read                func(name string)
	readFault           func(name string) error
	lie                 func(Op) bool
}

type nameOp struct {
	name string
	node *inode // nil: removed
	from string // of a rename
}

type inode struct {
	cache   []byte   // as processes see it
	disk    []byte   // as a power cut leaves it
	pending []change // between the two
}

type change struct {
	off      int64
	data     []byte
	truncate bool // to off
}

// New returns an empty file system.
func New() *FS {
	return &FS{now: map[string]*inode{}, disk: map[string]*inode{}, locked: map[string]bool{}, crashOp: -1}
}

// CrashAt cuts the power at operation number op (from 0): a write gets its first bytes through, any other
// operation nothing.
func (f *FS) CrashAt(op, bytes int) { f.crashOp, f.crashBytes = op, bytes }

// SetLimit makes writes fail with ENOSPC beyond a total of n bytes; 0 is no limit.
func (f *FS) SetLimit(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit = n
}

// SetFault has every operation ask fault first; an error of it is the operation's. A sync that fails so
// loses what it was to make durable, as Linux does.
func (f *FS) SetFault(fault func(Op) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// SetLie has every operation ask lie first; a sync for which it is true says it was done and does nothing.
func (f *FS) SetLie(lie func(Op) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lie = lie
}

// SetRead has every read call read first, with nothing locked.
func (f *FS) SetRead(read func(name string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read = read
}

// SetReadFault has every opening and reading of a file ask fault first; an error of it is the operation's.
func (f *FS) SetReadFault(fault func(name string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readFault = fault
}

// Reads returns how often files were read so far, and how many bytes were asked for.
func (f *FS) Reads() (n, bytes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads, f.readBytes
}

// Ops returns the operations so far.
func (f *FS) Ops() []Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ops)
}

// Count returns how many operations there were.
func (f *FS) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.ops)
}

// Crashed reports whether the power is gone.
func (f *FS) Crashed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.crashed
}

// Kill ends the process that uses the file system, and not the power: its locks are free, and what it wrote is there and still not
// durable.
func (f *FS) Kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.locked)
}

// Copy returns an image of what is there, as a reader of cards makes it: all of it durable.
func (f *FS) Copy() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := New()
	for n, i := range f.now {
		node := &inode{cache: slices.Clone(i.cache), disk: slices.Clone(i.cache)}
		out.now[n], out.disk[n] = node, node
	}
	return out
}

// Keep decides what of the unsynced changes a power cut leaves.
type Keep struct {
	None bool       // nothing; else everything
	Rand *rand.Rand // each 512-byte sector by the toss of a coin, and a random number of names
}

// Cut returns what is on the disk after a power cut.
func (f *FS) Cut(k Keep) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := New()
	names := len(f.names)
	switch {
	case k.None:
		names = 0
	case k.Rand != nil:
		names = k.Rand.IntN(names + 1)
	}
	left := map[string]*inode{}
	for n, i := range f.disk {
		left[n] = i
	}
	for _, op := range f.names[:names] {
		apply(left, op)
	}
	for _, n := range slices.Sorted(maps.Keys(left)) { // in one order, so that one source of randomness leaves one disk
		i := left[n]
		b := slices.Clone(i.disk)
		for _, c := range i.pending {
			b = c.survive(b, k)
		}
		node := &inode{cache: b, disk: slices.Clone(b)}
		out.now[n], out.disk[n] = node, node
	}
	return out
}

func apply(names map[string]*inode, op nameOp) {
	if op.from != "" {
		delete(names, op.from)
	}
	if op.node == nil {
		delete(names, op.name)
	} else {
		names[op.name] = op.node
	}
}

func (c change) survive(b []byte, k Keep) []byte {
	if k.None {
		return b
	}
	if k.Rand == nil {
		return c.apply(b)
	}
	if c.truncate {
		if k.Rand.IntN(2) == 0 {
			return c.apply(b)
		}
		return b
	}
	for i := 0; i < len(c.data); {
		n := min(len(c.data)-i, int(512-(c.off+int64(i))%512))
		if k.Rand.IntN(2) == 0 {
			b = change{off: c.off + int64(i), data: c.data[i : i+n]}.apply(b)
		}
		i += n
	}
	return b
}

func (c change) apply(b []byte) []byte {
	if c.truncate {
		if int(c.off) <= len(b) {
			return b[:c.off]
		}
		return append(b, make([]byte, int(c.off)-len(b))...)
	}
	if end := int(c.off) + len(c.data); end > len(b) {
		b = append(b, make([]byte, end-len(b))...)
	}
	copy(b[c.off:], c.data)
	return b
}

// op begins an operation and returns how many bytes of it happen.
func (f *FS) op(kind, name string, n int) (int, error) {
	if f.crashed {
		return 0, ErrCrashed
	}
	o := Op{Kind: kind, Dir: path.Dir(name), Name: path.Base(name), Len: n}
	f.ops = append(f.ops, o)
	if len(f.ops)-1 == f.crashOp {
		f.crashed = true
		return min(n, f.crashBytes), ErrCrashed
	}
	if f.lie != nil && f.lie(o) {
		return n, errLie
	}
	if f.fault != nil {
		if err := f.fault(o); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// Used returns the size of all files.
func (f *FS) Used() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used()
}

func (f *FS) used() (n int64) {
	for _, i := range f.now {
		n += int64(len(i.cache))
	}
	return n
}

// MkdirAll does nothing: folders are there.
func (f *FS) MkdirAll(string) error { return nil }

// ReadDir returns the names in dir.
func (f *FS) ReadDir(dir string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return nil, ErrCrashed
	}
	var names []string
	for n := range f.now {
		if path.Dir(n) == dir {
			names = append(names, path.Base(n))
		}
	}
	slices.Sort(names)
	return names, nil
}

// Create makes a file.
func (f *FS) Create(name string) (spool.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.op("create", name, 0); err != nil {
		return nil, err
	}
	if f.now[name] != nil {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrExist)
	}
	i := &inode{}
	f.now[name] = i
	f.names = append(f.names, nameOp{name: name, node: i})
	return &file{fs: f, name: name, node: i}, nil
}

// Open opens a file.
func (f *FS) Open(name string) (spool.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return nil, ErrCrashed
	}
	i := f.now[name]
	if i == nil {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	if f.readFault != nil {
		if err := f.readFault(name); err != nil {
			return nil, err
		}
	}
	return &file{fs: f, name: name, node: i}, nil
}

// Rename renames a file over another.
func (f *FS) Rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.op("rename", from, 0); err != nil {
		return err
	}
	i := f.now[from]
	if i == nil {
		return fmt.Errorf("%s: %w", from, fs.ErrNotExist)
	}
	op := nameOp{name: to, node: i, from: from}
	apply(f.now, op)
	f.names = append(f.names, op)
	return nil
}

// Remove removes a file.
func (f *FS) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.crashed && f.now[name] == nil {
		return fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	if _, err := f.op("remove", name, 0); err != nil {
		return err
	}
	op := nameOp{name: name}
	apply(f.now, op)
	f.names = append(f.names, op)
	return nil
}

// SyncDir makes all names durable.
func (f *FS) SyncDir(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.op("syncdir", dir, 0); errors.Is(err, errLie) {
		return nil
	} else if err != nil {
		return err
	}
	for _, op := range f.names {
		apply(f.disk, op)
	}
	f.names = nil
	return nil
}

// Lock locks name until the closer is closed.
func (f *FS) Lock(name string) (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locked[name] {
		return nil, errors.New("locked")
	}
	f.locked[name] = true
	return unlock(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.locked[name] = false
	}), nil
}

type unlock func()

// Close gives the lock free.
func (u unlock) Close() error {
	u()
	return nil
}

// Bytes returns the content of a file for a test to damage; nil when there is none.
func (f *FS) Bytes(name string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := f.now[name]; i != nil {
		return i.cache
	}
	return nil
}

// Put makes a file with this content, durable.
func (f *FS) Put(name string, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := &inode{cache: b, disk: slices.Clone(b)}
	f.now[name], f.disk[name] = i, i
}
