package passage

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

type spool struct {
	refuse error
	kept   []telemetry.Reading
}

func (s *spool) emit(_ context.Context, rs ...telemetry.Reading) error {
	if s.refuse == nil {
		s.kept = append(s.kept, rs...)
	}
	return s.refuse
}

func TestTellerKeepsWhatMustNotBeLost(t *testing.T) {
	now := time.Date(2026, 8, 5, 6, 0, 0, 0, time.UTC)
	teller := NewTeller("gate", "life", New(Config{}, nil), time.Second)
	read := Read{EPC: "E2", Hex: "E2", Antenna: 1, RSSI: telemetry.Some(-50.0), Raw: telemetry.Some(79), Count: 2, First: now, Last: now}
	teller.Reads(now, []Read{read})
	var s spool
	s.refuse = errors.New("full")
	require.ErrorIs(t, teller.Flush(t.Context(), s.emit), s.refuse)
	s.refuse = nil
	require.NoError(t, teller.Flush(t.Context(), s.emit))
	require.Len(t, s.kept, 1, "the passage came again, the raw read is lost")
	require.Equal(t, "life-1", s.kept[0].N)
	teller.Reads(now.Add(2*time.Second), []Read{read})
	require.NoError(t, teller.Flush(t.Context(), s.emit))
	require.Contains(t, string(s.kept[1].Body), `"rssi_raw":79}`)
	require.NoError(t, s.kept[1].Validate())

	// An invalid reading is in quarantine now: it isn't told again.
	teller.Alarm(now, "one", telemetry.Major, "")
	require.ErrorIs(t, teller.Flush(t.Context(), func(context.Context, ...telemetry.Reading) error { return telemetry.ErrInvalid }), telemetry.ErrInvalid)
	require.NoError(t, teller.Flush(t.Context(), s.emit))
	require.Len(t, s.kept, 2)
	c := teller.Counters()
	require.EqualValues(t, 1, c["arrived"])
	require.EqualValues(t, 1, c["raw_emitted"])
}

func TestTellerTellsAnAlarmOnceAMinute(t *testing.T) {
	now := time.Date(2026, 8, 5, 6, 0, 0, 0, time.UTC)
	teller := NewTeller("gate", "life", New(Config{}, nil), 0)
	var s spool
	for i := range 180 {
		teller.Alarm(now.Add(time.Duration(i)*time.Second), "hot", telemetry.Minor, "too hot")
	}
	teller.Alarm(now, "cold", telemetry.Minor, "")
	require.NoError(t, teller.Flush(t.Context(), s.emit))
	require.Len(t, s.kept, 4)
	require.EqualValues(t, 177, teller.Counters()["alarms_held"])
}

// A clock that was never set dates nothing.
func TestTellerOfAGatewayWithoutTime(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	require.False(t, Believable(now))
	teller := NewTeller("gate", "life", New(Config{}, nil), time.Second)
	teller.Reads(now, []Read{{EPC: "E2", Hex: "E2", Count: 2, First: now, Last: now}})
	teller.Tick(now.Add(5 * time.Second))
	var s spool
	require.NoError(t, teller.Flush(t.Context(), s.emit))
	require.Len(t, s.kept, 3)
	for _, r := range s.kept {
		require.True(t, r.At.IsZero())
		require.NotContains(t, string(r.Body), "first_seen")
	}
}

func TestEdgesWithoutAStorm(t *testing.T) {
	now := time.Date(2026, 8, 5, 6, 0, 0, 0, time.UTC)
	held := 0
	e := NewAntennaEdges(func() { held++ })
	_, due := e.Set(now, 1, true)
	require.False(t, due, "an antenna that is there is no news")
	c, due := e.Set(now, 2, false)
	require.True(t, due)
	require.Equal(t, Change{2, false}, c)
	for i := range 11 {
		_, due = e.Set(now.Add(time.Second), 2, i%2 == 0)
		require.False(t, due)
	}
	require.Equal(t, 6, held)
	require.Empty(t, e.Tick(now.Add(59*time.Second)))
	require.Equal(t, []Change{{2, true}}, e.Tick(now.Add(time.Minute)))
	for id := range 2 * maxEdges {
		e.Set(now, id, true)
	}
	require.Len(t, e.known, maxEdges)
}
