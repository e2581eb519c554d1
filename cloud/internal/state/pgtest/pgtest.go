// Package pgtest runs a private PostgreSQL for tests and benchmarks: its own cluster in a
// temporary folder, on a unix socket there, without a port. It needs the server's programs (Debian:
// postgresql-15) in PATH or in /usr/lib/postgresql/*/bin, and says so when they are missing. Started as root
// it runs as user postgres, since the server refuses root.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a running PostgreSQL.
type Server struct {
	dir  string
	bin  string
	cmd  *exec.Cmd
	done chan error
	next atomic.Int64
	cred *syscall.Credential
	args []string
}

// Start makes a cluster and starts its server with more settings ("fsync=off").
func Start(settings ...string) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin}
	if s.dir, err = os.MkdirTemp("", "pg"); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		if s.cred, err = postgresUser(); err != nil {
			return nil, errors.Join(err, os.RemoveAll(s.dir))
		}
		if err := os.Chown(s.dir, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
			return nil, errors.Join(err, os.RemoveAll(s.dir))
		}
	}
	initdb := s.command("initdb", "-D", s.data(), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync", "--no-locale")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("initdb: %w\n%s", err, out), os.RemoveAll(s.dir))
	}
	s.args = []string{"-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=200"}
	for _, v := range settings {
		s.args = append(s.args, "-c", v)
	}
	if err := s.Up(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// programs finds the folder of the server's programs.
func programs() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			return filepath.Dir(p), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", errors.New("PostgreSQL is missing: no initdb in PATH or /usr/lib/postgresql/*/bin (Debian: apt-get install postgresql-15)")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

func postgresUser() (*syscall.Credential, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Pdeathsig: syscall.SIGQUIT}
	return cmd
}

// Up starts the server after Down, and returns when it answers.
func (s *Server) Up() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = s.command("postgres", s.args...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.done = make(chan error, 1)
	cmd, done := s.cmd, s.done
	go func() { done <- cmd.Wait() }()
	deadline := time.After(30 * time.Second)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		c, err := pgx.Connect(ctx, s.DSN("postgres"))
		if err == nil {
			err = c.Close(ctx)
		}
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-done:
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.cmd = nil
			return fmt.Errorf("postgres ended\n%s", text)
		case <-deadline:
			return fmt.Errorf("postgres doesn't answer: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Down stops the server; SIGINT ends all sessions at once, SIGQUIT is a crash.
func (s *Server) Down(sig syscall.Signal) error {
	if s.cmd == nil {
		return nil
	}
	err := s.cmd.Process.Signal(sig)
	<-s.done
	s.cmd = nil
	return err
}

// DSN is the URL of a database.
func (s *Server) DSN(database string) string {
	return "postgres:///" + database + "?host=" + s.dir + "&user=postgres"
}

// PID is the process id of the server.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// CPU is the processor time that the server has used: its own, that of its sessions, and that of those that ended.
func (s *Server) CPU() time.Duration {
	self := strconv.Itoa(s.PID())
	sum := spent(self, 4)
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range all {
		if f := stat(filepath.Base(p)); len(f) > 1 && f[1] == self {
			sum += spent(filepath.Base(p), 2)
		}
	}
	return sum
}

// spent adds up n of the four times of /proc/PID/stat, in hundredths of a second: user and system, and those of children that ended.
func spent(pid string, n int) (sum time.Duration) {
	f := stat(pid)
	for i := 11; i < min(11+n, len(f)); i++ {
		ticks, _ := strconv.Atoi(f[i])
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum
}

// stat is the fields of /proc/PID/stat after the name.
func stat(pid string) []string {
	b, _ := os.ReadFile("/proc/" + pid + "/stat")
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.Fields(rest)
}

// Create makes a new empty database and returns its URL.
func (s *Server) Create(ctx context.Context) (string, error) {
	name := "t" + strconv.FormatInt(s.next.Add(1), 10)
	c, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return "", err
	}
	_, err = c.Exec(ctx, "create database "+name)
	return s.DSN(name), errors.Join(err, c.Close(ctx))
}

// Database makes a new empty database for a test and returns its URL.
func (s *Server) Database(tb testing.TB) string {
	url, err := s.Create(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return url
}

// Stop ends the server and removes its cluster.
func (s *Server) Stop() error {
	return errors.Join(s.Down(syscall.SIGQUIT), os.RemoveAll(s.dir))
}
