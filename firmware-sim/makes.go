package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"yizhan/firmware-sim/internal/firmware"
	"yizhan/firmware-sim/internal/scenario"
)

// makes is what stands at a device of the registry where that isn't the usual: an LLRP reader at a gate, an
// XY-MD02 in a cold box, lock boards of the family 8A/80.
var makes = map[string]string{
	"wh-1/dock-b":         "uhf",
	"van-03/cold":         "onewire",
	"van-04/cold":         "sht3x",
	"lk-zhuhai-1/board":   "kr-cu16",
	"lk-songping-1/board": "kr-cu16 echo",
	"lk-longchi-1/board":  "kr-cu16",
	"lk-yuntai-1/board":   "kr-cu12",
	"lk-beixi-1/board":    "mqttlocker",
}

func (b *board) made(device string) string { return makes[b.id+"/"+device] }

// door is the reader of a gate: antenna 1 is outside, 2 inside.
func (y *yard) door(b *board, device string) (scenario.Reader, error) {
	const antennas = "antennas: [{port: 1, role: outer}, {port: 2, role: inner}]"
	if b.made(device) != "uhf" {
		return y.reader(b, device, 2, 100*time.Millisecond, antennas)
	}
	const baud = 115200
	l, port, err := y.line(b, device, baud)
	if err != nil {
		return nil, err
	}
	m, err := firmware.NewModule(l, "a0", 4)
	if err != nil {
		return nil, err
	}
	m.Baud = baud
	b.add(device, "uhf", port, antennas)
	b.run = append(b.run, m.Run)
	return m, nil
}

// terminalPort is where a board listens to its terminals.
const terminalPort = "6808"

// terminal is a vehicle terminal of JT/T 808. The second of a network is of 2019 and has the coordinates of Chinese maps.
func (y *yard) terminal(b *board, device, vehicle string) error {
	v := y.county.Vehicle(vehicle)
	if v == nil {
		return fmt.Errorf("%s/%s: there is no vehicle %s", b.id, device, vehicle)
	}
	t := &firmware.Terminal{
		Addr: net.JoinHostPort(b.addr, terminalPort), Phone: fmt.Sprintf("1440000%05s", strings.TrimLeft(vehicle, "v")),
		Plate: v.Plate, Where: y.sky(vehicle), Every: 2 * time.Second,
	}
	profile := ""
	if len(b.terminals)%2 == 1 {
		t.Version, t.Faults.GCJ02 = 2019, true
		profile = ", gcj02: true"
	}
	b.terminals = append(b.terminals, fmt.Sprintf("%q: {id: %s%s}", t.Phone, device, profile))
	b.run = append(b.run, t.Run)
	return nil
}

// gather makes one device of a board's network of terminals.
func (b *board) gather() {
	if len(b.terminals) > 0 {
		b.add("terminals", "jt808", "", fmt.Sprintf("listen: %q, secret_file: %q, terminals: {%s}",
			net.JoinHostPort(b.addr, terminalPort), b.file("jt808.secret"), strings.Join(b.terminals, ", ")))
	}
}

// modem is a GSM modem with a SIM, that tells the people of a site.
func (y *yard) modem(b *board, device, site string) error {
	l, port, err := y.line(b, device, 115200)
	if err != nil {
		return err
	}
	b.add(device, "modem", port, "")
	m := firmware.NewModem(l)
	y.sims[site], b.sim = m, site
	b.run = append(b.run, m.Run)
	return nil
}

// w1Probe is the number of the probe in each 1-Wire box.
const w1Probe = "28-0316a2795e50"

func (y *yard) climate(b *board, device, coldbox string) error {
	box, index := y.county.ColdBox(coldbox)
	if box == nil {
		return fmt.Errorf("%s/%s: there is no cold box %s", b.id, device, coldbox)
	}
	measure := func(now time.Time) (float64, float64) { return y.story.Climate(box, index, now) }
	if b.made(device) == "onewire" {
		return y.thermometer(b, device, measure)
	}
	l, port, err := y.line(b, device, 9600)
	if err != nil {
		return err
	}
	if b.made(device) == "sht3x" {
		b.add(device, "sht3x", "sc18im:"+port, "every: 5s, sensors: [{address: 0x44, probe: air}]")
		bridge := &firmware.Bridge{Line: l, Devices: map[byte]*firmware.SHT3x{0x44: {Measure: measure}}}
		b.run = append(b.run, bridge.Run)
		return nil
	}
	b.add(device, "modbus", port, "every: 5s, units: [{unit: 1, probe: air, profile: xy-md02}]")
	unit := &firmware.Climate{Line: l, Address: 1, Measure: measure}
	b.run = append(b.run, unit.Run)
	return nil
}

// thermometer is a DS18B20. Its folder appears when it runs: before, nobody knows how cold it is.
func (y *yard) thermometer(b *board, device string, measure func(time.Time) (float64, float64)) error {
	bus := &firmware.Thermometers{Dir: b.file("w1-" + device)}
	b.add(device, "onewire", "", fmt.Sprintf("root: %q, every: 5s, probes: [{address: %s, probe: air}]", bus.Dir, w1Probe))
	b.run = append(b.run, func(ctx context.Context) error {
		err := bus.Plug(w1Probe, func(now time.Time) float64 { c, _ := measure(now); return c })
		if err != nil {
			return err
		}
		return bus.Run(ctx)
	})
	return nil
}

// cabinet is a parcel locker: what its cells are opened by differs, its doors and cells don't.
func (y *yard) cabinet(b *board, device string, locker *scenario.Locker, world *scenario.World) (scenario.Cabinet, error) {
	if locker == nil {
		return nil, fmt.Errorf("%s/%s: there is no such locker", b.id, device)
	}
	cells := len(locker.Cells)
	made, echo := strings.CutSuffix(b.made(device), " echo")
	if made == "mqttlocker" {
		const name = "wall"
		l := firmware.NewLocker(b.broker(), name, b.user(name), locker.ID, cells)
		l.Stock(world.Cells(locker.ID))
		b.add(device, made, "", fmt.Sprintf("user: %s, shape: open-locker, uid: %s, cells: %d", name, locker.ID, cells))
		b.run = append(b.run, l.Run)
		return l, nil
	}
	model, kerong := map[string]firmware.Model{"kr-cu12": firmware.KRCU12, "kr-cu16": firmware.KRCU16}[made]
	baud := 9600
	if kerong {
		baud = 19200
	}
	l, port, err := y.line(b, device, baud)
	if err != nil {
		return nil, err
	}
	if kerong {
		if cells > int(model) {
			return nil, fmt.Errorf("%s/%s: a %s has %d locks", b.id, device, made, model)
		}
		b.add(device, "lockerbus", port, fmt.Sprintf("family: %s, occupancy: infrared, echo: %t, boards: [{board: 1, cells: %d}]", made, echo, cells))
		k := firmware.NewKerong(l, model, 1, 1)
		k.Echo = echo
		k.Stock(world.Cells(locker.ID))
		b.run = append(b.run, k.Run)
		return k, nil
	}
	b.add(device, "lockerbus", port, fmt.Sprintf(
		"feedback: locked_short, occupancy: second_board, boards: [{board: 1, cells: %d, item_board: 2}]", cells))
	c := firmware.NewCabinet(l, cells, 1, 2)
	c.Stock(world.Cells(locker.ID))
	b.run = append(b.run, c.Run)
	return c, nil
}
