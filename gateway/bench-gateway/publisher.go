package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A publisher speaks MQTT 3.1.1 byte by byte: a client library would cost more than the broker that is measured.
type publisher struct {
	conn   net.Conn
	r      *bufio.Reader
	topic  string
	body   func(dst []byte, n uint64) []byte // one payload
	id     uint16
	n      uint64
	out    []byte
	buf    []byte
	flying int
}

func text(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

// packet appends an MQTT packet of a first byte and a body.
func packet(dst []byte, first byte, body []byte) []byte {
	dst = append(dst, first)
	return append(binary.AppendUvarint(dst, uint64(len(body))), body...)
}

// connect logs in as user with the password that all have.
func connect(addr, user, topic string, body func([]byte, uint64) []byte) (*publisher, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	b := append(text(nil, "MQTT"), 4, 0xc2, 0, 0) // clean session, user, password, no keep alive
	b = text(text(text(b, user), user), password)
	if _, err := c.Write(packet(nil, 0x10, b)); err != nil {
		return nil, err
	}
	p := &publisher{conn: c, r: bufio.NewReaderSize(c, 16<<10), topic: topic, body: body}
	var ack [4]byte
	if _, err := io.ReadFull(p.r, ack[:]); err != nil {
		return nil, err
	}
	if ack != [4]byte{0x20, 2, 0, 0} {
		return nil, fmt.Errorf("connect as %s: answer %x", user, ack)
	}
	return p, nil
}

// add puts one publish into out.
func (p *publisher) add() {
	p.n++
	if p.id++; p.id == 0 {
		p.id = 1
	}
	p.buf = binary.BigEndian.AppendUint16(text(p.buf[:0], p.topic), p.id)
	p.buf = p.body(p.buf, p.n)
	p.out = packet(p.out, 0x32, p.buf)
	p.flying++
}

func (p *publisher) flush() error {
	_, err := p.conn.Write(p.out)
	p.out = p.out[:0]
	return err
}

// acked reads at least one PUBACK, and what else is there.
func (p *publisher) acked() (n int, err error) {
	var b [4]byte
	for n == 0 || p.r.Buffered() >= len(b) {
		if _, err := io.ReadFull(p.r, b[:]); err != nil {
			return n, err
		}
		if b[0] != 0x40 || b[1] != 2 {
			return n, fmt.Errorf("%x where a PUBACK is due", b)
		}
		n++
		p.flying--
	}
	return n, nil
}

// pump keeps a window of publishes unacknowledged until end, then waits for what is left. It returns how many were
// acknowledged.
func (p *publisher) pump(window int, end time.Time) (total int, err error) {
	for {
		more := time.Now().Before(end)
		for more && p.flying < window {
			p.add()
		}
		if len(p.out) > 0 {
			if err := p.flush(); err != nil {
				return total, err
			}
		}
		if p.flying == 0 {
			return total, nil
		}
		n, err := p.acked()
		if total += n; err != nil {
			return total, err
		}
	}
}

// pace publishes at a steady rate for a time, whatever comes back, and returns how long each publish took from
// when it was due to its PUBACK.
func (p *publisher) pace(every, offset, length time.Duration) (took []time.Duration, err error) {
	count := int(length / every)
	due := make([]time.Time, count)
	begin := time.Now().Add(offset)
	for i := range due {
		due[i] = begin.Add(time.Duration(i) * every)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		var b [4]byte
		for i := 0; i < count && err == nil; i++ {
			_, err = io.ReadFull(p.r, b[:])
			took = append(took, time.Since(due[i]))
		}
	})
	var failed error
	for i := 0; i < count && failed == nil; i++ {
		if wait := time.Until(due[i]); wait > 0 {
			time.Sleep(wait)
		}
		p.add()
		failed = p.flush()
	}
	if failed != nil {
		p.conn.Close()
	}
	reading.Wait()
	p.flying = 0
	return took, errors.Join(failed, err)
}

// A crowd is publishers that work at the same time.
type crowd []*publisher

// dial connects n publishers as users u0, u1 ...
func dial(addr string, n int, kind string, body func([]byte, uint64) []byte) (crowd, error) {
	var c crowd
	for i := range n {
		user := "u" + strconv.Itoa(i)
		p, err := connect(addr, user, "dev/"+user+"/"+kind, body)
		if err != nil {
			c.close()
			return nil, err
		}
		c = append(c, p)
	}
	return c, nil
}

func (c crowd) close() {
	for _, p := range c {
		p.conn.Close()
	}
}

// each runs f for every publisher at once.
func (c crowd) each(f func(i int, p *publisher) error) error {
	errs := make([]error, len(c))
	var all sync.WaitGroup
	for i, p := range c {
		all.Go(func() { errs[i] = f(i, p) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// pump lets all of them pump with a window that is shared, and returns how many publishes were acknowledged.
func (c crowd) pump(window int, length time.Duration) (int, error) {
	counts := make([]int, len(c))
	end := time.Now().Add(length)
	err := c.each(func(i int, p *publisher) (err error) {
		counts[i], err = p.pump(max(1, min(window/len(c), 250)), end)
		return err
	})
	total := 0
	for _, n := range counts {
		total += n
	}
	return total, err
}

// pace publishes rate messages a second in all, and returns how long each took, sorted.
func (c crowd) pace(rate int, length time.Duration) ([]time.Duration, error) {
	every := time.Second * time.Duration(len(c)) / time.Duration(rate)
	took := make([][]time.Duration, len(c))
	err := c.each(func(i int, p *publisher) (err error) {
		took[i], err = p.pace(every, every*time.Duration(i)/time.Duration(len(c)), length)
		return err
	})
	all := slices.Concat(took...)
	slices.Sort(all)
	return all, err
}
