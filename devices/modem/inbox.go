package modem

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"yizhan/devices/telemetry"
)

// hear takes what the modem told unasked.
func (s *session) hear(ctx context.Context) error {
	s.configured = s.configured && !s.line.fresh
	s.line.fresh = false
	for len(s.line.news) > 0 && !s.waitsForPDU() {
		n := s.line.news[0]
		s.line.news = slices.Delete(s.line.news, 0, 1)
		var err error
		switch n.name {
		case "+CDS", "+CMT":
			s.message(n)
			if s.direct {
				_, _, err = s.try(ctx, "AT+CNMA")
			}
		case "+CMTI", "+CDSI":
			err = s.fetch(ctx, numberAt(fields(n.rest), 1))
		case "+CMGS":
			if mr := numberAt(fields(n.rest), 0); mr >= 0 && s.outbox.late(mr, time.Now()) {
				s.counts.late.Add(1)
			}
		case "+CPIN":
			s.sim = simOf(answer{infos: []*info{n}, final: final{ok: true}})
			s.configured = s.configured && s.sim == simReady
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// waitsForPDU reports whether the first news is one whose PDU is still to come.
func (s *session) waitsForPDU() bool {
	return s.line.half == s.line.news[0]
}

// fetch reads and deletes a stored message.
func (s *session) fetch(ctx context.Context, index int) error {
	if index < 0 {
		return nil
	}
	a, ok, err := s.try(ctx, "AT+CMGR="+strconv.Itoa(index))
	if !ok || len(a.infos) == 0 {
		return err // a sweep will find it
	}
	if keep := s.message(a.infos[0]); keep {
		return nil
	}
	_, _, err = s.try(ctx, "AT+CMGD="+strconv.Itoa(index))
	return err
}

// sweep reads and deletes what is on the SIM: what came while nobody listened would fill it.
func (s *session) sweep(ctx context.Context) error {
	a, ok, err := s.try(ctx, "AT+CPMS?")
	if !ok {
		return err
	}
	s.stored = numberAt(fields(a.first()), 1)
	if s.stored <= 0 {
		return nil
	}
	a, ok, err = s.try(ctx, "AT+CMGL=4")
	if !ok {
		return err
	}
	for _, i := range a.infos {
		index := numberAt(fields(i.rest), 0)
		if index < 0 || i.pdu == "" || s.message(i) {
			continue
		}
		if _, _, err := s.try(ctx, "AT+CMGD="+strconv.Itoa(index)); err != nil {
			return err
		}
	}
	return nil
}

// message takes a PDU that came; keep says that it stays where it is.
func (s *session) message(i *info) (keep bool) {
	p, err := parsePDU(i.pdu, i.length)
	if err != nil {
		s.counts.badPDU.Add(1)
		s.BadFrames.Add("bad_pdu", hidden([]byte(i.pdu)))
		return false
	}
	switch p.kind {
	case report:
		s.report(p)
		return false
	case deliver:
		if s.cfg.Inbox == Delete {
			s.counts.received.Add(1)
		}
	}
	return s.cfg.Inbox == Keep
}

// report tells what became of a message, once: delivered when all its parts were, failed when one wasn't.
func (s *session) report(p pdu) {
	w := s.outbox.find(int(p.mr), p.number, time.Now())
	if w == nil {
		s.counts.unmatched.Add(1)
		return
	}
	outcome, detail := telemetry.Done, delivered
	switch p.fate() {
	case trying:
		s.counts.trying.Add(1)
		return
	case failed:
		s.counts.failed.Add(1)
		outcome, detail = telemetry.Refused, fmt.Sprintf("%s st=%d", failed, p.status)
	default:
		w.open = slices.DeleteFunc(w.open, func(mr int) bool { return mr == int(p.mr) })
		if len(w.open) > 0 || w.doubt {
			return
		}
		s.counts.delivered.Add(1)
	}
	s.outbox.forget(w)
	if w.ref != "" {
		detail += " ref=" + w.ref
	}
	r := telemetry.New(s.env.Name, time.Time{}, telemetry.Unknown, telemetry.Result{Command: w.command, Outcome: outcome, Detail: detail})
	r.N = "dr-" + w.command
	s.out = append(s.out, r)
}
