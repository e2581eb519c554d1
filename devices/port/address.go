package port

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// An address is a parsed address: what Open needs, and the text for its errors.
type address struct {
	text   string
	scheme string // serial or tcp
	target string // device path, or host:port
	line   line   // serial only
}

// A line is how bytes stand on a serial wire.
type line struct {
	baud, data, stop int
	parity           byte // N, E, O
}

func parse(addr string) (address, error) {
	a := address{text: addr, line: line{baud: 9600, data: 8, stop: 1, parity: 'N'}}
	scheme, rest, _ := strings.Cut(addr, ":")
	target, query, keyed := strings.Cut(rest, "?")
	a.scheme, a.target = scheme, target
	var err error
	switch scheme {
	case "serial":
		err = checkPath(target)
		if keyed {
			err = errors.Join(err, a.line.set(query))
		}
	case "tcp":
		err = checkHostPort(target)
		if keyed {
			err = errors.Join(err, fmt.Errorf("tcp takes no keys, %.40q given", query))
		}
	default:
		err = errors.New("must start with serial: or tcp:")
	}
	if err != nil {
		return address{}, fmt.Errorf("port address %.120q: %w", addr, err)
	}
	return a, nil
}

func checkPath(path string) error {
	if !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0) {
		return fmt.Errorf("device path %.120q must be absolute", path)
	}
	return nil
}

func checkHostPort(target string) error {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return errors.New("must be tcp:host:port")
	}
	if host == "" {
		return errors.New("host is empty")
	}
	if n, err := number(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("port %.20q is not 1 to 65535", port)
	}
	return nil
}

// set reads the keys after the question mark, every wrong one reported.
func (l *line) set(query string) error {
	var errs []error
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(query, "&") {
		key, val, _ := strings.Cut(pair, "=")
		if seen[key] {
			errs = append(errs, fmt.Errorf("key %.20q is given twice", key))
			continue
		}
		seen[key] = true
		errs = append(errs, l.setKey(key, val))
	}
	return errors.Join(errs...)
}

func (l *line) setKey(key, val string) error {
	n, err := number(val)
	ok := err == nil
	switch key {
	case "baud":
		l.baud, ok = n, ok && n >= 50 && n <= 4_000_000
	case "data":
		l.data, ok = n, ok && (n == 7 || n == 8)
	case "stop":
		l.stop, ok = n, ok && (n == 1 || n == 2)
	case "parity":
		if ok = val == "N" || val == "E" || val == "O"; ok {
			l.parity = val[0]
		}
	default:
		return fmt.Errorf("unknown key %.20q, allowed are baud, data, parity, stop", key)
	}
	if !ok {
		return fmt.Errorf("%s %.20q is out of range", key, val)
	}
	return nil
}

// number is strict: digits only, no sign, no leading zero.
func number(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err == nil && strconv.Itoa(n) != s {
		err = strconv.ErrSyntax
	}
	return n, err
}
