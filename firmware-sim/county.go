package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/firmware-sim/internal/firmware"
	"yizhan/firmware-sim/internal/power"
	"yizhan/firmware-sim/internal/scenario"
)

// options of the county command.
type options struct {
	data, bin, county, boards, state, history string
	port                                      int
	speed                                     float64
	seed                                      uint64
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.data, "data", "data/demo", "`folder` of everything that is written")
	f.StringVar(&o.bin, "bin", "bin", "`folder` of the programs cloud and gateway")
	f.StringVar(&o.county, "county", "configs/county", "`folder` of the county")
	f.StringVar(&o.boards, "boards", "", "only these `boards`, by comma")
	f.StringVar(&o.state, "state", "", "the cloud's state `URL`; a file in the data folder where empty")
	f.StringVar(&o.history, "history", "sqlite:", "the cloud's history `URL`")
	f.IntVar(&o.port, "port", 8080, "of the console, on loopback")
	f.Float64Var(&o.speed, "speed", 10, "of the story, never of a clock")
	f.Uint64Var(&o.seed, "seed", 1, "of who goes where")
}

// site is a running county.
type site struct {
	dir, ca, token      string
	cloud, gateway      string // programs
	listen, mqtt, state string
	net                 string // first three numbers of its loopback addresses
	technicianPassword  string
	technicianHash      string
	provider            string // a channel that recipients are told by before all others, as YAML; empty: none
	yard                *yard
	links               map[string]*power.Link
	rack                *power.Rack
	front               *front
	lock                *power.Lock
	log                 *slog.Logger
}

// county runs the demo until ctx ends.
func county(ctx context.Context, o options, stdout io.Writer, log *slog.Logger) error {
	s, err := openSite(ctx, &o, log)
	if err != nil {
		return err
	}
	defer s.close()
	return s.run(ctx, &o, stdout)
}

// openSite takes the data folder and prepares everything in it.
func openSite(ctx context.Context, o *options, log *slog.Logger) (*site, error) {
	if o.port < 1 || o.port > 65535 || !(o.speed > 0) || o.speed > 1000 {
		return nil, fmt.Errorf("%w\n-port must be 1 to 65535, -speed above 0 and at most 1000", errUsage)
	}
	free, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.port)))
	if err != nil {
		return nil, err // before anything is written
	}
	if err := free.Close(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(o.data)
	if err != nil {
		return nil, err
	}
	bin, err := filepath.Abs(o.bin)
	if err != nil {
		return nil, err
	}
	lock, err := power.TakeLock(dir)
	if err != nil {
		return nil, err
	}
	s := &site{
		dir: dir, ca: filepath.Join(dir, "ca"), token: filepath.Join(dir, "token"),
		cloud: filepath.Join(bin, "cloud"), gateway: filepath.Join(bin, "gateway"),
		listen: net.JoinHostPort("127.0.0.1", strconv.Itoa(o.port)), state: o.state,
		// Two counties on one machine have two ports, and so boards with other addresses.
		net:                fmt.Sprintf("127.%d.%d", o.port>>8, o.port&255),
		technicianPassword: secret(), links: make(map[string]*power.Link), rack: &power.Rack{Logger: log}, lock: lock, log: log,
	}
	if s.state == "" {
		s.state = "sqlite:" + filepath.Join(dir, "state.db")
	}
	s.mqtt = net.JoinHostPort(s.net+".254", "8883")
	s.front = newFront("http://"+s.listen, s.token)
	if err := s.prepare(ctx, o); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *site) cloudHosts() []string {
	hosts := []string{s.net + ".254"}
	for _, b := range s.yard.boards {
		hosts = append(hosts, b.addr)
	}
	return hosts
}

