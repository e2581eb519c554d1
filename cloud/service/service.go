package service

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"yizhan/broker"
	"yizhan/broker/topic"
	"yizhan/cloud/internal/account"
	"yizhan/cloud/internal/address"
	"yizhan/cloud/internal/api"
	"yizhan/cloud/internal/ca"
	"yizhan/cloud/internal/callback"
	"yizhan/cloud/internal/command"
	"yizhan/cloud/internal/config"
	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/deposit"
	"yizhan/cloud/internal/epcis"
	"yizhan/cloud/internal/history"
	"yizhan/cloud/internal/ingest"
	"yizhan/cloud/internal/live"
	"yizhan/cloud/internal/notify"
	"yizhan/cloud/internal/page"
	"yizhan/cloud/internal/person"
	"yizhan/cloud/internal/state"
	"yizhan/cloud/internal/web"
)

// Config is what the YAML file says.
type Config = config.Config

// MapFile is the base map in the county's folder.
const MapFile = "map.geojson"

// Env is what the service takes from the world; zero values are the real one.
type Env struct {
	Now     func() time.Time
	Rand    io.Reader
	Listen  func(network, addr string) (net.Listener, error)
	Log     *slog.Logger
	Version string
	Workers int // transactions at once; 0 is 1 on SQLite, which has one writer, and 2 on Postgres
}

func (e *Env) defaults() {
	if e.Now == nil {
		e.Now = time.Now
	}
	if e.Rand == nil {
		e.Rand = rand.Reader
	}
	if e.Listen == nil {
		e.Listen = net.Listen
	}
	if e.Log == nil {
		e.Log = slog.New(slog.DiscardHandler)
	}
}

// Service is the cloud.
type Service struct {
	cfg   Config
	env   Env
	token string

	registry  *county.Registry
	base      []byte // the base map
	store     *state.Store
	persons   *person.Keeper
	history   *history.History
	projector *history.Projector
	gateways  *broker.Cloud
	ingest    *ingest.Ingest
	desk      *command.Desk
	notifier  *notify.Notifier
	caller    *callback.Caller
	maker     *epcis.Maker
	hub       *live.Hub
	gate      *account.Gate
	events    *epcis.Repository
	api       *api.API
	site      *web.Site
	page      *page.Page
	keeper    *deposit.Keeper
	http, ops net.Listener // ops is nil when http serves its pages, or nobody
	cert      *certificate // of http; nil: it speaks no TLS
	closers   []func() error
}

// New opens the cloud. Who doesn't call Run calls Close.
func New(ctx context.Context, cfg Config, env Env) (*Service, error) {
	env.defaults()
	s := &Service{cfg: cfg, env: env}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("cloud: %w", err), s.Close())
	}
	return s, nil
}

func (s *Service) open(ctx context.Context) (err error) {
	if s.token, err = s.readToken(); err != nil {
		return err
	}
	if s.registry, s.base, err = readCounty(s.cfg.County); err != nil {
		return err
	}
	if s.persons, err = person.Open(cmp.Or(s.cfg.PersonalKeyFile, filepath.Join(filepath.Dir(s.cfg.TokenFile), "personal.key"))); err != nil {
		return err
	}
	if err := s.openStores(ctx); err != nil {
		return err
	}
	if err := s.openGateways(); err != nil {
		return err
	}
	s.hub = live.New(live.Options{Now: s.env.Now, Log: s.env.Log})
	s.ingest = ingest.New(ingest.Config{
		Ledger: s.store, Greeter: s.store, Keys: s.gateways.Key, Send: s.gateways.Send,
		Publish: s.hub.Publish, Hand: s.projector.Take, Online: s.gateways.Connected, Now: s.env.Now, Log: s.env.Log, Workers: workers(s.env.Workers, s.cfg.State),
	})
	s.desk = command.New(s.store, s.gateways.Send, command.Options{
		Lease: s.cfg.Command.Lease, Now: s.env.Now, NewID: s.newID, Log: s.env.Log,
	})
	if err := s.openPages(ctx); err != nil {
		return err
	}
	s.keeper = deposit.New(deposit.Options{Store: s.store, Registry: s.registry, Send: s.gateways.Send, Series: s.newID(), Now: s.env.Now, Log: s.env.Log})
	s.gateways.Handle(s.fromGateway)
	return nil
}

