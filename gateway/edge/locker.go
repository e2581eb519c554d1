package edge

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"yizhan/broker/pickup"
	"yizhan/devices"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/cabinet"
)

// openCabinet makes the locker's keeper, where there is a locker.
func (e *Edge) openCabinet() {
	l := &e.cfg.Locker
	if l.Device == "" {
		return
	}
	var pad devices.Keypad
	for _, d := range e.drivers {
		if d.id == l.Keypad {
			pad, _ = d.Driver.(devices.Keypad)
		}
	}
	e.cabinet = cabinet.New(cabinet.Config{
		Device: l.Device, Scanner: l.Scanner, Cells: l.Cells, Clock: e.env.Clock, Rand: e.env.random(), Log: e.log.With("device", l.Device),
		Disk: file{e.env.FS, filepath.Join(e.cfg.Data, "cabinet")}, List: file{e.env.FS, filepath.Join(e.cfg.Data, "expect")},
		Key: func() (pickup.Key, error) { return lockerKey(l.KeyFile) },
		Open: func(op string, cell int, within time.Duration) telemetry.Result {
			return e.command.Local(op, l.Device, "open_cell", map[string]string{"cell": strconv.Itoa(cell)}, within)
		},
		Outcome: e.command.Outcome, Accept: e.broker.Accept,
		Show: func(s devices.Screen) {
			if pad != nil {
				pad.Show(s)
			}
		},
	})
	if pad != nil {
		pad.Listen(e.cabinet.Typed)
	}
}

// lockerKey reads a locker's key, which nobody but the gateway may read.
func lockerKey(path string) (pickup.Key, error) {
	st, err := os.Stat(path)
	if err != nil {
		return pickup.Key{}, err
	}
	if st.Mode().Perm()&0o077 != 0 {
		return pickup.Key{}, fmt.Errorf("%s: mode %v lets others read it: chmod 600", path, st.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return pickup.Key{}, err
	}
	return pickup.ParseKey(b)
}

// expect takes what may be put into the locker.
func (e *Edge) expect() func([]byte) {
	if e.cfg.Locker.Device == "" {
		return nil
	}
	return func(payload []byte) { e.cabinet.Expect(payload) }
}

// observe lets the cabinet see what devices tell before it is kept; what it holds back is a person's. What doors tell then gets the command that
// opened them.
func (e *Edge) observe(rs []telemetry.Reading) []telemetry.Reading {
	if e.cabinet != nil {
		rs = e.cabinet.Observe(rs)
	}
	return e.doors.Observe(rs)
}

// personal reports whether what passes at a device may be a person's, such as codes, tickets, numbers and texts: the status page doesn't
// show it.
func personal(cfg *Config, id string, d devices.Driver) bool {
	_, private := d.(devices.Private)
	return private || id != "" && id == cfg.Locker.Scanner
}
