package history

import (
	"context"
	"errors"
	"fmt"
	nethttp "net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api"
	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"

	"yizhan/devices/telemetry"
)

// influx is InfluxDB 1.8 or 2.x.
type influx struct {
	client influxdb2.Client
	writer api.WriteAPIBlocking
	reader api.QueryAPI
	bucket string
	bufs   sync.Pool // of *[]byte
}

func openInflux(raw string) (*influx, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	db := strings.Trim(u.Path, "/")
	if u.Host == "" || db == "" {
		return nil, errors.New("influx: the URL needs a host and a database: influx+http://host:port/db")
	}
	if !strings.Contains(db, "/") {
		db += "/autogen"
	}
	token, err := secret(u.Query())
	if err != nil {
		return nil, err
	}
	org := u.Query().Get("org")
	if org == "" {
		org = "-" // InfluxDB 1.8 has none, and 2.x needs one
	}
	opts := influxdb2.DefaultOptions().SetHTTPRequestTimeout(30).SetLogLevel(0).SetPrecision(time.Nanosecond)
	client := influxdb2.NewClientWithOptions(u.Scheme+"://"+u.Host, token, opts)
	return &influx{client: client, writer: client.WriteAPIBlocking(org, db), reader: client.QueryAPI(org), bucket: db}, nil
}

