package firmware

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sort"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// call is a terminal's side of one connection.
type call struct {
	*Terminal
	conn   net.Conn
	orders <-chan order

	waiting map[uint16]bool // serials without an acknowledgement, of what is on its way
	sent    [][]byte        // its frames, by packet
	first   uint16
	samples []sample
	try     int
	resend  time.Time
	quiet   time.Time // when a heartbeat is due
}

var errRefused = errors.New("jt808: refused")

func (c *call) serve(ctx context.Context) error {
	if err := c.login(ctx); err != nil {
		return err
	}
	c.quiet = time.Now().Add(beat)
	for {
		if err := c.next(); err != nil {
			return err
		}
		due := c.quiet
		if len(c.waiting) > 0 {
			due = c.resend
		}
		timer := time.NewTimer(time.Until(due))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case o, ok := <-c.orders:
			timer.Stop()
			if !ok {
				return net.ErrClosed
			}
			if err := c.obey(o); err != nil {
				return err
			}
		case <-c.wake:
			timer.Stop()
		case <-timer.C:
			if err := c.late(); err != nil {
				return err
			}
		}
	}
}

// login registers when there is no code yet, and authenticates. A refused code is forgotten.
func (c *call) login(ctx context.Context) error {
	c.mu.Lock()
	code := c.code
	c.mu.Unlock()
	if code == nil {
		o, err := c.ask(ctx, jtRegister, c.registration(), 0x8100)
		if err != nil {
			return err
		}
		if len(o.body) < 3 || o.body[2] != 0 {
			return errRefused
		}
		code = o.body[3:]
		c.mu.Lock()
		c.code = code
		c.mu.Unlock()
	}
	o, err := c.ask(ctx, jtAuth, c.authentication(code), 0x8001)
	if err != nil {
		return err
	}
	if len(o.body) < 5 || o.body[4] != 0 {
		c.mu.Lock()
		c.code = nil
		c.mu.Unlock()
		return errRefused
	}
	return nil
}

// ask sends a message until the answer of an id comes.
func (c *call) ask(ctx context.Context, id uint16, body []byte, answer uint16) (order, error) {
	serial := c.count(1)
	wait := ackWithin
	for try := range tries {
		if err := c.write(c.pack(id, serial, 0, 0, body)); err != nil {
			return order{}, err
		}
		timer := time.NewTimer(wait)
		for again := true; again; {
			select {
			case <-ctx.Done():
				timer.Stop()
				return order{}, ctx.Err()
			case o, ok := <-c.orders:
				if !ok {
					timer.Stop()
					return order{}, net.ErrClosed
				}
				if o.id == answer && len(o.body) >= 2 && binary.BigEndian.Uint16(o.body) == serial {
					timer.Stop()
					return o, nil
				}
			case <-timer.C:
				again = false
			}
		}
		wait *= time.Duration(try + 2)
	}
	return order{}, fmt.Errorf("jt808: no answer to %04X", id)
}

// count takes n serials in a row and returns the first.
func (t *Terminal) count(n int) uint16 {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := t.serial
	t.serial += uint16(n)
	return first
}

// write sends a frame with the line's faults.
func (c *call) write(frame []byte) error {
	if rand.Float64() < c.Faults.Noise {
		frame = append([]byte("\x00\x7d(BASE,2)\xff")[:1+rand.IntN(11)], frame...)
	}
	if rand.Float64() < c.Faults.Cut {
		frame = frame[:1+rand.IntN(len(frame)-1)]
	}
	c.quiet = time.Now().Add(beat)
	_, err := c.conn.Write(frame)
	return err
}

// next sends what is kept: the backlog first, the newest by itself.
func (c *call) next() error {
	if len(c.waiting) > 0 {
		return nil
	}
	c.mu.Lock()
	n := len(c.kept)
	batch := c.Batch
	if batch == 0 {
		batch = usualBatch
	}
	if n > 1 {
		n = min(n-1, batch)
	}
	c.samples = append([]sample(nil), c.kept[:n]...)
	alone := n == 1 && len(c.kept) == 1
	c.mu.Unlock()
	switch {
	case n == 0:
		return nil
	case alone:
		return c.launch(jtReport, c.report(c.samples[0]))
	}
	const blindZone = 1
	body := []byte{byte(n >> 8), byte(n), blindZone}
	for _, s := range c.samples {
		r := c.report(s)
		body = append(binary.BigEndian.AppendUint16(body, uint16(len(r))), r...)
	}
	return c.launch(jtBatch, body)
}

// launch sends a message, in packets when it is too long for one.
func (c *call) launch(id uint16, body []byte) error {
	total := (len(body) + packetBytes - 1) / packetBytes
	c.first = c.count(total)
	c.waiting, c.sent = map[uint16]bool{}, nil
	for i := range total {
		serial := c.first + uint16(i)
		c.waiting[serial] = true
		if total == 1 {
			c.sent = [][]byte{c.pack(id, serial, 0, 0, body)}
			break
		}
		end := min(len(body), (i+1)*packetBytes)
		c.sent = append(c.sent, c.pack(id, serial, uint16(total), uint16(i+1), body[i*packetBytes:end]))
	}
	c.try = 0
	return c.send(c.Faults.LoseFirst && total > 1)
}

