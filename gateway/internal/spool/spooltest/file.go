package spooltest

import (
	"errors"
	"io"
	"slices"

	"golang.org/x/sys/unix"
)

// file is an open file; it lives on when its name is gone.
type file struct {
	fs   *FS
	name string
	node *inode
}

func (f *file) Close() error { return nil }

func (f *file) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.fs.crashed {
		return 0, ErrCrashed
	}
	return int64(len(f.node.cache)), nil
}

func (f *file) ReadAt(b []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	if read := f.fs.read; read != nil {
		f.fs.mu.Unlock()
		read(f.name)
		f.fs.mu.Lock()
	}
	defer f.fs.mu.Unlock()
	if f.fs.crashed {
		return 0, ErrCrashed
	}
	if f.fs.readFault != nil {
		if err := f.fs.readFault(f.name); err != nil {
			return 0, err
		}
	}
	f.fs.reads++
	f.fs.readBytes += len(b)
	if off >= int64(len(f.node.cache)) {
		return 0, io.EOF
	}
	n := copy(b, f.node.cache[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(b []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	n, err := f.fs.op("write", f.name, len(b))
	if more := off + int64(n) - int64(len(f.node.cache)); f.fs.limit > 0 && more > 0 && f.fs.used()+more > f.fs.limit {
		n = int(max(0, int64(n)-(f.fs.used()+more-f.fs.limit)))
		err = unix.ENOSPC
	}
	if n > 0 {
		f.change(change{off: off, data: slices.Clone(b[:n])})
	}
	return n, err
}

func (f *file) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if _, err := f.fs.op("truncate", f.name, 0); err != nil {
		return err
	}
	f.change(change{off: size, truncate: true})
	return nil
}

func (f *file) Allocate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if _, err := f.fs.op("allocate", f.name, 0); err != nil {
		return err
	}
	more := size - int64(len(f.node.cache))
	if more <= 0 {
		return nil
	}
	if f.fs.limit > 0 && f.fs.used()+more > f.fs.limit {
		return unix.ENOSPC
	}
	f.change(change{off: size, truncate: true})
	return nil
}

func (f *file) change(c change) {
	f.node.cache = c.apply(f.node.cache)
	f.node.pending = append(f.node.pending, c)
}

func (f *file) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	_, err := f.fs.op("sync", f.name, 0)
	if errors.Is(err, errLie) {
		return nil
	}
	if errors.Is(err, ErrCrashed) {
		return err
	}
	if err == nil {
		for _, c := range f.node.pending {
			f.node.disk = c.apply(f.node.disk)
		}
	}
	f.node.pending = nil
	return err
}
