package telemetry

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// TimeLayout is how times are written: RFC 3339, UTC, milliseconds.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// AppendJSON appends r as one JSON object to dst. Unknown fields of the body are in Body and so
// are written too. r must be valid.
func (r Reading) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"device":"`...)
	dst = append(dst, r.Device...)
	dst = append(dst, `","kind":"`...)
	dst = append(dst, r.Kind...)
	dst = append(dst, '"')
	if !r.At.IsZero() {
		dst = append(dst, `,"at":"`...)
		dst = r.At.UTC().AppendFormat(dst, TimeLayout)
		dst = append(dst, '"')
	}
	dst = append(dst, `,"tq":"`...)
	dst = append(dst, r.TQ...)
	dst = append(dst, '"')
	if r.ErrMS != 0 {
		dst = append(dst, `,"te_ms":`...)
		dst = strconv.AppendInt(dst, r.ErrMS, 10)
	}
	if r.N != "" {
		dst = append(dst, `,"n":`...)
		dst = appendString(dst, r.N)
	}
	dst = append(dst, `,"body":`...)
	if len(r.Body) == 0 {
		dst = append(dst, `{}`...)
	} else {
		dst = append(dst, r.Body...)
	}
	return append(dst, '}')
}

// MarshalJSON writes r as AppendJSON does.
func (r Reading) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

// UnmarshalJSON reads and validates one reading; device and kind must be in the object.
func (r *Reading) UnmarshalJSON(b []byte) error {
	v, err := parseOne(append([]byte(nil), b...), "", "")
	if err != nil {
		return err
	}
	*r = v
	return nil
}

// Rejected is an item of a payload that is no valid reading.
type Rejected struct {
	Index int    // position in the array, 0 for a single object
	Raw   []byte // the item as it came, cut to 4 KiB
	Err   error  // names the field
}

// MaxItems is the most readings one payload may hold.
const MaxItems = 4096

// Parse reads a payload of one reading or an array of readings. device and kind, where not
// empty, are what the topic says: they fill in fields that are absent, and a field that says
// otherwise is an error. Bad items of an array don't touch the good ones. A payload that is
// not JSON at all comes back as one Rejected.
func Parse(payload []byte, device string, kind Kind) (good []Reading, bad []Rejected) {
	reject := func(i int, raw []byte, err error) {
		if len(raw) > 4096 {
			raw = raw[:4096]
		}
		bad = append(bad, Rejected{Index: i, Raw: raw, Err: err})
	}
	s := scanner{b: payload}
	s.space()
	if s.peek() != '[' {
		r, err := parseOne(payload, device, kind)
		if err != nil {
			reject(0, payload, err)
			return nil, bad
		}
		return []Reading{r}, nil
	}
	n := 0
	err := s.array(0, func(val []byte) error {
		if n == MaxItems {
			return fmt.Errorf("more than %d items", MaxItems)
		}
		r, err := parseOne(val, device, kind)
		if err != nil {
			reject(n, val, err)
		} else {
			good = append(good, r)
		}
		n++
		return nil
	})
	if s.space(); err == nil && s.i != len(payload) {
		err = s.errf("bytes after the array")
	}
	if err != nil { // the payload is cut or garbled: nothing of it can be trusted
		bad = nil
		reject(0, payload, invalid("payload", "%v", err))
		return nil, bad
	}
	return good, bad
}

func parseOne(obj []byte, device string, kind Kind) (Reading, error) {
	r := Reading{Device: device, Kind: kind}
	err := EachField(obj, func(key, val []byte) error { return r.set(key, val, device, kind) })
	if err != nil {
		if errors.Is(err, ErrInvalid) {
			return Reading{}, err
		}
		return Reading{}, invalid("payload", "%v", err)
	}
	if r.TQ == "" {
		r.TQ = Unknown
		if !r.At.IsZero() {
			r.TQ = RTC // the device dates it and says no more: its own clock
		}
	}
	if r.At.IsZero() {
		r.TQ = Unknown
	}
	if r.Body == nil {
		return Reading{}, invalid("body", "is absent")
	}
	return r, r.Validate()
}

