package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"yizhan/broker"
)

// A board is the gateway's program with a folder of its own, on one processor.
type board struct {
	cmd    *exec.Cmd
	broker string
	status string
}

const boardConfig = `gateway: bench
data: %[1]s
log: error
uplink: {url: "tls://%[2]s", ca: ca.pem, cert: cert.pem, key: key.pem, retry_min: 500ms, retry_max: 5s}
broker: {listen: "%[3]s", users: [%[5]s]}
status: {listen: "%[4]s"}
spool: {max_bytes: 8GiB}
`

// free returns a loopback address that nobody listens at.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// startBoard enrols a board with c and starts the program, which connects to uplink.
func startBoard(ctx context.Context, program, dir, uplink string, c *cloud) (*board, error) {
	b := &board{}
	var err error
	if b.broker, err = free(); err != nil {
		return nil, err
	}
	if b.status, err = free(); err != nil {
		return nil, err
	}
	hash, err := broker.HashPassword(password)
	if err != nil {
		return nil, err
	}
	var users []string
	for i := range 10 {
		users = append(users, fmt.Sprintf("{name: u%d, role: device, password_hash: %q}", i, hash))
	}
	file := filepath.Join(dir, "gateway.yaml")
	text := fmt.Sprintf(boardConfig, filepath.Join(dir, "data"), uplink, b.broker, b.status, strings.Join(users, ", "))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	request, err := exec.CommandContext(ctx, program, "key", "-config", file).Output()
	if err != nil {
		return nil, fmt.Errorf("%s key: %w", program, err)
	}
	cert, err := c.sign(request)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), cert, 0o600); err != nil {
		return nil, err
	}
	if err := c.writeCA(filepath.Join(dir, "ca.pem")); err != nil {
		return nil, err
	}
	b.cmd = exec.CommandContext(ctx, program, "-config", file)
	b.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	b.cmd.Stderr = os.Stderr
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	return b, b.await("yizhan_up", 1)
}

// stop ends the program as systemd does.
func (b *board) stop() error {
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return b.cmd.Wait()
}

// metric returns one number of the status page.
func (b *board) metric(name string) (float64, error) {
	r, err := http.Get("http://" + b.status + "/metrics")
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	for in := bufio.NewScanner(io.LimitReader(r.Body, 1<<20)); in.Scan(); {
		if v, ok := strings.CutPrefix(in.Text(), name+" "); ok {
			return strconv.ParseFloat(v, 64)
		}
	}
	return 0, fmt.Errorf("the status page has no %s", name)
}

// await waits until a metric has a value.
func (b *board) await(name string, want float64) error {
	var v float64
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if v, err = b.metric(name); err == nil && v == want {
			return nil
		}
	}
	return fmt.Errorf("%s is %v, not %v: %w", name, v, want, err)
}

// rss returns the resident memory in bytes: all, and what is the process's own (not mapped from its file).
func (b *board) rss() (all, own uint64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	for _, line := range strings.Split(string(text), "\n") {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kb, _ := strconv.ParseUint(f[1], 10, 64)
		switch f[0] {
		case "VmRSS:":
			all = kb << 10
		case "RssAnon:":
			own = kb << 10
		}
	}
	return all, own, err
}
