package spool

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// A volume is a folder of segment files and of spare ones: files of a whole segment's size whose content means
// nothing. A spare is a segment that was let go, or room that was taken beforehand; a segment that begins in one
// needs no room of the card, and where the spare was a segment its writes change nothing but its bytes.
type volume struct {
	fs     FS
	dir    string
	size   int64 // of a whole segment
	spares []spare
	count  func(what string, n int64) // bytes written, syncs
}

type spare struct {
	num  uint64
	used bool   // was a segment
	seed uint32 // of the records in it
}

func (v *volume) path(name string) string { return filepath.Join(v.dir, name) }

func (v *volume) syncDir() error {
	v.count("syncs", 1)
	return v.fs.SyncDir(v.dir)
}

func (v *volume) write(f File, b []byte, off int64) error {
	v.count("written", int64(len(b)))
	_, err := f.WriteAt(b, off)
	return err
}

func (v *volume) sync(f File) error {
	v.count("syncs", 1)
	return f.Sync()
}

// adopt takes over a spare file that was found. One that is neither untouched room nor a whole sealed segment
// is removed: whose records are in it can't be told.
func (v *volume) adopt(num uint64) {
	name := v.path(spareName(num))
	f, err := v.fs.Open(name)
	if err != nil {
		return
	}
	sp, ok := v.look(f)
	f.Close()
	if sp.num = num; !ok || len(v.spares) >= maxSpares+moreSpares {
		_ = v.fs.Remove(name)
		return
	}
	if sp.used {
		v.spares = append(v.spares, sp)
	} else {
		v.spares = slices.Insert(v.spares, 0, sp) // used ones go first
	}
}

func (v *volume) look(f File) (sp spare, ok bool) {
	if size, err := f.Size(); err != nil || size != v.size {
		return sp, false
	}
	var head [headerSize]byte
	var foot [footerSize]byte
	fill(f, head[:], 0)
	fill(f, foot[:], v.size-footerSize)
	if head == [headerSize]byte{} && foot == [footerSize]byte{} {
		return sp, true
	}
	h, ok := decodeHeader(head[:])
	t, also := decodeFooter(foot[:])
	return spare{used: true, seed: h.seed()}, ok && also && h.incarnation == t.incarnation
}

// seed returns the seed of the records that are in the file which create takes next.
func (v *volume) seed() (seed uint32, ok bool) {
	if n := len(v.spares); n > 0 {
		return v.spares[n-1].seed, v.spares[n-1].used
	}
	return 0, false
}

// created is a segment file that was begun.
type created struct {
	File
	size  int64 // of the file
	ready int64 // bytes before it were written before: writes there change no size and no map
}

// create begins the segment file num with its header, in a spare or a new file. When it returns, name and header are on
// the card. The file has its header before it has its name, so that a segment's name never stands over a torn
// header or another's bytes. The last spare is taken only when last is set: without it the card must have room for a whole file.
func (v *volume) create(num uint64, name string, head []byte, last bool) (c created, err error) {
	old := v.path(spareName(num))
	hold := !last && len(v.spares) > 0
	if n := len(v.spares); n > held || n > 0 && !hold {
		sp := v.spares[n-1]
		v.spares = v.spares[:n-1]
		old = v.path(spareName(sp.num))
		c.size, c.ready = v.size, headerSize
		if sp.used {
			c.ready = v.size
		}
		c.File, err = v.fs.Open(old)
	} else if c.File, err = v.fs.Create(old); err == nil {
		c.size, c.ready = headerSize, headerSize
		room := c.Allocate(v.size)
		if room == nil {
			c.size = v.size
		} else if hold && errors.Is(room, unix.ENOSPC) {
			c.Close()
			_ = v.fs.Remove(old)
			err = room
		}
	}
	if err != nil {
		return created{}, fmt.Errorf("spool: new %s: %w", name, err)
	}
	if err = v.write(c, head, 0); err == nil {
		err = v.sync(c)
	}
	if err == nil {
		return c, v.name(c, old, name)
	}
	c.Close()
	_ = v.fs.Remove(old)
	return created{}, fmt.Errorf("spool: new %s: %w", name, err)
}

// errNamed says that a segment that could not be made may be found under its name nevertheless. It holds no record, and
// goes at the next opening; but there it bounds the segment before it, which must not be written any more.
var errNamed = errors.New("not made")

// name gives a new segment its name.
func (v *volume) name(c created, old, name string) error {
	err := v.fs.Rename(old, v.path(name))
	if err == nil {
		err = v.syncDir()
	}
	if err == nil {
		return nil
	}
	c.Close()
	_ = v.fs.Remove(old)
	_ = v.fs.Remove(v.path(name))
	return fmt.Errorf("spool: new %s %w: %w", name, errNamed, err)
}

// discarded is a segment file that nobody needs.
type discarded struct {
	name string
	num  uint64
}

// discard lets segment files go. Of the whole ones, as many as room allows become spares; one that was a segment is worth
// more than one that wasn't.
func (v *volume) discard(dead []discarded, room int) error {
	fresh := 0
	var first error
	for _, d := range dead {
		spared, err := v.let(d, room)
		if spared {
			fresh++
		}
		if first == nil && err != nil {
			first = err
		}
	}
	if fresh > 0 { // only now may their content go
		if err := v.syncDir(); err != nil {
			v.spares = v.spares[:len(v.spares)-fresh]
			return err
		}
	}
	return first
}

func (v *volume) let(d discarded, room int) (spared bool, err error) {
	if len(v.spares) >= room && len(v.spares) > 0 && !v.spares[0].used {
		if err := v.fs.Remove(v.path(spareName(v.spares[0].num))); err != nil {
			return false, err
		}
		v.spares = v.spares[1:]
	}
	if len(v.spares) < room {
		f, err := v.fs.Open(v.path(d.name))
		if err != nil {
			return false, err
		}
		sp, ok := v.look(f)
		f.Close()
		if ok && sp.used {
			if err := v.fs.Rename(v.path(d.name), v.path(spareName(d.num))); err != nil {
				return false, err
			}
			sp.num = d.num
			v.spares = append(v.spares, sp)
			return true, nil
		}
	}
	return false, v.fs.Remove(v.path(d.name))
}

// reserve takes room for one more spare, and keeps it over a power cut: others may have filled the card by then.
func (v *volume) reserve(num uint64) error {
	name := v.path(spareName(num))
	f, err := v.fs.Create(name)
	if err != nil {
		return err
	}
	if err = f.Allocate(v.size); err == nil {
		err = v.sync(f)
	}
	f.Close()
	if err == nil {
		err = v.syncDir()
	}
	if err != nil {
		_ = v.fs.Remove(name)
		return err
	}
	v.spares = slices.Insert(v.spares, 0, spare{num: num})
	return nil
}
