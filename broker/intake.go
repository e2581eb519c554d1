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

// A join calls done when all its parts are through, with the first error.
type join struct {
	mu    sync.Mutex
	parts int
	err   error
	done  func(error)
}

func (j *join) part(err error) {
	j.mu.Lock()
	if j.err == nil {
		j.err = err
	}
	j.parts--
	last, err := j.parts == 0, j.err
	j.mu.Unlock()
	if last {
		j.done(err)
	}
}

// submit stages readings and refusals. When it returns nil, done is called exactly once: with nil when all that they
// tell is durable, whoever told it first.
func (e *Edge) submit(rs []telemetry.Reading, bad []refusal, done func(error)) error {
	var (
		entries []frame.Entry
		marks   []mark
		show    []shown
		j       = &join{parts: 1, done: done}
	)
	e.window.mu.Lock()
	// known reports whether the log has it, or is about to
	known := func(device, key string) bool {
		if key == "" {
			return false
		}
		t, again := e.window.see(device, key)
		switch {
		case !again:
			marks = append(marks, mark{device, key, t})
		case !t.durable:
			j.parts++
			t.waiting = append(t.waiting, j.part)
		}
		return again
	}
	doubles := 0
	for i := range rs {
		r := &rs[i]
		payload := r.AppendJSON(make([]byte, 0, 128+len(r.Body)))
		see := shown{topic.Device(r.Device, r.Kind), payload}
		if r.RawRead() {
			e.count.add("raw_reads", 1)
			e.fanOut(see)
			continue
		}
		if known(r.Device, key(r)) {
			doubles++
			continue
		}
		lane, _ := telemetry.LaneOf(r.Kind)
		entries = append(entries, frame.Entry{Lane: lane, Type: frame.TypeReading, Payload: payload})
		show = append(show, see)
	}
	for i := range bad {
		if !known(bad[i].source, keyOf(bad[i].raw)) {
			entries = append(entries, bad[i].entry())
		}
	}
	e.window.mu.Unlock()
	e.count.add("duplicates", doubles)
	if len(entries) == 0 {
		j.part(nil)
		return nil
	}
	err := e.log.Append(entries, func(err error) {
		if err == nil {
			e.count.add("readings", len(show))
			e.count.add("quarantined", len(entries)-len(show))
			for _, s := range show {
				e.fanOut(s)
			}
		}
		e.window.settle(marks, err)
		j.part(err)
	})
	if err != nil {
		e.count.add("full", 1)
		e.window.settle(marks, err)
	}
	return err
}

// acceptRetry is how long Accept waits before it tries a full log again.
const acceptRetry = 500 * time.Millisecond

// Accept takes over readings and returns when they are durable; it is what a driver emits to. It
// blocks while the log is full. A reading that isn't valid becomes a quarantine record and its error, which names the
// field, is returned; the others are kept. Raw tag reads are shown and not recorded.
func (e *Edge) Accept(ctx context.Context, rs ...telemetry.Reading) error {
	good := make([]telemetry.Reading, 0, len(rs))
	var bad []refusal
	var invalid []error
	for _, r := range rs {
		if err := r.Validate(); err != nil {
			bad = append(bad, refusal{r.Device, err.Error(), r.AppendJSON(nil)})
			invalid = append(invalid, fmt.Errorf("broker: %w", err))
			continue
		}
		good = append(good, r)
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
		e.count.add("publishes_qos0", 1)
		lost := func(err error) {
			if err != nil {
				e.count.add("lost_qos0", 1)
			}
		}
		lost(e.submit(good, bad, lost))
		return
	}
	s := e.begin(c, pk)
	if s == nil {
		return // the connection is gone
	}
	e.count.add("publishes", 1)
	err := e.submit(good, bad, func(err error) {
		if err != nil {
			e.slog.Warn("client disconnected, its readings could not be kept", "err", err, "device", c.user.name)
			c.Close()
			return
		}
		c.acks.finish(s)
	})
	if err != nil {
		e.slog.Warn("client disconnected, the log takes nothing", "err", err, "device", c.user.name)
		c.Close()
		return
	}
	if c.acks.full(e.limits) {
		e.log.Flush()
	}
}

// begin queues a publish for its PUBACK, when there is room.
func (e *Edge) begin(c *conn, pk *packets.Packet) *slot {
	for {
		if s := c.acks.begin(pk.PacketID, len(pk.Payload), e.limits); s != nil {
			return s
		}
		e.log.Flush()
		select {
		case <-c.acks.room:
		case <-c.ctx.Done():
			return nil
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
