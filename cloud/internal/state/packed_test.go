package state

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
)

// What goes into a bag and out of it is told once; evidence that comes late takes back what wasn't so.
func TestPackingIsTold(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		require.NoError(t, w.PutContainer(ctx, county.Container{ID: "bag-7", Kind: "bag", EPC: "urn:epc:id:grai:9521234.00001.7"}))
		require.NoError(t, w.PutContainer(ctx, county.Container{ID: "bag-8", Kind: "bag"}))
		_, _, err := w.PutWaybills(ctx, []county.Waybill{{Waybill: "YZ00000001", Site: "out-a"}}, t0)
		require.NoError(t, err)
		end, err := w.FactsEnd(ctx)
		require.NoError(t, err)
		told := func() (out []string) {
			facts, err := w.Facts(ctx, end, 100)
			require.NoError(t, err)
			for _, f := range facts {
				end = f.Seq
				if f.Event == county.FactContents {
					out = append(out, f.Key)
				}
			}
			return out
		}
		_, err = w.Pack(ctx, "bag-7", []string{"YZ00000001"}, t0.Add(time.Minute), "bench")
		require.NoError(t, err)
		facts, err := w.Facts(ctx, end, 100)
		require.NoError(t, err)
		in := "contents/bag-7/YZ00000001/in/1795248060000"
		require.Equal(t, []string{in}, told())
		var doc county.Packed
		require.NoError(t, json.Unmarshal(facts[0].Doc, &doc))
		require.Equal(t, county.Packed{Container: "bag-7", ContainerEPC: "urn:epc:id:grai:9521234.00001.7", Item: "YZ00000001", Parcel: true, In: true, At: t0.Add(time.Minute)}, doc)

		_, err = w.Pack(ctx, "bag-7", []string{"YZ00000001"}, t0.Add(time.Minute), "bench")
		require.NoError(t, err)
		require.Empty(t, told(), "the same again")
		_, err = w.Unpack(ctx, "bag-7", []string{"YZ00000001"}, t0.Add(time.Hour), "bench")
		require.NoError(t, err)
		require.Equal(t, []string{"contents/bag-7/YZ00000001/out/1795251600000"}, told())

		// It turns out that it was put into another bag before it was taken out of this one.
		_, err = w.Pack(ctx, "bag-8", []string{"YZ00000001"}, t0.Add(30*time.Minute), "bench")
		require.NoError(t, err)
		require.ElementsMatch(t, []string{
			"retracted/contents/bag-7/YZ00000001/out/1795251600000", "contents/bag-7/YZ00000001/out/1795249800000", "contents/bag-8/YZ00000001/in/1795249800000",
		}, told())
	})
}