// secret is the token of a history URL: in a file that token_file names, or in the URL itself.
func secret(q url.Values) (string, error) {
	file := q.Get("token_file")
	if file == "" {
		return q.Get("token"), nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("influx: token_file: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

func (s *influx) close() { s.client.Close() }

// create makes the database of an InfluxDB 1.8 that hasn't got it. On 2.x buckets are the
// administrator's: there it does nothing that helps, and the write goes on failing.
func (s *influx) create(ctx context.Context) error {
	db, _, _ := strings.Cut(s.bucket, "/")
	q := url.Values{"q": {`CREATE DATABASE "` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(db) + `"`}}
	http := s.client.HTTPService()
	at, err := url.Parse(http.ServerURL())
	if err != nil {
		return err
	}
	form := func(r *nethttp.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }
	if err := http.DoPostRequest(ctx, at.JoinPath("query").String(), strings.NewReader(q.Encode()), form, nil); err != nil {
		return err
	}
	return nil
}

func (s *influx) writers() int { return 2 }

// write sends one batch.
func (s *influx) write(ctx context.Context, rows []row) error {
	buf, ok := s.bufs.Get().(*[]byte)
	if !ok {
		buf = new([]byte)
	}
	b := (*buf)[:0]
	for i := range rows {
		b = rows[i].appendLine(b)
	}
	lines := string(b)
	*buf = b
	s.bufs.Put(buf)
	if lines == "" {
		return nil
	}
	err := s.writer.WriteRecord(ctx, lines)
	var status *influxhttp.Error
	if errors.As(err, &status) && status.StatusCode == nethttp.StatusNotFound && s.create(ctx) == nil {
		err = s.writer.WriteRecord(ctx, lines)
	}
	if errors.As(err, &status) && (status.StatusCode == 400 || status.StatusCode == 413 || status.StatusCode == 422) {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return err
}

// appendLine writes r as a line of line protocol; a row without a field is no line.
func (r *row) appendLine(b []byte) []byte {
	start := len(b)
	b = append(b, r.kind...)
	b = appendTag(b, "device", r.device)
	b = appendTag(b, "thing", r.thing)
	b = append(b, ' ')
	fields := len(b)
	if p := r.position; p != nil {
		b = appendFloat(b, "lat", p.Lat)
		b = appendFloat(b, "lon", p.Lon)
		b = appendFloat(b, "speed_mps", p.SpeedMPS)
		b = appendFloat(b, "heading_deg", p.HeadingDeg)
		b = appendFloat(b, "altitude_m", p.AltitudeM)
	}
	if c := r.climate; c != nil {
		b = appendFloat(b, "temperature_c", c.TemperatureC)
		b = appendFloat(b, "humidity_pct", c.HumidityPct)
		b = appendText(b, "probe", c.Probe)
		b = appendText(b, "quality", string(c.Quality))
	}
	if len(b) == fields {
		return b[:start]
	}
	b[len(b)-1] = ' ' // the last field's comma
	b = strconv.AppendInt(b, r.at, 10)
	return append(b, '\n')
}

// appendTag writes a tag; an empty one is left out, as the protocol asks.
func appendTag(b []byte, key, v string) []byte {
	if v == "" {
		return b
	}
	b = append(append(append(b, ','), key...), '=')
	for i := range len(v) {
		switch c := v[i]; {
		case c == ',' || c == '=' || c == ' ':
			b = append(b, '\\', c)
		case c < ' ' || c == '\\':
			b = append(b, '_')
		default:
			b = append(b, c)
		}
	}
	return b
}

func appendFloat(b []byte, key string, o telemetry.Opt[float64]) []byte {
	v, ok := o.Get()
	if !ok || v != v || v > 1e300 || v < -1e300 {
		return b
	}
	b = append(append(b, key...), '=')
	return append(strconv.AppendFloat(b, v, 'g', -1, 64), ',')
}

func appendText(b []byte, key, v string) []byte {
	if v == "" {
		return b
	}
	b = append(append(b, key...), `="`...)
	for i := range len(v) {
		switch c := v[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return append(b, `",`...)
}

// rows reads the fields of one measurement and thing and joins those of one time and device.
// Flux does the range and the filter; which is why every field comes as its own table.
func (s *influx) rows(ctx context.Context, measurement, thing string, from, to time.Time, fields []string, each func(at time.Time, values map[string]any)) error {
	q := fmt.Sprintf(`from(bucket: %q) |> range(start: %s, stop: %s) |> filter(fn: (r) => r._measurement == %q and r.thing == %q)`,
		s.bucket, from.UTC().Format(time.RFC3339Nano), to.UTC().Format(time.RFC3339Nano), measurement, thing)
	res, err := s.reader.Query(ctx, q)
	if err != nil && strings.Contains(err.Error(), "no database") && s.create(ctx) == nil {
		res, err = s.reader.Query(ctx, q) // asked before anything was written
	}
	if err != nil {
		return err
	}
	defer res.Close()
	type key struct {
		at     int64
		device any
	}
	joined := map[key]map[string]any{}
	var order []key
	for res.Next() {
		r := res.Record()
		if !slices.Contains(fields, r.Field()) {
			continue
		}
		k := key{r.Time().UnixNano(), r.ValueByKey("device")}
		if joined[k] == nil {
			joined[k] = make(map[string]any, len(fields))
			order = append(order, k)
		}
		joined[k][r.Field()] = r.Value()
	}
	if err := res.Err(); err != nil {
		return err
	}
	slices.SortStableFunc(order, func(a, b key) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	for _, k := range order {
		each(whole(k.at), joined[k])
	}
	return nil
}

func (s *influx) track(ctx context.Context, vehicle string, from, to time.Time, each func(Point)) error {
	return s.rows(ctx, positions, vehicle, from, to, []string{"lat", "lon", "speed_mps", "heading_deg", "altitude_m"}, func(at time.Time, v map[string]any) {
		lat, ok := v["lat"].(float64)
		lon, okToo := v["lon"].(float64)
		if !ok || !okToo {
			return
		}
		p := Point{At: at}
		p.Lat, p.Lon, p.SpeedMPS, p.HeadingDeg, p.AltitudeM = lat, lon, float(v["speed_mps"]), float(v["heading_deg"]), float(v["altitude_m"])
		each(p)
	})
}

func (s *influx) climate(ctx context.Context, box string, from, to time.Time, each func(Sample)) error {
	return s.rows(ctx, climates, box, from, to, []string{"temperature_c", "humidity_pct", "probe", "quality"}, func(at time.Time, v map[string]any) {
		c := Sample{At: at}
		c.TemperatureC, c.HumidityPct = float(v["temperature_c"]), float(v["humidity_pct"])
		c.Probe, _ = v["probe"].(string)
		c.Quality, _ = v["quality"].(string)
		each(c)
	})
}

func float(v any) *float64 {
	if f, ok := v.(float64); ok {
		return &f
	}
	return nil
}
