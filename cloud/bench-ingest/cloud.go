package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"yizhan/broker"
	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/history"
	"yizhan/cloud/internal/history/influxtest"
	"yizhan/cloud/internal/ingest"
	"yizhan/cloud/internal/state"
	"yizhan/cloud/internal/state/pgtest"
	"yizhan/devices/telemetry"
)

// A cloud is the path from broker to stores, wired as the service does.
type cloud struct {
	dir     string
	pg      *pgtest.Server
	url     string
	influx  *influxtest.Server
	store   *state.Store
	history *history.History
	project *history.Projector
	ingest  *ingest.Ingest
	broker  *broker.Cloud
	stop    context.CancelFunc
	done    *errgroup.Group

	mu   sync.Mutex
	lags []time.Duration
}

const historyDB = "bench"

func openCloud(ctx context.Context, o options, secret string) (_ *cloud, err error) {
	c := &cloud{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if c.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return nil, err
	}
	c.url = "sqlite:" + filepath.Join(c.dir, "state.db")
	if o.state == "postgres" {
		if c.pg, err = pgtest.Start("shared_buffers=256MB", "max_wal_size=4GB"); err != nil {
			return nil, err
		}
		if c.url, err = c.pg.Create(ctx); err != nil {
			return nil, err
		}
	}
	if c.influx, err = influxtest.Start(); err != nil {
		return nil, err
	}
	url := c.influx.URL(historyDB)
	if c.store, err = state.Open(ctx, c.url, state.Options{}); err != nil {
		return nil, err
	}
	if err := seed(ctx, c.store, o.gateways); err != nil {
		return nil, err
	}
	if c.history, err = history.Open(url, nil); err != nil {
		return nil, err
	}
	if c.project, err = history.NewProjector(c.history, c.store, c.store, nil, nil); err != nil {
		return nil, err
	}
	return c, c.start(ctx, o, secret)
}

