package door

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

var began = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

// bench is a board's clock and spool.
type bench struct {
	mu    sync.Mutex
	mono  time.Duration
	full  bool
	kept  []telemetry.Reading
	watch *Watch
}

func (b *bench) Mono() (frame.Boot, int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return frame.Boot{1}, int64(b.mono)
}

func (b *bench) Now() (time.Time, telemetry.Quality) {
	_, mono := b.Mono()
	return began.Add(time.Duration(mono)), telemetry.NTP
}

func (b *bench) accept(_ context.Context, rs ...telemetry.Reading) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full {
		return errors.New("spool is full")
	}
	b.kept = append(b.kept, rs...)
	return nil
}

// play acts a story out, a word a happening with its second, and returns what was told of each command, in order:
//
//	A7@0     command A for cell 7 is accepted          p:A@1    its lock is pulsed
//	done:A@2 refused:A@2 unknown:A@2                   opened7@3 closed7@4 ...  what the board tells
//	t@40     time passes
func play(t *testing.T, story string) string {
	b := &bench{}
	w := New(b, nil)
	var said []string
	note := func(r telemetry.Reading) {
		require.NoError(t, r.Validate())
		l, err := telemetry.As[telemetry.Locker](r)
		require.NoError(t, err)
		if l.Op == "" {
			return
		}
		word := fmt.Sprint(l.Op, ":", l.Event, l.Cell.Or(0))
		if s, ok := l.WaitedS.Get(); ok {
			word += fmt.Sprint("(", s, ")")
		}
		said = append(said, word)
	}
	drain := func() {
		for {
			select {
			case r := <-w.tells:
				require.Contains(t, r.N, "door-")
				require.Equal(t, began.Add(b.mono), r.At)
				note(r)
			default:
				return
			}
		}
	}
	for _, word := range strings.Fields(story) {
		what, at, _ := strings.Cut(word, "@")
		s, err := time.ParseDuration(at + "s")
		require.NoError(t, err)
		b.mono = s
		verb, id, named := strings.Cut(what, ":")
		switch {
		case what == "t":
			w.step(w.core.tick)
		case verb == "p":
			w.Pulsed(id)
		case named:
			w.Ended(id, telemetry.Outcome(verb))
		case what[0] >= 'A' && what[0] <= 'Z':
			w.Accepted(what[:1], "board", "open_cell", map[string]string{"cell": what[1:]})
		default:
			event := strings.TrimRight(what, "0123456789")
			var cell int
			_, err := fmt.Sscan(what[len(event):], &cell)
			require.NoError(t, err)
			out := w.Observe([]telemetry.Reading{telemetry.New("board", time.Time{}, telemetry.Unknown, telemetry.Locker{Cell: telemetry.Some(cell), Event: telemetry.CellEvent(event)})})
			note(out[0])
		}
		drain()
	}
	return strings.Join(said, " ")
}

func TestWhatADoorDid(t *testing.T) {
	for name, c := range map[string]struct{ story, want string }{
		"opened and emptied":         {"closed7@0 A7@1 p:A@1 opened7@2 done:A@2 emptied7@9", "A:accepted7 A:pulse_sent7 A:opened7 A:emptied7"},
		"looked at":                  {"A7@1 p:A@1 opened7@2 done:A@2 closed7@3600", "A:accepted7 A:pulse_sent7 A:opened7 A:closed7"},
		"the sensor speaks later":    {"A7@1 p:A@1 opened7@2 closed7@9 emptied7@11 t@20 deposited7@21", "A:accepted7 A:pulse_sent7 A:opened7 A:closed7 A:emptied7"},
		"opened again at once":       {"A7@1 p:A@1 opened7@2 closed7@4 opened7@6", "A:accepted7 A:pulse_sent7 A:opened7 A:closed7"},
		"somebody comes later":       {"A7@1 p:A@1 opened7@2 closed7@9 t@20 forced7@21 closed7@22", "A:accepted7 A:pulse_sent7 A:opened7 A:closed7"},
		"the locker is first to say": {"A7@1 opened7@1 done:A@2", "A:accepted7 A:opened7 A:pulse_sent7"},
		"stuck":                      {"closed7@0 A7@1 p:A@1 jammed7@4 unknown:A@4 t@30 t@31 t@50", "A:accepted7 A:pulse_sent7 A:jammed7 A:not_opened7(30)"},
		"stuck, then pulled":         {"closed7@0 A7@1 p:A@1 jammed7@4 unknown:A@4 opened7@20 t@40 closed7@50", "A:accepted7 A:pulse_sent7 A:jammed7 A:opened7 A:closed7"},
		"stuck, asked again":         {"A7@1 p:A@1 unknown:A@4 B7@11 p:B@11 opened7@12", "A:accepted7 A:pulse_sent7 A:not_opened7(10) B:accepted7 B:pulse_sent7 B:opened7"},
		"refused":                    {"A7@1 refused:A@1 opened7@2 t@60", "A:accepted7"},
		"a driver without a word":    {"A7@1 unknown:A@9 t@39", "A:accepted7 A:pulse_sent7 A:not_opened7(30)"},
		"another door":               {"closed7@0 closed8@0 A7@1 p:A@1 jammed7@4 unknown:A@4 forced8@4.5 t@31", "A:accepted7 A:pulse_sent7 A:jammed7 A:wrong_door8 A:not_opened7(30)"},
		"another door, that says":    {"closed8@0 A7@1 p:A@1 opened8@2 closed8@3 opened8@4", "A:accepted7 A:pulse_sent7 A:wrong_door8"},
		"another door, much later":   {"closed8@0 A7@1 p:A@1 forced8@8", "A:accepted7 A:pulse_sent7"},
		"another door, already open": {"opened8@0 A7@1 p:A@1 opened8@2", "A:accepted7 A:pulse_sent7"},
		"another door, never seen":   {"A7@1 p:A@1 opened8@2", "A:accepted7 A:pulse_sent7"},
		"another door, after it":     {"closed8@0 A7@1 p:A@1 opened7@2 forced8@3", "A:accepted7 A:pulse_sent7 A:opened7"},
		"two at once":                {"closed7@0 closed8@0 A7@1 p:A@1 B8@1 p:B@1 opened8@2 opened7@3", "A:accepted7 A:pulse_sent7 B:accepted8 B:pulse_sent8 B:opened8 A:opened7"},
		"a statement of before":      {"A7@1 closed7@1 p:A@2 closed7@2 opened7@3 closed7@4", "A:accepted7 A:pulse_sent7 A:opened7 A:closed7"},
		"broken open before":         {"closed7@0 A7@1 forced7@1 refused:A@2", "A:accepted7"},
		"the same id again":          {"A7@1 p:A@1 p:A@2 A7@3", "A:accepted7 A:pulse_sent7"},
	} {
		require.Equal(t, c.want, play(t, c.story), name)
	}
}

