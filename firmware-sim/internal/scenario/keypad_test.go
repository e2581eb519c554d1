package scenario

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestABagsTag(t *testing.T) {
	// TDS 1.13, section E.3: GRAI-96 of prefix 0614141, asset type 12345, filter 3.
	require.Equal(t, "3374257bf40c0e4000000190", hex.EncodeToString(grai96(3, 614141, 12345, 400)))
	require.Equal(t, "bag-7", BagID(7))
	tag, ok := freight{bag: 7}.tag()
	require.True(t, ok)
	require.Equal(t, grai96(0, 9521141, 1, 7), tag[:])
	_, ok = freight{parcels: []*Parcel{{}}}.tag()
	require.False(t, ok, "a parcel out of a bag bears none")
}

func TestLoads(t *testing.T) {
	a, b, c, d := &Parcel{Waybill: "a", Bag: 2}, &Parcel{Waybill: "b"}, &Parcel{Waybill: "c", Bag: 2}, &Parcel{Waybill: "d"}
	all := loads([]*Parcel{a, b, c, d})
	require.Equal(t, []freight{{2, []*Parcel{a, c}}, {0, []*Parcel{b}}, {0, []*Parcel{d}}}, all)
	require.Len(t, atMost(all, 1), 1, "a bag isn't opened for a number")
	require.Len(t, atMost(all, 3), 2)
	require.Len(t, atMost(all, 9), 3)
}

func TestWhatAMessageSays(t *testing.T) {
	for text, want := range map[string]string{
		"【云岭驿站】取件码318965，快件在竹海村智能柜1号格，请于11月25日10时前取。单号尾号0002":                                            "1 318965",
		"[Yunling Post] Code 012345: parcel ..0003 is in cell 12 of Songping locker until 25 Nov 10:17.": "12 012345",
		"【云岭驿站】已延期至11月26日10时：青石村智能柜3号格，取件码483920不变。单号尾号0002":                                             "3 483920",
		"【云岭驿站】快件在松坪村智能柜2号格，请于11月25日10时前取。单号尾号0004":                                                      "",
		"【云岭驿站】快件已到松坪服务站，请来取。单号尾号0004":                                                                   "",
		"": "",
	} {
		cell, code, ok := read(text)
		require.Equal(t, want != "", ok, text)
		if ok {
			require.Equal(t, want, fmt.Sprint(cell, " ", code))
		}
	}
	require.Equal(t, "318960", slip("318969"))
	require.Equal(t, "318966", slip("318965"))
}

// A locker that keeps itself: its panel and scanner, and its doors.
type wall struct {
	doors
	lists  map[string]bool // that it may take: consent
	screen []string
	cell   int
	codes  map[int]string
	typed  []string
}

func (w *wall) show(word string) { w.screen = append(w.screen, word) }

func (w *wall) Scan(_, text string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	yes, known := w.lists[text]
	switch {
	case !known:
		w.show("unknown_waybill")
		w.lists[text] = true // the list comes a moment later
	case !yes:
		w.show("no_consent")
	default:
		w.cell++
		w.codes[w.cell] = fmt.Sprintf("%06d", 1000+w.cell)
		w.show("put")
	}
	return nil
}

func (w *wall) Screens() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.screen)
}

func (w *wall) TypeAt(cell int, code string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.typed = append(w.typed, fmt.Sprint(cell, " ", code))
	if w.codes[cell] == code {
		w.show("take")
	} else {
		w.show("wrong")
	}
	return nil
}

func (w *wall) Await(_ context.Context, n int, words ...string) (string, int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !strings.Contains(strings.Join(words, " "), w.screen[n]) {
		return "", 0, fmt.Errorf("shows %s", w.screen[n])
	}
	return w.screen[n], w.cell, nil
}

// mailed is a front whose recipients get messages.
type mailed struct {
	people
	wall *wall
	w    *World

	mu   sync.Mutex
	said []string
	news []Known
}

func (m *mailed) Message(_ context.Context, p *Parcel) (string, error) {
	m.wall.mu.Lock()
	defer m.wall.mu.Unlock()
	return fmt.Sprintf("Code %s: parcel in cell %d of a locker", m.wall.codes[p.Cell], p.Cell), nil
}

func (m *mailed) note(what string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = append(m.said, what)
	return nil
}