// start wires and runs broker, ingest and history.
func (c *cloud) start(ctx context.Context, o options, secret string) error {
	ca, err := newAuthority(secret)
	if err != nil {
		return err
	}
	cert, err := ca.certificate("server", keyOf(secret, "server"), net.IPv4(127, 0, 0, 1))
	if err != nil {
		return err
	}
	c.broker, err = broker.NewCloud(broker.CloudConfig{
		Listen: "127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: ca.pool(), ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13},
		Limits: broker.Limits{MaxConns: o.gateways + 10},
	})
	if err != nil {
		return err
	}
	workers := o.workers
	if o.state != "postgres" {
		workers = 1
	}
	c.ingest = ingest.New(ingest.Config{
		Ledger: c.store, Greeter: c.store, Keys: c.broker.Key, Send: c.broker.Send, Hand: c.project.Take, Workers: workers, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	c.broker.Handle(func(ctx context.Context, gateway, what string, payload []byte) {
		if _, err := telemetry.ParseLane(what); err == nil {
			_ = c.ingest.Frame(ctx, gateway, what, payload) // its only error is ctx's
		}
	})
	ctx, c.stop = context.WithCancel(ctx)
	c.done, ctx = errgroup.WithContext(ctx)
	for _, run := range []func(context.Context) error{c.broker.Run, c.ingest.Run, c.project.Run, c.watchLag} {
		c.done.Go(func() error { return run(ctx) })
	}
	return nil
}

func seed(ctx context.Context, s *state.Store, gateways int) error {
	r := &county.Registry{Sites: []county.Site{{ID: "wh", Kind: county.Warehouse, Lat: 30.5, Lon: 103.2, FenceM: 200}}, Bindings: map[string]string{}}
	for i := range 8 {
		r.Sites = append(r.Sites, county.Site{ID: "out-" + strconv.Itoa(i), Kind: county.Outlet, Lat: 30.3 + 0.05*float64(i), Lon: 103.1 + 0.03*float64(i), FenceM: 150})
	}
	for n := range gateways {
		id, v, b := gatewayID(n), fmt.Sprintf("v%04d", n), fmt.Sprintf("cb-%04d", n)
		r.Gateways = append(r.Gateways, county.Gateway{ID: id, Vehicle: v})
		r.Vehicles = append(r.Vehicles, county.Vehicle{ID: v, Gateway: id, Kind: "freight"})
		r.ColdBoxes = append(r.ColdBoxes, county.ColdBox{ID: b, Vehicle: v, MinC: 2, MaxC: 8})
		r.Bindings[id+"/gps"], r.Bindings[id+"/rfid"], r.Bindings[id+"/cold"] = "vehicle/"+v, "vehicle/"+v, "coldbox/"+b
	}
	now := time.Now().Add(-24 * time.Hour)
	if err := s.Seed(ctx, r, now); err != nil {
		return err
	}
	var bills []county.Waybill
	for n := range parcels {
		bills = append(bills, county.Waybill{Waybill: waybillID(n), EPC: epcOf(n), Site: "out-1"})
	}
	_, refused, err := s.PutWaybills(ctx, bills, now)
	if len(refused) > 0 {
		err = errors.Join(err, fmt.Errorf("%d waybills refused", len(refused)))
	}
	return err
}

func (c *cloud) close() error {
	var errs []error
	if c.stop != nil {
		c.stop()
		if err := c.done.Wait(); !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	if c.history != nil {
		errs = append(errs, c.history.Close())
	}
	if c.store != nil {
		errs = append(errs, c.store.Close())
	}
	if c.influx != nil {
		errs = append(errs, c.influx.Stop())
	}
	if c.pg != nil {
		errs = append(errs, c.pg.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// watchLag samples how far the history is behind.
func (c *cloud) watchLag(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			c.mu.Lock()
			c.lags = append(c.lags, c.project.Lag())
			c.mu.Unlock()
		}
	}
}

// check waits for the history and compares every count with what was sent.
func (c *cloud) check(ctx context.Context, rounds, gateways int) error {
	c.mu.Lock()
	lags := slices.Sorted(slices.Values(c.lags))
	c.mu.Unlock()
	fmt.Printf("InfluxDB lag while sending: p50 %v p99 %v\n", lags[len(lags)/2].Round(time.Millisecond), lags[len(lags)*99/100].Round(time.Millisecond))
	counts, err := c.store.Counts(ctx)
	if err != nil {
		return err
	}
	want := int64(rounds * gateways)
	points := map[string]int64{}
	for deadline := time.Now().Add(2 * time.Minute); ; {
		for _, q := range []string{"lat:position", "temperature_c:climate"} {
			field, measurement, _ := strings.Cut(q, ":")
			answer, err := c.influx.Query(ctx, historyDB, fmt.Sprintf("select count(%s) from %s", field, measurement))
			if err != nil {
				return err
			}
			if m := regexp.MustCompile(`,(\d+)\]\]`).FindStringSubmatch(answer); m != nil {
				points[measurement], _ = strconv.ParseInt(m[1], 10, 64) // digits
			}
		}
		if points["position"] == want*positions && points["climate"] == want*climates || time.Now().After(deadline) {
			break
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	fmt.Printf("counts: %d readings in the ledger, %d frames archived, %d positions and %d climates in InfluxDB, %d quarantined\n",
		counts["readings"], counts["frames"], points["position"], points["climate"], counts["quarantine"])
	if counts["readings"] != want*perRound || points["position"] != want*positions || points["climate"] != want*climates || counts["quarantine"] != 0 || counts["frames"] != 3*want {
		return fmt.Errorf("counts differ from what was sent: %d readings, %d positions, %d climates", want*perRound, want*positions, want*climates)
	}
	fmt.Println("counts equal what was sent")
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// rawCopy measures COPY of the same readings, a row each, into a table without an index.
func (c *cloud) rawCopy(ctx context.Context, gateways, rounds int, start time.Time) (rate float64, err error) {
	if c.pg == nil {
		return 0, nil
	}
	db, err := pgx.Connect(ctx, c.url)
	if err != nil {
		return 0, err
	}
	defer db.Close(ctx)
	if _, err := db.Exec(ctx, "create table raw (gateway text, lane bigint, seq bigint, at_ms bigint, kind text, device text, body text)"); err != nil {
		return 0, err
	}
	var rows [][]any
	for n := range gateways {
		s := newStory(n, start)
		seq := map[telemetry.Lane]int64{}
		for range rounds {
			for lane, rs := range s.round() {
				for _, r := range rs {
					seq[lane]++
					rows = append(rows, []any{gatewayID(n), int64(lane), seq[lane], r.At.UnixMilli(), string(r.Kind), r.Device, string(r.Body)})
				}
			}
		}
	}
	began := time.Now()
	for chunk := range slices.Chunk(rows, 20_000) {
		if _, err := db.CopyFrom(ctx, pgx.Identifier{"raw"}, []string{"gateway", "lane", "seq", "at_ms", "kind", "device", "body"}, pgx.CopyFromRows(chunk)); err != nil {
			return 0, err
		}
	}
	return float64(len(rows)) / time.Since(began).Seconds(), nil
}

// cpu is the CPU time so far of this process, the state's server with its sessions, influxd, and
// the gateways.
func (c *cloud) cpu(gateways int) [4]time.Duration {
	out := [4]time.Duration{spent(os.Getpid()), 0, spent(c.influx.PID()), spent(gateways)}
	if c.pg != nil {
		out[1] = spent(c.pg.PID()) + children(c.pg.PID())
	}
	return out
}

// spent reads /proc/PID/stat: user and system time in hundredths of a second.
func spent(pid int) time.Duration {
	f := stat(pid)
	if len(f) < 15 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// stat is the fields of /proc/PID/stat after the name.
func stat(pid int) []string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.Fields(rest)
}

func children(parent int) (sum time.Duration) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d))
		if f := stat(pid); len(f) > 1 && f[1] == strconv.Itoa(parent) {
			sum += spent(pid)
		}
	}
	return sum
}

func profile(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, pprof.StartCPUProfile(f)
}
