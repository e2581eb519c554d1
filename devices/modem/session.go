package modem

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"yizhan/devices"
	"yizhan/devices/telemetry"
)

// What a SIM can be.
const (
	simReady   = "ready"
	simMissing = "missing"
	simPIN     = "pin"
	simPUK     = "puk"
	simBroken  = "failure"
)

// A session is one Run.
type session struct {
	*Driver
	line *line
	emit devices.Emit
	out  []telemetry.Reading

	sim        string // empty: not known yet
	stat, eps  int    // registration with the voice and the packet network; below 0: not known
	csq, ber   int
	operator   int // MCC and MNC
	stored     int // messages on the SIM
	configured bool
	direct     bool // reports come as +CDS, and want +CNMA
}

// alarms is what is wrong, so that each is told once. Touched by Run only.
type alarms struct {
	told map[string]bool
	lost time.Time // registered last; zero while it is
}

// raise tells an alarm unless it stands already.
func (s *session) raise(code string, severity telemetry.Severity, detail string) {
	if s.alarms.told[code] {
		return
	}
	if s.alarms.told == nil {
		s.alarms.told = map[string]bool{}
	}
	s.alarms.told[code] = true
	s.env.Log.Warn("modem alarm", "err", code)
	s.out = append(s.out, telemetry.New(s.env.Name, time.Time{}, telemetry.Unknown, telemetry.Alarm{Code: code, Severity: severity, Detail: detail}))
}

func (s *session) clear(codes ...string) {
	for _, c := range codes {
		delete(s.alarms.told, c)
	}
}

// setUp wakes the modem and makes its answers such as can be read.
func (s *session) setUp(ctx context.Context) error {
	s.stat, s.eps, s.csq, s.ber, s.operator, s.stored = -1, -1, -1, -1, -1, -1
	if err := s.line.wake(ctx); err != nil {
		return err
	}
	for _, c := range []string{"ATE0", "AT+CMEE=1"} {
		if _, _, err := s.try(ctx, c); err != nil {
			return err
		}
	}
	s.line.quiet = true
	return nil
}

// try asks; ok is false when the modem refused or didn't answer, and the error is one that ends Run.
func (s *session) try(ctx context.Context, command string) (a answer, ok bool, err error) {
	a, err = s.line.ask(ctx, command, s.cfg.Timeout)
	if errors.Is(err, errTimeout) {
		return a, false, nil
	}
	return a, err == nil && a.ok, err
}

// configure sets what a modem forgets: PDU mode, and how reports come. It needs a SIM.
func (s *session) configure(ctx context.Context) error {
	if _, ok, err := s.try(ctx, "AT+CMGF=0"); err != nil || !ok {
		return err // again at the next look
	}
	acked := false
	for _, c := range []string{"AT+CSMS=1", "AT+CREG=0", `AT+CPMS="SM","SM","SM"`, "AT+COPS=3,2"} {
		_, ok, err := s.try(ctx, c)
		if err != nil {
			return err
		}
		acked = acked || ok && c == "AT+CSMS=1"
	}
	for _, c := range []string{"AT+CNMI=2,1,0,1,0", "AT+CNMI=2,1,0,2,0", "AT+CNMI=2,1,0,0,0"} {
		_, ok, err := s.try(ctx, c)
		if err != nil {
			return err
		}
		if ok {
			s.direct = acked && c == "AT+CNMI=2,1,0,1,0"
			break
		}
	}
	s.configured = true
	return nil
}

// look reads the modem's state and tells it.
func (s *session) look(ctx context.Context) error {
	if err := s.lookAtSIM(ctx); err != nil {
		return err
	}
	if s.sim == simReady && !s.configured {
		if err := s.configure(ctx); err != nil {
			return err
		}
	}
	if err := s.lookAtNetwork(ctx); err != nil {
		return err
	}
	if s.configured {
		if err := s.sweep(ctx); err != nil {
			return err
		}
	}
	s.judge(time.Now())
	s.out = append(s.out, telemetry.New(s.env.Name, time.Time{}, telemetry.Unknown, s.health(time.Now())))
	return s.tell(ctx)
}

func (s *session) lookAtSIM(ctx context.Context) error {
	a, err := s.line.ask(ctx, "AT+CPIN?", s.cfg.Timeout)
	switch {
	case errors.Is(err, errTimeout):
		return nil
	case err != nil:
		return err
	}
	if now := simOf(a); now != "" {
		s.sim = now
	}
	if s.sim != simReady {
		s.configured = false
	}
	return nil
}

