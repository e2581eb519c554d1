package run

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"math"
	"path"
	"strconv"
	"time"

	"yizhan/cloud/internal/county"
)

const (
	unpacked = 64 << 20
	nearM    = 600
)

// GTFS reads the trips of a day from a feed.
func GTFS(body []byte, day time.Time, places Places) Imported {
	m := &importer{places: places, file: "trips.txt", day: day.Format(time.DateOnly), bad: map[string]bool{}, runs: map[string]*draft{}}
	feed, err := openFeed(body)
	if err != nil {
		m.fault("gtfs", 0, "", "%v", err)
		return m.out
	}
	serves, err := feed.services(day)
	if err != nil {
		m.fault("gtfs", 0, "", "%v", err)
		return m.out
	}
	trips, err := feed.table("trips.txt", "trip_id", "service_id")
	if err != nil {
		m.fault("trips.txt", 0, "", "%v", err)
		return m.out
	}
	for i := range trips.rows {
		id := trips.get(i, "trip_id")
		switch {
		case !serves[trips.get(i, "service_id")]:
		case !validRun(id):
			m.fault("trips.txt", trips.lines[i], "trip_id", "%.40q is not 1 to 64 of letters, digits, '-', '_', '.'", id)
		default:
			m.draft(id).Name = cut(trips.get(i, "trip_headsign"), 80)
		}
	}
	if err := m.stopTimes(feed); err != nil {
		m.fault("stop_times.txt", 0, "", "%v", err)
		return m.out
	}
	for id, d := range m.runs { // trips that pass by the county's sites are none of its runs
		if len(d.Stops) < 2 {
			delete(m.runs, id)
		}
	}
	m.finish()
	return m.out
}

// stopTimes adds the stops of the trips of the day.
func (m *importer) stopTimes(feed *feed) error {
	sites, err := m.stops(feed)
	if err != nil {
		return err
	}
	t, err := feed.table("stop_times.txt", "trip_id", "stop_id", "stop_sequence")
	if err != nil {
		return err
	}
	for i := range t.rows {
		id, line := t.get(i, "trip_id"), t.lines[i]
		d := m.runs[id]
		if d == nil {
			continue
		}
		site, known := sites[t.get(i, "stop_id")]
		seq, err := strconv.Atoi(t.get(i, "stop_sequence"))
		stop := county.RunStop{Site: site}
		good := true
		for _, f := range []struct {
			name string
			to   *string
		}{{"arrival_time", &stop.Arrive}, {"departure_time", &stop.Depart}} {
			if text := t.get(i, f.name); text != "" && good {
				if *f.to, good = clockTime(text); !good {
					m.fault("stop_times.txt", line, f.name, "%.20q is no time of day", text)
				}
			}
		}
		switch {
		case !known:
			m.fault("stop_times.txt", line, "stop_id", "%.40q is in no stops.txt", t.get(i, "stop_id"))
			m.bad[id] = true
		case err != nil || seq < 0:
			m.fault("stop_times.txt", line, "stop_sequence", "%.20q is no number", t.get(i, "stop_sequence"))
			m.bad[id] = true
		case !good:
			m.bad[id] = true
		case site != "":
			d.Stops, d.seq = append(d.Stops, stop), append(d.seq, seq)
		}
	}
	return nil
}

// stops are the sites of a feed's stops; empty for one at no site.
func (m *importer) stops(feed *feed) (map[string]string, error) {
	t, err := feed.table("stops.txt", "stop_id")
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for i := range t.rows {
		id := t.get(i, "stop_id")
		site := m.site(id)
		if site == "" {
			site = m.site(t.get(i, "stop_code"))
		}
		lat, bad1 := strconv.ParseFloat(t.get(i, "stop_lat"), 64)
		lon, bad2 := strconv.ParseFloat(t.get(i, "stop_lon"), 64)
		if site == "" && bad1 == nil && bad2 == nil {
			site = m.nearest(lat, lon)
		}
		out[id] = site
	}
	return out, nil
}

func (m *importer) nearest(lat, lon float64) (site string) {
	best := float64(nearM)
	for i := range m.places.Sites {
		s := &m.places.Sites[i]
		dy, dx := (lat-s.Lat)*111_195, (lon-s.Lon)*111_195*math.Cos(lat*math.Pi/180)
		if d := math.Hypot(dx, dy); d <= best {
			best, site = d, s.ID
		}
	}
	return site
}

// feed is the tables of a zip.
type feed struct{ files map[string]*zip.File }

func openFeed(body []byte) (*feed, error) {
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return nil, fmt.Errorf("is no zip: %w", err)
	}
	f := &feed{files: map[string]*zip.File{}}
	for _, file := range z.File {
		f.files[path.Base(file.Name)] = file
	}
	return f, nil
}

func (f *feed) table(name string, need ...string) (*table, error) {
	file := f.files[name]
	if file == nil {
		return nil, fmt.Errorf("%s is missing", name)
	}
	r, err := file.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, unpacked+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(b) > unpacked {
		return nil, fmt.Errorf("%s: is larger than %d bytes", name, unpacked)
	}
	names := map[string]string{}
	for _, n := range []string{
		"trip_id", "service_id", "trip_headsign", "stop_id", "stop_code", "stop_lat", "stop_lon", "stop_sequence", "arrival_time", "departure_time",
		"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "start_date", "end_date", "date", "exception_type",
	} {
		names[n] = n
	}
	return readTable(name, b, names, need...)
}

// services are those that run on a day.
func (f *feed) services(day time.Time) (map[string]bool, error) {
	on := map[string]bool{}
	date := day.Format("20060102")
	if f.files["calendar.txt"] == nil && f.files["calendar_dates.txt"] == nil {
		return nil, fmt.Errorf("calendar.txt and calendar_dates.txt are missing")
	}
	if f.files["calendar.txt"] != nil {
		weekday := [...]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}[day.Weekday()]
		t, err := f.table("calendar.txt", "service_id", "start_date", "end_date", weekday)
		if err != nil {
			return nil, err
		}
		for i := range t.rows {
			if t.get(i, weekday) == "1" && t.get(i, "start_date") <= date && date <= t.get(i, "end_date") {
				on[t.get(i, "service_id")] = true
			}
		}
	}
	if f.files["calendar_dates.txt"] != nil {
		t, err := f.table("calendar_dates.txt", "service_id", "date", "exception_type")
		if err != nil {
			return nil, err
		}
		for i := range t.rows {
			if t.get(i, "date") == date {
				on[t.get(i, "service_id")] = t.get(i, "exception_type") == "1"
			}
		}
	}
	return on, nil
}
