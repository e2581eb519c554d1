package spool_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
	"yizhan/gateway/internal/spool"
	"yizhan/gateway/internal/spool/spooltest"
)

// wall is a clock that runs.
type wall struct{ start time.Time }

func (w wall) Stamp() (frame.Boot, int64, int64, telemetry.Quality) {
	return frame.Boot{2}, int64(time.Since(w.start)), time.Now().UnixMilli(), telemetry.NTP
}

func TestRunLingersAndWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, spooltest.New(), spool.Options{Clock: wall{time.Now()}})
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error)
		go func() { over <- s.Run(ctx) }()
		<-s.Wake() // the openings
		start := time.Now()
		done := make(chan error, 2)
		told := func(err error) { done <- err }
		require.NoError(t, s.Append([]frame.Entry{entry(telemetry.Track, "1")}, told))
		require.NoError(t, <-done)
		require.Equal(t, 250*time.Millisecond, time.Since(start))
		<-s.Wake()
		start = time.Now()
		require.NoError(t, s.Append([]frame.Entry{entry(telemetry.Track, "2")}, told))
		require.NoError(t, s.Append([]frame.Entry{entry(telemetry.Command, "3")}, told))
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		require.Zero(t, time.Since(start))
		require.NoError(t, s.Append([]frame.Entry{entry(telemetry.Track, "4")}, told))
		s.Flush()
		require.NoError(t, <-done)
		require.Zero(t, time.Since(start))
		require.NoError(t, s.Append([]frame.Entry{entry(telemetry.Track, "5")}, told))
		cancel()
		require.NoError(t, <-over)
		require.NoError(t, s.Close()) // commits what is staged
		require.NoError(t, <-done)
	})
}

const childDir = "YIZHAN_SPOOL_CHILD"

// TestMain turns the test binary into a gateway that only spools, when it is told to.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child appends for ever and prints what is acknowledged: "lane payload" a line.
func child(dir string) error {
	s, err := spool.Open(spool.OS(), dir, spool.Options{Clock: wall{time.Now()}, SegmentBytes: 64 << 10, MaxBytes: 64 << 20})
	if err != nil {
		return err
	}
	acks := make(chan string, 1<<16)
	go func() {
		n := 0
		for {
			for range 20 {
				n++
				lane := telemetry.Lanes[n%4]
				name := fmt.Sprintf("%v %d-%d", lane, os.Getpid(), n)
				for s.Append([]frame.Entry{entry(lane, name)}, func(err error) {
					if err == nil {
						acks <- name
					}
				}) != nil {
				}
			}
			s.Flush()
		}
	}()
	go func() {
		for name := range acks {
			fmt.Println(name)
		}
	}()
	return s.Run(context.Background())
}

// A real process, a real disk, kill -9 at random.
func TestKill9(t *testing.T) {
	dir := t.TempDir()
	acked := map[string]bool{}
	for round := range 8 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		cmd.Stderr = os.Stderr
		require.NoError(t, cmd.Start())
		stop := 200 + rand.IntN(3000)
		r := bufio.NewReader(out)
		for n := 0; ; n++ {
			line, err := r.ReadString('\n')
			if err != nil { // a last line may be cut
				require.ErrorIs(t, err, io.EOF)
				break
			}
			acked[strings.TrimSpace(line)] = true
			if n == stop {
				require.NoError(t, cmd.Process.Kill())
			}
		}
		require.Error(t, cmd.Wait())
		require.Greater(t, len(acked), stop, "round %d", round)
	}
	s, err := spool.Open(spool.OS(), dir, spool.Options{Clock: wall{time.Now()}})
	require.NoError(t, err)
	s.Step()
	found, last := map[string]bool{}, map[string]int{}
	for _, lane := range telemetry.Lanes {
		for _, p := range readings(all(t, s, lane, 500)) {
			require.False(t, found[p], "%s twice", p)
			found[p] = true
			head, no, ok := strings.Cut(p, "-")
			require.True(t, ok)
			n, err := strconv.Atoi(no)
			require.NoError(t, err)
			require.Greater(t, n, last[head], "order of %s", head)
			last[head] = n
		}
	}
	for a := range acked {
		require.True(t, found[a], "%s was acknowledged and is lost", a)
	}
	require.Zero(t, s.Counters()["damaged"])
	var dump bytes.Buffer
	require.NoError(t, spool.Dump(&dump, spool.OS(), dir))
	require.Equal(t, len(found), strings.Count(dump.String(), " reading boot "))
	_, err = spool.Open(spool.OS(), dir, spool.Options{Clock: wall{time.Now()}})
	require.ErrorContains(t, err, "another process")
	require.NoError(t, s.Close())
}

func TestDump(t *testing.T) {
	fs := spooltest.New()
	s := open(t, fs, spool.Options{})
	put(t, s, telemetry.Custody, `{"a":1}`)
	put(t, s, telemetry.Custody, `{"a":2}`)
	put(t, s, telemetry.Custody, `{"a":3}`)
	require.NoError(t, s.Close())
	name := "spool/keep-00000000000000000001.seg"
	b := fs.Bytes(name)
	b[bytes.Index(b, []byte(`{"a":2}`))] ^= 1
	var out bytes.Buffer
	require.NoError(t, spool.Dump(&out, fs, name))
	text := out.String()
	require.Contains(t, text, "sealed, epoch "+s.Epoch().String())
	require.Contains(t, text, `custody 2 reading boot 01000000000000000000000000000000 mono 0 wall 0 unknown {"a":1}`)
	require.NotContains(t, text, `{"a":2}`)
	require.Contains(t, text, "63 bytes that are no record")
	require.Contains(t, text, `custody 4 reading`)
	out.Reset()
	fs.Put("spool/thin-00000000000000000009.seg", []byte("short"))
	require.NoError(t, spool.Dump(&out, fs, "spool"))
	require.Contains(t, out.String(), "thin-00000000000000000009.seg: 5 bytes, no header")
	require.Error(t, spool.Dump(&out, fs, "spool/keep-00000000000000000077.seg"))
}

// Whatever a segment file holds, a spool opens on it, reads what it can and takes new records.
func FuzzSegment(f *testing.F) {
	fs := spooltest.New()
	play(f, fs, 1, 1)
	names, err := fs.ReadDir("spool")
	require.NoError(f, err)
	for _, n := range names {
		if strings.HasSuffix(n, ".seg") {
			f.Add(fs.Bytes(filepath.Join("spool", n)), strings.HasPrefix(n, "thin"))
		}
	}
	f.Add([]byte("YZS1"), false)
	f.Fuzz(func(t *testing.T, b []byte, thin bool) {
		if len(b) > 64<<10 {
			return
		}
		fs := spooltest.New()
		name := "spool/keep-00000000000000000003.seg"
		if thin {
			name = "spool/thin-00000000000000000003.seg"
		}
		fs.Put(name, bytes.Clone(b))
		require.NoError(t, spool.Dump(io.Discard, fs, "spool"))
		s, err := spool.Open(fs, "spool", spool.Options{Clock: &clock{}, Rand: seeded(1), SegmentBytes: 4 << 10, MaxBytes: 1 << 20})
		require.NoError(t, err)
		s.Step()
		for _, st := range s.Lanes() {
			rs, _, err := s.Read(st.Epoch, st.Lane, 1, 1<<20, 1<<20)
			require.NoError(t, err)
			for i := range rs {
				require.LessOrEqual(t, len(rs[i].Payload), len(b)+512)
			}
		}
		put(t, s, telemetry.Custody, "new")
		require.NoError(t, s.Close())
	})
}
