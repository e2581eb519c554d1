package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"yizhan/firmware-sim/internal/power"
)

const socket = "power.sock"

// obey takes orders on the socket in the data folder: POST /UNIT/ACTION, and POST /LOCKER/key/CELL/CODE, which answers what the keypad shows.
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
		word, err := "", error(nil)
		if entry, typed := strings.CutPrefix(action, "key/"); typed {
			word, err = s.key(r.Context(), unit, entry)
		} else {
			err = s.do(unit, action)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		_, _ = io.WriteString(w, word)
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

// key types CELL/CODE at a locker; its board's name is its name too.
func (s *site) key(ctx context.Context, locker, entry string) (word string, err error) {
	number, code, _ := strings.Cut(entry, "/")
	cell, err := strconv.Atoi(number)
	if err != nil || code == "" {
		return "", fmt.Errorf("%.40q is no cell and code", entry)
	}
	for _, b := range s.yard.boards {
		if b.id == locker && b.locker != nil {
			locker = b.locker.ID
		}
	}
	return s.yard.story.Type(ctx, locker, cell, code)
}

// tell is the commands power (UNIT ACTION) and key (LOCKER CELL CODE), of a county that runs.
func tell(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) error {
	data := flags.String("data", "data/demo", "the county's data `folder`")
	if err := flags.Parse(args[1:]); err != nil || args[0] == "key" && flags.NArg() != 3 || args[0] != "key" && flags.NArg() != 2 {
		return errors.Join(errUsage, err)
	}
	action := flags.Arg(1)
	if args[0] == "key" {
		action = "key/" + flags.Arg(1) + "/" + flags.Arg(2)
	}
	said, err := order(ctx, *data, flags.Arg(0), action)
	if said != "" {
		_, err = fmt.Fprintln(stdout, said)
	}
	return err
}

// order sends an order to the county that runs on a data folder, and returns what it says.
func order(ctx context.Context, data, unit, action string) (said string, err error) {
	path, done, err := socketPath(data)
	if err != nil {
		return "", err
	}
	defer done()
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://power/"+unit+"/"+action, nil)
	if err != nil {
		return "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1000))
	if err != nil {
		return "", err
	}
	said = strings.TrimSpace(string(answer))
	if res.StatusCode != http.StatusOK {
		return "", errors.New(said)
	}
	return said, nil
}
