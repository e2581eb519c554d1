package uplink

import (
	"slices"
	"time"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// hole returns the first seqs below limit that are on the card, not committed, not under way and not refused a while ago. What the
// cloud once had counts only when it says that it lacks it.
func (l *lane) hole(now time.Time, limit uint64) (frame.Range, bool) {
	seq := max(l.state.First, 1)
	if !l.told {
		seq = max(seq, l.state.Acked+1)
	}
	for seq < limit {
		if end, ok := l.covered(now, seq); ok {
			seq = end + 1
			continue
		}
		to := limit - 1
		for _, set := range []ranges{l.committed, l.gone} {
			if n, ok := set.next(seq); ok {
				to = min(to, n-1)
			}
		}
		for _, ch := range l.chunks {
			if ch.From > seq {
				to = min(to, ch.From-1)
			}
		}
		for _, r := range l.refused {
			if r.From > seq {
				to = min(to, r.From-1)
			}
		}
		return frame.Range{From: seq, To: to}, true
	}
	return frame.Range{}, false
}

func (l *lane) covered(now time.Time, seq uint64) (end uint64, ok bool) {
	if end, ok = l.committed.end(seq); ok {
		return end, true
	}
	if end, ok = l.gone.end(seq); ok {
		return end, true
	}
	for _, ch := range l.chunks {
		if ch.From <= seq && seq <= ch.To {
			return ch.To, true
		}
	}
	for _, r := range l.refused {
		if r.From <= seq && seq <= r.To && now.Before(r.until) {
			return r.To, true
		}
	}
	return 0, false
}

func (c *Core) sendLive(now time.Time, l *lane) (Message, bool) {
	if !l.live || l.liveNext >= l.state.Next || now.Before(l.retryAt) {
		return Message{}, false
	}
	if l.lane != telemetry.Command && !c.pace.roomLive(now) {
		return Message{}, false
	}
	wait, enough := gather, uint64(gatherRecords)
	if c.saves(l) {
		wait, enough = gatherSaving, MaxRecords
	}
	if due := l.liveAt.Add(wait); l.lane != telemetry.Command && l.state.Next-l.liveNext < enough && now.Before(due) {
		if c.liveDue.IsZero() || due.Before(c.liveDue) {
			c.liveDue = due
		}
		return Message{}, false
	}
	if l.state.Next-l.liveNext > maxLag {
		l.liveNext = l.state.Next - keepLive
	}
	m, last, ok := c.cut(now, l, frame.Range{From: l.liveNext, To: l.state.Next - 1}, c.pace.records(), true)
	if ok {
		l.liveNext, l.liveAt = last+1, now
	}
	return m, ok
}

func (c *Core) sendBacklog(now time.Time, l *lane) (Message, bool) {
	limit := l.state.Next
	if l.live {
		limit = l.liveNext
	}
	if c.saves(l) || now.Before(l.retryAt) || !l.told && (c.ackAt.IsZero() || now.Sub(c.helloAt) < tellWait) {
		return Message{}, false
	}
	h, ok := l.hole(now, limit)
	most := c.pace.records()
	want := int(min(h.To-h.From+1, uint64(most), uint64(max(1, c.credit/4)))) // no crumbs
	if !ok || now.Sub(c.creditAt) >= creditLife || c.tokens < float64(want) || !c.pace.roomBacklog(now) {
		return Message{}, false
	}
	m, last, ok := c.cut(now, l, h, min(most, int(c.tokens)), false)
	if ok {
		c.tokens -= float64(last - l.chunks[len(l.chunks)-1].From + 1)
		c.count.Backlog++
	}
	return m, ok
}

// cut makes a frame of what the card holds of r, at most limit records, and books it as under way. last is the last seq in it.
func (c *Core) cut(now time.Time, l *lane, r frame.Range, limit int, live bool) (m Message, last uint64, ok bool) {
	n := int(min(uint64(limit), r.To-r.From+1))
	recs, prev, err := c.cfg.Source.Read(l.epoch, l.lane, r.From, n, MaxRaw)
	if err != nil {
		c.count.ReadErrors++
		c.cfg.Log.Error("spool not read", "lane", l.lane, "epoch", l.epoch, "seq", r.From, "err", err)
		l.retryAt = now.Add(readPause)
		return m, 0, false
	}
	if len(recs) == 0 {
		if l.live { // not durable yet; Next is called again when it is
			l.retryAt = now.Add(time.Millisecond)
		} else { // an old epoch whose tail is damaged
			l.gone.add(r.From, l.state.Next-1)
		}
		return m, 0, false
	}
	if first := recs[0].Seq; first > r.From { // a gap that the spool tells of in a tombstone
		l.gone.add(r.From, min(first-1, r.To))
		if first > r.To {
			l.retryAt = now
			if live {
				l.liveNext = max(l.liveNext, r.To+1)
			}
			return m, 0, false
		}
	}
	if i := slices.IndexFunc(recs, func(rec frame.Record) bool { return rec.Seq > r.To }); i > 0 {
		recs = recs[:i]
	}
	for len(recs) > 0 {
		f := frame.Frame{Gateway: c.cfg.Gateway, Epoch: l.epoch, Lane: l.lane, Prev: prev, Records: recs}
		b, err := c.cfg.Encode(c.version, &f)
		if err == nil {
			last = f.Last()
			ch := chunk{Range: frame.Range{From: f.First(), To: last}, bytes: len(b), sent: now, live: live}
			c.pace.sent(&ch)
			l.chunks = append(l.chunks, ch)
			c.count.Frames++
			c.count.Records += uint64(len(recs))
			c.count.Bytes += uint64(len(b))
			return Message{What: l.lane.String(), Payload: b}, last, true
		}
		if len(recs) == 1 {
			c.count.Unsendable++
			c.cfg.Log.Error("record fits no frame", "lane", l.lane, "epoch", l.epoch, "seq", recs[0].Seq, "err", err)
			l.gone.add(recs[0].Seq, recs[0].Seq)
			if live {
				l.liveNext = recs[0].Seq + 1
			}
		}
		recs = recs[:len(recs)/2]
	}
	return m, 0, false
}

// expire makes holes of what was not acknowledged in time.
func (c *Core) expire(now time.Time) {
	for _, l := range c.order {
		l.chunks = slices.DeleteFunc(l.chunks, func(ch chunk) bool {
			if now.Sub(ch.sent) < ackWait {
				return false
			}
			c.pace.gone(&ch)
			c.count.Resent++
			if !c.ackAt.Before(ch.sent) {
				l.refuse(now, ch.Range)
			}
			return true
		})
	}
}

// refill turns credit into backlog records that may be sent, at most a second's worth.
func (c *Core) refill(now time.Time) {
	if c.credit > 0 && !c.creditAt.IsZero() {
		dt := now.Sub(c.filledAt).Seconds()
		c.tokens = min(c.tokens+dt*float64(c.credit), float64(c.credit))
	} else {
		c.tokens = 0
	}
	c.filledAt = now
}