func (r *Reading) set(key, val []byte, device string, kind Kind) (err error) {
	switch string(key) {
	case "device":
		if r.Device, err = text(val); err == nil && device != "" && r.Device != device {
			return invalid("device", "%.40q, but the topic says %q", r.Device, device)
		}
	case "kind":
		r.Kind, err = word(val, kindWords)
		if err == nil && kind != "" && r.Kind != kind {
			return invalid("kind", "%.40q, but the topic says %q", string(r.Kind), kind)
		}
	case "at":
		var s string
		if s, err = text(val); err == nil {
			if r.At, err = time.Parse(time.RFC3339Nano, s); err != nil {
				return invalid("at", "%.40q is not RFC 3339", s)
			}
			r.At = r.At.UTC().Truncate(time.Millisecond)
		}
	case "tq":
		r.TQ, err = word(val, qualityWords)
	case "te_ms":
		r.ErrMS, err = integer(val)
	case "n":
		if len(val) > 0 && val[0] != '"' { // a number is as good as a string
			_, err = integer(val)
			r.N = string(val)
			break
		}
		r.N, err = text(val)
	case "body":
		if len(val) == 0 || val[0] != '{' {
			return invalid("body", "is not an object")
		}
		r.Body = val
	}
	if err != nil {
		return invalid(string(key), "%v", err)
	}
	return nil
}

var (
	kindWords    = []Kind{KindPosition, KindTag, KindClimate, KindDoor, KindLocker, KindWeight, KindScan, KindAlarm, KindResult, KindHealth}
	qualityWords = []Quality{GNSS, NTP, Cloud, RTC, Retro, Unknown}
)

// word is text for values that are nearly always one of a few known words: those cost nothing.
func word[T ~string](val []byte, known []T) (T, error) {
	for _, w := range known {
		if len(val) == len(w)+2 && val[0] == '"' && string(val[1:len(val)-1]) == string(w) {
			return w, nil
		}
	}
	s, err := text(val)
	return T(s), err
}

// appendString appends s as a JSON string. Bytes that are no UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			q, _ := json.Marshal(s)
			return append(dst, q...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// An object builds a JSON object field by field; unknown values are left out.
type object struct {
	b     []byte
	start int
}

func newObject(dst []byte) object { return object{b: append(dst, '{'), start: len(dst) + 1} }

func (o *object) key(k string) {
	if len(o.b) > o.start {
		o.b = append(o.b, ',')
	}
	o.b = append(o.b, '"')
	o.b = append(o.b, k...)
	o.b = append(o.b, '"', ':')
}

func (o *object) str(k, v string) {
	if v != "" {
		o.key(k)
		o.b = appendString(o.b, v)
	}
}

// float writes v rounded to at most decimals places, in the shortest form that reads back.
func (o *object) float(k string, v Opt[float64], decimals int) {
	f, ok := v.Get()
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
		return
	}
	o.key(k)
	scale := math.Pow10(decimals)
	if r := math.Round(f*scale) / scale; !math.IsInf(r, 0) {
		f = r
	}
	o.b = strconv.AppendFloat(o.b, f+0, 'f', -1, 64) // +0 turns -0 into 0
}

func (o *object) int(k string, v Opt[int]) {
	if n, ok := v.Get(); ok {
		o.key(k)
		o.b = strconv.AppendInt(o.b, int64(n), 10)
	}
}

func (o *object) bool(k string, v Opt[bool]) {
	if t, ok := v.Get(); ok {
		o.key(k)
		o.b = strconv.AppendBool(o.b, t)
	}
}

func (o *object) time(k string, t time.Time) {
	if !t.IsZero() {
		o.key(k)
		o.b = append(o.b, '"')
		o.b = t.UTC().AppendFormat(o.b, TimeLayout)
		o.b = append(o.b, '"')
	}
}

func (o *object) end() []byte { return append(o.b, '}') }
