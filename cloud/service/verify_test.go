package service_test

import (
	"bytes"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/service"
	"yizhan/devices/telemetry"
)

// What a board signed is verified from the archive while the cloud runs, and a changed byte of it is found.
func TestArchiveOfABoardIsVerified(t *testing.T) {
	w := newTown(t)
	b := w.board("van-01")
	for _, lat := range []float64{30.5, 30.6, 30.7} {
		b.send(at("gps", lat, 103.2, 12, 90))
		b.committed(telemetry.Track)
	}
	b.hello()
	code, l := w.ask("GET", "/api/v1/gateways/van-01/ledger", nil)
	require.Equal(t, 200, code)
	require.EqualValues(t, 4, l["committed"].(float64)+l["newer"].(float64), "the opening and three fixes")
	require.EqualValues(t, 0, l["unexplained"])

	var out bytes.Buffer
	require.NoError(t, service.Verify(t.Context(), w.cfg, "van-01", &out))
	require.Contains(t, out.String(), "gateway van-01: 3 frames with 4 records in 1 lanes, keys 1\n")
	require.Contains(t, out.String(), "sound\n")

	db, err := sql.Open("sqlite", "file:"+w.dir+"/state.db?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	_, err = db.Exec("update frames set body = cast(substr(body, 1, 60) || x'00ff' || substr(body, 63) as blob) where first = 3")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	out.Reset()
	require.ErrorIs(t, service.Verify(t.Context(), w.cfg, "van-01", &out), service.ErrBroken)
	require.Regexp(t, `break: epoch [0-9a-f]{16} lane track seq 3: `, out.String())
	require.NotContains(t, out.String(), "sound")
}
