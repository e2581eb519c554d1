package main

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/firmware-sim/internal/firmware"
)

// hinges are a locker's doors as hands and faults move them.
type hinges interface {
	AwaitPulse(ctx context.Context, lock, n int) (time.Time, error)
	AwaitOpen(ctx context.Context, lock int) error
	Pulses(lock int) int
	Put(lock int, item bool) error
	Shut(lock int)
	Force(lock int)
	Jam(lock int, stuck bool)
}

// doorsOf finds the doors of a locker.
func (p *played) doorsOf(t testing.TB, locker string) hinges {
	t.Helper()
	d, ok := p.yard.racks[locker].Cabinet.(hinges)
	require.True(t, ok, locker)
	return d
}

// openOrder is an order to open a cell as the API shows it.
type openOrder struct {
	ID, Outcome, Detail string
	Created, Answered   time.Time
	Door                []struct {
		Step    string
		Cell    int
		At      time.Time
		TQ      string
		WaitedS int `json:"waited_s"`
	}
}

// steps are the words of what the door did; a cell is named where it isn't the order's own.
func (o *openOrder) steps(cell int) string {
	var words []string
	for _, d := range o.Door {
		if d.Cell != cell {
			d.Step += ":" + strconv.Itoa(d.Cell)
		}
		words = append(words, d.Step)
	}
	return strings.Join(words, " ")
}

// ordered is a cell that was ordered to open.
type ordered struct {
	*played
	id   string
	cell int
}

// open orders a cell to be opened, once its board is known.
func (p *played) open(t testing.TB, board, id string, cell int) ordered {
	t.Helper()
	require.Eventually(t, func() bool {
		var l struct{ Cells []struct{ State string } }
		return p.front.get(t.Context(), "/api/v1/lockers/"+strings.TrimSuffix(board, "-1/board"), &l) == nil && l.Cells[cell-1].State != "unknown"
	}, patience, 200*time.Millisecond, "the state of %s %d", board, cell)
	require.NoError(t, p.front.post(t.Context(), "/api/v1/commands", map[string]any{"id": id, "device": board, "action": "open_cell", "args": map[string]string{"cell": strconv.Itoa(cell)}}))
	return ordered{p, id, cell}
}

// becomes waits until the door's story is told.
func (o ordered) becomes(t testing.TB, want string) (got openOrder) {
	t.Helper()
	require.Eventually(t, func() bool {
		got = openOrder{}
		return o.front.get(t.Context(), "/api/v1/commands/"+o.id, &got) == nil && got.steps(o.cell) == want
	}, patience, 200*time.Millisecond, "%s: want %q: %+v", o.id, want, &got)
	return got
}

// What doors did that the cloud had opened, by three lockers' own evidence: an 8A/80 board under a cabinet, a KERONG board, and a locker that speaks MQTT.
// Locks stick, and are wired to the wrong door.
func TestWhatDoorsDid(t *testing.T) {
	p := play(t, options{speed: 1, seed: 3, boards: "wh-1,lk-qingshi-1,lk-yuntai-1,lk-beixi-1"}, nil)
	require.Eventually(t, func() bool { return p.front.get(t.Context(), "/api/v1/about", nil) == nil }, patience, 100*time.Millisecond)
	t.Run("lockers", func(t *testing.T) {
		for _, locker := range []string{"lk-qingshi", "lk-yuntai", "lk-beixi"} {
			t.Run(locker, func(t *testing.T) {
				t.Parallel()
				p.move(t, locker)
			})
		}
	})
}

func (p *played) move(t *testing.T, locker string) {
	d, board := p.doorsOf(t, locker), locker+"-1/board"

	put := p.open(t, board, "o-put-"+locker, 3)
	put.becomes(t, "accepted pulse_sent opened") // a door that is shut before anybody looks was never seen open
	require.NoError(t, d.Put(3, true))
	d.Shut(3)
	first := put.becomes(t, "accepted pulse_sent opened closed deposited")
	require.Equal(t, "done", first.Outcome)
	before := first.Created
	for _, s := range first.Door {
		require.False(t, s.At.Before(before.Add(-time.Second)), "%+v", first)
		require.NotEqual(t, "unknown", s.TQ)
	}

	again := p.open(t, board, "o-emptied-"+locker, 3)
	again.becomes(t, "accepted pulse_sent opened")
	require.NoError(t, d.Put(3, false))
	d.Shut(3)
	again.becomes(t, "accepted pulse_sent opened closed emptied")

	d.Jam(5, true) // its relay is wired to the sixth lock
	wrong := p.open(t, board, "o-wrong-"+locker, 5)
	_, err := d.AwaitPulse(t.Context(), 5, 1)
	require.NoError(t, err)
	d.Force(6)
	moved := "accepted pulse_sent jammed wrong_door:6" // the board is read as a whole after its driver has watched the one door
	if locker == "lk-beixi" {
		moved = "accepted pulse_sent wrong_door:6 jammed"
	}
	wrong.becomes(t, moved)

	d.Jam(1, true)
	jam := p.open(t, board, "o-jam-"+locker, 1)
	jam.becomes(t, "accepted pulse_sent jammed")

	d.Jam(2, true) // it lets go, and its door moves when somebody pulls
	pulled := p.open(t, board, "o-pulled-"+locker, 2)
	pulled.becomes(t, "accepted pulse_sent jammed")
	d.Force(2)
	pulled.becomes(t, "accepted pulse_sent jammed opened")
	d.Shut(2)
	require.Equal(t, "unknown", pulled.becomes(t, "accepted pulse_sent jammed opened closed").Outcome, "the answer is what it was")

	wrong.becomes(t, moved+" not_opened")
	stays := jam.becomes(t, "accepted pulse_sent jammed not_opened")
	require.Equal(t, "unknown", stays.Outcome)
	require.Equal(t, "jammed", stays.Detail)
	require.Equal(t, 30, stays.Door[3].WaitedS)
	require.Equal(t, 1, d.Pulses(1))
}

var _ hinges = (*firmware.Cabinet)(nil)
