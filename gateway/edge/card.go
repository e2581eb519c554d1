package edge

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/status"
)

// fullAt is the fill of the spool, with what waits for the cloud, that is an alarm.
const fullAt = 0.8

// keep is how long committed records stay: 0 in the file is not at all.
func keep(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// reportSpool tells what is on the card.
func (e *Edge) reportSpool(r *status.Report) {
	c, h := e.spool.Counters(), e.spool.Health()
	r.Spool = status.Spool{
		Bytes: c["bytes"], MaxBytes: uint64(e.cfg.Spool.MaxBytes), Pending: map[string]uint64{},
		HeldBytes: h.Held, KeptBytes: h.Kept, Fill: h.Fill(), Waiting: h.Waiting, OldestS: int64(h.Oldest / time.Second), Thinned: h.Thinned,
		Damaged: h.Damaged, WrittenPerHour: h.WrittenPerHour, SyncsPerHour: h.SyncsPerHour, Mirror: mirrorState(&h),
	}
	r.Counters = append(r.Counters, status.Counters{Room: "spool", Values: c})
	for _, l := range telemetry.Lanes {
		r.Spool.Pending[l.String()] = 0
	}
	for _, s := range e.spool.Lanes() {
		// Below the highest acknowledged may be holes: they are few, and counted when they are the last.
		if from := max(s.Acked+1, s.First); from < s.Next {
			r.Spool.Pending[s.Lane.String()] += s.Next - from
		}
	}
	for _, a := range spoolAlarms(&h) {
		if a.on {
			r.Degraded = append(r.Degraded, a.words)
		}
	}
	if card, ok := findCard(e.cfg.Data); ok {
		r.Card = &status.Card{Device: card.name, WrittenBytes: card.written, WrittenPerHour: card.perHour()}
		if tbw := e.cfg.Spool.CardTBW; tbw > 0 && r.Card.WrittenPerHour > 0 {
			years := tbw * 1e12 / r.Card.WrittenPerHour / (365 * 24)
			r.Card.LifeYears = &years
		}
	}
}

func mirrorState(h *spool.Health) string {
	switch {
	case !h.Mirrored:
		return ""
	case h.MirrorLost:
		return "lost"
	}
	return "ok"
}

// A spoolAlarm is told when it begins and when it ends.
type spoolAlarm struct {
	code, words string
	on          bool
}

func spoolAlarms(h *spool.Health) []spoolAlarm {
	return []spoolAlarm{
		{"spool_full", "spool more than 80 % full", h.Fill() > fullAt},
		{"spool_damaged", "records lost to damage of the card", h.Damaged > 0},
		{"spool_mirror_lost", "spool mirror lost", h.MirrorLost},
	}
}

// watchSpool returns the alarms that began or ended since it was called before; told is what was on then.
func watchSpool(h *spool.Health, told map[string]bool) (out []telemetry.Alarm) {
	for _, a := range spoolAlarms(h) {
		if a.on == told[a.code] {
			continue
		}
		told[a.code] = a.on
		alarm := telemetry.Alarm{Code: a.code, Severity: telemetry.Major, Detail: a.words}
		if !a.on {
			alarm.Severity, alarm.Detail = telemetry.Info, "over: "+a.words
		}
		out = append(out, alarm)
	}
	return out
}

// card is the block device under a folder.
type card struct {
	name    string
	written float64 // bytes since the board was started
	uptime  float64 // seconds
}

func (c *card) perHour() float64 { return c.written / max(c.uptime, 1) * 3600 }

// findCard reads the counters of the device that a folder is on; a partition's are those of its whole device. ok is
// false where the kernel has none.
func findCard(dir string) (c card, ok bool) {
	var st unix.Stat_t
	if unix.Stat(filepath.Clean(dir), &st) != nil {
		return c, false
	}
	link := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)))
	at, err := filepath.EvalSymlinks(link)
	if err != nil {
		return c, false
	}
	if _, err := os.Stat(filepath.Join(at, "partition")); err == nil {
		at = filepath.Dir(at)
	}
	c.name = filepath.Base(at)
	b, err := os.ReadFile(filepath.Join(at, "stat"))
	if err != nil {
		return c, false
	}
	if c.written, ok = written(string(b)); !ok {
		return c, false
	}
	up, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return c, false
	}
	first, _, _ := strings.Cut(string(up), " ")
	c.uptime, err = strconv.ParseFloat(first, 64)
	return c, err == nil
}

// written returns the bytes that a line of /sys/block/*/stat says were written (field 7, in units of 512 bytes).
func written(stat string) (bytes float64, ok bool) {
	f := strings.Fields(stat)
	if len(f) < 7 {
		return 0, false
	}
	sectors, err := strconv.ParseFloat(f[6], 64)
	return sectors * 512, err == nil
}
