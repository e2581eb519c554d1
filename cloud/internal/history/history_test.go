package history

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/history/influxtest"
	"yizhan/cloud/internal/state"
	"yizhan/devices/telemetry"
)

var server *influxtest.Server

func TestMain(m *testing.M) {
	var err error
	if server, err = influxtest.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var t0 = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

// A shelf is an archive in memory.
type shelf struct {
	mu     sync.Mutex
	t      testing.TB
	frames []county.Archived
	cursor int64
	enc    *frame.Encoder
	seq    uint64
}

func newShelf(t testing.TB) *shelf {
	enc, err := frame.NewEncoder(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)))
	require.NoError(t, err)
	return &shelf{t: t, enc: enc, seq: 1}
}

func (s *shelf) put(lane telemetry.Lane, received time.Time, rs ...telemetry.Reading) {
	f := &frame.Frame{Gateway: "van-01", Epoch: 7, Lane: lane}
	for _, r := range rs {
		f.Records = append(f.Records, frame.Record{Seq: s.seq, Type: frame.TypeReading, Quality: telemetry.Unknown, Payload: r.AppendJSON(nil)})
		s.seq++
	}
	raw, err := s.enc.Encode(f)
	require.NoError(s.t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frames = append(s.frames, county.Archived{No: int64(len(s.frames)) + 1, Received: received, Committed: received, Raw: raw})
}

func (s *shelf) Frames(_ context.Context, after int64, most, _ int) ([]county.Archived, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.frames[min(int(after), len(s.frames)):min(int(after)+most, len(s.frames))]), nil
}

func (s *shelf) FrameRange(context.Context, time.Time, time.Time) (int64, int64, bool, error) {
	return 1, int64(len(s.frames)), len(s.frames) > 0, nil
}

func (s *shelf) Thing(device string, _ time.Time) string {
	return map[string]string{"van-01/gps": "vehicle/v01", "van-01/cold": "coldbox/cb-v01"}[device]
}

func (s *shelf) Cursor(context.Context, string) (int64, error) { return s.cursor, nil }

func (s *shelf) SetCursor(_ context.Context, _ string, no int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursor = no
	return nil
}

func (s *shelf) done() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursor == int64(len(s.frames))
}

