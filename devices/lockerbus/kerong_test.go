package lockerbus

import (
	"bytes"
	"fmt"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

// kerongs is a line with one KERONG board, number 1, and three cells in use.
func kerongs(name string) Config {
	c := Config{Port: "serial:/dev/ttyUSB0?baud=19200", Family: name, Boards: []Board{{Board: 1, Cells: 3}}}
	if families[name].limits().infrared {
		c.Occupancy = Infrared
	}
	return c
}

// Frames of the vendor's manuals and of programs that speak to these boards.
func TestKerongVectors(t *testing.T) {
	for _, c := range []struct {
		name, family, hex string
		o                 op
		board, lock       int
	}{
		{"status of KR-CU16 0", KRCU16, "0200300335", opReadAll, 0, 0},
		{"a lock's status is its board's", KRCU16, "0200300335", opReadOne, 0, 7},
		{"unlock 0/1", KRCU16, "0200310336", opOpen, 0, 1},
		{"unlock 0/6", KRCU16, "020531033B", opOpen, 0, 6},
		{"unlock 3/16", KRCU16, "023F310375", opOpen, 3, 16},
		{"status of KR-CU48 0", KRCU48, "020000600365", opReadAll, 0, 0},
		{"unlock 0/1 of a KR-CU48", KRCU48, "020000610366", opOpen, 0, 1},
		{"unlock 2/48", KRCU48, "02022F610397", opOpen, 2, 48},
		{"status of KR-CU24 0", KRCU24, "020000500355", opReadAll, 0, 0},
		{"unlock 0/1 of a KR-CU24", KRCU24, "020000510356", opOpen, 0, 1},
		{"status of KR-CU12 0", KRCU12, "0200008000000385", opReadAll, 0, 0},
		{"unlock 1/12 of a KR-CU12", KRCU12, "02010B8100000392", opOpen, 1, 12},
	} {
		b := unhex(t, c.hex)
		q := families[c.family].ask(c.o, Board{Board: c.board, Doors: 12}, c.lock)
		require.Equal(t, b, q.frame, c.name)
		_, v, _ := families[c.family].find(b, &q)
		require.NotEqual(t, reply, map[bool]verdict{false: v}[c.o == opOpen], "%s: its echo is no answer", c.name)
		bodies, rejects, counters := decoded(t, bytes.NewReader(b), Options{Family: c.family})
		require.Empty(t, bodies, c.name)
		require.Empty(t, rejects, c.name)
		require.EqualValues(t, 1, counters["frames_ok"], c.name)
	}
}

func TestKerongAnswers(t *testing.T) {
	for _, c := range []struct {
		name, family, hex string
		want              verdict
		doors, items      inputs
	}{
		{"all locked, nothing inside", KRCU16, "021035FFFF00000348", reply, 0xFFFF, 0},
		{"lock 1 open, items in 1 and 16", KRCU16, "021035FEFF018003C8", reply, 0xFFFE, 0x8001},
		{"lock 16 open", KRCU16, "021035FF7F000003C8", reply, 0x7FFF, 0},
		{"another board's", KRCU16, "022035FFFF00000358", late, 0, 0},
		{"bad sum", KRCU16, "021035FFFF00000349", badChecksum, 0, 0},
		{"no etx", KRCU16, "021035FFFF00000449", foreign, 0, 0},
		{"a request", KRCU16, "0210300345", foreign, 0, 0},
		{"another family", KRCU16, "8101010081", foreign, 0, 0},
		{"24 doors", KRCU24, "020100650100800300ED"[:16] + "EC", reply, 0x800001, 0},
		{"48 doors", KRCU48, "02010075010000000080" + "03FC", reply, 0x800000000001, 0},
		{"48 doors, another board", KRCU48, "02020075010000000080" + "03FD", late, 0, 0},
		{"12 doors", KRCU12, "020100801002" + "0398" + "FE0F", reply, 0xFFE, 0},
		{"12 doors and items", KRCU12, "020100801004" + "039A" + "FE0F0100", reply, 0xFFE, 1},
		{"the sum may be of the data too", KRCU12, "020100801002" + "03A5" + "FE0F", reply, 0xFFE, 0},
		{"a refusal", KRCU12, "020100801100" + "0397", late, 0, 0},
		{"too little", KRCU12, "020100801001" + "0397" + "FF", late, 0, 0},
		{"bad sum of a head", KRCU12, "020100801002" + "0399" + "FE0F", badChecksum, 0, 0},
		{"too much", KRCU12, "0201008010FF" + "0395", foreign, 0, 0},
	} {
		t.Run(c.family+" "+c.name, func(t *testing.T) {
			f := families[c.family]
			q := f.ask(opReadAll, Board{Board: 1, Doors: 12}, 0)
			b := unhex(t, c.hex)
			size, v, told := f.find(b, &q)
			require.Equal(t, c.want, v)
			if v != reply {
				return
			}
			require.Equal(t, len(b), size)
			require.Equal(t, c.doors, told.doors)
			require.Equal(t, c.items, told.items)
			for n := range b {
				_, v, _ := f.find(b[:n], &q)
				require.Equal(t, more, v, "%d bytes", n)
			}
			_, v, _ = f.find(b, nil)
			require.Equal(t, late, v, "nobody asked")
		})
	}
}

func TestDecodeKerong(t *testing.T) {
	all := func(e string, from, to int) (list []string) {
		for n := from; n <= to; n++ {
			list = append(list, event(n, e))
		}
		return list
	}
	for _, c := range []struct {
		name, hex string
		o         Options
		want      []string
		rejects   []string
	}{
		{"KR-CU16: asked, answered, unlocked, changed", "0200300335 020035FFFF00000338 0200310336 020035FEFF00000337", Options{Family: KRCU16}, append(all("closed", 1, 16), event(1, "opened")), nil},
		{"all boards", "02F0320327", Options{Family: KRCU16}, nil, nil},
		{"unlock time set", "0200370064" + "03A0", Options{Family: KRCU16}, nil, nil},
		{"items", "020035FFFF00000338 020035FFFF01000339", Options{Family: KRCU16, Occupancy: Infrared}, append(func() (list []string) {
			for n := 1; n <= 16; n++ {
				list = append(list, holding(n, "closed", false))
			}
			return list
		}(), holding(1, "closed", true)), nil},
		{"second board", "021035FFFF00000348", Options{Family: KRCU16}, all("closed", 17, 32), nil},
		{"the other meaning", "020035000000000339"[:16] + "3A", Options{Family: KRCU16, BitmapOneMeans: Open}, all("closed", 1, 16), nil},
		{"garbage between", "0200300335 FF02 0200300335", Options{Family: KRCU16}, nil, []string{"5 FF02 no frame begins here"}},
		{"bad check", "0200300336", Options{Family: KRCU16}, nil, []string{"0 0200300336 bad check"}},
		{"cut", "020035FF", Options{Family: KRCU16}, nil, []string{"0 020035FF cut off"}},
		{"KR-CU24", "020000500355 020000 65 FFFFFF 03 67", Options{Family: KRCU24}, all("closed", 1, 24), nil},
		{"KR-CU48", "020000600365 020000 75 FFFFFFFFFFFF 03 74", Options{Family: KRCU48}, all("closed", 1, 48), nil},
		{"KR-CU12", "0200008000000385 0200008010020397 FF0F 0200008100000386 0200008110000396", Options{Family: KRCU12}, all("closed", 1, 12), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(t, c.hex)
			bodies, rejects, _ := decoded(t, bytes.NewReader(b), c.o)
			require.Equal(t, c.want, bodies)
			require.Equal(t, c.rejects, rejects)
			again, rejectsAgain, _ := decoded(t, iotest.OneByteReader(bytes.NewReader(b)), c.o)
			require.Equal(t, bodies, again, "byte by byte")
			require.Equal(t, rejects, rejectsAgain, "byte by byte")
		})
	}
}

