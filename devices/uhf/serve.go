package uhf

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// apply sets the module up and makes sure that it is.
func (s *session) apply(ctx context.Context) error {
	d := s.d
	if err := checkAntennas(s.fam, d.cfg.Antennas); err != nil {
		return &refusedError{err.Error()}
	}
	for _, set := range s.fam.settings(d.cfg.address(), d.cfg) {
		if err := s.set(ctx, set); err != nil {
			return fmt.Errorf("%s: %w", set.name, err)
		}
	}
	s.checked = time.Now()
	return nil
}

// set writes a setting unless the module has it already: it goes into flash, which wears out.
func (s *session) set(ctx context.Context, set setting) error {
	got, known, err := s.get(ctx, set)
	if err != nil || known && set.fits(got) {
		return err
	}
	if _, err := s.insist(ctx, set.set); err != nil {
		return err
	}
	got, known, err = s.get(ctx, set)
	switch {
	case err != nil:
		return err
	case !known && set.blind:
		s.d.counts.add(unverified, 1)
	case !known:
		return &refusedError{"what was set can't be read back"}
	case !set.fits(got):
		return &refusedError{fmt.Sprintf("set to %X, reads back as %X", set.want, got)}
	}
	return nil
}

// get reads a setting; known is false when the module can't tell.
func (s *session) get(ctx context.Context, set setting) (got int, known bool, err error) {
	if set.get.frame == nil {
		return 0, false, nil
	}
	data, err := s.insist(ctx, set.get)
	var no *refusedError
	switch {
	case errors.As(err, &no):
		return 0, false, nil
	case set.blind && errors.Is(err, errNoAnswer):
		return 0, false, nil
	case err != nil:
		return 0, false, err
	}
	got, known = set.value(data)
	return got, known, nil
}

func (set setting) fits(got int) bool { return got >= set.want-set.near && got <= set.want+set.near }

// check looks whether the module still is as it was set. One that isn't has restarted by itself.
func (s *session) check(ctx context.Context) error {
	if err := s.quiet(ctx); err != nil {
		return err
	}
	d := s.d
	for _, set := range s.fam.settings(d.cfg.address(), d.cfg) {
		got, known, err := s.get(ctx, set)
		if err != nil {
			return fmt.Errorf("%s: %w", set.name, err)
		}
		if known && !set.fits(got) {
			d.counts.add(resets, 1)
			d.env.Log.Warn("device restarted by itself", "addr", d.found.addr)
			s.alarm("module_reset", "the module restarted and lost its settings: look at its power supply")
			return s.apply(ctx)
		}
	}
	s.checked = time.Now()
	return nil
}

// serve lets the module read tags until ctx ends or it fails. What isn't answered is no failure
// until the module has been silent for long: a module that restarts comes back.
func (s *session) serve(ctx context.Context) error {
	turns := s.fam.turns(s.d.cfg.address(), s.d.cfg)
	for i := 0; ; i++ {
		var err error
		if time.Since(s.checked) >= checkEvery {
			err = s.check(ctx)
		}
		if err == nil && len(turns) == 0 {
			err = s.poll(ctx)
		} else if err == nil {
			err = s.turn(ctx, turns[i%len(turns)])
		}
		switch {
		case errors.Is(err, errNoAnswer):
			s.d.counts.add(timeouts, 1)
			s.checked = time.Time{}
		case err != nil:
			return err
		}
	}
}

// turn runs one inventory round.
func (s *session) turn(ctx context.Context, t turn) error {
	began := time.Now()
	s.antenna = t.antenna
	if t.pick.frame != nil {
		var no *refusedError
		if _, err := s.ask(ctx, t.pick, askTimeout); errors.As(err, &no) {
			s.refuse(began, s.reply.code)
			return s.rest(ctx, began)
		} else if err != nil {
			return err
		}
	}
	s.round = true
	defer func() { s.round = false }()
	ask, refusedBefore := t.round, s.refusedRounds
	if s.instead && t.instead.frame != nil {
		ask = t.instead
	}
	if err := s.send(ask.frame); err != nil {
		return err
	}
	for s.round {
		if err := s.step(ctx, time.Time{}); err != nil {
			return err
		}
		if time.Since(s.heard) > roundTimeout && time.Since(began) > roundTimeout {
			return errNoAnswer
		}
	}
	if s.refusedRounds > refusedBefore {
		s.instead = !s.instead
	}
	return s.rest(ctx, began)
}

// rest waits until the next round may begin.
func (s *session) rest(ctx context.Context, began time.Time) error {
	for until := began.Add(s.d.cfg.Interval); time.Now().Before(until); {
		if err := s.step(ctx, until); err != nil {
			return err
		}
	}
	return nil
}

// poll keeps a module that polls by itself at it.
func (s *session) poll(ctx context.Context) error {
	if !s.polling {
		s.polling, s.antenna = true, 0
		if err := s.send(bbMulti()); err != nil {
			return err
		}
		s.heard = time.Now()
	}
	if err := s.step(ctx, time.Time{}); err != nil {
		return err
	}
	if time.Since(s.heard) > pollSilence {
		// Its rounds are over, it restarted, or its firmware says nothing when no tag is there.
		s.d.counts.add(restarts, 1)
		s.checked = time.Time{}
	}
	return nil
}

// quiet stops a module that polls by itself: while it does, it obeys nothing else.
func (s *session) quiet(ctx context.Context) error {
	if !s.polling {
		return nil
	}
	if _, err := s.insist(ctx, bbFrame(bbStop)); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	s.polling = false
	return s.drain(ctx)
}

// leave stops a module that polls by itself, as far as it answers in time: after ctx ended, the port is
// closed when stopGrace is over.
func (s *session) leave() {
	if !s.polling {
		return
	}
	s.quit, s.polling = true, false
	_, _ = s.ask(context.Background(), bbFrame(bbStop), stopGrace/2)
}
