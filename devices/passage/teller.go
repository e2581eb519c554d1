package passage

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"yizhan/devices/telemetry"
)

// alarmPause is the least time between two alarms of one code.
const alarmPause = time.Minute

// Believable reports whether a clock that shows t was ever set: gateways without a clock battery
// start somewhere in the past.
func Believable(t time.Time) bool { return t.Year() >= 2024 && t.Year() < 2100 }

// Teller makes readings of what a reader saw, and hands them over. What must not be lost (passages,
// alarms, whatever Keep is given) stays with it until it was taken over, so it outlives a driver's Run.
// Except for Counters it is used by one goroutine.
type Teller struct {
	device string
	life   string // begins the message ids
	fold   *Fold
	raw    *rawReads
	alarms map[string]time.Time // by code: no further one before

	told    uint64              // message ids given
	pending []telemetry.Reading // to be kept, and not yet taken over
	shown   []telemetry.Reading // raw reads, lost when they can't be handed over
	events  []Event

	rawEmitted, rawDropped, held atomic.Uint64

	mu     sync.Mutex
	folded Counts
}

// NewTeller makes the Teller of one device. life is a word that no other Teller of the device ever
// had: message ids begin with it. rawEvery is the least time between two raw readings of a tag and
// antenna, 0 for no raw readings at all.
func NewTeller(device, life string, fold *Fold, rawEvery time.Duration) *Teller {
	t := &Teller{device: device, life: life, fold: fold, alarms: map[string]time.Time{}}
	if rawEvery > 0 {
		t.raw = &rawReads{every: rawEvery}
	}
	return t
}

// Reads folds the reads of one report, which it reorders.
func (t *Teller) Reads(now time.Time, reads []Read) {
	if t.raw != nil {
		for _, r := range reads {
			out, due, dropped := t.raw.add(now, r)
			switch {
			case due:
				t.show(now, out)
			case dropped:
				t.rawDropped.Add(1)
			}
		}
	}
	t.passages(now, t.fold.Add(t.events[:0], now, reads))
}

// Tick tells what time alone brings. Call it a few times a second.
func (t *Teller) Tick(now time.Time) {
	t.passages(now, t.fold.Tick(t.events[:0], now))
	if t.raw == nil {
		return
	}
	for _, r := range t.raw.tick(now) {
		t.show(now, r)
	}
}

// Suspend lets time stand still for the tags in the field: the reader is away.
func (t *Teller) Suspend(now time.Time) { t.fold.Suspend(now) }

// Resume lets it go on.
func (t *Teller) Resume(now time.Time) { t.fold.Resume(now) }

// Alarm keeps an alarm, at most one of its code in a minute.
func (t *Teller) Alarm(now time.Time, code string, severity telemetry.Severity, detail string) {
	if now.Before(t.alarms[code]) {
		t.Held()
		return
	}
	t.alarms[code] = now.Add(alarmPause)
	t.Keep(telemetry.Alarm{Code: code, Severity: severity, Detail: detail})
}

// AntennaAlarm keeps what Edges say of an antenna: lost, or back.
func (t *Teller) AntennaAlarm(c Change) {
	a := telemetry.Alarm{Code: "antenna_lost", Severity: telemetry.Major, Detail: "antenna " + strconv.Itoa(c.ID)}
	if c.On {
		a.Code, a.Severity = "antenna_back", telemetry.Info
	}
	t.Keep(a)
}

// Held counts an alarm that was not told, or not at once.
func (t *Teller) Held() { t.held.Add(1) }

// Keep readies something that happened just now and must not be lost.
func (t *Teller) Keep(b telemetry.Body) { t.keep(t.undated(0, b)) }

// keep gives a reading an id of its own: nothing else tells two alarms of the same words apart.
func (t *Teller) keep(r telemetry.Reading) {
	t.told++
	r.N = t.life + "-" + strconv.FormatUint(t.told, 10)
	t.pending = append(t.pending, r)
}

func (t *Teller) undated(age time.Duration, b telemetry.Body) telemetry.Reading {
	r := telemetry.New(t.device, time.Time{}, telemetry.Unknown, b)
	r.ErrMS = age.Milliseconds()
	return r
}

// passages keeps what the fold made of reads. Times of the gateway's own clock are left out
// when it was never set; the reading is then dated by its record, Age late.
func (t *Teller) passages(now time.Time, events []Event) {
	t.events = events
	for _, e := range events {
		if e.Exact {
			t.keep(telemetry.New(t.device, e.At, telemetry.RTC, e.Tag))
			continue
		}
		if !Believable(now) {
			e.Tag.FirstSeen, e.Tag.LastSeen = time.Time{}, time.Time{}
		}
		t.keep(t.undated(e.Age, e.Tag))
	}
}

func (t *Teller) show(now time.Time, r Read) {
	tag := r.tag()
	if r.Exact {
		t.shown = append(t.shown, WithRaw(telemetry.New(t.device, r.Last, telemetry.RTC, tag), r.Raw))
		return
	}
	if !Believable(now) {
		tag.FirstSeen, tag.LastSeen = time.Time{}, time.Time{}
	}
	t.shown = append(t.shown, WithRaw(t.undated(now.Sub(r.Last), tag), r.Raw))
}

// Flush hands over what is to be told. What must be kept stays until it was taken over, and
// carries the same id when it is told again.
func (t *Teller) Flush(ctx context.Context, emit func(context.Context, ...telemetry.Reading) error) error {
	t.mu.Lock()
	t.folded = t.fold.Counts()
	t.mu.Unlock()
	if len(t.pending)+len(t.shown) == 0 {
		return nil
	}
	rs := slices.Concat(t.pending, t.shown)
	shown := len(t.shown)
	t.shown = t.shown[:0]
	err := emit(ctx, rs...)
	if err == nil {
		t.rawEmitted.Add(uint64(shown))
	}
	if err == nil || errors.Is(err, telemetry.ErrInvalid) { // an invalid one is in quarantine now
		t.pending = nil
	}
	return err
}

// Counters returns what doc.go lists. It may be called at any time.
func (t *Teller) Counters() map[string]uint64 {
	t.mu.Lock()
	f := t.folded
	t.mu.Unlock()
	return map[string]uint64{
		"tracked": f.Tracked, "arrived": f.Arrived, "departed": f.Departed, "crossed": f.Crossed,
		"weak": f.Weak, "fleeting": f.Fleeting, "evicted": f.Evicted, "repeated": f.Repeated,
		"raw_emitted": t.rawEmitted.Load(), "raw_dropped": t.rawDropped.Load(), "alarms_held": t.held.Load(),
	}
}
