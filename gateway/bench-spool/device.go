package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A medium is the folder that is measured and the block device under it.
type medium struct {
	dir   string
	dev   string // major:minor
	owned bool   // nobody else writes to it
	undo  []func() error
}

// newMedium returns dir, or with image a file system of its own below it.
func newMedium(ctx context.Context, dir string, image bool) (*medium, error) {
	m := &medium{dir: dir}
	if image {
		if err := m.mount(ctx); err != nil {
			return nil, fmt.Errorf("image: %w (with -image=false the folder itself is measured)", err)
		}
	}
	var st unix.Stat_t
	if err := unix.Stat(m.dir, &st); err != nil {
		return nil, err
	}
	m.dev = fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	return m, nil
}

func (m *medium) mount(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	image, at := filepath.Join(m.dir, "image"), filepath.Join(m.dir, "mount")
	if err := os.Mkdir(at, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(image, 1<<30); err != nil {
		return err
	}
	loop, err := exec.CommandContext(ctx, "losetup", "--find", "--show", "--direct-io=on", image).Output()
	if err != nil {
		return fmt.Errorf("losetup: %w", err)
	}
	name := strings.TrimSpace(string(loop))
	m.undo = append(m.undo, exec.Command("losetup", "--detach", name).Run)
	// As on a card: a journal, and nothing left to be initialised behind the measurement's back.
	if err := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", name).Run(); err != nil {
		return fmt.Errorf("mkfs.ext4: %w", err)
	}
	if err := exec.CommandContext(ctx, "mount", "-o", "noatime", name, at).Run(); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	m.undo = append(m.undo, exec.Command("umount", at).Run)
	m.dir, m.owned = at, true
	return nil
}

// throttle limits this process to so many writes a second on the device.
func (m *medium) throttle(iops int) error {
	const root = "/sys/fs/cgroup/blkio"
	group := filepath.Join(root, fmt.Sprintf("bench-spool-%d", os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		return fmt.Errorf("iops: %w", err)
	}
	pid := []byte(strconv.Itoa(os.Getpid()))
	m.undo = append(m.undo, func() error {
		if err := os.WriteFile(filepath.Join(root, "cgroup.procs"), pid, 0o600); err != nil {
			return err
		}
		return os.Remove(group)
	})
	limit := fmt.Appendf(nil, "%s %d", m.dev, iops)
	if err := os.WriteFile(filepath.Join(group, "blkio.throttle.write_iops_device"), limit, 0o600); err != nil {
		return fmt.Errorf("iops: %w", err)
	}
	return os.WriteFile(filepath.Join(group, "cgroup.procs"), pid, 0o600)
}

func (m *medium) close() {
	for i := len(m.undo) - 1; i >= 0; i-- {
		if err := m.undo[i](); err != nil {
			fmt.Fprintln(os.Stderr, "bench-spool: not undone:", err)
		}
	}
	m.undo = nil
}

// traffic is what a device has done.
type traffic struct{ writes, bytes, flushes float64 }

// traffic reads the device's counters (Documentation/block/stat.rst: fields 5, 7 and 16).
func (m *medium) traffic() (traffic, error) {
	b, err := os.ReadFile("/sys/dev/block/" + m.dev + "/stat")
	if err != nil {
		return traffic{}, err
	}
	var v [17]float64
	for i, f := range strings.Fields(string(b)) {
		if i < len(v) {
			if v[i], err = strconv.ParseFloat(f, 64); err != nil {
				return traffic{}, err
			}
		}
	}
	return traffic{writes: v[4], bytes: v[6] * 512, flushes: v[15]}, nil
}
