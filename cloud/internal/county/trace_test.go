package county

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestATraceIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mark := rapid.Custom(func(t *rapid.T) Mark {
			return Mark{1795248000000 + 500*rapid.Int64Range(0, 40).Draw(t, "at"), rapid.SampledFrom([]string{"", "wh", "+wh"}).Draw(t, "word")}
		})
		marks := rapid.SliceOfN(mark, 1, 40).Draw(t, "marks")
		var want, got Trace
		for _, m := range marks {
			want, _ = want.Add(m)
		}
		for _, m := range append(rapid.Permutation(marks).Draw(t, "order"), marks[0]) {
			got, _ = got.Add(m)
		}
		require.Equal(t, want, got)
		_, changed := got.Add(marks[0])
		require.False(t, changed)
		back, err := ParseTrace(got.String())
		require.NoError(t, err)
		require.Equal(t, got, back)
	})
}

func TestTraceAsText(t *testing.T) {
	var tr Trace
	for i := range int64(12) {
		tr, _ = tr.Add(Mark{1795248000000 + 5000*i, "wh"})
	}
	tr, _ = tr.Add(Mark{1795248059000, ""})
	require.Equal(t, "1795248000000=wh,5000*11,4000=", tr.String())
	require.Empty(t, Trace(nil).String())
	for _, bad := range []string{"x", "1,0", "1,-4", "1,5*0", "1,5*999999999", "1,", "1,5*x"} {
		_, err := ParseTrace(bad)
		require.Error(t, err, bad)
	}
}

func FuzzParseTrace(f *testing.F) {
	f.Add("1795248000000=wh,5000*11,4000=")
	f.Fuzz(func(t *testing.T, text string) {
		tr, err := ParseTrace(text)
		if err != nil {
			return
		}
		back, err := ParseTrace(tr.String())
		require.NoError(t, err)
		require.Equal(t, tr, back)
	})
}
