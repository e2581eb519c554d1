package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"yizhan/cloud/internal/county"
)

// Keeper of the database's age.
type headStore interface {
	NoticeHead(ctx context.Context) (county.NoticeHead, error)
	NameNoticeStore(ctx context.Context, name string) error
	BeatNotices(ctx context.Context, now time.Time) error
	HoldNotices(ctx context.Context, point time.Time) (held int, err error)
}

// A worker says so often that it is at it, and counts as gone after so long.
const (
	beatEvery = 10 * time.Second
	beatAge   = 2 * time.Minute
)

// ahead is how far evidence may lie before the moment at which it was told of: state takes no times further in the future.
const ahead = 2 * time.Minute

// mark is what lies in a file outside of the database: how far it was, and when. A database that is behind it, or
// that is another one, came out of a backup, or anew; what happened before the mark may have been told already.
type mark struct {
	Store  string    `json:"store"`
	Cursor int64     `json:"cursor"`
	At     time.Time `json:"at"`
}

// A watch compares the database with the mark.
type watch struct {
	file  string
	store headStore
	newID func() string
	now   func() time.Time
	last  *mark // as the file has it
}

// look compares, holds what a restored database would send by itself, and moves the mark. It comes before
// anything is sent, each time: nothing is sent that isn't in the mark. It returns how many notices were held; restored tells
// that the database was behind.
func (w *watch) look(ctx context.Context) (restored bool, held int, err error) {
	h, err := w.store.NoticeHead(ctx)
	if err == nil && h.Store == "" {
		if err = w.store.NameNoticeStore(ctx, w.newID()); err == nil {
			h, err = w.store.NoticeHead(ctx)
		}
	}
	if err != nil {
		return false, 0, err
	}
	if w.last == nil {
		if w.last, err = readMark(w.file); err != nil {
			return false, 0, err
		}
	}
	now := w.now()
	if now.Sub(h.Beat) >= beatEvery {
		if err := w.store.BeatNotices(ctx, now); err != nil {
			return false, 0, err
		}
	}
	point := now
	switch {
	case w.last == nil: // a first start, or one more worker; or else nobody knows what was told
		restored = h.End > 0 && now.Sub(h.Beat) > beatAge
	case w.last.Store != h.Store || h.Cursor < w.last.Cursor:
		restored, point = true, w.last.At.Add(ahead)
	case h.Cursor == w.last.Cursor:
		return false, 0, nil
	}
	if restored {
		if held, err = w.store.HoldNotices(ctx, point); err != nil {
			return true, 0, err
		}
	}
	m := mark{Store: h.Store, Cursor: h.Cursor, At: now}
	if err := writeMark(w.file, m); err != nil {
		return restored, held, err
	}
	w.last = &m
	return restored, held, nil
}

func readMark(file string) (*mark, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("mark: %w", err)
	}
	var m mark
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("mark: %s: %w", file, err)
	}
	return &m, nil
}

// writeMark replaces the file in one step, and returns when it is on the disk.
func writeMark(file string, m mark) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("mark: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".mark-*")
	if err != nil {
		return fmt.Errorf("mark: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("mark: %w", errors.Join(err, os.Remove(f.Name())))
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return fmt.Errorf("mark: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("mark: %w", err)
	}
	return nil
}
