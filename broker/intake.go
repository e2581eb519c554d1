package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
)

// refusal is input that is no valid reading.
type refusal struct {
	source string
	reason string
	raw    []byte
}

const maxRaw = 4096 // bytes of refused input that are kept

func (r *refusal) entry() frame.Entry {
	raw := r.raw
	if len(raw) > maxRaw {
		raw = raw[:maxRaw]
	}
	b, err := json.Marshal(frame.Quarantine{Source: r.source, Reason: r.reason, Raw: raw})
	if err != nil {
		panic("BUG: broker: " + err.Error())
	}
	return frame.Entry{Lane: telemetry.Command, Type: frame.TypeQuarantine, Payload: b}
}

// An intake is readings and refusals on their way into the log, and who waits for them.
type intake struct {
	edge    *Edge
	entries []frame.Entry
	show    []stand // of the first entries, which are readings
	marks   []mark
	done    func(error)

	mu    sync.Mutex
	parts int // that done waits for: the log, and who told a reading first
	err   error

	// where nearly all of them find room
	entry [1]frame.Entry
	stand [1]stand
	mark  [1]mark
}

// part says that one of the parts is through; after the last one done is called, with the first error.
func (in *intake) part(err error) {
	in.mu.Lock()
	if in.err == nil {
		in.err = err
	}
	in.parts--
	last, err := in.parts == 0, in.err
	in.mu.Unlock()
	if last {
		in.done(err)
	}
}

// durable is called by the log.
func (in *intake) durable(err error) {
	e := in.edge
	if err == nil {
		e.count.add(nReadings, len(in.show))
		e.count.add(nQuarantined, len(in.entries)-len(in.show))
		e.shelf.put(in.show, func(i int) []byte { return in.entries[i].Payload })
	}
	e.window.settle(in.marks, err)
	in.part(err)
}

// known reports whether the log has a reading, or is about to. The window is locked.
func (in *intake) known(device, key string) bool {
	if key == "" {
		return false
	}
	m, again := in.edge.window.see(device, key)
	switch {
	case !again:
		in.marks = append(in.marks, m)
	case m.wait(in.part):
		in.parts++
	}
	return again
}

// add takes readings and refusals that aren't known yet, and shows raw reads.
func (in *intake) add(rs []telemetry.Reading, bad []refusal) {
	e := in.edge
	size := 0
	for i := range rs {
		size += readingHead + len(rs[i].Body)
	}
	slab := make([]byte, 0, size) // one for all: they live and die together
	doubles := 0
	e.window.mu.Lock()
	for i := range rs {
		r := &rs[i]
		isRaw := r.RawRead()
		if !isRaw && in.known(r.Device, key(r)) {
			doubles++
			continue
		}
		from := len(slab)
		slab = r.AppendJSON(slab)
		payload := slab[from:len(slab):len(slab)]
		where := stand{r.Device, r.Kind}
		if isRaw {
			e.count.add(nRawReads, 1)
			e.shelf.put([]stand{where}, func(int) []byte { return payload })
			continue
		}
		lane, _ := telemetry.LaneOf(r.Kind)
		in.entries = append(in.entries, frame.Entry{Lane: lane, Type: frame.TypeReading, Payload: payload})
		in.show = append(in.show, where)
	}
	for i := range bad {
		if !in.known(bad[i].source, keyOf(bad[i].raw)) {
			in.entries = append(in.entries, bad[i].entry())
		}
	}
	e.window.mu.Unlock()
	e.count.add(nDuplicates, doubles)
}

// readingHead is about what a reading's JSON needs beside its body.
const readingHead = 128

// submit stages readings and refusals. When it returns nil, done is called exactly once: with nil when all that they
// tell is durable, whoever told it first.
func (e *Edge) submit(rs []telemetry.Reading, bad []refusal, done func(error)) error {
	in := &intake{edge: e, parts: 1, done: done}
	if n := len(rs) + len(bad); n > 1 {
		in.entries, in.show, in.marks = make([]frame.Entry, 0, n), make([]stand, 0, n), make([]mark, 0, n)
	} else {
		in.entries, in.show, in.marks = in.entry[:0], in.stand[:0], in.mark[:0]
	}
	in.add(rs, bad)
	if len(in.entries) == 0 {
		in.part(nil)
		return nil
	}
	err := e.log.Append(in.entries, in.durable)
	if err != nil {
		e.count.add(nFull, 1)
		e.window.settle(in.marks, err)
	}
	return err
}

