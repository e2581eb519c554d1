package lockerbus

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

// Frames of the vendors' manuals and of captures.
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		name string
		hex  string
		q    request
	}{
		{"open 1/1", "8A0101119B", askXOR(opOpen, 1, 1)},
		{"open 1/12", "8A010C1196", askXOR(opOpen, 1, 12)},
		{"read 1/1", "80010133B3", askXOR(opReadOne, 1, 1)},
		{"read all of 1", "80010033B2", askXOR(opReadAll, 1, 0)},
		{"read all of 1, old", "8001009918", xor{}.ask(opReadAll, Board{Board: 1, Doors: 24, readOld: true}, 0)},
	} {
		require.Equal(t, unhex(t, c.hex), c.q.frame, c.name)
	}
	open1, read1 := askXOR(opOpen, 1, 1), askXOR(opReadOne, 1, 1)
	for _, c := range []struct {
		name  string
		hex   string
		q     *request
		want  verdict
		state byte
	}{
		{"pulse answered open", "8A0101008A", &open1, reply, broken},
		{"pulse failed: the request's own bytes", "8A0101119B", &open1, reply, short},
		{"read answered open", "8001010080", &read1, reply, broken},
		{"read answered locked", "8001011191", &read1, reply, short},
		{"read's own echo is no answer", "80010133B3", &read1, foreign, 0},
		{"change to 00", "8101010081", nil, change, broken},
		{"change to 11", "8101011190", nil, change, short},
		{"change while asked", "8101011190", &read1, change, short},
		{"answer nobody waits for", "8001010080", nil, late, broken},
		{"answer to another lock", "8001020083", &read1, late, broken},
		{"answer of another board", "8002010083", &read1, late, broken},
		{"open all is nothing we answer to", "8A0100119A", nil, foreign, 0},
		{"state that is none", "8101010180", nil, foreign, 0},
		{"board 33", "8121010001", nil, foreign, 0},
		{"lock 51", "8101330000", nil, foreign, 0},
		{"bad check", "8101011191", nil, badChecksum, 0},
		{"bad check of an answer", "8001010081", &read1, badChecksum, 0},
		{"another family", "0200300335", nil, foreign, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(t, c.hex)
			size, v, told := xor{}.find(b, c.q)
			require.Equal(t, c.want, v)
			if v == reply || v == change {
				require.Equal(t, 5, size)
				require.Equal(t, c.state == short, told.doors.at(1))
				require.Equal(t, 1, told.lock)
				for n := range 5 {
					_, v, _ := xor{}.find(b[:n], c.q)
					require.Equal(t, more, v, "%d bytes", n)
				}
			}
		})
	}
}

// askXOR makes requests to boards of 24 doors.
func askXOR(o op, board, lock int) request {
	return xor{}.ask(o, Board{Board: board, Doors: 24}, lock)
}

func frame(t testing.TB, s string) []byte {
	b := unhex(t, s)
	return append(b, bcc(b))
}

func TestReadAllAnswers(t *testing.T) {
	for _, c := range []struct {
		name  string
		doors int
		hex   string // without the check
		ones  []int
	}{
		{"24 doors, the first byte is 17 to 24", 24, "80 01 80 02 01 33", []int{1, 10, 24}},
		{"32 doors", 32, "80 01 80 00 00 01 33", []int{1, 32}},
		{"50 doors", 50, "80 01 02 00 00 00 00 00 01 33", []int{1, 50}},
		{"8 doors", 8, "80 01 81 33", []int{1, 8}},
		{"12 doors", 12, "80 01 08 01 33", []int{1, 12}},
		{"old boards may end in 99", 24, "80 01 00 00 01 99", []int{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := xor{}.ask(opReadAll, Board{Board: 1, Doors: c.doors}, 0)
			b := frame(t, c.hex)
			for n := range b {
				_, v, _ := xor{}.find(b[:n], &q)
				require.Equal(t, more, v, "%d bytes", n)
			}
			size, v, told := xor{}.find(b, &q)
			require.Equal(t, reply, v)
			require.Equal(t, len(b), size)
			var ones []int
			for lock := 1; lock <= c.doors; lock++ {
				if told.doors.at(lock) {
					ones = append(ones, lock)
				}
			}
			require.Equal(t, c.ones, ones)
		})
	}
	q := askXOR(opReadAll, 2, 0)
	_, v, _ := xor{}.find(frame(t, "80 01 80 02 01 33"), &q)
	require.Equal(t, foreign, v, "another board's doors")
}

func TestFeedback(t *testing.T) {
	closed, broken := told{lock: 1, doors: 1}, told{lock: 1}
	locked, open := Board{Feedback: LockedShort}, Board{Feedback: OpenShort}
	require.False(t, locked.open(closed, 1))
	require.True(t, locked.open(broken, 1))
	require.True(t, open.open(closed, 1))
	require.False(t, open.open(broken, 1))
	// an answer for all has a meaning of its own
	all := Board{Feedback: LockedShort, BitmapOneMeans: Open}
	require.True(t, all.open(told{doors: 1}, 1))
	require.False(t, all.open(told{doors: 1}, 2))
}
