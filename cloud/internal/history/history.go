package history

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// Point is where a vehicle was.
type Point struct {
	At time.Time `json:"at"`
	county.Position
}

// Sample is what a cold box measured.
type Sample struct {
	At time.Time `json:"at"`
	county.Climate
	Probe string `json:"probe,omitempty"`
}

// Table keeps rows by series and time; a row that is there is replaced.
type Table interface {
	PutPoints(ctx context.Context, series []string, atNS []int64, body []string) error
	// Points calls each with the rows of a series from one time to before another, ascending.
	Points(ctx context.Context, series string, fromNS, toNS int64, each func(atNS int64, body string) error) error
}

// The kinds of rows that are projected.
const (
	positions = "position"
	climates  = "climate"
)

// A row is a reading on its way into a store.
type row struct {
	kind     string
	device   string // gateway/device
	thing    string // id of the vehicle or cold box; empty when the device was bound to none
	at       int64  // Unix nanoseconds; below the millisecond a hash of the reading's identity
	position *telemetry.Position
	climate  *telemetry.Climate
}

// stamp is a reading's time with its identity in the digits below the millisecond.
func stamp(at time.Time, id county.Identity) int64 {
	return at.UnixMilli()*1e6 + int64(binary.BigEndian.Uint64(id[:8])%1e6)
}

// A sink takes rows and gives them back.
type sink interface {
	// writers is how many may write at once.
	writers() int
	// write takes all rows or fails; errRefused says that some row is the reason.
	write(ctx context.Context, rows []row) error
	track(ctx context.Context, vehicle string, from, to time.Time, each func(Point)) error
	climate(ctx context.Context, box string, from, to time.Time, each func(Sample)) error
	close()
}

var errRefused = errors.New("refused")

// History answers where things were.
type History struct{ sink sink }

// Open opens the history at url: sqlite: is the table, and influx+http://host:port/db?token=...
// (or influx+https) a server; token is user:password on InfluxDB 1.8.
func Open(url string, table Table) (*History, error) {
	switch scheme, _, _ := strings.Cut(url, ":"); scheme {
	case "sqlite":
		if table == nil {
			return nil, errors.New("history: sqlite: needs a table")
		}
		return &History{tableSink{table}}, nil
	case "influx+http", "influx+https":
		s, err := openInflux(strings.TrimPrefix(url, "influx+"))
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		return &History{s}, nil
	default:
		return nil, fmt.Errorf("history: %.40q is neither sqlite: nor influx+http://host:port/db", scheme+":")
	}
}

// Close ends all connections.
func (h *History) Close() error {
	h.sink.close()
	return nil
}

// Track returns where a vehicle was, from one time to before another, oldest first: at most max
// points, of each stretch of time the ones that lie furthest out.
func (h *History) Track(ctx context.Context, vehicle string, from, to time.Time, max int) ([]Point, error) {
	if !telemetry.ValidID(vehicle) || !from.Before(to) || max < 1 {
		return []Point{}, nil
	}
	t := newThinner[Point](from, to, max, 4)
	err := h.sink.track(ctx, vehicle, from, to, func(p Point) {
		t.add(p.At, p, -p.Lat, p.Lat, -p.Lon, p.Lon)
	})
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return t.points(), nil
}

