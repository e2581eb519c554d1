package modem

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"yizhan/devices/telemetry"
)

// A command that Run has to obey.
type command struct {
	ctx         context.Context
	id, to, ref string
	alphabet    alphabet
	parts       []part
	answer      chan outcome // of capacity 1
}

type outcome struct {
	outcome telemetry.Outcome
	detail  string
}

// Private reports that the arguments of send_sms are a person's: whoever logs commands must not keep them.
func (d *Driver) Private(action string) bool { return action == "send_sms" }

// Command sends a message: action send_sms, args to, text and ref. See the package comment for the outcomes.
func (d *Driver) Command(ctx context.Context, c telemetry.CommandTo) telemetry.Result {
	o := d.do(ctx, c)
	if ref := c.Args["ref"]; ref != "" && o.detail != "bad_ref" && o.detail != "unknown_action" {
		o.detail += " ref=" + ref
	}
	switch o.outcome {
	case telemetry.Done:
		d.counts.sent.Add(1)
	case telemetry.Refused:
		d.counts.refused.Add(1)
	default:
		d.counts.unknown.Add(1)
	}
	return telemetry.Result{Command: c.ID, Outcome: o.outcome, Detail: o.detail}
}

func refused(detail string) outcome { return outcome{telemetry.Refused, detail} }
func unknown(detail string) outcome { return outcome{telemetry.OutcomeUnknown, detail} }

func (d *Driver) do(ctx context.Context, c telemetry.CommandTo) outcome {
	if c.Action != "send_sms" {
		return refused("unknown_action")
	}
	cmd := command{ctx: ctx, id: c.ID, to: c.Args["to"], ref: c.Args["ref"], answer: make(chan outcome, 1)}
	switch {
	case !goodRef(cmd.ref, cmd.to):
		return refused("bad_ref")
	case checkNumber(cmd.to) != nil:
		return refused("bad_number")
	case checkText(c.Args["text"]) != nil:
		return refused("bad_text")
	}
	var err error
	if cmd.alphabet, cmd.parts, err = compose(c.Args["text"], 0, d.cfg.MaxParts); err != nil {
		return refused("too_long")
	}
	d.mu.Lock()
	ended := d.running
	d.mu.Unlock()
	if ended == nil {
		return refused("not_running")
	}
	select {
	case d.commands <- cmd:
		return <-cmd.answer // Run answers what it took, when the modem did
	case <-ended:
		return refused("not_running")
	case <-ctx.Done():
		return refused("busy")
	}
}

// goodRef accepts a reference of up to 40 characters that doesn't give the number away.
func goodRef(ref, to string) bool {
	if len(ref) > 40 {
		return false
	}
	for _, c := range ref {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.:/", c) {
			return false
		}
	}
	return len(to) < 7 || !strings.Contains(ref, tail(to))
}

// obey sends a message and answers. Its error ends Run.
func (s *session) obey(ctx context.Context, c command) error {
	if why, err := s.hinder(ctx, c); why != "" || err != nil {
		if err != nil {
			why = "not_running"
		}
		c.answer <- refused(why)
		return err
	}
	w := &waiting{command: c.id, ref: c.ref, tail: tail(c.to)}
	o, err := s.send(ctx, c, w)
	if w.parts == len(c.parts) && !s.cfg.NoReport && (len(w.open) > 0 || w.doubt) {
		s.outbox.expect(w)
	}
	c.answer <- o
	return err
}

// hinder says why a message can't go out now; empty when it can.
func (s *session) hinder(ctx context.Context, c command) (string, error) {
	if n := s.outbox.lastDay(time.Now()); n+len(c.parts) > s.cfg.DailyCap {
		s.raise("daily_cap", telemetry.Major, fmt.Sprintf("%d messages in 24 hours", n))
		return "daily_cap", nil
	}
	if s.sim != simReady || !s.configured || !registered(s.stat) {
		if err := s.look(ctx); err != nil {
			return "", err
		}
	}
	switch {
	case s.sim != simReady:
		return noSIM + " " + s.sim, nil
	case !s.configured:
		return otherwise + " not_set_up", nil
	case s.stat >= 0 && !registered(s.stat):
		return temporary + " not_registered", nil
	}
	return "", nil
}

// send hands over the parts, each once. After the first one nothing is taken back.
func (s *session) send(ctx context.Context, c command, w *waiting) (outcome, error) {
	if len(c.parts) > 1 {
		s.outbox.ref++
		for i := range c.parts {
			c.parts[i].header[3] = s.outbox.ref
		}
	}
	f := form{smsc: s.cfg.SMSC, validity: s.cfg.Validity, report: !s.cfg.NoReport}
	var refs []string
	for i, p := range c.parts {
		if err := s.rest(ctx); err != nil {
			return s.broken(i, c, "stopped"), err
		}
		if i == 0 && c.ctx.Err() != nil {
			return refused("busy"), nil
		}
		text, n := f.submit(c.to, c.alphabet, p)
		r, err := s.line.submit(ctx, text, n, s.cfg.SendTimeout)
		if r.handed {
			s.outbox.times = append(s.outbox.times, time.Now())
			s.counts.parts.Add(1)
			w.parts, w.since = i+1, time.Now()
		}
		if r.ok && r.handed {
			s.stuck = 0
			if r.mr >= 0 {
				w.open = append(w.open, r.mr)
				refs = append(refs, strconv.Itoa(r.mr))
			}
			if err != nil {
				return s.broken(i+1, c, "stopped"), err
			}
			continue
		}
		return s.failed(ctx, i, c, w, r, err)
	}
	return outcome{telemetry.Done, fmt.Sprintf("sent parts=%d mr=%s", len(c.parts), strings.Join(refs, ","))}, nil
}

// rest lets the pause between messages pass.
func (s *session) rest(ctx context.Context) error {
	if d := s.outbox.rest(time.Now(), s.cfg.Spacing); d > 0 {
		return s.line.pause(ctx, d)
	}
	return nil
}

// failed says what it means that part i didn't go through.
func (s *session) failed(ctx context.Context, i int, c command, w *waiting, r receipt, err error) (outcome, error) {
	switch {
	case errors.Is(err, errNoPrompt):
		return s.broken(i, c, "no_prompt"), s.reset(ctx)
	case r.handed && errors.Is(err, errTimeout):
		w.doubt = true
		return unknown(fmt.Sprintf("no_result part=%d/%d", i+1, len(c.parts))), nil
	case r.handed && err != nil:
		w.doubt = true
		return unknown(fmt.Sprintf("stopped part=%d/%d", i+1, len(c.parts))), err
	case err != nil:
		return s.broken(i, c, "not_running"), err
	}
	return s.broken(i, c, r.code.detail()), nil
}

// broken is the outcome where sent parts went out and the next one certainly didn't.
func (s *session) broken(sent int, c command, why string) outcome {
	if sent == 0 {
		return refused(why)
	}
	return unknown(fmt.Sprintf("partial %s part=%d/%d", why, sent+1, len(c.parts)))
}
