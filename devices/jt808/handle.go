package jt808

import (
	"crypto/hmac"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"time"

	"yizhan/devices/telemetry"
)

// maxStrikes ends a connection that goes on with what only a terminal that is logged in may say.
const maxStrikes = 3

// frame takes one frame: it collects readings and acknowledgements, and returns why the frame is bad.
func (c *conn) frame(content []byte, good bool) counter {
	h, body, why := parseHeader(content[:len(content)-1])
	how := c.how(h.phone)
	switch {
	case !good && (how == nil || !how.lenientChecksum):
		return badChecksum
	case why != framesOK && (how == nil || !how.lenientLength || body == nil):
		return why
	case !good || why != framesOK:
		c.count.add(lenient)
	}
	if h.attr&encryptionBits != 0 {
		c.count.add(encrypted)
		c.ack(&h, resultUnsupported)
		return framesOK
	}
	switch h.id {
	case registerRequest:
		return c.register(&h, body, how)
	case authRequest:
		return c.auth(&h, body, how)
	}
	if c.terminal == nil && how != nil && how.auth == AuthNone && !c.login(&h, how) {
		return framesOK
	}
	if c.terminal == nil || h.phone != c.head.phone {
		c.count.add(unauthorised)
		c.strike(&h)
		return framesOK
	}
	if h.attr&fragmentBit != 0 {
		return c.fragment(&h, body)
	}
	return c.message(&h, body, content)
}

// how returns how a number is read; nil when it is turned away.
func (c *conn) how(p phone) *profile {
	if c.terminal != nil && p == c.head.phone {
		return c.terminal.profile
	}
	return c.profile(p)
}

// strike refuses a message, and the connection when it isn't the first.
func (c *conn) strike(h *header) {
	if h.id != terminalAck {
		c.ack(h, resultFailed)
	}
	if c.strikes++; c.strikes >= maxStrikes {
		c.hangUp = true
	}
}

// ack acknowledges a message, or all its fragments, once what was collected is durable.
func (c *conn) ack(h *header, result byte) {
	serials := h.acks
	if serials == nil {
		serials = []uint16{h.serial}
	}
	for _, serial := range serials {
		var body [5]byte
		binary.BigEndian.PutUint16(body[:], serial)
		binary.BigEndian.PutUint16(body[2:], h.id)
		body[4] = result
		c.out = h.appendMessage(c.out, platformAck, c.nextSerial(), body[:])
	}
}

// register answers 0x0100 with the terminal's auth code.
func (c *conn) register(h *header, body []byte, how *profile) counter {
	reg, ok := parseRegistration(body, h.is2019)
	if !ok {
		c.ack(h, resultBad)
		return malformed
	}
	c.count.add(registers)
	const noSuchTerminal = 4
	answer := append(binary.BigEndian.AppendUint16(nil, h.serial), resultOK)
	if how == nil {
		c.count.add(refusedTerminals)
		answer[2] = noSuchTerminal
		if c.strikes++; c.strikes >= maxStrikes {
			c.hangUp = true
		}
	} else {
		answer = append(answer, c.code(h.phone)...)
		c.reg = &reg
	}
	c.out = h.appendMessage(c.out, registerReply, c.nextSerial(), answer)
	if how != nil && c.terminal != nil && h.phone == c.head.phone {
		c.tellRegistration()
	}
	return framesOK
}

// auth answers 0x0102 and logs the terminal in.
func (c *conn) auth(h *header, body []byte, how *profile) counter {
	switch {
	case how == nil:
		c.count.add(refusedTerminals)
		c.strike(h)
	case how.auth == AuthCode && !hmac.Equal(authCode(body, h.is2019), c.code(h.phone)):
		c.count.add(authFailed)
		c.strike(h)
	case c.terminal != nil && h.phone != c.head.phone: // one connection is one terminal's
		c.count.add(unauthorised)
		c.strike(h)
	case c.terminal != nil || c.login(h, how):
		c.count.add(auths)
		c.ack(h, resultOK)
	}
	return framesOK
}

// login makes this the terminal's connection. It is false when the connection ends meanwhile.
func (c *conn) login(h *header, how *profile) bool {
	t, err := c.take(c.ctx, c, h.phone, how)
	if err != nil {
		return false
	}
	c.mu.Lock()
	c.terminal, c.head = t, *h
	c.mu.Unlock()
	c.edges, c.strikes = t.edges, 0
	c.tellRegistration()
	return true
}

func (c *conn) tellRegistration() {
	if c.reg != nil {
		c.rs = append(c.rs, c.reg.reading(c.terminal.profile.device))
		c.reg = nil
	}
}

// assembled are the messages that are put together; others in fragments (pictures, sound) are not kept anyway.
func assembled(id uint16) bool {
	switch id {
	case locationReport, locationReply, locationBatch, paramsReply:
		return true
	}
	return false
}