// acceptRetry is how long Accept waits before it tries a full log again.
const acceptRetry = 500 * time.Millisecond

// Accept takes over readings and returns when they are durable; it is what a driver emits to. It
// blocks while the log is full. A reading that isn't valid becomes a quarantine record and its error, which names the
// field, is returned; the others are kept. Raw tag reads are shown and not recorded.
func (e *Edge) Accept(ctx context.Context, rs ...telemetry.Reading) error {
	good := rs
	var bad []refusal
	var invalid []error
	for i := range rs {
		err := rs[i].Validate()
		switch {
		case err != nil:
			if bad == nil {
				good = append([]telemetry.Reading(nil), rs[:i]...)
			}
			bad = append(bad, refusal{rs[i].Device, err.Error(), rs[i].AppendJSON(nil)})
			invalid = append(invalid, fmt.Errorf("broker: %w", err))
		case bad != nil:
			good = append(good, rs[i])
		}
	}
	for {
		done := make(chan error, 1)
		err := e.submit(good, bad, func(err error) { done <- err })
		if err == nil {
			select {
			case err = <-done:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err == nil {
			return errors.Join(invalid...)
		}
		e.slog.Debug("readings wait for the log", "err", err, "n", len(rs))
		select {
		case <-time.After(acceptRetry):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// publish takes a PUBLISH of a LAN device. It returns when the publish is staged; at QoS 1 its PUBACK follows
// when it is durable. While the client has too many without one, it waits and so holds the client's reader.
func (e *Edge) publish(c *conn, pk *packets.Packet) {
	qos1 := pk.FixedHeader.Qos == 1
	var good []telemetry.Reading
	var bad []refusal
	if d := c.user.dialect; d != nil && among(d.Publish, pk.TopicName) {
		good, bad = e.translate(c.user, pk.TopicName, pk.Payload)
	} else {
		good, bad = e.parse(c.user.name, pk.TopicName, pk.Payload, qos1)
	}
	if !qos1 {
		e.count.add(nPublishesQoS0, 1)
		lost := func(err error) {
			if err != nil {
				e.count.add(nLostQoS0, 1)
			}
		}
		lost(e.submit(good, bad, lost))
		return
	}
	number, ok := e.begin(c, pk)
	if !ok {
		return // the connection is gone
	}
	e.count.add(nPublishes, 1)
	err := e.submit(good, bad, func(err error) {
		if err != nil {
			e.slog.Warn("client disconnected, its readings could not be kept", "err", err, "device", c.user.name)
			c.Close()
			return
		}
		c.acks.finish(number)
	})
	if err != nil {
		e.slog.Warn("client disconnected, the log takes nothing", "err", err, "device", c.user.name)
		c.Close()
		return
	}
	if c.acks.full(&e.limits) {
		e.log.Flush()
	}
}

// begin queues a publish for its PUBACK, when there is room; false when the connection is gone.
func (e *Edge) begin(c *conn, pk *packets.Packet) (number uint64, ok bool) {
	for {
		if number, ok = c.acks.begin(pk.PacketID, len(pk.Payload), &e.limits); ok {
			return number, true
		}
		e.log.Flush()
		select {
		case <-c.acks.room:
		case <-c.ctx.Done():
			return 0, false
		}
	}
}

// parse reads a payload. Everything in it comes back either as a reading or as a refusal.
func (e *Edge) parse(source, name string, payload []byte, qos1 bool) (good []telemetry.Reading, bad []refusal) {
	device, kind, err := topic.ParseDevice(name)
	if err != nil {
		return nil, []refusal{{source, err.Error(), payload}}
	}
	rs, rejected := telemetry.Parse(payload, device, kind)
	for _, r := range rejected {
		bad = append(bad, refusal{source, r.Err.Error(), r.Raw})
	}
	good = rs[:0]
	for _, r := range rs {
		if qos1 && r.N == "" && r.At.IsZero() && !r.RawRead() {
			bad = append(bad, refusal{source, "n: is absent, and so is at: a retry can't be told from a second event", r.AppendJSON(nil)})
			continue
		}
		good = append(good, r)
	}
	return good, bad
}
