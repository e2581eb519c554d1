package state

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"yizhan/cloud/internal/county"
)

// aNotice is due at so many seconds into the story.
func aNotice(id string, due float64) county.Notice {
	return county.Notice{
		ID: id, Waybill: "YZ0000001", Event: county.NoticeDeposited, Occasion: id, Kind: "recipient", Status: county.NoticeDue, Seq: 1,
		About: county.NoticeAbout{Site: "out-a", Locker: "lk-a", Cell: 3, Deposit: "d-1"}, Evidence: at(due), Due: at(due), Next: at(due), Owner: "keeper/out-a",
		Created: at(due), Changed: at(due), Version: 1,
	}
}

// plan puts notices with the next facts, of which it makes one.
func (w *world) plan(p county.NoticePlan) int {
	w.t.Helper()
	require.NoError(w.t, w.Update(w.t.Context(), func(tx Tx) error {
		end, err := w.FactsEnd(w.t.Context())
		if err != nil {
			return err
		}
		return tx.Tell(w.t.Context(), NewFact(county.FactStep, "parcel/X", fmt.Sprint("test/", end), nil))
	}))
	n, made, err := w.FollowNotices(w.t.Context(), 100, func(facts []county.Fact, desk county.NoticeDesk) (county.NoticePlan, error) { return p, nil })
	require.NoError(w.t, err)
	require.Positive(w.t, n)
	return made
}

func TestNoticesAreMadeOnceAndClaimedByOne(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		require.Equal(t, 2, w.plan(county.NoticePlan{Put: []county.Notice{aNotice("n-1", 10), aNotice("n-2", 5)}}))
		require.Zero(t, w.plan(county.NoticePlan{Put: []county.Notice{aNotice("n-1", 10)}}), "told again it is the same")
		n, _, err := w.FollowNotices(ctx, 100, nil)
		require.NoError(t, err)
		require.Zero(t, n, "the cursor stands at the end")
		next, ok, err := w.NextNotice(ctx)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, at(5), next)

		got, err := w.ClaimNotices(ctx, at(7), time.Minute, 10)
		require.NoError(t, err)
		require.Len(t, got, 1)
		require.Equal(t, "n-2", got[0].ID)
		require.Equal(t, aNotice("n-2", 5).About, got[0].About)
		again, err := w.ClaimNotices(ctx, at(60), time.Minute, 10)
		require.NoError(t, err)
		require.Len(t, again, 1, "n-2 is taken until 67")
		require.Equal(t, "n-1", again[0].ID)
		late, err := w.ClaimNotices(ctx, at(68), time.Minute, 10)
		require.NoError(t, err)
		require.Len(t, late, 1, "its worker died")

		ok, err = w.SaveNotice(ctx, &got[0], nil)
		require.NoError(t, err)
		require.False(t, ok, "the first worker is too late")
		late[0].Status, late[0].Reason = county.NoticeTold, "x"
		ok, err = w.SaveNotice(ctx, &late[0], nil)
		require.NoError(t, err)
		require.True(t, ok)
		back, found, err := w.Notice(ctx, "n-2")
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, late[0].Version, back.Version)
	})
}

func TestTwoWorkersNeverClaimTheSame(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		other := w.open(t)
		var put []county.Notice
		for i := range 200 {
			put = append(put, aNotice(fmt.Sprintf("n-%03d", i), float64(i)))
		}
		w.plan(county.NoticePlan{Put: put})
		seen := make(chan string, 400)
		g, ctx := errgroup.WithContext(t.Context())
		for _, s := range []*Store{w.Store, other} {
			g.Go(func() error {
				for {
					got, err := s.ClaimNotices(ctx, at(1000), time.Hour, 7)
					if err != nil || len(got) == 0 {
						return err
					}
					for _, n := range got {
						seen <- n.ID
					}
				}
			})
		}
		require.NoError(t, g.Wait())
		close(seen)
		once := map[string]bool{}
		for id := range seen {
			require.False(t, once[id], id)
			once[id] = true
		}
		require.Len(t, once, 200)
	})
}

func TestQuotasAreCountedWithTheIntent(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.plan(county.NoticePlan{Put: []county.Notice{aNotice("n-1", 1), aNotice("n-2", 1), aNotice("n-3", 1)}})
		q := []county.Quota{{Key: "sms/2026-11-21", Max: 2, Until: at(86400)}, {Key: "sms/now", Max: 9, Until: at(60)}}
		for i, want := range []string{"", "", "sms/2026-11-21"} {
			n, _, err := w.Notice(ctx, fmt.Sprintf("n-%d", i+1))
			require.NoError(t, err)
			n.Status = county.NoticeSending
			n.Tries = []county.NoticeTry{{Ref: n.ID + "-1", Channel: "sms", At: at(2)}}
			ok, full, err := w.IntendNotice(ctx, &n, q)
			require.NoError(t, err)
			require.Equal(t, want, full)
			require.Equal(t, want == "", ok)
			back, _, err := w.Notice(ctx, n.ID)
			require.NoError(t, err)
			require.Equal(t, want == "", back.Status == county.NoticeSending, "what can't be counted isn't written")
		}
	})
}

