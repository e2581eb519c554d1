package broker

import (
	"slices"
	"sync"

	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
)

// A stand is where a reading is shown: dev/{device}/{kind}.
type stand struct {
	device string
	kind   telemetry.Kind
}

// The shelf shows what became durable. Nobody watches most of the time: then a reading is only put on its stand, in place of
// the one before. mochi, which retains the last one for who comes later, is told when a first technician subscribes;
// from then on each reading is published, in order, by one goroutine.
type shelf struct {
	publish func(topic string, payload []byte) // to who watches, retained
	count   *counters
	fan     chan shown

	mu       sync.Mutex
	watchers int
	stands   map[stand]*last

	telling sync.Mutex // held while publishing; taken before mu
}

// last is the newest reading of a stand.
type last struct {
	topic   string
	payload []byte // overwritten by the next
	serial  uint64 // counts the stand's readings
	told    uint64 // serial of the one that mochi retains
}

// shown is a reading on its way to those who watch.
type shown struct {
	on      *last
	serial  uint64
	payload []byte
}

func newShelf(room int, count *counters, publish func(string, []byte)) *shelf {
	return &shelf{publish: publish, count: count, fan: make(chan shown, room), stands: map[stand]*last{}}
}

// put shows readings. They belong to the shelf.
func (s *shelf) put(where []stand, payload func(i int) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range where {
		l := s.stands[w]
		if l == nil {
			l = &last{topic: topic.Device(w.device, w.kind)}
			s.stands[w] = l
		}
		l.serial++
		l.payload = append(l.payload[:0], payload(i)...)
		if s.watchers > 0 {
			s.queue(shown{l, l.serial, payload(i)})
		}
	}
}

// queue hands a reading to the publisher; when the queue is full the oldest goes. mu is held.
func (s *shelf) queue(it shown) {
	for {
		select {
		case s.fan <- it:
			return
		default:
		}
		select {
		case <-s.fan:
			s.count.add(nFanoutDropped, 1)
		default:
		}
	}
}

// tell publishes a reading unless a newer one of its stand was published.
func (s *shelf) tell(it shown) {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.say(it)
}

func (s *shelf) say(it shown) {
	if it.serial > it.on.told {
		it.on.told = it.serial
		s.publish(it.on.topic, it.payload)
	}
}

// watch is called before somebody's subscription takes effect: mochi is brought up to date.
func (s *shelf) watch() {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.mu.Lock()
	s.watchers++
	var late []shown
	if s.watchers == 1 {
		for _, l := range s.stands {
			if l.told < l.serial {
				late = append(late, shown{l, l.serial, slices.Clone(l.payload)})
			}
		}
	}
	s.mu.Unlock()
	for _, it := range late {
		s.say(it)
	}
}

// hold keeps everything from being published until release.
func (s *shelf) hold() { s.telling.Lock() }

func (s *shelf) release() { s.telling.Unlock() }

// leave is called when somebody who watched has gone.
func (s *shelf) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers--
}
