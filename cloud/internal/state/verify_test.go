package state

import (
	"bytes"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

func (w *world) noteKey() {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	require.NoError(w.t, w.NoteKey(w.t.Context(), "van-01", key))
	require.NoError(w.t, w.NoteKey(w.t.Context(), "van-01", key))
}

func (w *world) audit() Audit {
	w.t.Helper()
	a, err := w.Verify(w.t.Context(), "van-01")
	require.NoError(w.t, err)
	require.Equal(w.t, a.Broken, len(a.Breaks))
	return a
}

func (w *world) spoil(sql string, args ...any) {
	w.t.Helper()
	err := w.update(w.t.Context(), "spoil", func(c conn) error {
		n, err := c.exec(w.t.Context(), sql, args...)
		require.Positive(w.t, n)
		return err
	})
	require.NoError(w.t, err)
}

// archived commits five frames of two records, but of the third, which comes in one that overlaps its neighbours; it returns them.
func (w *world) archived(s *sender) (as []county.Arrival) {
	for range 5 {
		as = append(as, w.arrival(s, fixes(2)...))
	}
	w.commit(as[0], as[1], as[3])
	again := &frame.Frame{Gateway: s.gateway, Epoch: s.epoch, Lane: s.lane, Prev: as[1].Frame.Records[0].Hash(s.epoch, s.lane)}
	again.Records = append(again.Records, as[1].Frame.Records[1])
	again.Records = append(again.Records, as[2].Frame.Records...)
	again.Records = append(again.Records, as[3].Frame.Records[0])
	w.commit(w.seal(again), as[4])
	return as
}

func TestSoundArchiveVerifies(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		_, err := w.Verify(t.Context(), "van-01")
		require.ErrorIs(t, err, ErrNoKey)
		w.noteKey()
		s := w.lane("van-01", telemetry.Track)
		w.archived(s)
		w.arrival(s, fixes(3)...)           // never came: no business of the archive
		w.commit(w.arrival(s, fixes(1)...)) // 14
		_, err = w.Poison(t.Context(), w.arrival(s, fixes(2)...), "test")
		require.NoError(t, err)
		w.commit(w.arrival(s, fixes(1)...)) // 17
		w.tell("van-01", celsius(1, 5))
		require.Equal(t, Audit{Keys: 1, Lanes: 2, Frames: 9, Records: 10 + 2 + 1 + 2 + 1 + 1}, w.audit(), "two records are in two frames")
	})
}

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.noteKey()
		s := w.lane("van-01", telemetry.Track)
		as := w.archived(s)
		require.Empty(t, w.audit().Breaks)
		body := func(first uint64) []byte {
			for _, a := range as {
				if a.Frame.First() == first {
					return a.Raw
				}
			}
			return nil
		}
		put := func(first int, b []byte) { w.spoil("update frames set body = $1 where first = $2", b, first) }

		// tampered: any byte
		bad := bytes.Clone(body(1))
		bad[len(bad)/2] ^= 1
		put(1, bad)
		a := w.audit()
		require.Len(t, a.Breaks, 2)
		require.Equal(t, Break{Epoch: s.epoch, Lane: "track", Seq: 1, Reason: "bad frame signature"}, a.Breaks[0])
		require.Contains(t, a.Breaks[1].Reason, "committed, and no frame of the archive has it: 2 records")
		put(1, body(1))
		require.Empty(t, w.audit().Breaks)

		// reordered: two rows change their frames
		put(1, body(9))
		put(9, body(1))
		a = w.audit()
		require.Contains(t, a.Breaks[0].Reason, "out of its place: the frame is van-01")
		require.Equal(t, []uint64{1, 9, 1, 9}, []uint64{a.Breaks[0].Seq, a.Breaks[1].Seq, a.Breaks[2].Seq, a.Breaks[3].Seq})
		put(1, body(1))
		put(9, body(9))

		// signed by the board, yet another history: the chain tells
		other := *as[4].Frame
		other.Prev = [32]byte{1}
		put(9, w.seal(&other).Raw)
		a = w.audit()
		require.Len(t, a.Breaks, 1)
		require.EqualValues(t, 9, a.Breaks[0].Seq)
		require.Contains(t, a.Breaks[0].Reason, "the chain breaks: record 8")
		other.Prev = [32]byte{}
		put(9, w.seal(&other).Raw)
		a = w.audit()
		require.Empty(t, a.Breaks)
		require.EqualValues(t, 1, a.Unlinked)
		put(9, body(9))

		// missing, in the middle and at the end
		w.spoil("delete from frames where first in (1, 9)")
		a = w.audit()
		require.Equal(t, []uint64{1, 9}, []uint64{a.Breaks[0].Seq, a.Breaks[1].Seq})
		require.Len(t, a.Breaks, 2)

		// by a key that the board never had
		w.spoil("update gateway_keys set key = $1", "00")
		require.Contains(t, w.audit().Breaks[0].Reason, "bad frame signature")
	})
}

func TestPrunedArchiveVerifiesFromItsCheckpoint(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.noteKey()
		s := w.lane("van-01", telemetry.Track)
		for range 3 { // a day each
			w.commit(w.arrival(s, fixes(2)...), w.arrival(s, fixes(2)...))
			w.now = w.now.Add(24 * time.Hour)
		}
		for _, days := range []int{28, 1} { // the first day goes, then the second
			w.now = w.now.Add(time.Duration(days) * 24 * time.Hour)
			require.NoError(t, w.Prune(t.Context()))
			require.NoError(t, w.Prune(t.Context()))
		}
		a := w.audit()
		require.Empty(t, a.Breaks)
		require.EqualValues(t, 8, a.Pruned)
		require.Equal(t, 1, a.Checkpoints)
		require.EqualValues(t, 3, a.Frames, "two and the checkpoint")
		// what follows the checkpoint must continue it
		w.spoil("update frames set body = $1, last = 9 where first = 9", w.seal(&frame.Frame{
			Gateway: s.gateway, Epoch: s.epoch, Lane: s.lane, Prev: [32]byte{9}, Records: []frame.Record{{Seq: 9, Type: frame.TypeReading, Quality: telemetry.Unknown}},
		}).Raw)
		require.Contains(t, w.audit().Breaks[0].Reason, "the chain breaks: record 8")
		w.spoil("delete from checkpoints")
		require.EqualValues(t, 1, w.audit().Breaks[0].Seq, "committed and nowhere")
	})
}