// The rules of the bus are the same whatever the boards speak.
func TestKerongOnTheBus(t *testing.T) {
	for _, name := range []string{KRCU12, KRCU16, KRCU24, KRCU48} {
		for _, echo := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s echo %v", name, echo), func(t *testing.T) {
				c := kerongs(name)
				c.Echo = echo
				k := &cabinet{family: name, echo: echo}
				k.jammed[2] = true
				inBubble(t, c, k, func(t *testing.T, x *bench) {
					require.Len(t, x.take(), 3, "what is")
					require.Equal(t, "done opened", x.outcome("1"))
					require.Equal(t, "refused already_open", x.outcome("1"))
					began := time.Now()
					require.Equal(t, "unknown jammed", x.outcome("2"))
					require.InDelta(t, 3, time.Since(began).Seconds(), 0.8)
					k.set(func() { k.open[3] = true })
					x.pass(2 * time.Second)
					told := fmt.Sprint(x.take())
					for _, e := range []string{`"cell":1,"event":"opened"`, `"cell":2,"event":"jammed"`, `"cell":3,"event":"forced"`} {
						require.Contains(t, told, e)
					}
					require.Equal(t, []int{1, 1, 0}, []int{x.pulses(1), x.pulses(2), x.pulses(3)})
					require.Equal(t, echo, x.driver.Counters()["echoes"] > 0)
					require.Zero(t, x.driver.Counters()["timeouts"], "a pulse that isn't answered is none")
					require.Zero(t, x.driver.Counters()["bad_checksum"])
				})
			})
		}
	}
}