// workers is how many transactions of frames the state takes at once, where not said.
func workers(said int, state string) int {
	switch {
	case said > 0:
		return said
	case strings.HasPrefix(state, "postgres"):
		return 2
	}
	return 1
}

func (s *Service) readToken() (string, error) {
	if s.cfg.Demo {
		return account.FreshToken(s.cfg.TokenFile, s.env.Rand)
	}
	return account.ReadToken(s.cfg.TokenFile)
}

func (s *Service) openStores(ctx context.Context) (err error) {
	s.store, err = state.Open(ctx, s.cfg.State, state.Options{
		Now: s.env.Now, Log: s.env.Log, ArchiveDays: int(s.cfg.Archive.Keep / (24 * time.Hour)), Changed: func(c []county.Change) { s.hub.Publish(c) }, Keeping: s.registry.Keeping, Pace: s.pace(),
		Link: epcis.Link, Tags: epcis.Tags,
	})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, s.store.Close)
	if err := s.store.Seed(ctx, s.registry, s.env.Now()); err != nil {
		return err
	}
	if s.history, err = history.Open(s.cfg.History, s.store); err != nil {
		return err
	}
	s.closers = append(s.closers, s.history.Close)
	s.projector, err = history.NewProjector(s.history, s.store, s.store, s.env.Now, s.env.Log)
	return err
}

func (s *Service) openGateways() error {
	tls, err := ca.ServerTLS(s.cfg.MQTT.CA, s.cfg.MQTT.Cert, s.cfg.MQTT.Key)
	if err != nil {
		return err
	}
	l, err := s.env.Listen("tcp", s.cfg.MQTT.Listen)
	if err != nil {
		return fmt.Errorf("mqtt: %w", err)
	}
	if s.gateways, err = broker.NewCloud(broker.CloudConfig{Listener: l, TLS: tls, Logger: s.env.Log}); err != nil {
		return errors.Join(err, l.Close())
	}
	s.closers = append(s.closers, func() error { s.gateways.Close(); return nil })
	return nil
}

