package state

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
)

func TestATagIsGivenOnce(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		_, refused, err := w.PutWaybills(ctx, []county.Waybill{
			{Waybill: "YZ00000001", Site: "out-a"}, {Waybill: "YZ00000002", Site: "out-a"}, {Waybill: "YZ00000003", Site: "out-a", EPC: "urn:epc:id:sscc:9521234.0000000099"},
		}, t0)
		require.NoError(t, err)
		require.Empty(t, refused)
		next := func(n int64) (string, error) { return fmt.Sprintf("urn:epc:id:sscc:9521234.%010d", n), nil }
		for range 2 {
			p, _, err := w.GiveTag(ctx, "YZ00000001", "label", next)
			require.NoError(t, err)
			require.Equal(t, "urn:epc:id:sscc:9521234.0000000001", p.EPC)
		}
		away := errors.New("no numbers")
		_, _, err = w.GiveTag(ctx, "YZ00000002", "label", func(int64) (string, error) { return "", away })
		require.ErrorIs(t, err, away)
		p, changes, err := w.GiveTag(ctx, "YZ00000002", "label", next)
		require.NoError(t, err)
		require.Equal(t, "urn:epc:id:sscc:9521234.0000000002", p.EPC, "what failed took no number")
		require.NotEmpty(t, changes)
		p, changes, err = w.GiveTag(ctx, "YZ00000003", "label", next)
		require.NoError(t, err)
		require.Equal(t, "urn:epc:id:sscc:9521234.0000000099", p.EPC, "it bears one")
		require.Empty(t, changes)
		_, _, err = w.GiveTag(ctx, "YZ00000009", "label", next)
		require.ErrorIs(t, err, ErrNoParcel)

		all, err := w.ParcelsNamed(ctx, []string{"YZ00000002", "YZ00000009", "YZ00000001"})
		require.NoError(t, err)
		require.Len(t, all, 2)
		require.Equal(t, "YZ00000002", all[0].Waybill.Waybill)

		for waybill, at := range map[string]time.Time{"YZ00000001": t0, "YZ00000003": t0.Add(time.Hour)} {
			read, err := w.LabelRead(ctx, waybill)
			require.NoError(t, err)
			require.Zero(t, read)
			require.NoError(t, w.TagRead(ctx, waybill, at))
			read, err = w.LabelRead(ctx, waybill)
			require.NoError(t, err)
			require.Equal(t, at, read)
		}
		require.ErrorIs(t, w.TagRead(ctx, "YZ00000009", t0), ErrNoParcel)
	})
}
