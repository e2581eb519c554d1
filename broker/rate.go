package broker

import "time"

// A bucket holds what a client may still send: it fills at a steady rate up to a second's worth. Only the client's
// reader uses it.
type bucket struct {
	left float64
	at   time.Time // when it was filled last
}

// take takes n and returns how long the client must wait until it holds that much again.
func (b *bucket) take(n, perSecond float64, now time.Time) time.Duration {
	if b.at.IsZero() {
		b.left = perSecond
	} else {
		b.left = min(perSecond, b.left+perSecond*now.Sub(b.at).Seconds())
	}
	b.at = now
	if b.left -= n; b.left >= 0 {
		return 0
	}
	return time.Duration(-b.left / perSecond * float64(time.Second))
}

// throttle holds the reader of a client that sends more packets or bytes than its share. It returns early when the
// connection ends.
func (c *conn) throttle(bytes int) {
	limits := &c.guard.limits
	var wait time.Duration
	now := time.Now()
	if limits.PacketRate > 0 {
		wait = c.packets.take(1, float64(limits.PacketRate), now)
	}
	if limits.ByteRate > 0 {
		wait = max(wait, c.bytes.take(float64(bytes), float64(limits.ByteRate), now))
	}
	if wait <= 0 {
		return
	}
	c.guard.count.add(nSlowed, 1)
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
}