func (s *Service) openPages(ctx context.Context) (err error) {
	if s.http, err = s.env.Listen("tcp", s.cfg.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.closers = append(s.closers, func() error { return ignoreClosed(s.http.Close()) })
	if s.cfg.Ops != "" {
		if s.ops, err = s.env.Listen("tcp", s.cfg.Ops); err != nil {
			return fmt.Errorf("ops: %w", err)
		}
		s.closers = append(s.closers, func() error { return ignoreClosed(s.ops.Close()) })
	}
	if s.cfg.TLS.Cert != "" {
		if s.cert, err = openCertificate(s.cfg.TLS.Cert, s.cfg.TLS.Key, s.env.Now); err != nil {
			return err
		}
	}
	hosts, secure := s.hosts()
	s.gate = account.New(account.Options{Token: s.token, Hosts: hosts, Secure: secure, Now: s.env.Now, Rand: s.env.Rand})
	if s.site, err = web.Embedded(); err != nil {
		return err
	}
	if err := s.openEvents(); err != nil {
		return err
	}
	if err := errors.Join(s.openNotices(ctx), s.openCallbacks(ctx)); err != nil {
		return err
	}
	running, err := s.running()
	if err != nil {
		return err
	}
	s.api = api.New(api.Config{
		Telling: s.telling(), Calling: s.calling(), Running: running,
		Events: s.events,
		Store:  s.store, History: past{s.history}, Desk: s.desk, Persons: s.persons, Outlets: address.New(s.registry), Stream: s.hub, Registry: s.registry, Map: s.base,
		Demo: s.cfg.Demo, Speed: s.cfg.Speed, Labels: s.labels(), Version: s.env.Version, Busy: command.ErrBusy, Conflict: command.ErrConflict, Cursor: state.ErrCursor,
		Created: s.announced, Changed: s.hub.Publish, Now: s.env.Now, Log: s.env.Log,
	})
	return nil
}

// hosts are the names that a request may have in its Host header.
func (s *Service) hosts() (hosts []string, secure bool) {
	addr := s.http.Addr().String()
	hosts = []string{addr}
	if _, port, err := net.SplitHostPort(addr); err == nil && config.Loopback(addr) {
		hosts = append(hosts, net.JoinHostPort("localhost", port), net.JoinHostPort("127.0.0.1", port))
	}
	if u, err := url.Parse(s.cfg.Public); err == nil && u.Host != "" {
		hosts, secure = append(hosts, u.Host), u.Scheme == "https"
	}
	return hosts, secure || s.cert != nil
}

// fromGateway takes what a gateway sends, in the goroutine that reads its connection: it is held while
// the queue is full.
func (s *Service) fromGateway(ctx context.Context, gateway, what string, payload []byte) {
	var err error
	switch what {
	case topic.State: // a hint only: whether a gateway is there is judged from its frames
	case topic.Hello:
		s.noteKey(ctx, gateway)
		if err = s.ingest.Hello(ctx, gateway, payload); err == nil {
			s.desk.Heard(gateway)
			s.keeper.Heard(gateway)
		}
	default:
		err = s.ingest.Frame(ctx, gateway, what, payload)
	}
	if err != nil && ctx.Err() == nil {
		s.env.Log.Warn("message not taken", "gateway", gateway, "lane", what, "err", err)
	}
}

// announced tells browsers of new parcels.
func (s *Service) announced(parcels []county.Parcel) {
	changes := make([]county.Change, len(parcels))
	for i, p := range parcels {
		changes[i] = county.Change{Kind: county.ParcelChanged, ID: p.Waybill.Waybill, Version: p.Version, Object: p}
	}
	s.hub.Publish(changes)
}

func (s *Service) newID() string {
	b := make([]byte, 12)
	_, _ = io.ReadFull(s.env.Rand, b) // the store refuses an id that is taken
	return fmt.Sprintf("c-%x", b)
}

// Addr is where the console and the API are served.
func (s *Service) Addr() net.Addr { return s.http.Addr() }

// MQTTAddr is where gateways connect.
func (s *Service) MQTTAddr() net.Addr { return s.gateways.Addr() }

// Link opens the console in a browser and logs it in. The token stands in the fragment, which is never sent.
func (s *Service) Link() string {
	return s.publicURL() + "/#token=" + url.QueryEscape(s.token)
}

// Run serves until ctx ends, then closes everything. It returns nil when it was asked to stop.
func (s *Service) Run(ctx context.Context) error {
	g, run := errgroup.WithContext(ctx)
	vital := func(name string, part func(context.Context) error) {
		g.Go(func() error {
			err := part(run)
			if run.Err() != nil {
				return nil
			}
			if err == nil {
				err = errors.New("ended")
			}
			return fmt.Errorf("%s: %w", name, err)
		})
	}
	vital("state", s.store.Run)
	vital("history", s.projector.Run)
	vital("ingest", s.ingest.Run)
	vital("command", s.desk.Run)
	vital("notify", s.notifier.Run)
	vital("callback", s.caller.Run)
	vital("live", s.hub.Run)
	vital("epcis", s.events.Run)
	vital("deposit", s.keeper.Run)
	vital("http", func(ctx context.Context) error { return serve(ctx, s.http, s.cert, s.pages()) })
	if s.ops != nil {
		vital("ops", func(ctx context.Context) error { return serve(ctx, s.ops, nil, s.opsPages()) })
	}
	vital("mqtt", s.gateways.Run) // last: who connects finds all that it needs
	err := g.Wait()
	return errors.Join(err, s.Close())
}

// Close closes what New opened, in reverse.
func (s *Service) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// serve answers on l until ctx ends, by TLS where there is a certificate. Streams end with ctx; other answers have 3 s to finish.
func serve(ctx context.Context, l net.Listener, cert *certificate, h http.Handler) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second, // a stream sets its own, write by write
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			_ = srv.Close()
		}
	})
	answer := srv.Serve
	if cert != nil {
		srv.TLSConfig = cert.config()
		answer = func(l net.Listener) error { return srv.ServeTLS(l, "", "") }
	}
	err := answer(l)
	if !stop() {
		<-done
		return nil
	}
	return err
}