// simOf reads the answer to AT+CPIN?; empty while the SIM is busy.
func simOf(a answer) string {
	said := strings.Trim(a.first(), `"`)
	switch {
	case a.ok && said == "READY":
		return simReady
	case a.ok && strings.HasPrefix(said, "NOT "): // READY, INSERTED
		return simMissing
	case a.ok && strings.HasSuffix(said, "PUK") || a.ok && strings.HasSuffix(said, "PUK2"):
		return simPUK
	case a.ok && said != "":
		return simPIN // or another lock that somebody must open
	case a.ok, a.code.n == 14:
		return ""
	case a.code == failure{"cme", 10}, a.code == failure{"cms", 310}:
		return simMissing
	case a.code == failure{"cme", 11}, a.code == failure{"cms", 311}:
		return simPIN
	case a.code == failure{"cme", 12}, a.code == failure{"cms", 316}:
		return simPUK
	}
	return simBroken
}

func (s *session) lookAtNetwork(ctx context.Context) error {
	was := s.stat
	s.stat, s.eps, s.csq, s.ber, s.operator = -1, -1, -1, -1, -1
	read := func(command string, take func(rest string)) error {
		a, ok, err := s.try(ctx, command)
		if ok && a.first() != "" {
			take(a.first())
		}
		return err
	}
	voice := -1
	for _, q := range []struct {
		command string
		take    func(string)
	}{
		{"AT+CREG?", func(rest string) { voice = registration(rest) }},
		{"AT+CEREG?", func(rest string) { s.eps = registration(rest) }},
		{"AT+CSQ", func(rest string) { s.csq, s.ber = numberAt(fields(rest), 0), numberAt(fields(rest), 1) }},
		{"AT+COPS?", func(rest string) {
			if fs := fields(rest); len(fs) >= 3 && fs[1] == "2" {
				s.operator = numberAt(fs, 2)
			}
		}},
	} {
		if err := read(q.command, q.take); err != nil {
			return err
		}
	}
	s.stat = voice
	if voice < 0 || !registered(voice) && registered(s.eps) {
		s.stat = s.eps
	}
	if s.stat < 0 {
		s.stat = was // the answers got lost
	}
	return nil
}

// judge raises and clears alarms.
func (s *session) judge(now time.Time) {
	s.simAlarm()
	if registered(s.stat) || s.stat < 0 || s.sim != simReady {
		s.alarms.lost = time.Time{}
		if registered(s.stat) {
			s.clear("not_registered")
		}
	} else {
		if s.alarms.lost.IsZero() {
			s.alarms.lost = now
		}
		if now.Sub(s.alarms.lost) >= s.cfg.RegisterAlarm {
			s.raise("not_registered", telemetry.Major, "registration "+strconv.Itoa(s.stat))
		}
	}
	if s.outbox.lastDay(now) < s.cfg.DailyCap {
		s.clear("daily_cap")
	}
}

func (s *session) simAlarm() {
	codes := map[string]string{simMissing: "sim_missing", simPIN: "sim_pin", simPUK: "sim_puk", simBroken: "sim_failure"}
	for state, code := range codes {
		if s.sim != "" && s.sim != state {
			s.clear(code)
		}
	}
	if code, wrong := codes[s.sim]; wrong {
		s.raise(code, telemetry.Major, "no messages can be sent")
	}
}

// health is what is known, as gauges.
func (s *session) health(now time.Time) telemetry.Health {
	h := telemetry.Health{}
	add := func(name string, v float64) { h = append(h, telemetry.Gauge{Name: name, Value: v}) }
	truth := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	if s.sim != "" {
		add("sim_ready", truth(s.sim == simReady))
	}
	if s.stat >= 0 {
		add("registered", truth(registered(s.stat)))
		add("registration", float64(s.stat))
	}
	if v, ok := dbm(s.csq); ok {
		add("csq", float64(s.csq))
		add("rssi_dbm", v)
	}
	if s.ber >= 0 && s.ber <= 7 {
		add("rxqual", float64(s.ber))
	}
	if s.operator >= 0 {
		add("operator_mccmnc", float64(s.operator))
	}
	add("sent_24h", float64(s.outbox.lastDay(now)))
	add("reports_awaited", float64(len(s.outbox.waiting)))
	if s.stored >= 0 {
		add("sim_messages", float64(s.stored))
	}
	return h
}

// reset lets a modem that never prompts begin anew. Its error ends Run, which sets it up again.
func (s *session) reset(ctx context.Context) error {
	if s.stuck++; s.stuck < s.cfg.ResetAfter {
		return nil
	}
	s.stuck = 0
	s.env.Log.Warn("modem reset")
	if _, _, err := s.try(ctx, "AT+CFUN=1,1"); err != nil {
		return err
	}
	return fmt.Errorf("%w: %w", errNoPrompt, errRestart)
}

// tell emits what was lined up.
func (s *session) tell(ctx context.Context) error {
	if len(s.out) == 0 {
		return nil
	}
	out := s.out
	s.out = nil
	return s.emit(ctx, out...)
}
