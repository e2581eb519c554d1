package spool_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/spool/spooltest"
)

// A board that loses its power again and again on a card that others fill to the last byte, whatever an opening gives free, goes on
// taking scans for as long as there is climate that can go for them, and all that goes is told.
func TestPowerCutsOnACardThatOthersFill(t *testing.T) {
	fs, c := spooltest.New(), &clock{}
	opt := spool.Options{Clock: c, SegmentBytes: 16 << 10, MaxBytes: 1 << 20}
	s := open(t, fs, opt)
	for range 12 { // it takes its room
		s.Step()
	}
	for i := range 2000 {
		put(t, s, telemetry.Condition, string(climate("box", "a", i, wave(i)).Payload))
	}
	first, produced := s.Epoch(), uint64(0)
	for _, st := range s.Lanes() {
		if st.Lane == telemetry.Condition {
			produced = st.Next
		}
	}
	fs.SetLimit(fs.Used())
	pad := strings.Repeat("p", 300)
	var want []string
	for boot := range uint64(8) {
		fs.Kill()
		fs = fs.Cut(spooltest.Keep{})
		fs.SetLimit(fs.Used())
		opt.Rand = seeded(100 + boot)
		c.pass(10 * time.Minute)
		s = open(t, fs, opt)
		fs.SetLimit(fs.Used())
		for i := range 60 {
			want = append(want, fmt.Sprintf("%d-%03d%s", boot, i, pad))
			put(t, s, telemetry.Custody, want[len(want)-1])
			fs.SetLimit(fs.Used())
		}
	}
	var got []string
	known := map[frame.Epoch]map[uint64]bool{}
	note := func(e frame.Epoch, from, to uint64) {
		if known[e] == nil {
			known[e] = map[uint64]bool{}
		}
		for q := from; q <= to; q++ {
			known[e][q] = true
		}
	}
	next := map[frame.Epoch]uint64{}
	for _, st := range s.Lanes() {
		for from := st.First; from < st.Next && (st.Lane == telemetry.Custody || st.Lane == telemetry.Condition); {
			rs, _, err := s.Read(st.Epoch, st.Lane, from, 1000, 1<<20)
			require.NoError(t, err)
			if len(rs) == 0 {
				break
			}
			if from = rs[len(rs)-1].Seq + 1; st.Lane == telemetry.Custody {
				got = append(got, readings(rs)...)
				continue
			}
			next[st.Epoch] = st.Next
			for i := range rs {
				note(st.Epoch, rs[i].Seq, rs[i].Seq)
			}
			for _, ts := range tombstones(t, rs) {
				for _, r := range ts.Ranges {
					note(ts.Epoch, r.From, r.To)
				}
			}
		}
	}
	require.Len(t, known[first], int(produced)-1, "each is there or told of")
	for e, n := range next {
		require.Len(t, known[e], int(n)-1)
	}
	require.Equal(t, want, got)
	require.NoError(t, s.Close())
}