// prepare builds the yard and writes keys and configurations.
func (s *site) prepare(ctx context.Context, o *options) error {
	c, err := scenario.Load(o.county)
	if err != nil {
		return err
	}
	if o.boards != "" {
		if err := c.Only(strings.Split(o.boards, ",")); err != nil {
			return err
		}
	}
	world, err := scenario.OpenWorld(filepath.Join(s.dir, "world.json"))
	if err != nil {
		return err
	}
	s.yard = &yard{
		county: c, doors: make(map[string]scenario.Reader), vans: make(map[string]scenario.Reader),
		racks: make(map[string]scenario.Rack), sims: make(map[string]*firmware.Modem),
	}
	s.front.sims = s.yard.sims
	if err := os.MkdirAll(filepath.Join(s.dir, "log"), 0o700); err != nil {
		return err
	}
	for i, g := range c.Gateways {
		b := &board{id: g.ID, addr: fmt.Sprintf("%s.%d", s.net, i+1), dir: filepath.Join(s.dir, "boards", g.ID)}
		s.yard.boards = append(s.yard.boards, b)
		if err := os.MkdirAll(b.dir, 0o700); err != nil {
			return err
		}
		if err := s.yard.wire(b, world); err != nil {
			return err
		}
		if s.links[b.id], err = power.OpenLink(net.JoinHostPort(b.addr, "0"), s.mqtt); err != nil {
			return err
		}
	}
	if s.yard.doors["dock-a"] == nil || s.yard.doors["dock-b"] == nil {
		return errors.New("the county needs its warehouse: a board with dock-a and dock-b")
	}
	if s.yard.story, err = scenario.NewStory(scenario.Config{
		County: c, World: world, Front: s.front, Seed: o.seed, Speed: o.speed, Logger: s.log,
		DockA: s.yard.doors["dock-a"], DockB: s.yard.doors["dock-b"], Vans: s.yard.vans, Racks: s.yard.racks,
	}); err != nil {
		return err
	}
	if err := s.authority(ctx); err != nil {
		return err
	}
	hash, err := tool(ctx, s.technicianPassword+"\n", s.gateway, "hash")
	if err != nil {
		return err
	}
	s.technicianHash = strings.TrimSpace(string(hash))
	for _, b := range s.yard.boards {
		if err := s.enrol(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) close() {
	if s.yard != nil {
		for _, l := range s.yard.lines {
			_ = l.Close()
		}
	}
	_ = s.lock.Close()
}

// run switches everything on and tells the story until ctx ends.
func (s *site) run(ctx context.Context, o *options, stdout io.Writer) error {
	// The token of an earlier start must not be taken for this one's.
	if err := os.Remove(s.token); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	config, err := s.cloudConfig(o)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, b := range s.yard.boards {
		for _, run := range b.run {
			g.Go(func() error { return run(ctx) })
		}
		g.Go(func() error { return s.links[b.id].Run(ctx) })
	}
	g.Go(func() error { return s.rack.Run(ctx) })
	g.Go(func() error { return s.obey(ctx) })
	for _, u := range s.units(config) {
		s.rack.Add(u)
	}
	g.Go(func() error {
		if err := s.awaitReady(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if err := s.welcome(stdout); err != nil {
			return err
		}
		return s.yard.story.Run(ctx)
	})
	return g.Wait()
}

// awaitReady waits for the cloud, then a while for the boards: a story needs no board that
// doesn't come up.
func (s *site) awaitReady(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := healthy(wait, "http://"+s.listen+"/healthz"); err != nil {
		return fmt.Errorf("%w; see %s", err, filepath.Join(s.dir, "log", "cloud.log"))
	}
	boards, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var g errgroup.Group
	for _, b := range s.yard.boards {
		g.Go(func() error {
			if err := healthy(boards, "http://"+b.status()+"/healthz"); err != nil && ctx.Err() == nil {
				s.log.Warn("board not ready", "gateway", b.id, "err", err)
			}
			return nil
		})
	}
	_ = g.Wait()
	return ctx.Err()
}

// welcome prints how to look at the county.
func (s *site) welcome(stdout io.Writer) error {
	token, err := s.front.token()
	if err != nil {
		return err
	}
	b := s.yard.boards[min(1, len(s.yard.boards)-1)]
	host, port, err := net.SplitHostPort(b.broker())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, `
  Yunling County is running (fictional; the story goes %v times as fast as life, its clocks don't).

  Console      http://%s/#token=%s
               announce a waybill there, read the message in its outbox, and type cell and code at the locker's keypad:
  Keypad       %s key -data %s LOCKER CELL CODE
  Technician   mosquitto_sub -h %s -p %s -u %s -P %s -t 'dev/#' -v    (%s; other boards: %s.1 to .%d)
  Logs         %s
  Stop with Ctrl-C.

`, s.yard.story.Speed, s.listen, token, filepath.Join(filepath.Dir(s.cloud), "firmware-sim"), s.dir, host, port, technician, s.technicianPassword, b.id, s.net, len(s.yard.boards), filepath.Join(s.dir, "log"))
	return err
}
