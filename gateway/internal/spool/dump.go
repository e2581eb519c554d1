package spool

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"yizhan/broker/frame"
)

// Dump prints a spool's folder, or one segment of it, for people: a line a segment and a line a record. It only
// reads, needs no lock, and goes on behind damage.
func Dump(w io.Writer, fsys FS, path string) error {
	if log, num, ok := parseSegmentName(filepath.Base(path)); ok {
		return dumpSegment(w, fsys, path, log, num)
	}
	names, err := fsys.ReadDir(path)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	slices.SortFunc(names, func(a, b string) int {
		_, m, _ := parseSegmentName(a)
		_, n, _ := parseSegmentName(b)
		if m != n {
			return int(m) - int(n)
		}
		return 0
	})
	for _, name := range names {
		log, num, ok := parseSegmentName(name)
		if !ok {
			continue
		}
		if err := dumpSegment(w, fsys, filepath.Join(path, name), log, num); err != nil {
			return err
		}
	}
	return nil
}

func dumpSegment(w io.Writer, fsys FS, path string, log int, num uint64) error {
	f, err := fsys.Open(path)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	h, ft, ok := readHead(f, size, num)
	if !ok || h.log != log || h.num != num {
		_, err := fmt.Fprintf(w, "%s: %d bytes, no header of this segment\n", filepath.Base(path), size)
		return err
	}
	state, end := "open", size
	if ft != nil {
		state, end = "sealed", ft.end
	}
	if _, err := fmt.Fprintf(w, "%s: %d bytes, %s, epoch %v, incarnation %016x, %v from %d, %v from %d\n", filepath.Base(path), size, state,
		h.epoch, h.incarnation, logLanes[log][0], h.first[0], logLanes[log][1], h.first[1]); err != nil {
		return err
	}
	r := newWalker(f, h.seed(), headerSize, end)
	for at := int64(headerSize); ; {
		rec, off, ok := r.next()
		if r.torn {
			if _, err := fmt.Fprintf(w, "  %d: %d bytes that are no record\n", at, off-at); err != nil {
				return err
			}
		}
		if !ok {
			return nil
		}
		at = r.off
		if err := dumpRecord(w, off, &rec); err != nil {
			return err
		}
	}
}

var typeNames = map[frame.Type]string{
	frame.TypeReading: "reading", frame.TypeOpening: "opening", frame.TypeTombstone: "tombstone", frame.TypeQuarantine: "quarantine",
}

func dumpRecord(w io.Writer, off int64, r *stored) error {
	_, err := fmt.Fprintf(w, "  %d: %v %d %s boot %v mono %d wall %d %s %s\n", off, r.lane, r.Seq, typeNames[r.Type], r.Boot, r.MonoNS, r.WallMS, r.Quality, r.Payload)
	return err
}
