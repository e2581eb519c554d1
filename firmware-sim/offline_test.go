package main

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/firmware-sim/internal/firmware"
)

// villager is somebody at a locker that keeps itself, with hands, eyes and a parcel.
type villager struct {
	*played
	doors hinges
	pad   *firmware.Keypad
	slot  *firmware.Scanner
}

func (p *played) villager(t testing.TB, locker string) villager {
	t.Helper()
	rack := p.yard.racks[locker]
	pad, ok := rack.Keypad.(panel)
	require.True(t, ok)
	slot, ok := rack.Slot.(*firmware.Scanner)
	require.True(t, ok)
	return villager{p, p.doorsOf(t, locker), pad.Keypad, slot}
}

// deposit holds a parcel to the scanner, as often as it takes, and lays it in. shut is when its door was.
func (v villager) deposit(t testing.TB, waybill string) (cell int, shut time.Time) {
	t.Helper()
	require.Eventually(t, func() bool {
		n := v.pad.Screens()
		if v.slot.Scan("C0", waybill) != nil {
			return false
		}
		s, err := v.pad.Await(t.Context(), n, "put", "try_again", "busy", "unknown_waybill", "no_list", "out_of_order", "close_door", "full", "jammed")
		cell = s.Cell
		return err == nil && s.Word == "put"
	}, patience, 300*time.Millisecond, "%s isn't taken", waybill)
	require.NoError(t, v.doors.AwaitOpen(t.Context(), cell))
	require.NoError(t, v.doors.Put(cell, true))
	n := v.pad.Screens()
	shut = time.Now()
	v.doors.Shut(cell)
	_, err := v.pad.Await(t.Context(), n, "done")
	require.NoError(t, err)
	return cell, shut
}

// types types cell and code, and returns what is shown, and how long the pulse took from the last key; opened is false for an answer that opens nothing.
func (v villager) types(t testing.TB, cell int, code string) (word string, took time.Duration) {
	t.Helper()
	n, pulses := v.pad.Screens(), v.doors.Pulses(cell)
	pressed := time.Now()
	require.NoError(t, v.pad.TypeAt(cell, code))
	s, err := v.pad.Await(t.Context(), n, "take", "wrong", "wait", "overdue", "nothing_here", "stands_open", "busy", "try_again", "jammed", "out_of_order")
	require.NoError(t, err)
	if s.Word != "take" {
		return s.Word, 0
	}
	at, err := v.doors.AwaitPulse(t.Context(), cell, pulses+1)
	require.NoError(t, err)
	return s.Word, at.Sub(pressed)
}

// shuts shuts a cell, with or without its parcel, and waits until the locker has noticed.
func (v villager) shuts(t testing.TB, cell int, item bool, word string) {
	t.Helper()
	require.NoError(t, v.doors.AwaitOpen(t.Context(), cell))
	require.NoError(t, v.doors.Put(cell, item))
	n := v.pad.Screens()
	v.doors.Shut(cell)
	_, err := v.pad.Await(t.Context(), n, word)
	require.NoError(t, err)
}

// code is what the message of a parcel says.
func (p *played) code(t testing.TB, waybill string) (code string, cell int) {
	t.Helper()
	require.Eventually(t, func() bool {
		all, err := p.front.notices(t.Context(), waybill)
		if err != nil || len(all) == 0 || all[0].Text == "" {
			return false
		}
		said := regexp.MustCompile(`Code (\d{6}): parcel \.\.\w+ is in cell (\d+)`).FindStringSubmatch(all[0].Text)
		if said == nil {
			return false
		}
		code, cell = said[1], atoi2(said[2])
		return true
	}, patience, 100*time.Millisecond, "a message with a code for %s", waybill)
	return code, cell
}

func atoi2(s string) int { n, _ := strconv.Atoi(s); return n }

func (p *played) announce(t testing.TB, waybill string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return p.front.post(t.Context(), "/api/v1/waybills", map[string]any{
			"waybill": waybill, "consent": "yes", "size": "s", "recipient": map[string]string{"name": "王小明", "phone": "19900009999", "village": "青石村", "lang": "en"},
		}) == nil
	}, patience, 200*time.Millisecond)
}

// toldParcel is a parcel with the witnesses of its steps.
type toldParcel struct {
	Stage    string
	Evidence []struct {
		Step, Device, TQ string
		At               time.Time
		Witnesses        []struct{ Kind, Device string }
	}
}

func (p *played) parcel(t testing.TB, waybill string) (v toldParcel) {
	t.Helper()
	require.NoError(t, p.front.get(t.Context(), "/api/v1/parcels/"+url.PathEscape(waybill), &v))
	return v
}

