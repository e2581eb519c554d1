package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/firmware-sim/internal/firmware"
)

// Variables of a process that inside started.
const (
	insideOf    = "YIZHAN_INSIDE" // the test
	programsFor = "YIZHAN_BIN"    // the programs that were built for it
)

// inside runs the test that calls it in another process, which has namespaces of its own: what is mounted or wired there is gone with
// it. Who isn't root gets a user namespace too. It is true in that process, and where there can be no network of its own.
func inside(t *testing.T, namespaces uintptr) bool {
	t.Helper()
	if own(t) {
		return true
	}
	bin, err := programs()
	require.NoError(t, err)
	runtime.LockOSThread() // the process ends with the thread that started it
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.v", "-test.timeout=7m")
	cmd.Env = append(os.Environ(), insideOf+"="+t.Name(), programsFor+"="+bin)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil && namespaces == syscall.CLONE_NEWNET {
		t.Logf("no network namespace here: %v", err)
		return true
	} else {
		require.NoError(t, err)
	}
	require.NoError(t, cmd.Wait())
	return false
}

// own reports whether this process was started by inside.
func own(t *testing.T) bool { return os.Getenv(insideOf) == t.Name() }

// probe is a device on a board's broker, and what it was told is safe.
type probe struct {
	*firmware.Handheld
	sent, told *ledger
}

// addProbe lets a device log in to a board; run it with runProbe.
func addProbe(s *site, b *board, name string) *probe {
	p := &probe{&firmware.Handheld{Device: name, Password: secret(), Boot: secret()[:8], Window: 64}, newLedger(), newLedger()}
	p.Told(func(n string) { p.told.add(n) })
	b.users = append(b.users, login{name, p.Password})
	return p
}

// runProbe keeps a device at the broker at addr until the test ends.
func runProbe(t *testing.T, p *probe, addr string) {
	p.Addr = addr
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// weigh queues n weights, each another one, that don't pack well.
func (p *probe) weigh(board string, n int) {
	for range n {
		k := p.sent.count() + 1 + rand.IntN(1<<28)<<20
		if _, err := p.Queue("weight", time.Time{}, map[string]int{"weight_kg": k}); err == nil {
			p.sent.add(fmt.Sprintf("%s/%s %d", board, p.Device, k))
		}
	}
}

// gauges are those that counters has too; pending is the sum of all lanes.
var gauges = map[string]string{"yizhan_uplink_connected": "uplink connected", "yizhan_spool_pending": "spool pending"}

// pending is how many records wait for the cloud; -1 when the board doesn't answer.
func pending(b *board) float64 {
	if c := counters(b); c != nil {
		return c["spool pending"]
	}
	return -1
}

// counters are the counters of a board's rooms, "room event".
func counters(b *board) map[string]float64 {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get("http://" + b.status() + "/metrics")
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	out := map[string]float64{}
	line := regexp.MustCompile(`^yizhan_events_total\{.*room="([a-z]+)",event="([a-z_]+)"\} (\S+)`)
	for in := bufio.NewScanner(resp.Body); in.Scan(); {
		if m := line.FindStringSubmatch(in.Text()); m != nil {
			out[m[1]+" "+m[2]], _ = strconv.ParseFloat(m[3], 64)
		}
		name := in.Text()[:max(0, strings.IndexAny(in.Text(), "{ "))]
		if what := gauges[name]; what != "" {
			v, _ := strconv.ParseFloat(in.Text()[strings.LastIndex(in.Text(), " ")+1:], 64)
			out[what] += v
		}
	}
	return out
}

// fillRest writes a file until the card has no room for more of it, as another program would, and returns its size.
func fillRest(t *testing.T, file string) (size int64) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(t, err)
	defer f.Close()
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	size, err = f.Seek(0, io.SeekEnd)
	require.NoError(t, err)
	return size
}

// mountCard mounts a small card at a board's data folder until the test ends.
func mountCard(t *testing.T, b *board, size string) (dir string) {
	t.Helper()
	require.NoError(t, syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""), "what is mounted here is nobody else's")
	dir = filepath.Join(b.dir, "data")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries, "nothing is hidden by the card")
	require.NoError(t, syscall.Mount("card", dir, "tmpfs", 0, "mode=700,size="+size))
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	return dir
}
