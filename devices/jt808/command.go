package jt808

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"

	"yizhan/devices/telemetry"
)

type outcome struct {
	outcome telemetry.Outcome
	detail  string
}

func refused(detail string) outcome { return outcome{telemetry.Refused, detail} }
func unknown(detail string) outcome { return outcome{telemetry.OutcomeUnknown, detail} }

// A question waits for a terminal's reply to a message.
type question struct {
	serial uint16
	id     uint16
	reply  chan outcome // of capacity 1
}

// solve answers the question once.
func (q *question) solve(o outcome) {
	select {
	case q.reply <- o:
	default:
	}
}

// An order is a command as a message. Only one that may be obeyed twice without harm is repeated.
type order struct {
	id        uint16
	body      []byte
	repeating bool
}

// maxTries is how often a message is sent in all (JT/T 808-2013, 6.3.1: three times more).
const maxTries = 4

// Command sends a message to a terminal: Device is its id, or the driver's and the argument terminal names it. See the package comment for
// the actions and outcomes.
func (d *Driver) Command(ctx context.Context, c telemetry.CommandTo) telemetry.Result {
	o := d.do(ctx, c)
	return telemetry.Result{Command: c.ID, Outcome: o.outcome, Detail: o.detail}
}

func (d *Driver) do(ctx context.Context, c telemetry.CommandTo) outcome {
	device := c.Device
	if device == d.env.Name {
		device = c.Args["terminal"]
	}
	p, ok := d.number(device)
	if !ok {
		return refused("unknown_terminal")
	}
	o, why := orderOf(c)
	if why != "" {
		return refused(why)
	}
	to, running := d.connection(p)
	switch {
	case !running:
		return refused("not_running")
	case to == nil:
		return refused("offline")
	}
	d.count.add(commands)
	return to.ask(ctx, o)
}

// ask sends an order and waits for the reply. The times to wait grow as the standard says.
func (c *conn) ask(ctx context.Context, o order) outcome {
	q := &question{serial: c.nextSerial(), id: o.id, reply: make(chan outcome, 1)}
	c.mu.Lock()
	if c.terminal == nil {
		c.mu.Unlock()
		return refused("offline")
	}
	frame := c.head.appendMessage(nil, o.id, q.serial, o.body)
	c.asked = q
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.asked = nil
		c.mu.Unlock()
	}()
	if ctx.Err() != nil || c.ctx.Err() != nil {
		return refused("offline")
	}
	within := c.cfg.ReplyWithin
	for try := 1; ; try++ {
		if err := c.write(frame); err != nil {
			return unknown("disconnected")
		}
		t := time.NewTimer(within)
		select {
		case o := <-q.reply:
			t.Stop()
			return o
		case <-c.done:
			t.Stop()
			select {
			case o := <-q.reply:
				return o
			default:
				return unknown("disconnected")
			}
		case <-ctx.Done():
			t.Stop()
			return unknown("no_reply")
		case <-t.C:
		}
		if !o.repeating || try == maxTries {
			return unknown("no_reply")
		}
		c.count.add(commandsRepeated)
		within *= time.Duration(try + 1)
	}
}

// orderOf makes the message of a command; why is a constant word when there is none.
func orderOf(c telemetry.CommandTo) (o order, why string) {
	switch c.Action {
	case "text":
		return textOrder(c.Args)
	case "set_params":
		return paramsOrder(c.Args)
	case "query_params":
		return order{id: queryParams, repeating: true}, ""
	case "locate":
		return order{id: queryLocation, repeating: true}, ""
	case "track":
		return trackOrder(c.Args)
	case "reset":
		const terminalReset = 4
		return order{id: control, body: []byte{terminalReset}}, ""
	}
	return o, "unknown_action"
}

// Flags of a text (JT/T 808-2013, table 38).
var textFlags = map[string]byte{"urgent": 1 << 0, "display": 1 << 2, "speak": 1 << 3, "board": 1 << 4}

// textOrder makes 0x8300: shown and spoken unless show says otherwise.
func textOrder(args map[string]string) (order, string) {
	body := []byte{0}
	show := args["show"]
	if show == "" {
		show = "display speak"
	}
	for _, w := range strings.Fields(show) {
		flag, ok := textFlags[w]
		if !ok {
			return order{}, "bad_show"
		}
		body[0] |= flag
	}
	b, err := gbk(args["text"])
	switch {
	case err != nil:
		return order{}, "not_gbk"
	case len(b) == 0 || strings.ContainsRune(args["text"], 0):
		return order{}, "bad_text"
	case len(b) > maxBody-2:
		return order{}, "too_long"
	}
	return order{id: textMessage, body: append(body, b...)}, ""
}

// paramNames are the parameters that have a name here; others are param_0029.
var paramNames = map[string]uint32{
	"heartbeat_s": 0x0001, "strategy": 0x0020, "sleep_interval_s": 0x0027, "interval_s": 0x0029,
	"max_speed_kmh": 0x0055, "overspeed_s": 0x0056, "plate": 0x0083, "plate_colour": 0x0084,
}

// paramsOrder makes 0x8103 of all arguments but terminal. Parameters may be set twice without harm.
func paramsOrder(args map[string]string) (order, string) {
	var ps []param
	size := 1
	for _, name := range sortedKeys(args) {
		if name == "terminal" {
			continue
		}
		p, ok := paramOf(name, args[name])
		if !ok {
			return order{}, "bad_param"
		}
		ps = append(ps, p)
		size += 5 + len(p.value)
	}
	switch {
	case len(ps) == 0:
		return order{}, "no_params"
	case len(ps) > maxParamsInBody, size > maxBody:
		return order{}, "too_long"
	}
	return order{id: setParams, body: appendParams(nil, ps), repeating: true}, ""
}

// paramOf makes a parameter. All of the table are DWORDs but texts and the plate's colour.
func paramOf(name, value string) (p param, ok bool) {
	id, named := paramNames[name]
	if !named {
		digits, found := strings.CutPrefix(name, "param_")
		n, err := strconv.ParseUint(digits, 16, 32)
		if !found || err != nil {
			return p, false
		}
		id = uint32(n)
	}
	p.id = id
	if isText(id) {
		b, err := gbk(value)
		p.value = b
		return p, err == nil && len(b) <= 255
	}
	n, err := strconv.ParseUint(value, 0, 32)
	if err != nil {
		return p, false
	}
	const plateColour = 0x84
	switch {
	case id == plateColour:
		p.value = []byte{byte(n)}
		return p, n <= 255
	case isWord(id):
		p.value = binary.BigEndian.AppendUint16(nil, uint16(n))
		return p, n <= 0xffff
	}
	p.value = binary.BigEndian.AppendUint32(nil, uint32(n))
	return p, true
}

// isWord reports whether a parameter is a WORD.
func isWord(id uint32) bool {
	return id == 0x31 || id >= 0x5b && id <= 0x5e || id == 0x81 || id == 0x82 || id == 0x101 || id == 0x103
}

// trackOrder makes 0x8202; sent twice it says the same.
func trackOrder(args map[string]string) (order, string) {
	every, err := strconv.ParseUint(args["interval_s"], 10, 16)
	span, err2 := strconv.ParseUint(args["duration_s"], 10, 32)
	if errors.Join(err, err2) != nil {
		return order{}, "bad_track"
	}
	body := binary.BigEndian.AppendUint16(nil, uint16(every))
	return order{id: trackTemporary, body: binary.BigEndian.AppendUint32(body, uint32(span)), repeating: true}, ""
}
