package service

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics is a registry of its own: the default one is a package variable that others write to.
func (s *Service) metrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &rooms{s: s})
	return r
}

// rooms turns the counters of every room into metrics as they are asked for.
type rooms struct {
	s *Service

	mu     sync.Mutex
	counts map[string]int64
	asked  time.Time
}

// gauges are counters of a room that go down too.
var gauges = map[string]bool{"live_clients": true, "callback_late": true}

// Describe tells nothing: which counters there are is the rooms' affair.
func (*rooms) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *rooms) Collect(out chan<- prometheus.Metric) {
	s := c.s
	for room, counters := range map[string]map[string]uint64{
		"broker": s.gateways.Counters(), "ingest": s.ingest.Counters(), "history": s.projector.Counters(),
		"notify": s.notifier.Counters(), "callback": s.caller.Counters(), "live": s.hub.Counters(), "account": s.gate.Counters(), "deposit": s.keeper.Counters(), "page": s.page.Counters(), "command": s.desk.Counters(),
	} {
		for name, n := range counters {
			name = room + "_" + name
			if gauges[name] {
				out <- gauge(name, float64(n))
				continue
			}
			out <- prometheus.MustNewConstMetric(prometheus.NewDesc("yizhan_"+name+"_total", "See the package comment of room "+room+".", nil, nil), prometheus.CounterValue, float64(n))
		}
	}
	out <- gauge("history_lag_seconds", s.projector.Lag().Seconds())
	out <- gauge("gateways_connected", float64(len(s.gateways.Connected())))
	for what, n := range c.stored() {
		out <- gauge("state_"+what, float64(n))
	}
}

// stored counts what the store holds, at most every 15 s: counting rows is work for a database.
func (c *rooms) stored() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.s.env.Now()
	if now.Sub(c.asked) < 15*time.Second {
		return c.counts
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	counts, err := c.s.store.Counts(ctx)
	if err != nil {
		c.s.env.Log.Warn("store not counted", "err", err)
		return nil
	}
	c.counts, c.asked = counts, now
	return counts
}

func gauge(name string, v float64) prometheus.Metric {
	return prometheus.MustNewConstMetric(prometheus.NewDesc("yizhan_"+name, "See the package comment of cloud/service.", nil, nil), prometheus.GaugeValue, v)
}
