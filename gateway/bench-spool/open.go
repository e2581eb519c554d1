package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
)

// hollow is a file system that keeps what a spool says of its segments and, in place of the records, holes; it counts
// what is read. Synced is nothing.
type hollow struct {
	spool.FS
	reads, bytes *atomic.Int64
}

const small = 256 // bytes: headers and footers are no longer

func (h hollow) file(f spool.File, err error) (spool.File, error) {
	if err != nil {
		return nil, err
	}
	return hollowFile{f, h}, nil
}

// Create makes a file.
func (h hollow) Create(name string) (spool.File, error) { return h.file(h.FS.Create(name)) }

// Open opens a file.
func (h hollow) Open(name string) (spool.File, error) { return h.file(h.FS.Open(name)) }

// SyncDir does nothing.
func (h hollow) SyncDir(string) error { return nil }

type hollowFile struct {
	spool.File
	fs hollow
}

// ReadAt counts.
func (f hollowFile) ReadAt(b []byte, off int64) (int, error) {
	f.fs.reads.Add(1)
	f.fs.bytes.Add(int64(len(b)))
	return f.File.ReadAt(b, off)
}

// WriteAt writes what is small; of anything else only its end, which may be a footer.
func (f hollowFile) WriteAt(b []byte, off int64) (int, error) {
	if len(b) > small {
		_, err := f.File.WriteAt(b[len(b)-small:], off+int64(len(b)-small))
		return len(b), err
	}
	return f.File.WriteAt(b, off)
}

// Allocate makes a hole.
func (f hollowFile) Allocate(size int64) error { return f.File.Truncate(size) }

// Sync does nothing.
func (f hollowFile) Sync() error { return nil }

func opens(w io.Writer, dir string, records int) error {
	fmt.Fprint(w, "## Opening\n\n| spool | records | segments | open | reads/segment | bytes read/segment | heap of the spool | resident, beside an empty one |\n|---|---|---|---|---|---|---|---|\n")
	var empty int64
	for _, n := range []int{0, records / 10, records} {
		if err := opened(w, filepath.Join(dir, fmt.Sprint("open-", n)), n, &empty); err != nil {
			return err
		}
	}
	return nil
}

func opened(w io.Writer, dir string, records int, empty *int64) error {
	fs := hollow{spool.OS(), new(atomic.Int64), new(atomic.Int64)}
	opt := spool.Options{Clock: wall{time.Now()}, MaxBytes: 64 << 30, SegmentBytes: fileSize}
	if err := build(fs, dir, opt, records); err != nil {
		return err
	}
	heap0, _ := memory()
	fs.reads.Store(0)
	fs.bytes.Store(0)
	start := time.Now()
	s, err := spool.Open(fs, dir, opt)
	if err != nil {
		return err
	}
	took := time.Since(start)
	c := s.Counters()
	heap1, resident := memory()
	if records == 0 {
		*empty = resident
	}
	segments := max(1, int64(c["segments"]))
	fmt.Fprintf(w, "| %.2f GiB | %d | %d | %v | %.1f | %d | %d KiB | %+.1f MB |\n", float64(c["bytes"])/(1<<30), records, c["segments"], took.Round(100*time.Microsecond),
		float64(fs.reads.Load())/float64(segments), fs.bytes.Load()/segments, (heap1-heap0)>>10, float64(resident-*empty)/1e6)
	runtime.KeepAlive(s)
	return s.Close()
}

func build(fs spool.FS, dir string, opt spool.Options, records int) error {
	s, err := spool.Open(fs, dir, opt)
	if err != nil {
		return err
	}
	entries := make([]frame.Entry, 500)
	for i := range entries {
		entries[i] = frame.Entry{Lane: telemetry.Custody, Type: frame.TypeReading, Payload: bytes.Repeat([]byte("r"), 1010)}
	}
	var failed error
	for n := 0; n < records; n += len(entries) {
		if err := errors.Join(failed, s.Append(entries, func(err error) { failed = errors.Join(failed, err) })); err != nil {
			return err
		}
		s.Step()
	}
	return errors.Join(failed, s.Close())
}

// memory returns the heap and the resident memory after a collection.
func memory() (heap, resident int64) {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			if pages, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				resident = pages * int64(os.Getpagesize())
			}
		}
	}
	return int64(m.HeapAlloc), resident
}
