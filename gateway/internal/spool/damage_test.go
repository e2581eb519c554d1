package spool_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/spool/spooltest"
)

// Any byte of a closed spool rots: every record is read as it was or reported as lost.
func TestEveryFlippedByteIsFound(t *testing.T) {
	fs := spooltest.New()
	h := play(t, fs, 1, 2)
	type id struct {
		epoch frame.Epoch
		lane  telemetry.Lane
		seq   uint64
	}
	collect := func(s *spool.Spool) (m map[id]string, lost map[id]bool) {
		m, lost = map[id]string{}, map[id]bool{}
		for range 2 { // damage found while reading is told behind it
			for _, st := range s.Lanes() {
				for from := uint64(1); ; {
					rs, _, err := s.Read(st.Epoch, st.Lane, from, 100, 1<<20)
					require.NoError(t, err)
					if len(rs) == 0 {
						break
					}
					for i := range rs {
						m[id{st.Epoch, st.Lane, rs[i].Seq}] = string(rs[i].Payload)
					}
					for _, ts := range tombstones(t, rs) {
						for _, r := range ts.Ranges {
							for q := r.From; q <= r.To; q++ {
								lost[id{ts.Epoch, st.Lane, q}] = true
							}
						}
					}
					from = rs[len(rs)-1].Seq + 1
				}
			}
			s.Step()
		}
		return m, lost
	}
	s := reopened(t, fs.Cut(spooltest.Keep{}))
	want, lost := collect(s)
	require.Empty(t, lost)
	live := s.Epoch()
	names, err := fs.ReadDir("spool")
	require.NoError(t, err)
	flips := 0
	for _, name := range names {
		size := len(fs.Bytes("spool/" + name))
		step := 1 + size/200
		if strings.HasPrefix(name, "spare-") { // nothing of which matters
			step = 1 + size/10
		}
		for at := 0; at < size; at += step * stride {
			bad := fs.Cut(spooltest.Keep{})
			bad.Bytes("spool/" + name)[at] ^= 0x40
			s := reopened(t, bad)
			got, lost := collect(s)
			for k, v := range want {
				if k.epoch == live || h.committed[v] {
					continue
				}
				if g, ok := got[k]; ok {
					require.Equal(t, v, g, "%s byte %d", name, at)
				} else {
					require.True(t, lost[k], "%s byte %d: %v lost and not told", name, at, k)
				}
			}
			flips++
		}
	}
	require.Greater(t, flips, 400/stride)
}

func TestDamagedSegmentIsSetAside(t *testing.T) {
	fs := spooltest.New()
	play(t, fs, 1, 3)
	names, err := fs.ReadDir("spool")
	require.NoError(t, err)
	var victim string
	for _, n := range names {
		if strings.HasPrefix(n, "keep-") {
			victim = n
			break
		}
	}
	b := fs.Bytes("spool/" + victim)
	for i := range b {
		b[i] = 0xff
	}
	s := reopened(t, fs)
	require.EqualValues(t, 1, s.Counters()["set_aside"])
	require.NotNil(t, fs.Bytes("spool/"+victim+".damaged"))
	var told uint64
	for _, lane := range []telemetry.Lane{telemetry.Command, telemetry.Custody} {
		for _, ts := range tombstones(t, all(t, s, lane, 100)) {
			require.Equal(t, "segment_damaged", ts.Reason)
			told += ts.Count
		}
	}
	require.Equal(t, s.Counters()["damaged"], told)
	require.NotZero(t, told)
}
