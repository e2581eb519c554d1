package mqttlocker

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// at follows a path of keys and indexes, joined by dots, into decoded JSON; an empty path is the whole.
func at(v any, path string) (any, bool) {
	if path == "" {
		return v, true
	}
	for key := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			next, ok := x[key]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(x) {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, v != nil
}

// text is the word that stands at a path: a string, a number or a bool. An empty path has none.
func text(v any, path string) (string, bool) {
	if path == "" {
		return "", false
	}
	v, ok := at(v, path)
	if !ok {
		return "", false
	}
	switch x := v.(type) {
	case string:
		return x, true
	case json.Number:
		return x.String(), true
	case bool:
		return strconv.FormatBool(x), true
	}
	return "", false
}

// number is the number at a path.
func number(v any, path string) (float64, bool) {
	s, ok := text(v, path)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// whole is the whole number at a path.
func whole(v any, path string) (int, bool) {
	s, ok := text(v, path)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// earliest is when a clock is set: what is before it was never set.
var earliest = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// instant reads RFC 3339, or seconds, milliseconds or microseconds since 1970; zero when it is neither, or of a clock
// that isn't set.
func instant(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		n, err := strconv.ParseFloat(s, 64)
		switch {
		case err != nil || !(n >= 0 && n < 1e16):
			return time.Time{}
		case n < 1e11:
			t = time.UnixMicro(int64(n * 1e6))
		case n < 1e14:
			t = time.UnixMilli(int64(n))
		default:
			t = time.UnixMicro(int64(n))
		}
	}
	if t.Before(earliest) || t.Year() > 2200 {
		return time.Time{}
	}
	return t
}