func TestKerongItems(t *testing.T) {
	for _, name := range []string{KRCU12, KRCU16} {
		t.Run(name, func(t *testing.T) {
			k := &cabinet{family: name}
			inBubble(t, kerongs(name), k, func(t *testing.T, x *bench) {
				require.Equal(t, []string{holding(1, "closed", false), holding(2, "closed", false), holding(3, "closed", false)}, x.take())
				require.Equal(t, "done opened", x.outcome("3"))
				x.pass(2 * time.Second)
				k.set(func() { k.item[3] = true })
				x.pass(2 * time.Second)
				k.set(func() { k.open[3] = false })
				x.pass(2 * time.Second)
				require.Equal(t, []string{holding(3, "opened", false), holding(3, "deposited", true)}, x.take())
				require.Equal(t, "done opened", x.outcome("3"))
				k.set(func() { k.open[3], k.item[3] = false, false })
				x.pass(2 * time.Second)
				require.Equal(t, []string{holding(3, "opened", true), holding(3, "emptied", false)}, x.take())
			})
		})
	}
}

// The states of a KR-CU12 are under no check: a flipped bit is no door that opened.
func TestAFlippedBitOfAKerong12(t *testing.T) {
	k := &cabinet{family: KRCU12}
	inBubble(t, kerongs(KRCU12), k, func(t *testing.T, x *bench) {
		x.take()
		for range 20 {
			once := true
			k.set(func() {
				k.damage = func(b []byte) {
					if once && len(b) > 8 {
						b[8] ^= 1
						once = false
					}
				}
			})
			x.pass(time.Second)
		}
		require.Empty(t, x.take())
		require.NotZero(t, x.driver.Counters()["disagreed"])
	})
}

func TestKerongBoardsShareTheLine(t *testing.T) {
	c := kerongs(KRCU16)
	c.Occupancy, c.Boards = None, []Board{{Board: 0, Cells: 2}, {Board: 1, Cells: 2}, {Board: 2, Cells: 2}}
	k := &cabinet{family: KRCU16} // board 2 reads item: 0 is open
	inBubble(t, c, k, func(t *testing.T, x *bench) {
		require.Equal(t, []string{event(1, "closed"), event(2, "closed"), event(3, "closed"), event(4, "closed"), event(5, "opened"), event(6, "opened")}, x.take())
		k.set(func() { k.gone = map[byte]bool{1: true} })
		x.pass(10 * time.Second)
		require.Equal(t, []string{`{"code":"board_lost","severity":"major","detail":"board 1"}`}, x.take())
		require.Equal(t, "refused no_reply", x.outcome("3"))
		require.Equal(t, "done opened", x.outcome("2"))
	})
}