func TestReportsWaitForTheirTry(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.plan(county.NoticePlan{Put: []county.Notice{aNotice("n-1", 1)}})
		early := county.NoticeReport{Ref: "sms/4711", Delivered: true, Detail: "1", At: at(3)}
		require.NoError(t, w.PutNoticeReport(ctx, early))
		require.NoError(t, w.PutNoticeReport(ctx, early), "told twice")
		ids, reports, err := w.ClaimNoticeReports(ctx, w.now.Add(time.Second), time.Minute, 10)
		require.NoError(t, err)
		require.Len(t, ids, 1)
		require.Equal(t, "sms/4711", reports[0].Ref, "nobody knows it yet")

		n, _, err := w.Notice(ctx, "n-1")
		require.NoError(t, err)
		ok, err := w.SaveNotice(ctx, &n, map[string]string{"sms/4711": "n-1-1"})
		require.NoError(t, err)
		require.True(t, ok)
		ids, reports, err = w.ClaimNoticeReports(ctx, w.now.Add(2*time.Minute), time.Minute, 10)
		require.NoError(t, err)
		require.Equal(t, "n-1-1", reports[0].Ref)
		ok, err = w.SaveNotice(ctx, &n, nil, ids...)
		require.NoError(t, err)
		require.True(t, ok)
		ids, _, err = w.ClaimNoticeReports(ctx, w.now.Add(time.Hour), time.Minute, 10)
		require.NoError(t, err)
		require.Empty(t, ids)
	})
}

func TestWhatIsVoidIsNotSent(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		status := func(id string) (county.NoticeStatus, string) {
			n, _, err := w.Notice(t.Context(), id)
			require.NoError(t, err)
			return n.Status, n.Reason
		}
		n := aNotice("n-1", 1)
		sent := aNotice("n-2", 1)
		sent.Status = county.NoticeOpen
		w.plan(county.NoticePlan{Put: []county.Notice{n, sent}})
		void := county.NoticeVoid{Waybill: n.Waybill, Events: []county.NoticeEvent{county.NoticeDeposited}, Before: 5, Reason: county.VoidRetracted}
		w.plan(county.NoticePlan{Void: []county.NoticeVoid{void}})
		s, reason := status("n-1")
		require.Equal(t, county.NoticeDropped, s)
		require.Equal(t, "retracted", reason)
		_, reason = status("n-2")
		require.Equal(t, "withdrawn", reason)

		n.Seq, sent.Seq = 6, 6
		w.plan(county.NoticePlan{Put: []county.Notice{n, sent}, Void: []county.NoticeVoid{void}})
		s, _ = status("n-1")
		require.Equal(t, county.NoticeDue, s, "told again")
		s, _ = status("n-2")
		require.Equal(t, county.NoticeDropped, s, "it may be out")
	})
}

func TestNothingOldIsSentByARestoredDatabase(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		require.NoError(t, w.NameNoticeStore(ctx, "a"))
		require.NoError(t, w.NameNoticeStore(ctx, "b"))
		h, err := w.NoticeHead(ctx)
		require.NoError(t, err)
		require.Equal(t, "a", h.Store)
		old, fresh := aNotice("n-1", 10), aNotice("n-2", 30)
		w.plan(county.NoticePlan{Put: []county.Notice{old, fresh}})
		held, err := w.HoldNotices(ctx, at(20))
		require.NoError(t, err)
		require.Equal(t, 1, held)
		_, err = w.HoldNotices(ctx, at(15))
		require.NoError(t, err)
		got, err := w.ClaimNotices(ctx, at(100), time.Minute, 10)
		require.NoError(t, err)
		require.Len(t, got, 1)
		require.Equal(t, "n-2", got[0].ID)
		w.tellFact(ctx)
		_, _, err = w.FollowNotices(ctx, 100, func(_ []county.Fact, desk county.NoticeDesk) (county.NoticePlan, error) {
			require.Equal(t, at(20), desk.Restored)
			return county.NoticePlan{}, nil
		})
		require.NoError(t, err)

		items, next, err := w.Notices(ctx, county.NoticeQuery{Status: county.NoticeUnknown, Limit: 1})
		require.NoError(t, err)
		require.Empty(t, next)
		require.Len(t, items, 1)
		items, next, err = w.Notices(ctx, county.NoticeQuery{Limit: 1})
		require.NoError(t, err)
		require.Equal(t, "n-2", items[0].ID)
		items, next, err = w.Notices(ctx, county.NoticeQuery{Limit: 1, After: next})
		require.NoError(t, err)
		require.Empty(t, next)
		require.Equal(t, "n-1", items[0].ID)
	})
}

func (w *world) tellFact(ctx context.Context) {
	require.NoError(w.t, w.Update(ctx, func(tx Tx) error {
		return tx.Tell(ctx, NewFact(county.FactStep, "parcel/Y", "test/last", nil))
	}))
}

func TestPreferencesGoWithThePhone(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		prefs := county.NoticePrefs{Off: []county.NoticeEvent{county.NoticeReminder}, QuietFrom: "20:00", QuietTo: "08:00"}
		require.NoError(t, w.PutNoticePrefs(ctx, "hash-1", prefs))
		back, err := w.NoticePrefs(ctx, "hash-1")
		require.NoError(t, err)
		require.Equal(t, prefs, back)
		w.waybill("YZ0000001", "")
		w.waybill("YZ0000002", "")
		require.NoError(t, w.Update(ctx, func(tx Tx) error {
			_, err := tx.Exec(ctx, "update parcels set recipient = $1, phone_hash = $2 where waybill = $3", []byte("sealed"), "hash-1", "YZ0000001")
			return err
		}))
		sealed, got, found, err := w.NoticeRecipient(ctx, "YZ0000001")
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, "sealed", string(sealed))
		require.Equal(t, prefs, got)
		_, got, found, err = w.NoticeRecipient(ctx, "YZ0000002")
		require.NoError(t, err)
		require.True(t, found)
		require.Empty(t, got)
		_, _, found, err = w.NoticeRecipient(ctx, "YZ0000003")
		require.NoError(t, err)
		require.False(t, found)
	})
}
