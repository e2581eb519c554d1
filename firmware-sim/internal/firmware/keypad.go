package firmware

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Keypad is what a villager stands in front of at a locker. As a panel it speaks lines, $FIELDS*HH as in NMEA 0183, numbers what was typed and says it
// again until it is acknowledged, and shows words; a Plain one sends each key as a character and shows nothing.
type Keypad struct {
	Line  cable
	Plain bool
	Heard func(word string, cell int, wait time.Duration) // what is shown, as it comes; may be nil

	boot  string
	began time.Time

	mu    sync.Mutex
	last  int              // number of the last entry
	typed map[int]*unheard // entries that aren't acknowledged
	shown []Shown          // the last of it
	gone  int              // screens shown before those
	next  chan struct{}    // closed and replaced when something is shown
}

type unheard struct {
	keys  string
	times int
	again time.Time
}

// Shown is one screen.
type Shown struct {
	Word string
	Cell int
	Wait time.Duration
	At   time.Time
}

// Timings of a panel.
const (
	panelBeat  = 10 * time.Second
	panelAgain = time.Second
	panelTimes = 3   // that an entry is said
	panelKept  = 256 // screens that are remembered
)

// NewKeypad makes a panel that has just been switched on.
func NewKeypad(line cable) *Keypad {
	k := &Keypad{Line: line, began: time.Now(), typed: map[int]*unheard{}, next: make(chan struct{})}
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	k.boot = hex.EncodeToString(b[:])
	return k
}

// Run plays the keypad until ctx ends or the line breaks.
func (k *Keypad) Run(ctx context.Context) error {
	beat := time.Now()
	if err := k.greet(); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		tick := time.NewTicker(panelAgain / 4)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case now := <-tick.C:
				k.repeat(now)
				if now.Sub(beat) >= panelBeat {
					beat = now
					_ = k.say("HB," + strconv.Itoa(int(now.Sub(k.began)/time.Second)))
				}
			}
		}
	})
	g.Go(func() error { return k.listen(ctx) })
	return g.Wait()
}

// listen takes what the gateway sends.
func (k *Keypad) listen(ctx context.Context) error {
	var in []byte
	return pump(ctx, k.Line, boardGap, func(b []byte) {
		in = append(in, b...)
		for {
			i := slices.Index(in, '\n')
			if i < 0 {
				break
			}
			k.hear(strings.TrimSpace(string(in[:i])))
			in = in[i+1:]
		}
		if len(in) > 256 {
			in = in[:0]
		}
	}, func() {})
}

func (k *Keypad) greet() error {
	k.mu.Lock()
	last := k.last
	k.mu.Unlock()
	return k.say(fmt.Sprintf("HI,%s,%d", k.boot, last))
}

func (k *Keypad) say(text string) error {
	if k.Plain {
		return nil
	}
	sum := byte(0)
	for _, c := range []byte(text) {
		sum ^= c
	}
	_, err := fmt.Fprintf(k.Line, "$%s*%02X\r\n", text, sum)
	return err
}

// hear takes a line of the gateway's.
func (k *Keypad) hear(line string) {
	body, sum, ok := strings.Cut(strings.TrimPrefix(line, "$"), "*")
	want := byte(0)
	for _, c := range []byte(body) {
		want ^= c
	}
	if !ok || !strings.HasPrefix(line, "$") || !strings.EqualFold(sum, fmt.Sprintf("%02x", want)) {
		return
	}
	f := strings.Split(body, ",")
	switch {
	case f[0] == "WHO":
		_ = k.greet()
	case f[0] == "OK" && len(f) == 2:
		n, _ := strconv.Atoi(f[1])
		k.mu.Lock()
		delete(k.typed, n)
		k.mu.Unlock()
	case f[0] == "SC" && len(f) == 4:
		cell, _ := strconv.Atoi(f[2])
		seconds, _ := strconv.Atoi(f[3])
		s := Shown{f[1], cell, time.Duration(seconds) * time.Second, time.Now()}
		k.mu.Lock()
		if k.shown = append(k.shown, s); len(k.shown) > panelKept {
			k.shown = append(k.shown[:0:0], k.shown[1:]...)
			k.gone++
		}
		close(k.next)
		k.next = make(chan struct{})
		k.mu.Unlock()
		if k.Heard != nil {
			k.Heard(s.Word, s.Cell, s.Wait)
		}
	}
}

// repeat says again what wasn't acknowledged.
func (k *Keypad) repeat(now time.Time) {
	k.mu.Lock()
	var due []string
	for n, e := range k.typed {
		switch {
		case now.Before(e.again):
		case e.times == panelTimes:
			delete(k.typed, n)
		default:
			e.times, e.again = e.times+1, now.Add(panelAgain)
			due = append(due, fmt.Sprintf("EN,%d,%s", n, e.keys))
		}
	}
	k.mu.Unlock()
	for _, text := range due {
		_ = k.say(text)
	}
}

// Type types an entry and confirms it: 3#483920, * for cancel, 0 for another cell.
func (k *Keypad) Type(keys string) error {
	if k.Plain {
		if keys != "*" {
			keys += "#"
		}
		_, err := io.WriteString(k.Line, keys)
		return err
	}
	k.mu.Lock()
	k.last++
	n := k.last
	k.typed[n] = &unheard{keys, 1, time.Now().Add(panelAgain)}
	k.mu.Unlock()
	return k.say(fmt.Sprintf("EN,%d,%s", n, keys))
}

// TypeAt types a cell and a code.
func (k *Keypad) TypeAt(cell int, code string) error { return k.Type(strconv.Itoa(cell) + "#" + code) }

// Screens is how many screens were shown so far.
func (k *Keypad) Screens() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.gone + len(k.shown)
}

// Await returns the first screen after the first n that shows one of the words.
func (k *Keypad) Await(ctx context.Context, n int, words ...string) (Shown, error) {
	for {
		k.mu.Lock()
		n = max(n, k.gone)
		for ; n < k.gone+len(k.shown); n++ {
			if s := k.shown[n-k.gone]; slices.Contains(words, s.Word) {
				k.mu.Unlock()
				return s, nil
			}
		}
		next := k.next
		k.mu.Unlock()
		select {
		case <-next:
		case <-ctx.Done():
			return Shown{}, fmt.Errorf("keypad: none of %q is shown: %w", words, ctx.Err())
		}
	}
}
