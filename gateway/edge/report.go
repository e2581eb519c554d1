package edge

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"yizhan/devices"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/config"
	"yizhan/gateway/internal/status"
	"yizhan/gateway/internal/supervise"
)

const reportEvery = time.Minute

// report emits the gateway's own health until ctx ends.
func (e *Edge) report(ctx context.Context) error {
	t := time.NewTicker(reportEvery)
	defer t.Stop()
	told := map[string]bool{}
	e.watchBoard(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		e.watchBoard(ctx)
		at, q := e.env.Clock.Now()
		var h telemetry.Health
		gauges := e.Report().Gauges
		for _, name := range sorted(gauges) {
			h = append(h, telemetry.Gauge{Name: name, Value: gauges[name]})
		}
		if err := e.broker.Accept(ctx, telemetry.New(config.Self, at, q, h)); err != nil && ctx.Err() == nil {
			e.log.Warn("health not kept", "err", err)
		}
		spool := e.spool.Health()
		for _, a := range watchSpool(&spool, told) {
			if err := e.broker.Accept(ctx, telemetry.New(config.Self, at, q, a)); err != nil && ctx.Err() == nil {
				e.log.Warn("alarm not kept", "err", err, "code", a.Code)
			}
		}
	}
}

// Report says how the gateway is now.
func (e *Edge) Report() status.Report {
	boot, _ := e.env.Clock.Mono()
	r := status.Report{
		Gateway: e.cfg.Gateway, Version: e.env.Version, OK: true, UptimeS: int64(time.Since(e.began).Seconds()), Boot: boot.String(),
		Parts: []status.Part{}, Devices: []status.Device{},
	}
	now, q := e.env.Clock.Now()
	r.Clock.TQ = string(q)
	if q != telemetry.Unknown {
		r.Clock.Now = now.Format(telemetry.TimeLayout)
	} else {
		r.Degraded = append(r.Degraded, "time unknown")
	}
	e.mu.Lock()
	for _, name := range sorted(e.parts) {
		p := status.Part{Name: name, OK: e.parts[name] == nil}
		if !p.OK {
			p.Err, r.OK = e.parts[name].Error(), false
		}
		r.Parts = append(r.Parts, p)
	}
	e.mu.Unlock()
	e.reportDevices(&r)
	e.reportUplink(&r)
	e.reportSpool(&r)
	r.Counters = append(r.Counters, status.Counters{Room: "broker", Values: e.broker.Counters()}, status.Counters{Room: "command", Values: e.command.Counters()},
		status.Counters{Room: "door", Values: e.doors.Counters()})
	if e.cabinet != nil {
		r.Counters = append(r.Counters, status.Counters{Room: "cabinet", Values: e.cabinet.Counters()})
		if why := e.cabinet.Trouble(); why != "" {
			r.Degraded = append(r.Degraded, why)
		}
	}
	e.gauges(&r)
	e.reportBoard(&r)
	return r
}

func (e *Edge) reportDevices(r *status.Report) {
	counters := map[string]map[string]uint64{}
	bad := map[string][]devices.BadFrame{}
	for _, d := range e.drivers {
		if c, ok := d.Driver.(devices.Suspecting); ok && !personal(&e.cfg, d.id, d.Driver) {
			bad[d.id] = c.LastBad()
		}
		if c, ok := d.Driver.(devices.Counting); ok {
			counters[d.id] = c.Counters()
		}
	}
	for _, s := range e.keep.States() {
		r.Devices = append(r.Devices, status.Device{
			ID: s.Name, Kind: s.Kind, Status: string(s.Status), ForS: int64(time.Since(s.Since).Seconds()), Restarts: s.Restarts,
			Panics: s.Panics, Err: s.Err, Counters: counters[s.Name], LastBad: bad[s.Name],
		})
		if s.Status != supervise.Running {
			r.Degraded = append(r.Degraded, "device "+s.Name+" "+string(s.Status))
		}
	}
}

func (e *Edge) reportUplink(r *status.Report) {
	u := e.uplink.Status()
	r.Uplink = status.Uplink{State: u.State, ForS: int64(time.Since(u.Since).Seconds()), Err: u.Err, Conn: u.Conn, LastAckS: -1}
	if !u.LastAck.IsZero() {
		r.Uplink.LastAckS = int64(time.Since(u.LastAck).Seconds())
	}
	r.Uplink.Month, r.Uplink.Bytes, r.Uplink.Budget = u.Traffic.Month, u.Traffic.Bytes, u.Traffic.Limit
	switch {
	case u.Traffic.Limit == 0:
	case u.Traffic.Bytes >= u.Traffic.Limit:
		r.Degraded = append(r.Degraded, "data budget used up")
	case u.Traffic.Bytes >= u.Traffic.Limit/10*8:
		r.Degraded = append(r.Degraded, "data budget more than 80 % used")
	}
	if u.State != "connected" {
		r.Degraded = append(r.Degraded, "cloud not connected")
	}
	c := u.Core
	r.Counters = append(r.Counters, status.Counters{Room: "uplink", Values: map[string]uint64{
		"connects": u.Connects, "connect_failed": u.Failed, "frames": c.Frames, "records": c.Records, "bytes": c.Bytes,
		"frames_backlog": c.Backlog, "resent_frames": c.Resent, "acks": c.Acks, "acks_bad": c.BadAcks, "hellos": c.Hellos,
		"cloud_behind": c.Behind, "unsendable": c.Unsendable, "read_errors": c.ReadErrors,
		"bytes_sent": u.Sent, "bytes_heard": u.Heard, "bytes_headers": u.Headers,
		"messages_sent": u.MessagesSent, "messages_heard": u.MessagesHeard,
	}})
}

// gauges adds numbers of the process and the board.
func (e *Edge) gauges(r *status.Report) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	g := map[string]float64{
		"goroutines": float64(runtime.NumGoroutine()), "heap_bytes": float64(m.HeapAlloc), "spool_bytes": float64(r.Spool.Bytes),
		"spool_pending": 0, "uplink_connected": 0, "devices_down": 0,
		"spool_fill": r.Spool.Fill, "spool_oldest_s": float64(r.Spool.OldestS), "spool_written_bytes_per_hour": float64(r.Spool.WrittenPerHour),
		"spool_syncs_per_hour": float64(r.Spool.SyncsPerHour),
	}
	if e.cabinet != nil {
		maps.Copy(g, e.cabinet.Gauges())
	}
	if r.Card != nil {
		g["card_written_bytes_per_hour"] = r.Card.WrittenPerHour
		if r.Card.LifeYears != nil {
			g["card_life_years"] = *r.Card.LifeYears
		}
	}
	for _, n := range r.Spool.Pending {
		g["spool_pending"] += float64(n)
	}
	if r.Uplink.State == "connected" {
		g["uplink_connected"] = 1
	}
	for _, d := range r.Devices {
		if d.Status != string(supervise.Running) {
			g["devices_down"]++
		}
	}
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			if pages, err := strconv.ParseUint(f[1], 10, 64); err == nil {
				g["rss_bytes"] = float64(pages) * float64(os.Getpagesize())
			}
		}
	}
	var st unix.Statfs_t
	if unix.Statfs(filepath.Clean(e.cfg.Data), &st) == nil {
		g["disk_free_bytes"] = float64(st.Bavail) * float64(st.Bsize)
	}
	r.Gauges = g
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
