package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
)

func TestSigningIn(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.now = time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC)
		_, refused, err := w.Announce(ctx, []county.Intake{{Waybill: county.Waybill{Waybill: "YZ-000001", Site: "out-a"}, Recipient: []byte{1}, PhoneHash: "h1"}}, w.now)
		require.NoError(t, err)
		require.Empty(t, refused)
		sent := 0
		ask := func(phone, nonce string) {
			require.NoError(t, w.AskSignIn(ctx, phone, nonce, func(b county.Waybill, until time.Time) county.Notice {
				sent++
				require.Equal(t, "YZ-000001", b.Waybill)
				require.True(t, w.now.Add(signInFor).Equal(until))
				return county.Notice{ID: "n-" + nonce, Waybill: b.Waybill, Event: county.NoticeSignIn, Occasion: nonce, Status: county.NoticeDue, Next: w.now, Version: 1}
			}))
		}
		try := func(phone, nonce, session string) bool {
			ok, err := w.TrySignIn(ctx, phone, func(n string) bool { return n == nonce }, session, w.now.Add(time.Hour))
			require.NoError(t, err)
			return ok
		}
		require.False(t, try("h1", "", "s0"), "nothing was asked for")
		ask("h1", "a")
		ask("h1", "b")
		ask("h2", "x")
		require.Equal(t, 1, sent, "one a minute; none for a phone that nobody knows")
		_, found, err := w.Notice(ctx, "n-a")
		require.NoError(t, err)
		require.True(t, found)
		require.False(t, try("h1", "b", "s0"))
		require.True(t, try("h1", "a", "s1"))
		require.False(t, try("h1", "a", "s2"), "good once")
		phone, err := w.Visitor(ctx, "s1")
		require.NoError(t, err)
		require.Equal(t, "h1", phone)
		phone, err = w.Visitor(ctx, "s2")
		require.NoError(t, err)
		require.Empty(t, phone)

		w.now = w.now.Add(signInPause)
		ask("h1", "c")
		for range signInTries {
			require.False(t, try("h1", "wrong", "s3"))
		}
		require.False(t, try("h1", "c", "s3"), "five tries")
		w.now = w.now.Add(signInPause)
		ask("h1", "d")
		w.now = w.now.Add(signInFor)
		require.False(t, try("h1", "d", "s4"), "ten minutes")
		ask("h1", "e")
		w.now = w.now.Add(signInPause)
		ask("h1", "f")
		w.now = w.now.Add(signInPause)
		ask("h1", "g")
		require.Equal(t, signInsDaily, sent, "five a day")
		require.False(t, try("h1", "g", "s5"))
		w.now = w.now.Add(24 * time.Hour)
		ask("h1", "i")
		require.Equal(t, signInsDaily+1, sent)
		require.True(t, try("h1", "i", "s6"))
		phone, err = w.Visitor(ctx, "s1")
		require.NoError(t, err)
		require.Empty(t, phone, "it is over")
		require.NoError(t, w.Leave(ctx, "s6"))
		phone, err = w.Visitor(ctx, "s6")
		require.NoError(t, err)
		require.Empty(t, phone)
	})
}