// The cable is cut after the message came: cell and code open the door all the same. When it's mended the cloud knows that it was taken out, when that was,
// and who saw it; nobody is told again.
func TestACodeOpensWithTheCableCut(t *testing.T) {
	const board, waybill = "lk-qingshi-1", "GUEST-0042"
	p := play(t, options{speed: 1, seed: 3, boards: "wh-1," + board}, nil)
	p.announce(t, waybill)
	v := p.villager(t, "lk-qingshi")
	cell, _ := v.deposit(t, waybill)
	code, in := p.code(t, waybill)
	require.Equal(t, cell, in)
	require.Equal(t, "in_locker", p.parcel(t, waybill).Stage)
	before, err := p.front.notices(t.Context(), waybill)
	require.NoError(t, err)

	require.NoError(t, p.do(board, "cut"))
	require.Eventually(t, func() bool {
		var health struct {
			Connected int `json:"gateways_connected"`
		}
		return p.front.get(t.Context(), "/healthz", &health) == nil && health.Connected == 1
	}, patience, 50*time.Millisecond, "only the warehouse is there")
	typed := time.Now()
	word, took := v.types(t, cell, code)
	require.Equal(t, "take", word)
	t.Logf("from the last key to the pulse, the cable cut: %v", took.Round(time.Millisecond))
	require.Less(t, took, 5*time.Second, "it comes within that or never")
	v.shuts(t, cell, false, "emptied")
	taken := time.Now()
	require.Equal(t, "in_locker", p.parcel(t, waybill).Stage, "nobody knows yet")
	require.Never(t, func() bool { return p.parcel(t, waybill).Stage != "in_locker" }, 3*time.Second, 500*time.Millisecond)

	require.NoError(t, p.do(board, "mend"))
	mended := time.Now()
	require.Eventually(t, func() bool { return p.parcel(t, waybill).Stage == "picked_up" }, patience, 200*time.Millisecond)
	tells := func() (n int) {
		for _, e := range p.parcel(t, waybill).Evidence {
			if e.Step != "collected" {
				continue
			}
			n++
			require.Equal(t, board+"/board", e.Device)
			require.False(t, e.At.Before(typed.Add(-time.Second)), "%v before it was typed", e.At)
			require.False(t, e.At.After(taken.Add(time.Second)), "%v is after it was taken out", e.At)
			require.True(t, e.At.Before(mended))
			require.NotEqual(t, "unknown", e.TQ)
			require.NotEmpty(t, e.Witnesses)
			require.Equal(t, "door", e.Witnesses[0].Kind)
		}
		return n
	}
	require.Equal(t, 1, tells())
	require.Equal(t, 2, v.doors.Pulses(cell), "once to lay it in, once to take it out")

	// Within three minutes the same code opens the empty cell again, for a glove that was left inside. Another code opens nothing.
	wrong, _ := v.types(t, cell, strconv.Itoa((atoi2(code)+1)%900_000+100_000))
	require.Equal(t, "wrong", wrong)
	word, _ = v.types(t, cell, code)
	require.Equal(t, "take", word)
	v.shuts(t, cell, false, "closed")
	require.Equal(t, 3, v.doors.Pulses(cell))
	require.Eventually(t, func() bool { // the last opening has come too
		var l struct{ Cells []struct{ State string } }
		return p.front.get(t.Context(), "/api/v1/lockers/lk-qingshi", &l) == nil && l.Cells[cell-1].State == "empty"
	}, patience, 200*time.Millisecond)
	require.Equal(t, "picked_up", p.parcel(t, waybill).Stage)
	require.Equal(t, 1, tells())
	after, err := p.front.notices(t.Context(), waybill)
	require.NoError(t, err)
	require.Equal(t, codes(before), codes(after), "no second message with a code")
}

// codes are the messages that hold a code.
func codes(all []sentNotice) (out []string) {
	for _, n := range all {
		if strings.Contains(n.Text, "Code ") {
			out = append(out, n.Text)
		}
	}
	return out
}

// A lock sticks and another door springs open: who stands there is told, and the county, whose board asks for one door alone while it waits for it.
func TestTheWrongDoorAtTheKeypad(t *testing.T) {
	const board, waybill = "lk-qingshi-1", "GUEST-0043"
	p := play(t, options{speed: 1, seed: 3, boards: "wh-1," + board}, nil)
	p.announce(t, waybill)
	v := p.villager(t, "lk-qingshi")
	cell, _ := v.deposit(t, waybill)
	code, _ := p.code(t, waybill)
	v.doors.Jam(cell, true)
	n, other := v.pad.Screens(), cell+1
	require.NoError(t, v.pad.TypeAt(cell, code))
	_, err := v.doors.AwaitPulse(t.Context(), cell, 2)
	require.NoError(t, err)
	v.doors.Force(other)
	shown, err := v.pad.Await(t.Context(), n, "wrong_door")
	require.NoError(t, err)
	require.Equal(t, other, shown.Cell)
	require.Equal(t, "in_locker", p.parcel(t, waybill).Stage)
	var l struct {
		Cells []struct {
			Cell  int
			State string
		}
	}
	require.Eventually(t, func() bool {
		return p.front.get(t.Context(), "/api/v1/lockers/lk-qingshi", &l) == nil && l.Cells[cell-1].State == "fault" && l.Cells[other-1].State == "door_open"
	}, patience, 100*time.Millisecond, "%+v", &l)
}
