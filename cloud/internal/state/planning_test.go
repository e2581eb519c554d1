package state

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

// A table that has just grown, before anything analysed it, is read by its keys all the same, however many are asked for.
func TestPostgresReadsByKeys(t *testing.T) {
	w := newWorld(t, postgres.Database(t))
	var rs []telemetry.Reading
	for i := range 2000 {
		rs = append(rs, scan(float64(i)/100, fmt.Sprintf("YZ-%06d", i)))
	}
	w.tell("lk-a-1", rs...)
	var keys []string
	for i := range 600 {
		keys = append(keys, fmt.Sprintf("scan/YZ-%06d", i))
	}
	for range 8 { // the first five times a statement would be planned for its arguments
		var plan []string
		err := w.each(t.Context(), func(scan func(...any) error) error {
			var line string
			err := scan(&line)
			plan = append(plan, line)
			return err
		}, "explain select id from evidence where subject = any($1)"+inOrder, keys)
		require.NoError(t, err)
		require.Contains(t, strings.Join(plan, "\n"), "evidence_subject")
		require.NotContains(t, strings.Join(plan, "\n"), "Seq Scan")
	}
	for k, want := range planning {
		require.NoError(t, w.each(t.Context(), func(scan func(...any) error) error {
			var got string
			err := scan(&got)
			require.Equal(t, want, got, k)
			return err
		}, "show "+k))
	}
	said, err := openPostgres(t.Context(), w.url+"&jit=on")
	require.NoError(t, err)
	defer said.close() //nolint:errcheck // it never fails
	require.Equal(t, "on", said.pool.Config().ConnConfig.RuntimeParams["jit"], "what the URL says goes")
}
