// Package influxtest runs a private InfluxDB 1.8 for tests and benchmarks, in a temporary folder on
// free ports of the loopback. The server is found by YIZHAN_INFLUXD, in PATH, or in GOPATH/bin (go install
// github.com/influxdata/influxdb/cmd/influxd@v1.8.10); Start says so when it is missing.
package influxtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Server is a running InfluxDB.
type Server struct {
	dir, bin  string
	http, rpc string
	cmd       *exec.Cmd
	done      chan error
}

// Start starts a server.
func Start() (*Server, error) {
	bin, err := program()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin}
	if s.http, err = freeAddr(); err != nil {
		return nil, err
	}
	if s.rpc, err = freeAddr(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "influx"); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "conf"), nil, 0o600); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	if err := s.Up(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func program() (string, error) {
	if p := os.Getenv("YIZHAN_INFLUXD"); p != "" {
		return p, nil
	}
	if p, err := exec.LookPath("influxd"); err == nil {
		return p, nil
	}
	out, err := exec.Command("go", "env", "GOPATH").Output()
	if err == nil {
		p := filepath.Join(strings.TrimSpace(string(out)), "bin", "influxd")
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", errors.New("influxd is missing: set YIZHAN_INFLUXD, or go install github.com/influxdata/influxdb/cmd/influxd@v1.8.10")
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Up starts the server after Down and returns when it answers.
func (s *Server) Up() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(s.bin, "run", "-config", filepath.Join(s.dir, "conf"))
	s.cmd.Env = append(os.Environ(), "INFLUXDB_REPORTING_DISABLED=true", "INFLUXDB_BIND_ADDRESS="+s.rpc, "INFLUXDB_HTTP_BIND_ADDRESS="+s.http,
		"INFLUXDB_HTTP_FLUX_ENABLED=true", "INFLUXDB_HTTP_LOG_ENABLED=false", "INFLUXDB_MONITOR_STORE_ENABLED=false", "INFLUXDB_DATA_QUERY_LOG_ENABLED=false",
		"INFLUXDB_META_DIR="+s.dir+"/meta", "INFLUXDB_DATA_DIR="+s.dir+"/data", "INFLUXDB_DATA_WAL_DIR="+s.dir+"/wal")
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.done = make(chan error, 1)
	cmd, done := s.cmd, s.done
	go func() { done <- cmd.Wait() }()
	deadline := time.After(60 * time.Second)
	for {
		if res, err := http.Get("http://" + s.http + "/health"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-done:
			s.cmd = nil
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("influxd ended\n%s", text)
		case <-deadline:
			return errors.New("influxd doesn't answer")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Down kills the server.
func (s *Server) Down() error {
	if s.cmd == nil {
		return nil
	}
	err := s.cmd.Process.Kill()
	<-s.done
	s.cmd = nil
	return err
}

// PID is the process id of the server.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// URL is that of a history in a database, which needn't exist yet.
func (s *Server) URL(db string) string { return "influx+http://" + s.http + "/" + db }

// Query runs InfluxQL and returns the answer.
func (s *Server) Query(ctx context.Context, db, q string) (string, error) {
	form := url.Values{"q": {q}, "db": {db}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.http+"/query", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("influxd: %s: %s", res.Status, b)
	}
	return string(b), err
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() error { return errors.Join(s.Down(), os.RemoveAll(s.dir)) }