// send sends what is on its way, again or for the first time.
func (c *call) send(loseFirst bool) error {
	c.try++
	wait := ackWithin
	for n := 2; n <= c.try; n++ {
		wait *= time.Duration(n)
	}
	c.resend = time.Now().Add(wait)
	for i, frame := range c.sent {
		if i == 0 && loseFirst {
			continue
		}
		if err := c.write(frame); err != nil {
			return err
		}
	}
	return nil
}

// late is called when nothing came in time.
func (c *call) late() error {
	switch {
	case len(c.waiting) == 0:
		return c.write(c.pack(jtBeat, c.count(1), 0, 0, nil))
	case c.try > tries:
		return errors.New("jt808: the platform doesn't acknowledge")
	}
	return c.send(false)
}

// obey does what the platform says.
func (c *call) obey(o order) error {
	b := o.body
	done := func(result byte) error {
		return c.write(c.pack(jtAck, c.count(1), 0, 0, []byte{byte(o.serial >> 8), byte(o.serial), byte(o.id >> 8), byte(o.id), result}))
	}
	reply := func(id uint16, body []byte) error {
		return c.write(c.pack(id, c.count(1), 0, 0, append(binary.BigEndian.AppendUint16(nil, o.serial), body...)))
	}
	switch o.id {
	case 0x8001:
		c.acknowledged(b)
		return nil
	case 0x8003:
		return c.sendMissing(b)
	case 0x8100, 0x8004:
		return nil
	case 0x8103:
		return done(c.set(b))
	case 0x8104:
		return reply(jtParams, c.listed())
	case 0x8105:
		if err := done(0); err != nil {
			return err
		}
		return errors.New("jt808: reset")
	case 0x8201:
		now := time.Now().Truncate(time.Second)
		return reply(jtReportNow, c.report(sample{at: now, fix: c.Where(now)}))
	case 0x8202:
		if len(b) < 6 {
			return done(2)
		}
		return done(0)
	case 0x8300:
		text, err := simplifiedchinese.GBK.NewDecoder().Bytes(b[min(1, len(b)):])
		if err != nil || len(b) < 2 {
			return done(2)
		}
		c.mu.Lock()
		c.texts = append(c.texts, string(text))
		c.mu.Unlock()
		return done(0)
	}
	return done(3)
}

// acknowledged forgets what the platform has. A refusal of what can't be read is the end of it too.
func (c *call) acknowledged(b []byte) {
	if len(b) < 5 || c.Faults.Deaf {
		return
	}
	serial := binary.BigEndian.Uint16(b)
	if !c.waiting[serial] {
		return
	}
	const failed = 1
	if b[4] == failed {
		return // sent again when its time is over
	}
	if delete(c.waiting, serial); len(c.waiting) > 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if b[4] == 0 {
		for _, s := range c.samples {
			c.safe = append(c.safe, s.at)
		}
	}
	n := sort.Search(len(c.kept), func(i int) bool { return c.kept[i].at.After(c.samples[len(c.samples)-1].at) })
	c.kept = c.kept[n:]
}

// sendMissing sends the packets that 0x8003 names.
func (c *call) sendMissing(b []byte) error {
	if len(b) < 3 || binary.BigEndian.Uint16(b) != c.first {
		return nil
	}
	for n := b[3:]; len(n) >= 2; n = n[2:] {
		i := int(binary.BigEndian.Uint16(n)) - 1
		if i < 0 || i >= len(c.sent) {
			continue
		}
		if err := c.write(c.sent[i]); err != nil {
			return err
		}
	}
	return nil
}

// set takes parameters: a count, then id, length and value of each.
func (c *call) set(b []byte) (result byte) {
	const bad = 2
	if len(b) == 0 {
		return bad
	}
	set := map[uint32][]byte{}
	n := int(b[0])
	for b = b[1:]; n > 0; n-- {
		if len(b) < 5 || len(b) < 5+int(b[4]) {
			return bad
		}
		set[binary.BigEndian.Uint32(b)] = b[5 : 5+int(b[4])]
		b = b[5+int(b[4]):]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.params == nil {
		c.params = map[uint32][]byte{}
	}
	for id, v := range set {
		c.params[id] = append([]byte(nil), v...)
	}
	return 0
}

// listed is the body of 0x0104 behind the serial: every parameter, by id.
func (c *call) listed() []byte {
	every := binary.BigEndian.AppendUint32(nil, uint32(c.every().Seconds()))
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[uint32][]byte{paramBeat: {0, 0, 0, byte(beat.Seconds())}, paramReport: every}
	for id, v := range c.params {
		all[id] = v
	}
	ids := make([]uint32, 0, len(all))
	for id := range all {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	b := []byte{byte(len(ids))}
	for _, id := range ids {
		b = binary.BigEndian.AppendUint32(b, id)
		b = append(append(b, byte(len(all[id]))), all[id]...)
	}
	return b
}
