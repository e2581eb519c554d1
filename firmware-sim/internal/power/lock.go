package power

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Lock is the right to a data folder; it ends with Close or with the process.
type Lock struct{ f *os.File }

// ErrLocked says that another simulator runs on the folder.
var ErrLocked = errors.New("another simulator runs on this folder")

// TakeLock locks a folder, which it makes where it isn't there.
func TakeLock(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("power: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("power: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, errors.Join(fmt.Errorf("power: %s: %w", dir, err), f.Close())
	}
	return &Lock{f}, nil
}

// Close gives the folder up.
func (l *Lock) Close() error { return l.f.Close() }
