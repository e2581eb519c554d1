package edge

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
)

// file is a small file that is appended to or replaced as a whole, durably.
type file struct {
	fs   FS
	path string
}

// file is the file of a name in the data folder.
func (e *Edge) file(name string) file { return file{e.env.FS, filepath.Join(e.cfg.Data, name)} }

// Read returns the content, nil when there is no file.
func (f file) Read() (b []byte, err error) {
	h, err := f.fs.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	size, err := h.Size()
	if err != nil {
		return nil, err
	}
	b = make([]byte, size)
	n, err := h.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

// Append adds p at the end. The file must be there.
func (f file) Append(p []byte) error {
	h, err := f.fs.Open(f.path)
	if err != nil {
		return err
	}
	size, err := h.Size()
	if err == nil {
		_, err = h.WriteAt(p, size)
	}
	if err == nil {
		err = h.Sync()
	}
	return errors.Join(err, h.Close())
}

// Replace makes p the content: a reader after a power cut finds the old or the new.
func (f file) Replace(p []byte) error {
	tmp := f.path + ".new"
	if err := f.fs.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	h, err := f.fs.Create(tmp)
	if err != nil {
		return err
	}
	if _, err = h.WriteAt(p, 0); err == nil {
		err = h.Sync()
	}
	if err := errors.Join(err, h.Close()); err != nil {
		return err
	}
	if err := f.fs.Rename(tmp, f.path); err != nil {
		return err
	}
	return f.fs.SyncDir(filepath.Dir(f.path))
}