// A cabinet goes on with an opening of its own, of before a power cut, at a door that a command had opened: it has moved for both.
func TestACabinetsOpening(t *testing.T) {
	b := &bench{}
	w := New(b, nil)
	w.Accepted("A", "board", "open_cell", map[string]string{"cell": "2"})
	w.Pulsed("A")
	says := func(e telemetry.CellEvent) {
		r := telemetry.New("board", time.Time{}, telemetry.Unknown, telemetry.Locker{Cell: telemetry.Some(2), Event: e, Op: "k-1", By: "code"})
		require.Equal(t, []telemetry.Reading{r}, w.Observe([]telemetry.Reading{r}))
	}
	says(telemetry.CellOpened)
	says(telemetry.CellEmptied)
	b.mono = time.Minute
	w.step(w.core.tick)
	var told []string
	for range len(w.tells) {
		l, err := telemetry.As[telemetry.Locker](<-w.tells)
		require.NoError(t, err)
		told = append(told, l.Op+" "+string(l.Event))
	}
	require.Equal(t, []string{"A accepted", "A pulse_sent", "A opened"}, told)
}

// What a locker tells again, for it wasn't acknowledged, has the same op.
func TestToldAgain(t *testing.T) {
	b := &bench{}
	w := New(b, nil)
	say := func(n string, e telemetry.CellEvent, op string) string {
		r := telemetry.New("box", began, telemetry.RTC, telemetry.Locker{Cell: telemetry.Some(2), Event: e, Op: op})
		r.N = n
		l, err := telemetry.As[telemetry.Locker](w.Observe([]telemetry.Reading{r})[0])
		require.NoError(t, err)
		return l.Op
	}
	w.Accepted("A", "box", "open_cell", map[string]string{"cell": "2"})
	w.Pulsed("A")
	require.Equal(t, "A", say("1", telemetry.CellOpened, ""))
	require.Equal(t, "A", say("2", telemetry.CellEmptied, ""))
	b.mono = time.Minute
	w.step(w.core.tick)
	require.Equal(t, "A", say("2", telemetry.CellEmptied, ""))
	require.Equal(t, "k-1", say("3", telemetry.CellOpened, "k-1"), "the cabinet's own")
	for i := range 2 * Remembered {
		w.Accepted(fmt.Sprint(i), "box", "open_cell", map[string]string{"cell": "2"})
		w.Pulsed(fmt.Sprint(i))
		require.Equal(t, fmt.Sprint(i), say(fmt.Sprint("x", i), telemetry.CellOpened, ""))
		say(fmt.Sprint("y", i), telemetry.CellClosed, "")
	}
	require.Len(t, w.core.told, Remembered)
	require.Len(t, w.core.byOp, 1)
	w.Accepted("z", "gps", "identify", nil)
	w.Accepted("z", "box", "open_cell", map[string]string{"cell": "none"})
	require.Len(t, w.core.byOp, 1)
}

// A spool that takes nothing holds no door up, and what was told meanwhile is kept when it takes again, at the time it happened.
func TestAFullSpoolHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{full: true}
		w := New(b, b.accept)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		w.Accepted("A", "board", "open_cell", map[string]string{"cell": "7"})
		w.Pulsed("A")
		synctest.Wait()
		b.mu.Lock()
		b.full, b.mono = false, 31*time.Second
		b.mu.Unlock()
		time.Sleep(5 * time.Second)
		b.mu.Lock()
		require.Len(t, b.kept, 3)
		require.Equal(t, began, b.kept[1].At)
		b.mu.Unlock()
		require.Equal(t, uint64(1), w.Counters()["not_opened"])
		cancel()
		require.NoError(t, <-done)
		for i := range 2 * waiting {
			w.Accepted(fmt.Sprint(i), "board", "open_cell", map[string]string{"cell": "9"})
		}
		require.Equal(t, uint64(waiting), w.Counters()["untold"])
	})
}