// Climate returns what a cold box measured, from one time to before another, oldest first: at most
// max samples, of each stretch of time the coldest and the warmest.
func (h *History) Climate(ctx context.Context, coldbox string, from, to time.Time, max int) ([]Sample, error) {
	if !telemetry.ValidID(coldbox) || !from.Before(to) || max < 1 {
		return []Sample{}, nil
	}
	t := newThinner[Sample](from, to, max, 2)
	err := h.sink.climate(ctx, coldbox, from, to, func(s Sample) {
		if v := s.TemperatureC; v != nil {
			t.add(s.At, s, -*v, *v)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return t.points(), nil
}

// tableSink keeps history in a table.
type tableSink struct{ table Table }

func (s tableSink) close() {}

func (s tableSink) writers() int { return 1 }

func (r *row) series() string {
	if r.thing == "" {
		return r.kind + "/~" + r.device
	}
	return r.kind + "/" + r.thing
}

func (s tableSink) write(ctx context.Context, rows []row) error {
	series, at, body := make([]string, len(rows)), make([]int64, len(rows)), make([]string, len(rows))
	for i := range rows {
		r := &rows[i]
		series[i], at[i] = r.series(), r.at
		if r.position != nil {
			body[i] = string(r.position.AppendJSON(nil))
		} else {
			body[i] = string(r.climate.AppendJSON(nil))
		}
	}
	return s.table.PutPoints(ctx, series, at, body)
}

func (s tableSink) track(ctx context.Context, vehicle string, from, to time.Time, each func(Point)) error {
	return s.table.Points(ctx, positions+"/"+vehicle, from.UnixNano(), to.UnixNano(), func(at int64, body string) error {
		p := Point{At: whole(at)}
		err := json.Unmarshal([]byte(body), &p.Position)
		each(p)
		return err
	})
}

func (s tableSink) climate(ctx context.Context, box string, from, to time.Time, each func(Sample)) error {
	return s.table.Points(ctx, climates+"/"+box, from.UnixNano(), to.UnixNano(), func(at int64, body string) error {
		v := Sample{At: whole(at)}
		err := json.Unmarshal([]byte(body), &v)
		v.At = whole(at)
		each(v)
		return err
	})
}

// whole cuts the digits of identity off a stamp.
func whole(ns int64) time.Time { return time.Unix(0, ns).UTC().Truncate(time.Millisecond) }

// A thinner keeps of each stretch of time the points with the greatest value on each axis.
type thinner[T any] struct {
	from, step int64 // nanoseconds
	axes       int
	best       []kept[T] // stretch by stretch, axes in each
	all        []kept[T] // while there are no more than max
	max        int
}

type kept[T any] struct {
	at  int64
	v   T
	top float64
	set bool
}

func newThinner[T any](from, to time.Time, max, axes int) *thinner[T] {
	stretches := max / axes
	if stretches == 0 {
		stretches, axes = max, 1
	}
	span := to.Sub(from).Nanoseconds()
	return &thinner[T]{from: from.UnixNano(), step: (span + int64(stretches) - 1) / int64(stretches), axes: axes, max: max, best: make([]kept[T], stretches*axes)}
}

func (t *thinner[T]) add(at time.Time, v T, tops ...float64) {
	ns := at.UnixNano()
	if len(t.all) <= t.max {
		t.all = append(t.all, kept[T]{at: ns, v: v})
	}
	n := min(max(ns-t.from, 0)/t.step, int64(len(t.best)/t.axes-1))
	for i, k := range t.best[int(n)*t.axes : (int(n)+1)*t.axes] {
		if !k.set || tops[i] > k.top {
			t.best[int(n)*t.axes+i] = kept[T]{ns, v, tops[i], true}
		}
	}
}

func (t *thinner[T]) points() []T {
	all := t.all
	if len(all) > t.max {
		all = all[:0]
		for i := 0; i < len(t.best); i += t.axes {
			stretch := slices.DeleteFunc(slices.Clone(t.best[i:i+t.axes]), func(k kept[T]) bool { return !k.set })
			slices.SortFunc(stretch, func(a, b kept[T]) int { return cmp.Compare(a.at, b.at) })
			all = append(all, slices.CompactFunc(stretch, func(a, b kept[T]) bool { return a.at == b.at })...)
		}
	}
	slices.SortStableFunc(all, func(a, b kept[T]) int { return cmp.Compare(a.at, b.at) })
	out := make([]T, len(all))
	for i := range all {
		out[i] = all[i].v
	}
	return out
}
