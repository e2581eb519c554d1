package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A child is a process that serves one broker.
type child struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	addr string
}

// start runs this program again, as serve says.
func start(ctx context.Context, which, dir, profile string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, self, "serve", which, dir, profile)}
	c.cmd.Stderr = os.Stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := c.out.ReadString('\n')
	c.addr = strings.TrimSpace(line)
	return c, err
}

// ask sends a line and returns the mark that comes back.
func (c *child) ask(line string) (m mark, err error) {
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		return m, err
	}
	b, err := c.out.ReadBytes('\n')
	if err != nil {
		return m, fmt.Errorf("broker process: %w", err)
	}
	return m, json.Unmarshal(b, &m)
}

func (c *child) stop() error {
	c.in.Close()
	return c.cmd.Wait()
}

// noise tells how much processor time others took. Own processes are this one and pids.
type noise struct{ pids []int }

const tick = time.Second / 100 // of /proc

// others returns the processor time that was used by processes other than ours since boot.
func (n noise) others() time.Duration {
	busy, err := procBusy()
	if err != nil {
		return 0
	}
	busy -= cpuTime()
	for _, pid := range n.pids {
		busy -= procCPU(pid)
	}
	return busy
}

// procBusy is what all processors did, but idle.
func procBusy() (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	var sum time.Duration
	for i, f := range strings.Fields(line)[1:] {
		v, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		if i != 3 && i != 4 && i < 8 { // idle, waiting for a disk; guests are in user time
			sum += time.Duration(v) * tick
		}
	}
	return sum, nil
}

// procCPU is the processor time of a process in nanoseconds, by its threads; 0 when it is gone.
func procCPU(pid int) (sum time.Duration) {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	threads, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, t := range threads {
		b, err := os.ReadFile(dir + "/" + t.Name() + "/schedstat")
		if f := strings.Fields(string(b)); err == nil && len(f) > 0 {
			ns, _ := strconv.ParseInt(f[0], 10, 64)
			sum += time.Duration(ns)
		}
	}
	return sum
}

const (
	calm  = 0.25 // cores that others may use before a sample
	quiet = 0.30 // and during it
)

// settle waits until others are calm, or for limit.
func (n noise) settle(limit time.Duration) {
	const look = 800 * time.Millisecond
	for end := time.Now().Add(limit); time.Now().Before(end); {
		before := n.others()
		time.Sleep(look)
		if float64(n.others()-before)/float64(look) < calm {
			return
		}
	}
}

// during runs f and returns how many cores others used meanwhile.
func (n noise) during(f func() error) (cores float64, err error) {
	before, began := n.others(), time.Now()
	err = f()
	return max(0, float64(n.others()-before)/float64(time.Since(began))), err
}

// median returns the middle of xs; 0 of none.
func median[T cmp.Ordered](xs []T) (m T) {
	if len(xs) == 0 {
		return m
	}
	s := slices.Sorted(slices.Values(xs))
	return s[len(s)/2]
}

// spread is the median distance from the median.
func spread(xs []float64) float64 {
	m := median(xs)
	var d []float64
	for _, x := range xs {
		d = append(d, max(x-m, m-x))
	}
	return median(d)
}
