package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"yizhan/firmware-sim/internal/power"
)

const socket = "power.sock"

// obey takes orders on the socket in the data folder: POST /UNIT/ACTION.
func (s *site) obey(ctx context.Context) error {
	path, done, err := socketPath(s.dir)
	if err != nil {
		return err
	}
	defer done()
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return err
	}
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		unit, action, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if err := s.do(unit, action); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		}
	})}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}

// socketPath names the socket by way of an open folder: a socket's own path ends at 107 bytes.
func socketPath(dir string) (path string, done func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socket), func() { _ = d.Close() }, nil
}

// do carries out one order.
func (s *site) do(unit, action string) error {
	switch action {
	case "kill":
		return s.rack.Kill(unit)
	case "pause":
		return s.rack.Pause(unit)
	case "resume":
		return s.rack.Resume(unit)
	case "off":
		return s.rack.Off(unit)
	case "on":
		return s.rack.On(unit)
	}
	link := s.links[unit]
	switch {
	case link == nil:
		return fmt.Errorf("%.40q: %w", unit, power.ErrNoUnit)
	case action == "cut":
		link.Cut()
	case action == "mend":
		link.Mend()
	default:
		return fmt.Errorf("%.40q is no order", action)
	}
	return nil
}

// order sends an order to the county that runs on a data folder.
func order(ctx context.Context, data, unit, action string) error {
	path, done, err := socketPath(data)
	if err != nil {
		return err
	}
	defer done()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://power/"+unit+"/"+action, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
		return errors.New(strings.TrimSpace(string(why)))
	}
	return nil
}
