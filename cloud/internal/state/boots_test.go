package state

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// undated is a scan of a device without a clock, at a monotonic time of a boot.
func undated(text string, boot frame.Boot, mono time.Duration) frame.Record {
	r := telemetry.New("handheld", time.Time{}, telemetry.Unknown, telemetry.Scan{Text: text})
	r.N = text
	e := entry(r)
	e.Boot, e.MonoNS = boot, int64(mono)
	return e
}

func opens(boot frame.Boot, prev frame.Epoch) frame.Record {
	b, _ := json.Marshal(frame.Opening{Prev: prev}) // numbers and words always marshal
	return frame.Record{Type: frame.TypeOpening, Quality: telemetry.Unknown, Boot: boot, MonoNS: 1, Payload: b}
}

func (w *world) evidenceOf(text string) county.Sighting {
	got, err := readEvidence(w.t.Context(), w.db.reader(), "subject = $1", "scan/"+text)
	require.NoError(w.t, err)
	require.Len(w.t, got, 1, text)
	return got[0]
}

// A gateway ran for a morning with a connection, then twice without any clock, then had a connection again. What it recorded
// without a clock is dated between the last time that it was heard of and the start of the boot that was.
func TestABootWithoutAnyClockIsDatedBetweenItsNeighbours(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		morning, dark, darker, evening := frame.Boot{1}, frame.Boot{2}, frame.Boot{3}, frame.Boot{4}
		lane := func(epoch frame.Epoch) *sender {
			return &sender{gateway: "lk-a-1", epoch: epoch, lane: telemetry.Custody, next: 1}
		}
		hello := func(b frame.Boot, mono time.Duration) {
			_, _, err := w.Hello(t.Context(), "lk-a-1", &frame.Hello{Boot: b, MonoNS: int64(mono)}, w.now)
			require.NoError(t, err)
		}
		w.now = at(3600)
		hello(morning, time.Hour)
		clocked := entry(scan(3000, "YZ-1"))
		clocked.Boot, clocked.MonoNS, clocked.WallMS, clocked.Quality = morning, int64(50*time.Minute), at(3000).UnixMilli(), telemetry.NTP
		w.commit(w.arrival(lane(101), opens(morning, 0), clocked))
		w.now = at(7200)
		hello(morning, 2*time.Hour) // the last that is heard of it

		w.now = at(36000)
		hello(evening, time.Hour) // began at 32400
		w.commit(w.arrival(lane(104), opens(evening, 103)))
		w.commit(w.arrival(lane(102), opens(dark, 101), undated("YZ-2", dark, 10*time.Minute), undated("YZ-3", dark, time.Hour)),
			w.arrival(lane(103), opens(darker, 102), undated("YZ-4", darker, 10*time.Minute)))

		mid := func(from, to float64) time.Time { return at((from + to) / 2) }
		for text, want := range map[string]struct {
			at  time.Time
			err float64
		}{
			"YZ-2": {mid(7200+600, 32400), (32400 - 7800) / 2},
			"YZ-3": {mid(7200+3600, 32400), (32400 - 10800) / 2},
			"YZ-4": {mid(7200+600, 32400), (32400 - 7800) / 2},
		} {
			s := w.evidenceOf(text)
			require.Equal(t, want.at, s.At, text)
			require.Equal(t, telemetry.Retro, s.TQ)
			require.EqualValues(t, want.err*1000, s.ErrMS)
		}
		require.True(t, w.evidenceOf("YZ-2").Before(w.evidenceOf("YZ-3")), "records of a boot keep their order")

		// A record of the first dark boot that knew the time after all dates what else comes of it.
		fix := entry(position("gps", 20000, 30.5, 103.2))
		fix.Boot, fix.MonoNS, fix.WallMS, fix.Quality = dark, int64(2*time.Hour), at(20000).UnixMilli(), telemetry.GNSS
		w.commit(w.arrival(&sender{gateway: "lk-a-1", epoch: 102, lane: telemetry.Track, next: 1}, opens(dark, 101), fix))
		late := lane(102)
		late.next = 4
		w.commit(w.arrival(late, undated("YZ-5", dark, 3*time.Hour)))
		s := w.evidenceOf("YZ-5")
		require.Equal(t, at(23600), s.At)
		require.Zero(t, s.ErrMS)
	})
}

// A gateway that was never heard of before has no time before which a boot can't have been.
func TestABootWithoutNeighboursStaysUndated(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.commit(w.arrival(&sender{gateway: "lk-a-1", epoch: 101, lane: telemetry.Custody, next: 1}, opens(frame.Boot{2}, 0), undated("YZ-2", frame.Boot{2}, time.Hour), undated("YZ-3", frame.Boot{7}, time.Hour)))
		require.Equal(t, telemetry.Unknown, w.evidenceOf("YZ-3").TQ)
	})
}

// What is known of a boot is the same in whatever order it came.
func TestBootsMerge(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		k := bootKey{"van-01", frame.Boot{5}}
		put := func(b boot) {
			require.NoError(t, w.update(t.Context(), "test", func(c conn) error { return putBoots(t.Context(), c, map[bootKey]boot{k: b}) }))
		}
		for _, b := range []boot{{500, 900}, {400, 800}, {450, 1000}, {600, 700}} {
			put(b)
		}
		got, err := readBoots(t.Context(), w.db.reader(), []string{"van-01"}, nil)
		require.NoError(t, err)
		require.Equal(t, map[bootKey]boot{k: {400, 1000}}, got)
	})
}
