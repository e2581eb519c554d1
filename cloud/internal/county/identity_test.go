package county

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

// A reading that is told again is the same one, wherever it stands: by its device's own number, else by its own time and what it
// says; one that has neither is what its record is.
func TestIdentity(t *testing.T) {
	at := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	one := telemetry.Reading{Device: "dock", Kind: telemetry.KindScan, At: at, N: "7", Body: json.RawMessage(`{"text":"a"}`)}
	id := func(gateway string, change func(r *telemetry.Reading), seq uint64) Identity {
		r := one
		change(&r)
		return IdentityOf(gateway, &r, 1, telemetry.Custody, seq)
	}
	as := func(r *telemetry.Reading) {}
	first := id("g", as, 1)
	require.Equal(t, first, id("g", as, 900))
	require.Equal(t, first, id("g", func(r *telemetry.Reading) { r.At = time.Time{} }, 2), "the number is enough")
	require.NotEqual(t, first, id("g", func(r *telemetry.Reading) { r.N = "8" }, 1))
	require.NotEqual(t, first, id("g", func(r *telemetry.Reading) { r.Device = "door" }, 1))
	require.NotEqual(t, first, id("h", as, 1))

	dated := func(r *telemetry.Reading) { r.N = "" }
	require.Equal(t, id("g", dated, 1), id("g", dated, 2))
	require.NotEqual(t, id("g", dated, 1), id("g", func(r *telemetry.Reading) { r.N, r.Body = "", json.RawMessage(`{"text":"b"}`) }, 1))
	require.NotEqual(t, id("g", dated, 1), id("g", func(r *telemetry.Reading) { r.N, r.At = "", at.Add(time.Millisecond) }, 1))

	bare := func(r *telemetry.Reading) { r.N, r.At = "", time.Time{} }
	require.Equal(t, id("g", bare, 1), id("g", bare, 1))
	require.NotEqual(t, id("g", bare, 1), id("g", bare, 2))
}