func (m *mailed) Say(_ context.Context, p *Parcel, step, _ string) error {
	return m.note(p.Waybill + " " + step)
}
func (m *mailed) Complain(_ context.Context, p *Parcel) error {
	return m.note(p.Waybill + " complains")
}
func (m *mailed) Pack(_ context.Context, bag uint64, all []string) error {
	return m.note(fmt.Sprint("in ", BagID(bag), all))
}
func (m *mailed) News(context.Context) ([]Known, error) { return m.news, nil }

// scene is a story with one locker that keeps itself.
func scene(t *testing.T) (*Story, *mailed, *stand) {
	s, _, _, _ := stage(t, 7)
	w := &wall{doors: doors{item: map[int]bool{}}, lists: map[string]bool{}, codes: map[int]string{}}
	m := &mailed{people: people{goes: map[string]string{}}, wall: w, w: s.World}
	s.Front = m
	st := s.stock["lk-qingshi"]
	st.Cabinet, st.Keypad, st.Slot = w, w, w
	return s, m, st
}

func TestALockerThatKeepsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m, st := scene(t)
		ps, err := s.World.make(st.locker, 3)
		require.NoError(t, err)
		m.wall.lists[ps[1].Waybill] = false
		for _, p := range ps {
			require.NoError(t, s.deposit(t.Context(), st, p))
		}
		require.Equal(t, "lk-qingshi", ps[0].Place)
		require.Equal(t, 1, ps[0].Cell)
		require.Equal(t, "counter/out-qingshi", ps[1].Place, "its recipient takes no locker")
		require.Equal(t, 2, ps[2].Cell)
		require.Equal(t, []string{ps[1].Waybill + " refused"}, m.said)

		require.NoError(t, s.visit(t.Context(), st, ps[0]))
		require.Equal(t, []string{"1 001002", "1 001001"}, m.wall.typed, "the first mistypes")
		require.Contains(t, m.said, ps[0].Waybill+" complains")
		require.NoError(t, s.visit(t.Context(), st, ps[1]))
		require.Contains(t, m.said, ps[1].Waybill+" signed_for")
		require.Zero(t, m.opened, "no phone opens a cell there")

		_, err = s.Type(t.Context(), "lk-zhuhai", 1, "000000")
		require.ErrorContains(t, err, "no locker with a keypad")
		_, err = s.Type(t.Context(), "lk-qingshi", 99, "000000")
		require.ErrorContains(t, err, "cells 1 to 24")
		word, err := s.Type(t.Context(), "lk-qingshi", 2, "999999")
		require.NoError(t, err)
		require.Equal(t, "wrong", word)
		word, err = s.Type(t.Context(), "lk-qingshi", 2, "001002")
		require.NoError(t, err)
		require.Equal(t, "take", word)
		require.Zero(t, s.World.bound("lk-qingshi"), "all are with their recipients")
	})
}

func TestWhatAnybodyAnnouncesGetsAParcel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m, st := scene(t)
		m.news = []Known{
			{Waybill: "MINE-2", Stage: "created", Site: "out-qingshi", Locker: "lk-qingshi", Consent: "no"},
			{Waybill: "MINE-1", Stage: "created", Site: "out-qingshi", Size: "m", Consent: "yes"},
			{Waybill: "MINE-3", Stage: "created"}, {Waybill: "MINE-4", Stage: "created", Site: "wh"},
			{Waybill: "MINE-5", Stage: "created", Site: "out-qingshi", Hold: true},
			{Waybill: "MINE-6", Stage: "created", Site: "out-qingshi", Direction: "outbound"},
			{Waybill: "MINE-7", Stage: "in_locker", Site: "out-qingshi"},
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, s.inbox(ctx), context.DeadlineExceeded)
		require.Equal(t, []string{fmt.Sprint("in bag-10001", []string{"MINE-1", "MINE-2"})}, m.said, "once")
		in := s.waiting(st)
		require.Len(t, in, 2)
		require.Equal(t, Parcel{Waybill: "MINE-1", No: 1, Bag: 10001, Site: "out-qingshi", Locker: "lk-qingshi", Place: inHall, Size: "m", Consent: "yes", Guest: true}, *in[0])
		st.expect(in[0], 10)
		require.False(t, st.isDue(in[0], 10))
		time.Sleep(guestStays - time.Second)
		require.False(t, st.isDue(in[0], 10), "who announced it has their time")
		time.Sleep(time.Second)
		require.True(t, st.isDue(in[0], 10))
	})
}
