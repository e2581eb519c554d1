package board

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"yizhan/devices/telemetry"
)

// again is how long a fault isn't told a second time.
const again = time.Hour

// Health is the board at one look. A gauge that isn't there is unknown.
type Health struct {
	// Gauges are under_voltage and throttled (0 or 1), cpu_temp_c, card_wear_pct, card_reserve (1 to 3), card_errors and
	// file_system_errors (counts).
	Gauges map[string]float64
	Faults []telemetry.Alarm // that last
	New    []telemetry.Alarm // those of them that are to be told
}

// A Board is looked at now and then. Its methods may be called from any goroutine.
type Board struct {
	root fs.FS

	mu   sync.Mutex
	last Health
	seen map[string]float64   // counts at the last look
	told map[string]time.Time // faults by code
}

// New returns the board whose files are below root.
func New(root fs.FS) *Board {
	return &Board{root: root, seen: map[string]float64{}, told: map[string]time.Time{}}
}

// Last returns what the last look found, with nothing New.
func (b *Board) Last() Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.last
	h.New = nil
	return h
}

// Look reads the files. now is only compared with other nows.
func (b *Board) Look(now time.Time) Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := Health{Gauges: map[string]float64{}}
	b.supply(&h)
	b.card(&h)
	b.counts(&h)
	if milli, err := b.number("sys/class/thermal/thermal_zone0/temp"); err == nil {
		h.Gauges["cpu_temp_c"] = float64(milli) / 1000
	}
	for _, f := range h.Faults {
		if last, ok := b.told[f.Code]; !ok || now.Sub(last) >= again {
			b.told[f.Code] = now
			h.New = append(h.New, f)
		}
	}
	b.last = h
	return h
}

func (h *Health) fault(code string, severity telemetry.Severity, format string, args ...any) {
	h.Faults = append(h.Faults, telemetry.Alarm{Code: code, Severity: severity, Detail: fmt.Sprintf(format, args...)})
}

// maxFile is the most of a file that is read: none of these is longer.
const maxFile = 8 << 10

func (b *Board) read(name string) (string, error) {
	f, err := b.root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	buf := make([]byte, maxFile)
	n := 0
	for n < len(buf) {
		k, err := f.Read(buf[n:])
		n += k
		if err != nil || k == 0 {
			break
		}
	}
	return strings.TrimSpace(string(buf[:n])), nil
}

func (b *Board) number(name string) (int64, error) {
	s, err := b.read(name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(s, 0, 64)
}

func (b *Board) glob(pattern string) []string {
	names, err := fs.Glob(b.root, pattern)
	if err != nil {
		panic("BUG: board: " + err.Error())
	}
	return names
}

// The bits of get_throttled that matter.
const (
	lowNow       = 1 << 0
	throttledNow = 1 << 2
)

func (b *Board) supply(h *Health) {
	known, low := false, false
	for _, name := range b.glob("sys/class/hwmon/*/name") {
		if s, err := b.read(name); err != nil || s != "rpi_volt" {
			continue
		}
		if v, err := b.number(path.Join(path.Dir(name), "in0_lcrit_alarm")); err == nil {
			known, low = true, low || v != 0
		}
	}
	if s, err := b.read("sys/devices/platform/soc/soc:firmware/get_throttled"); err == nil {
		if bits, err := strconv.ParseUint(strings.TrimPrefix(s, "0x"), 16, 64); err == nil {
			known, low = true, low || bits&lowNow != 0
			h.Gauges["throttled"] = flag(bits&throttledNow != 0)
		}
	}
	if known {
		h.Gauges["under_voltage"] = flag(low)
	}
	if low {
		h.fault("under_voltage", telemetry.Major, "the supply is below 4.63 V")
	}
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// What an eMMC says of itself.
const (
	pastItsEnd  = 0x0b // life_time: more than it was made for
	wornOut     = 0x0a // 90 to 100 %
	reserveLow  = 2    // pre_eol_info
	reserveGone = 3
)

func (b *Board) card(h *Health) {
	for _, name := range b.glob("sys/block/mmcblk*/device/life_time") {
		s, err := b.read(name)
		if err != nil {
			continue
		}
		var life int64
		for _, field := range strings.Fields(s) { // of two kinds of memory
			if v, err := strconv.ParseInt(field, 0, 64); err == nil && v <= pastItsEnd {
				life = max(life, v)
			}
		}
		if life == 0 {
			continue // not said
		}
		h.Gauges["card_wear_pct"] = max(h.Gauges["card_wear_pct"], float64(10*life))
		switch {
		case life == pastItsEnd:
			h.fault("card_worn", telemetry.Critical, "more was written than the card was made for")
		case life == wornOut:
			h.fault("card_worn", telemetry.Major, "90 to 100 %% of what the card was made for is written")
		}
	}
	for _, name := range b.glob("sys/block/mmcblk*/device/pre_eol_info") {
		v, err := b.number(name)
		if err != nil || v < 1 || v > reserveGone {
			continue
		}
		h.Gauges["card_reserve"] = max(h.Gauges["card_reserve"], float64(v))
		if v >= reserveLow && !slices.ContainsFunc(h.Faults, func(a telemetry.Alarm) bool { return a.Code == "card_worn" }) {
			severity := telemetry.Major
			if v == reserveGone {
				severity = telemetry.Critical
			}
			h.fault("card_worn", severity, "the card's reserve of blocks is at stage %d of 3", v)
		}
	}
}

// counts are errors that only grow.
func (b *Board) counts(h *Health) {
	sum := func(pattern string, count func(text string) (float64, bool)) (total float64, known bool) {
		for _, name := range b.glob(pattern) {
			if s, err := b.read(name); err == nil {
				if n, ok := count(s); ok {
					total, known = total+n, true
				}
			}
		}
		return total, known
	}
	if n, known := sum("sys/kernel/debug/mmc*/err_stats", errStats); known {
		h.Gauges["card_errors"] = n
		if before, ok := b.seen["card_errors"]; ok && n > before {
			h.fault("card_errors", telemetry.Major, "%.0f more since the last look", n-before)
		}
		b.seen["card_errors"] = n
	}
	whole := func(s string) (float64, bool) {
		n, err := strconv.ParseUint(s, 10, 64)
		return float64(n), err == nil
	}
	if n, known := sum("sys/fs/ext4/*/errors_count", whole); known {
		h.Gauges["file_system_errors"] = n
		if n > 0 {
			h.fault("file_system_errors", telemetry.Critical, "%.0f, the file system needs a check", n)
		}
	}
}

// errStats adds up the lines "# Data CRC Errors Occurred: 3".
func errStats(s string) (total float64, ok bool) {
	for line := range strings.Lines(s) {
		if i := strings.LastIndexByte(line, ':'); i >= 0 {
			if n, err := strconv.ParseUint(strings.TrimSpace(line[i+1:]), 10, 64); err == nil {
				total, ok = total+float64(n), true
			}
		}
	}
	return total, ok
}
