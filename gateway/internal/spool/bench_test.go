package spool_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
)

// BenchmarkCommit shows records a second made durable, by records a commit, and their ratio to a bare loop of
// append and fdatasync of the same payloads: the median of pairs taken in turn, for disks are noisy.
func BenchmarkCommit(b *testing.B) {
	const slice = 100 * time.Millisecond
	payload := bytes.Repeat([]byte("r"), 200)
	for _, group := range []int{1, 10, 100} {
		b.Run(fmt.Sprint(group), func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "log"))
			require.NoError(b, err)
			defer f.Close()
			buf := bytes.Repeat(payload, group)
			bare := func() {
				_, err := f.Write(buf)
				require.NoError(b, err)
				require.NoError(b, unix.Fdatasync(int(f.Fd())))
			}
			s, err := spool.Open(spool.OS(), b.TempDir(), spool.Options{Clock: wall{time.Now()}})
			require.NoError(b, err)
			s.Step()
			told := 0
			done := func(err error) {
				require.NoError(b, err)
				told++
			}
			ours := func() {
				for range group {
					require.NoError(b, s.Append([]frame.Entry{{Lane: telemetry.Custody, Type: frame.TypeReading, Payload: payload}}, done))
				}
				s.Step()
				s.Commit(s.Epoch(), telemetry.Custody, []frame.Range{{From: 1, To: uint64(told)}})
			}
			var ratios, rates []float64
			for b.Loop() {
				x, y := perSecond(slice, bare), perSecond(slice, ours)
				ratios, rates = append(ratios, y/x), append(rates, y*float64(group))
			}
			slices.Sort(ratios)
			slices.Sort(rates)
			b.ReportMetric(rates[len(rates)/2], "records/s")
			b.ReportMetric(ratios[len(ratios)/2], "of-bare")
			require.NoError(b, s.Close())
		})
	}
}

func perSecond(d time.Duration, f func()) float64 {
	start, n := time.Now(), 0
	for time.Since(start) < d {
		f()
		n++
	}
	return float64(n) / time.Since(start).Seconds()
}

// BenchmarkOpen opens a spool of a million records: time and memory must not grow with them.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, err := spool.Open(spool.OS(), dir, spool.Options{Clock: wall{time.Now()}})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	over := make(chan error)
	go func() { over <- s.Run(ctx) }()
	payload := bytes.Repeat([]byte("r"), 130)
	done := make(chan error, 1)
	for range 1000 {
		es := make([]frame.Entry, 1000)
		for i := range es {
			es[i] = frame.Entry{Lane: telemetry.Custody, Type: frame.TypeReading, Payload: payload}
		}
		require.NoError(b, s.Append(es, func(err error) { done <- err }))
		require.NoError(b, <-done)
	}
	cancel()
	<-over
	require.NoError(b, s.Close())
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		s, err := spool.Open(spool.OS(), dir, spool.Options{Clock: wall{time.Now()}})
		require.NoError(b, err)
		runtime.GC()
		runtime.ReadMemStats(&after)
		require.NoError(b, s.Close())
	}
	b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/1024, "KiB")
}

// BenchmarkRead reads a backlog of 100,000 records in batches of 500.
func BenchmarkRead(b *testing.B) {
	s, err := spool.Open(spool.OS(), b.TempDir(), spool.Options{Clock: wall{time.Now()}})
	require.NoError(b, err)
	payload := bytes.Repeat([]byte("r"), 130)
	for range 100 {
		es := make([]frame.Entry, 1000)
		for i := range es {
			es[i] = frame.Entry{Lane: telemetry.Track, Type: frame.TypeReading, Payload: payload}
		}
		require.NoError(b, s.Append(es, func(error) {}))
		s.Flush()
		s.Step()
	}
	n := 0
	for b.Loop() {
		for from := uint64(1); ; {
			rs, _, err := s.Read(s.Epoch(), telemetry.Track, from, 500, 1<<20)
			require.NoError(b, err)
			if len(rs) == 0 {
				break
			}
			n += len(rs)
			from = rs[len(rs)-1].Seq + 1
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
	require.NoError(b, s.Close())
}