// fragment takes a packet of a longer message. Its packets are acknowledged together, when all of it is durable.
func (c *conn) fragment(h *header, body []byte) counter {
	if !assembled(h.id) {
		c.count.add(unsupported)
		c.ack(h, resultUnsupported)
		return framesOK
	}
	t := c.terminal
	whole, acks, why := t.parts.add(*h, body, time.Now(), &c.count)
	switch {
	case why == malformed:
		c.ack(h, resultBad)
		return malformed
	case why == fragmentsLost:
		c.ack(h, resultFailed)
		return framesOK
	case whole == nil:
		if t.profile.ackEach {
			c.ack(h, resultOK)
		}
		return framesOK
	}
	if h.acks = acks; t.profile.ackEach {
		h.acks = nil
	}
	return c.message(h, whole, whole)
}

// message takes a whole message of the terminal that is logged in. content tells one message from another.
func (c *conn) message(h *header, body, content []byte) counter {
	switch h.id {
	case terminalAck:
		return c.replied(body)
	case heartbeat:
		c.count.add(heartbeats)
	case attributesReply:
	case logout:
		c.hangUp = true
	case timeRequest:
		return c.tellTime(h)
	case locationReport, locationBatch, locationReply:
		return c.locations(h, body, content)
	case paramsReply:
		return c.params(h, body)
	default:
		c.count.add(unsupported)
		c.ack(h, resultUnsupported)
		return framesOK
	}
	c.ack(h, resultOK)
	return framesOK
}

// tellTime answers 0x0004 with UTC, if this board has a time.
func (c *conn) tellTime(h *header) counter {
	now := time.Now().UTC()
	if now.Before(release()) {
		c.ack(h, resultUnsupported)
		return framesOK
	}
	c.out = h.appendMessage(c.out, timeReply, c.nextSerial(), bcdTime(now))
	return framesOK
}

// release is before any time that a board's clock shows when it is right. Raise it once a year.
func release() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// locations takes 0x0200, 0x0201 and 0x0704.
func (c *conn) locations(h *header, body, content []byte) counter {
	r := report{h.serial, maphash.Bytes(c.seed, content)}
	if c.terminal.toldBefore(r) || slices.Contains(c.told, r) {
		c.count.add(duplicates)
		c.ack(h, resultOK)
		return framesOK
	}
	why := framesOK
	switch h.id {
	case locationBatch:
		if len(body) < batchHead {
			why = malformed
			break
		}
		good := 0
		bad := eachPoint(body, func(l location, late bool) {
			good++
			c.locate(&l, h.is2019, late)
		})
		switch {
		case len(bad) == 0:
		case good == 0:
			why = malformed
		default: // sent again it would be as bad: what is good is kept and acknowledged
			c.count.add(badPoints)
			c.BadFrames.Add(counterNames[badPoints], bad)
		}
	case locationReply:
		if len(body) < 2 {
			why = malformed
			break
		}
		l, ok := parseLocation(body[2:])
		if !ok {
			why = malformed
			break
		}
		c.locate(&l, h.is2019, false)
		c.answer(binary.BigEndian.Uint16(body), queryLocation, outcome{telemetry.Done, "located"})
	default:
		l, ok := parseLocation(body)
		if !ok {
			why = malformed
			break
		}
		c.locate(&l, h.is2019, false)
	}
	if why != framesOK {
		c.ack(h, resultBad)
		return why
	}
	c.told = append(c.told, r)
	c.ack(h, resultOK)
	return framesOK
}

// locate collects what one location tells.
func (c *conn) locate(l *location, is2019, late bool) {
	p := c.terminal.profile
	rs, at, ok := l.readings(c.rs, p.device, p, is2019, late, &c.count)
	if !ok {
		return
	}
	if late {
		c.count.add(replayed)
	}
	c.rs = c.edges.appendAlarms(rs, p.device, l.alarm, is2019, at, rs[len(c.rs)].TQ, &c.count)
}

// params takes 0x0104 and shows it as health.
func (c *conn) params(h *header, body []byte) counter {
	if len(body) < 3 {
		c.ack(h, resultBad)
		return malformed
	}
	ps, ok := parseParams(body[2:])
	if !ok {
		c.ack(h, resultBad)
		return malformed
	}
	c.rs = append(c.rs, paramsReading(c.terminal.profile.device, ps))
	c.answer(binary.BigEndian.Uint16(body), queryParams, outcome{telemetry.Done, "read"})
	c.ack(h, resultOK)
	return framesOK
}

// replied takes 0x0001, the one message that isn't acknowledged.
func (c *conn) replied(body []byte) counter {
	if len(body) < 5 {
		return malformed
	}
	id := binary.BigEndian.Uint16(body[2:])
	o := resultOf(body[4])
	if o.outcome == telemetry.Done && (id == queryParams || id == queryLocation) {
		return framesOK // some acknowledge first; the reply follows
	}
	c.answer(binary.BigEndian.Uint16(body), id, o)
	return framesOK
}

// answer gives a command its outcome, once what was collected is durable.
func (c *conn) answer(serial, id uint16, o outcome) {
	c.mu.Lock()
	q := c.asked
	c.mu.Unlock()
	if q == nil || q.serial != serial || q.id != id {
		c.count.add(strayReplies)
		return
	}
	c.after = append(c.after, func() { q.solve(o) })
}
