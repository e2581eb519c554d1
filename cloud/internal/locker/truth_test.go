package locker

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

func TestTruth(t *testing.T) {
	for name, c := range map[string]struct{ events, want string }{
		"nothing":                   {"", ""},
		"opened, and nothing taken": {"accepted7@0 pulse_sent7@0.3 opened7@0.5 closed7@9", "accepted7@0 pulse_sent7@0.3 opened7@0.5 closed7@9"},
		"emptied":                   {"accepted7@0 pulse_sent7@0.3 opened7@0.5 emptied7@9", "accepted7@0 pulse_sent7@0.3 opened7@0.5 closed7@9 emptied7@9"},
		"the sensor speaks later":   {"opened7@1 closed7@9 emptied7@10", "opened7@1 closed7@9 emptied7@10"},
		"its clock is behind":       {"opened7@1 pulse_sent7@3 accepted7@2 closed7@4", "accepted7@2 pulse_sent7@3 opened7@1 closed7@4"},
		"told twice":                {"opened7@1 opened7@2 closed7@3", "opened7@1 closed7@3"},
		"stuck":                     {"accepted7@0 pulse_sent7@0 jammed7@3 not_opened7@30", "accepted7@0 pulse_sent7@0 jammed7@3 not_opened7@30"},
		"another door":              {"accepted7@0 pulse_sent7@0 wrong_door8@2 jammed7@3 opened7@9", "accepted7@0 pulse_sent7@0 wrong_door8@2 jammed7@3 opened7@9"},
	} {
		var events []Event
		for i, w := range strings.Fields(c.events) {
			what, s, _ := strings.Cut(w, "@")
			d, err := time.ParseDuration(s + "s")
			require.NoError(t, err)
			word := strings.TrimRight(what, "0123456789")
			var cell int
			_, err = fmt.Sscan(what[len(word):], &cell)
			require.NoError(t, err)
			events = append(events, Event{seen(fmt.Sprint(i), d.Seconds()), telemetry.Locker{Event: telemetry.CellEvent(word), Cell: telemetry.Some(cell)}})
		}
		for range 20 { // in whatever order they come
			rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			var got []string
			for _, s := range Truth(events) {
				got = append(got, fmt.Sprintf("%s%d@%g", s.Step, s.Cell, s.At.Sub(t0).Seconds()))
			}
			require.Equal(t, c.want, strings.Join(got, " "), name)
		}
	}
}

func TestATruthSaysHowWellItsTimesAreKnown(t *testing.T) {
	e := Event{seen("a", 1), telemetry.Locker{Event: telemetry.CellNotOpened, Cell: telemetry.Some(3), WaitedS: telemetry.Some(30)}}
	e.TQ, e.ErrMS = telemetry.Retro, 250
	require.Equal(t, []county.DoorStep{{Step: "not_opened", Cell: 3, At: at(1), TQ: telemetry.Retro, ErrMS: 250, WaitedS: 30}}, Truth([]Event{e}))
	require.Equal(t, county.CellOccupied, func() county.CellState {
		s, _ := Fold([]Event{{seen("b", 0), telemetry.Locker{Event: telemetry.CellDeposited}}, e})
		return s
	}(), "what wasn't seen changes no cell")
}