func start(t *testing.T, h *History, s *shelf) *Projector {
	p, err := NewProjector(h, s, s, nil, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	return p
}

func position(s float64, lat float64) telemetry.Reading {
	return telemetry.New("gps", t0.Add(time.Duration(s*float64(time.Second))), telemetry.GNSS,
		telemetry.Position{Lat: telemetry.Some(lat), Lon: telemetry.Some(103.0), SpeedMPS: telemetry.Some(7.5), Valid: true})
}

func celsius(s, c float64) telemetry.Reading {
	return telemetry.New("cold", t0.Add(time.Duration(s*float64(time.Second))), telemetry.NTP, telemetry.Climate{Probe: `a "b", c=d\`, TemperatureC: telemetry.Some(c)})
}

// both runs a test on the table and on InfluxDB.
func both(t *testing.T, f func(t *testing.T, h *History)) {
	open := func(t *testing.T, url string, table Table) *History {
		h, err := Open(url, table)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, h.Close()) })
		return h
	}
	t.Run("sqlite", func(t *testing.T) {
		s, err := state.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "s.db"), state.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		f(t, open(t, "sqlite:", s))
	})
	t.Run("influx", func(t *testing.T) {
		url := server.URL(strings.ToLower(strings.ReplaceAll(t.Name(), "/", "_")))
		f(t, open(t, url, nil))
	})
}

func TestTrackAndClimateComeBack(t *testing.T) {
	both(t, func(t *testing.T, h *History) {
		s := newShelf(t)
		undated := position(3, 33)
		undated.At, undated.TQ = time.Time{}, telemetry.Unknown
		future := position(7200, 34)
		s.put(telemetry.Track, t0.Add(time.Minute), position(1, 30), position(2, 31), position(2, 32), undated, future)
		s.put(telemetry.Condition, t0.Add(time.Minute), celsius(1, 4), celsius(2, 5))
		p := start(t, h, s)
		require.Eventually(t, s.done, time.Minute, 5*time.Millisecond)
		track, err := h.Track(t.Context(), "v01", t0, t0.Add(3*time.Hour), 1000)
		require.NoError(t, err)
		require.Len(t, track, 3, "two of one millisecond are both there, undated and future ones aren't")
		require.Equal(t, t0.Add(time.Second), track[0].At)
		require.Equal(t, 30.0, track[0].Lat)
		require.Equal(t, 7.5, *track[0].SpeedMPS)
		box, err := h.Climate(t.Context(), "cb-v01", t0, t0.Add(time.Hour), 1000)
		require.NoError(t, err)
		require.Len(t, box, 2)
		require.Equal(t, 5.0, *box[1].TemperatureC)
		require.Equal(t, `a "b", c=d\`, box[1].Probe)
		require.EqualValues(t, 2, p.Counters()["undated"])

		require.NoError(t, p.Rebuild(t.Context(), t0, t0.Add(time.Hour)))
		again, err := h.Track(t.Context(), "v01", t0, t0.Add(3*time.Hour), 1000)
		require.NoError(t, err)
		require.Equal(t, track, again, "written twice is written once")
		for _, id := range []string{"v02", `v01" or true or r.thing == "`, ""} {
			none, err := h.Track(t.Context(), id, t0, t0.Add(time.Hour), 10)
			require.NoError(t, err)
			require.Empty(t, none)
		}
	})
}

func TestManyPointsAreThinnedAndKeepTheirExtremes(t *testing.T) {
	both(t, func(t *testing.T, h *History) {
		s := newShelf(t)
		for i := range 12 {
			var rs []telemetry.Reading
			for j := range 600 {
				n := float64(600*i + j)
				c := 4.0
				if n == 3333 {
					c = 11
				}
				if n == 4444 {
					c = -3
				}
				rs = append(rs, celsius(n, c))
			}
			s.put(telemetry.Condition, t0.Add(3*time.Hour), rs...)
		}
		p := start(t, h, s)
		require.Eventually(t, s.done, time.Minute, 5*time.Millisecond)
		require.Zero(t, p.Lag())
		got, err := h.Climate(t.Context(), "cb-v01", t0, t0.Add(2*time.Hour), 100)
		require.NoError(t, err)
		require.LessOrEqual(t, len(got), 100)
		var values []float64
		for i, g := range got {
			values = append(values, *g.TemperatureC)
			if i > 0 {
				require.False(t, g.At.Before(got[i-1].At))
			}
		}
		require.Contains(t, values, 11.0)
		require.Contains(t, values, -3.0)
	})
}

func TestInfluxAwayHoldsUpNothingAndCatchesUp(t *testing.T) {
	url := server.URL("away")
	h, err := Open(url, nil)
	require.NoError(t, err)
	require.NoError(t, server.Down())
	s := newShelf(t)
	s.put(telemetry.Track, time.Now().Add(-time.Minute), position(1, 30))
	p := start(t, h, s)
	require.Eventually(t, func() bool { return p.Counters()["retries"] > 0 }, time.Minute, time.Millisecond)
	require.GreaterOrEqual(t, p.Lag(), time.Minute)
	require.NoError(t, server.Up())
	require.Eventually(t, s.done, time.Minute, 5*time.Millisecond)
	got, err := h.Track(t.Context(), "v01", t0, t0.Add(time.Hour), 10)
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.NoError(t, h.Close())
}

// picky refuses batches that hold a bad row.
type picky struct {
	tableSink
	kept []row
}

func (s *picky) write(_ context.Context, rows []row) error {
	for _, r := range rows {
		if lat := r.position.Lat.Or(0); lat == 13 {
			return fmt.Errorf("%w: %v", errRefused, lat)
		}
	}
	s.kept = append(s.kept, rows...)
	return nil
}

func TestRefusedPointIsFoundAndTheOthersAreWritten(t *testing.T) {
	sink := &picky{}
	s := newShelf(t)
	for i := range 20 {
		s.put(telemetry.Track, t0.Add(time.Hour), position(float64(i), float64(i)), position(float64(i)+.5, float64(i)+.5))
	}
	p := start(t, &History{sink}, s)
	require.Eventually(t, s.done, time.Minute, time.Millisecond)
	require.Len(t, sink.kept, 39)
	require.EqualValues(t, 1, p.Counters()["refused"])
}

// What InfluxDB refuses because of a field's type is found among a batch it takes.
func TestInfluxRefusalIsToldFromAway(t *testing.T) {
	url := server.URL("conflict")
	s, err := openInflux(strings.TrimPrefix(url, "influx+"))
	require.NoError(t, err)
	defer s.close()
	require.NoError(t, s.create(t.Context()))
	require.NoError(t, s.writer.WriteRecord(t.Context(), `position,device=van-01/gps lat="text" 1`))
	p := telemetry.Position{Lat: telemetry.Some(1.0), Lon: telemetry.Some(2.0), Valid: true}
	err = s.write(t.Context(), []row{{kind: positions, device: "van-01/gps", at: 2, position: &p}})
	require.ErrorIs(t, err, errRefused)
}

func TestLinesStayOneLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		c := telemetry.Climate{Probe: text.Draw(t, "probe"), TemperatureC: telemetry.Some(rapid.Float64().Draw(t, "t")), Quality: telemetry.ClimateQuality(text.Draw(t, "quality"))}
		r := row{kind: climates, device: text.Draw(t, "device"), thing: text.Draw(t, "thing"), at: 1, climate: &c}
		line := r.appendLine(nil)
		if len(line) > 0 {
			require.Equal(t, 1, bytes.Count(line, []byte("\n")))
		}
	})
}
