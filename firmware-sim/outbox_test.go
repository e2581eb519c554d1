package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// However many waybills somebody announces at once, none of them is overlooked, and what didn't change isn't read again.
func TestNewsIsWhatChanged(t *testing.T) {
	const page = 200
	type row struct {
		Waybill string `json:"waybill"`
		Version int    `json:"version"`
	}
	var rows []row // the newest change first
	asked := 0
	cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		from := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("after"), &from)
		var answer struct {
			Items []row  `json:"items"`
			Next  string `json:"next,omitempty"`
		}
		answer.Items = rows[from:min(from+page, len(rows))]
		if from+page < len(rows) {
			answer.Next = fmt.Sprint(from + page)
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer cloud.Close()
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("secret"), 0o600))
	f := newFront(cloud.URL, token)
	add := func(n int) {
		for range n {
			rows = append([]row{{fmt.Sprintf("W-%06d", len(rows)), 1}}, rows...)
		}
	}
	news := func() (all []string) {
		asked = 0
		known, err := f.News(t.Context())
		require.NoError(t, err)
		for _, k := range known {
			all = append(all, k.Waybill)
		}
		return all
	}
	require.Empty(t, news())
	add(1000)
	require.Len(t, news(), 1000, "a thousand at once")
	require.Equal(t, 5, asked)
	require.Empty(t, news())
	require.Equal(t, 1, asked)
	rows[500].Version++
	changed := rows[500]
	rows = append([]row{changed}, append(rows[:500:500], rows[501:]...)...)
	require.Equal(t, []string{changed.Waybill}, news())
	require.Equal(t, 1, asked)
	add(250)
	require.Len(t, news(), 250)
	require.Equal(t, 2, asked)

	add(1)
	require.NoError(t, os.Remove(token))
	_, err := f.News(t.Context())
	require.Error(t, err)
	require.NoError(t, os.WriteFile(token, []byte("secret"), 0o600))
	require.Len(t, news(), 1, "what couldn't be read is still news")
}
