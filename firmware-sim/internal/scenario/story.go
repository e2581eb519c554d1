package scenario

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Reader is an RFID reader with antennas, from 1.
type Reader interface {
	Enter(epc [12]byte, antenna int, rssi int8)
	Leave(epc [12]byte, antenna int)
}

// Cabinet is a parcel locker's doors and cells, from 1.
type Cabinet interface {
	AwaitOpen(ctx context.Context, lock int) error
	Put(lock int, item bool) error
	Shut(lock int)
}

// Scanner is a courier's handheld. Scan returns when what was scanned is kept.
type Scanner interface {
	Scan(ctx context.Context, symbology, text string) error
}

// Front is the county's public API, as an upstream system and a phone use it.
type Front interface {
	Announce(ctx context.Context, parcels []*Parcel) error
	Open(ctx context.Context, device string, cell int) error
	Pack(ctx context.Context, bag uint64, waybills []string) error
	Unpack(ctx context.Context, bag uint64, waybills []string) error
	Say(ctx context.Context, p *Parcel, step, reason string) error   // what a person did with a parcel
	News(ctx context.Context) ([]Known, error)                       // what changed since it was asked last, the newest first; the first time everything
	Message(ctx context.Context, p *Parcel) (text string, err error) // the last that was sent to a parcel's recipient with a cell in it; empty: none yet
	Complain(ctx context.Context, p *Parcel) error                   // on the recipient's page: it can't be opened
}

// Config is what a story needs.
type Config struct {
	County *County
	World  *World
	Front  Front
	Seed   uint64
	Speed  float64
	Logger *slog.Logger
	DockA  Reader            // where goods come in: antenna 1 is outside, 2 inside
	DockB  Reader            // where goods go out: antenna 1 is outside, 2 inside
	Vans   map[string]Reader // the reader in each vehicle
	Racks  map[string]Rack   // what stands at each locker
}

// Rack is a locker's hardware and the device that its cells are opened through.
type Rack struct {
	Cabinet Cabinet
	Scanner Scanner
	Board   string // gateway/device
	Keypad  Keypad // nil: cells are opened by phone
	Slot    Slot   // where there is a keypad
}

// Story is a day in the county.
type Story struct {
	Config
	start time.Time
	stock map[string]*stand // by locker
	fleet []*van
	dock  dock
	lots  int   // of parcels that were made; the carrier's
	slips queue // holds one while nobody has mistyped: a locker makes people wait who do that often
}

// stand is a locker with the people who use it.
type stand struct {
	Rack
	locker *Locker
	line   queue // one person at a time
	mu     sync.Mutex
	due    map[string]time.Time // when who receives a parcel comes for it
	rng    *rand.Rand
}

// queue is people waiting for their turn; it has a capacity of one.
type queue chan struct{}

func (q queue) enter(ctx context.Context) error {
	select {
	case q <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q queue) leave() { <-q }

// NewStory sets the scene; Run plays it.
func NewStory(c Config) (*Story, error) {
	s := &Story{Config: c, start: time.Now(), stock: make(map[string]*stand), dock: dock{gate: make(queue, 1), errands: make(map[*stand]bool)}, slips: make(queue, 1)}
	if c.World.run == 1 {
		s.slips <- struct{}{}
	}
	for i := range c.County.Lockers {
		l := &c.County.Lockers[i]
		if r, ok := c.Racks[l.ID]; ok {
			s.stock[l.ID] = &stand{Rack: r, locker: l, line: make(queue, 1), due: make(map[string]time.Time), rng: s.rand(100 + uint64(i))}
		}
	}
	for i, v := range c.County.Vehicles {
		if r, ok := c.Vans[v.ID]; ok {
			s.fleet = append(s.fleet, &van{story: s, id: v.ID, reader: r, rng: s.rand(200 + uint64(i))})
		}
	}
	if err := s.assign(); err != nil {
		return nil, err
	}
	return s, s.onTheRoad()
}

func (s *Story) rand(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(s.Seed, stream)) }

// assign gives each van its lockers: one each in the order of the county, the rest to the van
// whose first locker is nearest by road.
func (s *Story) assign() error {
	wh := s.County.warehouse()
	var lockers []*stand
	for i := range s.County.Lockers {
		if st := s.stock[s.County.Lockers[i].ID]; st != nil {
			lockers = append(lockers, st)
		}
	}
	for i, st := range lockers {
		if len(s.fleet) == 0 {
			break
		}
		best := s.fleet[i%len(s.fleet)]
		if i >= len(s.fleet) {
			shortest := 0.0
			for _, v := range s.fleet {
				r, err := s.County.Roads.route(s.County.site(v.round[0].locker.Site), s.County.site(st.locker.Site))
				if err != nil {
					return err
				}
				if shortest == 0 || r.seconds() < shortest {
					best, shortest = v, r.seconds()
				}
			}
		}
		best.round = append(best.round, st)
	}
	for _, v := range s.fleet {
		r, err := s.County.Roads.route(wh, wh)
		if err != nil {
			return err
		}
		v.drive = drive{route: r}
	}
	return nil
}

// Run plays the story until ctx ends.
func (s *Story) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.carrier(ctx) })
	g.Go(func() error { return s.inbox(ctx) })
	for _, v := range s.fleet {
		g.Go(func() error { return v.run(ctx) })
	}
	for _, st := range s.stock {
		g.Go(func() error { return s.villagers(ctx, st) })
	}
	if err := g.Wait(); ctx.Err() == nil {
		return fmt.Errorf("scenario: %w", err)
	}
	return nil
}

// big reports whether the fleet is one where not every van is needed at once.
func (s *Story) big() bool { return len(s.fleet) > 3 }

// onTheRoad sends vans out on their rounds before the day begins: those that hold parcels from the day before, and
// of four vans or more every other. They stand where they have come to until the story runs, for their devices
// tell where they are from the start.
func (s *Story) onTheRoad() error {
	for i, v := range s.fleet {
		if len(v.round) > 0 && (len(s.World.at(v.id)) > 0 || s.big() && i%2 == 1) {
			if err := v.headStart(); err != nil {
				return err
			}
		}
	}
	return nil
}

// rest lets story time pass, but at least some real time, for bodies and protocols can't be
// hurried. It fails when ctx ends.
func (s *Story) rest(ctx context.Context, story, real time.Duration) error {
	timer := time.NewTimer(max(time.Duration(float64(story)/s.Speed), real))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// ask repeats what the county's systems refuse, until they don't or ctx ends.
func (s *Story) ask(ctx context.Context, what string, f func(context.Context) error) error {
	for pause := time.Second; ; pause = min(2*pause, 15*time.Second) {
		err := f(ctx)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		s.Logger.Debug("asked in vain", "kind", what, "err", err)
		if err := s.rest(ctx, 0, pause); err != nil {
			return err
		}
	}
}
