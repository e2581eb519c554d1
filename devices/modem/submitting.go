package modem

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A receipt is how handing over one PDU ended.
type receipt struct {
	final
	handed bool // the modem may have the PDU: only final says more
	mr     int  // message reference; below 0 where none came
}

// submit hands over one PDU, once. n is its length as AT+CMGS wants it. Whatever the error, handed tells whether the
// message may be on the air.
func (l *line) submit(ctx context.Context, pdu string, n int, limit time.Duration) (receipt, error) {
	r := receipt{mr: -1}
	if err := l.ready(ctx); err != nil {
		return r, err
	}
	if l.again {
		return r, errRestart
	}
	l.split.awaited = true
	defer func() { l.split.awaited = false }()
	if err := l.write(fmt.Sprintf("AT+CMGS=%d", n), "\r"); err != nil {
		return r, err
	}
	f, err := l.awaitPrompt(ctx)
	switch {
	case errors.Is(err, errTimeout):
		l.counts.timeouts.Add(1)
		if err := l.wake(ctx); err != nil {
			return r, err
		}
		return r, errNoPrompt
	case err != nil || f != nil:
		if f != nil {
			r.final = *f
		}
		return r, err
	}
	r.handed = true
	if err := l.write(pdu, string(rune(ctrlZ))); err != nil {
		return r, err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	a, err := l.await(ctx, "+CMGS", timer.C)
	r.final = a.final
	if len(a.infos) > 0 { // what the network gave counts, though the OK behind it got lost
		r.mr = numberAt(fields(a.first()), 0)
		r.ok = true
		err = nil
	}
	return r, err
}

// awaitPrompt returns nil, nil when the modem waits for the PDU, or how it refused.
func (l *line) awaitPrompt(ctx context.Context) (*final, error) {
	timer := time.NewTimer(promptTime)
	defer timer.Stop()
	for {
		t, err := l.next(ctx, timer.C)
		switch {
		case err != nil:
			return nil, err
		case t.kind == prompt:
			return nil, nil
		case l.echoed(t.text), l.attach(t.text):
		default:
			f, ok := finalOf(t.text)
			if ok && !f.ok {
				return &f, nil
			}
			if !ok {
				l.unasked(t.text)
			}
		}
		if l.again {
			return nil, errRestart
		}
	}
}
