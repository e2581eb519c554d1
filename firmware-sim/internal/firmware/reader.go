package firmware

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sort"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Reader is a fixed UHF RFID reader that speaks LLRP 1.0.1 as a server. Tags are put into the
// field of an antenna and taken out again; while a ROSpec runs, each inventory round reports the
// tags in the fields of its antennas. One client at a time, as in section 18.1.
type Reader struct {
	Antennas int
	Round    time.Duration // one inventory round; 100 ms where zero

	mu     sync.Mutex
	tags   map[tagAt]int8 // peak RSSI by tag and antenna
	client *session
}

type tagAt struct {
	epc     [12]byte
	antenna int
}

// Enter puts a tag into the field of an antenna (from 1), where it is read with rssi dBm.
func (r *Reader) Enter(epc [12]byte, antenna int, rssi int8) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tags == nil {
		r.tags = make(map[tagAt]int8)
	}
	r.tags[tagAt{epc, antenna}] = rssi
}

// Leave takes a tag out of the field of an antenna.
func (r *Reader) Leave(epc [12]byte, antenna int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.tags, tagAt{epc, antenna})
}

// Serve answers clients on l until ctx ends.
func (r *Reader) Serve(ctx context.Context, l net.Listener) error {
	g, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	g.Go(func() error {
		for {
			conn, err := l.Accept()
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return fmt.Errorf("reader: %w", err)
			}
			g.Go(func() error {
				r.attend(ctx, conn)
				return nil
			})
		}
	})
	return g.Wait()
}

// attend serves one connection to its end; a second client is told so and turned away.
func (r *Reader) attend(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	s := &session{reader: r, conn: conn, specs: make(map[uint32]*rospec)}
	r.mu.Lock()
	busy := r.client
	if busy == nil {
		r.client = s
	}
	r.mu.Unlock()
	if busy != nil {
		s.event(connectionAttempt(2)) // a client-initiated connection exists
		busy.event(connectionAttempt(4))
		return
	}
	defer func() {
		r.mu.Lock()
		r.client = nil
		r.mu.Unlock()
	}()
	s.event(connectionAttempt(0))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.listen() })
	g.Go(func() error {
		defer conn.Close()
		return s.inventory(ctx)
	})
	_ = g.Wait() // a client that went away is no fault of the reader
}

// seen is one tag in the field during a round.
type seen struct {
	tagAt
	rssi int8
}

// field lists the tags in the fields of antennas (0 is all), in a fixed order.
func (r *Reader) field(antennas []uint16) []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []seen
	for t, rssi := range r.tags {
		for _, a := range antennas {
			if a == 0 || int(a) == t.antenna {
				out = append(out, seen{t, rssi})
				break
			}
		}
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if a.antenna != b.antenna {
			return a.antenna < b.antenna
		}
		return string(a.epc[:]) < string(b.epc[:])
	})
	return out
}

// session is one client's connection.
type session struct {
	reader *Reader
	conn   net.Conn

	write  sync.Mutex
	nextID uint32

	mu        sync.Mutex
	specs     map[uint32]*rospec
	keepalive time.Duration
	answered  time.Time // when the client last said anything
}

// maxMessage bounds what a client may send.
const maxMessage = 64 << 10

// listen reads messages until the connection ends.
func (s *session) listen() error {
	for {
		var h [10]byte
		if _, err := io.ReadFull(s.conn, h[:]); err != nil {
			return err
		}
		typ, size, id := binary.BigEndian.Uint16(h[:]), binary.BigEndian.Uint32(h[2:]), binary.BigEndian.Uint32(h[6:])
		if size < 10 || size > maxMessage {
			return errors.New("message length")
		}
		body := make([]byte, size-10)
		if _, err := io.ReadFull(s.conn, body); err != nil {
			return err
		}
		s.mu.Lock()
		s.answered = time.Now()
		s.mu.Unlock()
		if typ>>10&7 != 1 {
			s.send(msgError, id, status(110, "unsupported version"))
			continue
		}
		if err := s.handle(typ&0x3FF, id, body); err != nil {
			return err
		}
	}
}

// send writes one message; a client that doesn't read is dropped.
func (s *session) send(typ uint16, id uint32, body []byte) {
	m := make([]byte, 10, 10+len(body))
	binary.BigEndian.PutUint16(m, 1<<10|typ)
	binary.BigEndian.PutUint32(m[2:], uint32(10+len(body)))
	binary.BigEndian.PutUint32(m[6:], id)
	s.write.Lock()
	defer s.write.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if _, err := s.conn.Write(append(m, body...)); err != nil {
		_ = s.conn.Close()
	}
}

// tell sends a message of the reader's own accord.
func (s *session) tell(typ uint16, body []byte) {
	s.mu.Lock()
	s.nextID++
	id := s.nextID
	s.mu.Unlock()
	s.send(typ, id, body)
}

// event sends a READER_EVENT_NOTIFICATION.
func (s *session) event(param []byte) {
	at := tlv(parUTC, binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixMicro())))
	s.tell(msgEvent, tlv(parEventData, append(at, param...)))
}

// inventory runs rounds and keepalives until ctx ends or the client fell silent.
func (s *session) inventory(ctx context.Context) error {
	round := s.reader.Round
	if round <= 0 {
		round = 100 * time.Millisecond
	}
	tick := time.NewTicker(round)
	defer tick.Stop()
	var lastAlive time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now := <-tick.C:
			if report := s.round(now); len(report) > 0 {
				s.tell(msgReport, report)
			}
			s.mu.Lock()
			every, heard := s.keepalive, s.answered
			s.mu.Unlock()
			if every == 0 || now.Sub(lastAlive) < every {
				continue
			}
			if !lastAlive.IsZero() && now.Sub(heard) > 3*every {
				return errors.New("keepalives unanswered")
			}
			lastAlive = now
			s.tell(msgKeepalive, nil)
		}
	}
}

// round is the body of the report of one inventory round of all running ROSpecs.
func (s *session) round(now time.Time) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]uint32, 0, len(s.specs))
	for id := range s.specs {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	var out []byte
	for _, id := range ids {
		spec := s.specs[id]
		if !spec.running || spec.report == 0 {
			continue
		}
		for _, t := range s.reader.field(spec.antennas) {
			out = append(out, tagReport(spec, t, now)...)
		}
	}
	return out
}
