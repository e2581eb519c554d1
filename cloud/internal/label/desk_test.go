package label

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
)

// A shelf holds parcels in memory.
type shelf struct {
	parcels map[string]county.Parcel
	given   int64
	read    map[string]time.Time
	away    error
}

func (s *shelf) ParcelsNamed(_ context.Context, waybills []string) (out []county.Parcel, err error) {
	for _, w := range waybills {
		if p, ok := s.parcels[w]; ok {
			out = append(out, p)
		}
	}
	return out, s.away
}

func (s *shelf) Recipient(_ context.Context, waybill string) ([]byte, bool, error) {
	return []byte("sealed"), true, nil
}

func (s *shelf) GiveTag(_ context.Context, waybill, _ string, next func(int64) (string, error)) (county.Parcel, []county.Change, error) {
	s.given++
	p := s.parcels[waybill]
	var err error
	p.EPC, err = next(s.given)
	s.parcels[waybill] = p
	return p, []county.Change{{ID: waybill}}, err
}

func (s *shelf) TagRead(_ context.Context, waybill string, at time.Time) error {
	s.read[waybill] = at
	return nil
}

func desk(masked error) (*Desk, *shelf, *[]county.Change) {
	s := &shelf{read: map[string]time.Time{}, parcels: map[string]county.Parcel{}}
	for i, p := range []county.Parcel{
		{Waybill: county.Waybill{Site: "out-a", Locker: "lk-a", Handling: "frozen", Size: "s"}, Stage: county.Created},
		{Waybill: county.Waybill{Site: "out-a", EPC: "urn:epc:id:sgtin:9521234.012345.7"}, Place: "locker/lk-a", Cell: 3, Stage: county.InLocker},
		{Waybill: county.Waybill{Site: "out-a"}, Stage: county.PickedUp},
	} {
		p.Waybill.Waybill = fmt.Sprintf("YZ260000000%d", i+1)
		s.parcels[p.Waybill.Waybill] = p
	}
	var published []county.Change
	return New(Config{
		Store: s, Now: func() time.Time { return time.Unix(7, 0) }, Publish: func(c []county.Change) { published = append(published, c...) },
		Registry: &county.Registry{
			Name: county.Text{ZH: "云岭县"}, GS1: county.GS1{Prefix: "9521234", Base: "https://id.yunling.example"},
			Sites:   []county.Site{{ID: "out-a", Name: county.Text{ZH: "青石服务站"}, Village: county.Text{ZH: "青石村"}}},
			Lockers: []county.Locker{{ID: "lk-a", Name: county.Text{ZH: "青石村智能柜"}}},
		},
		Masked: func([]byte) (string, string, error) { return "张**", "138****5678", masked },
	}), s, &published
}

func TestADeskPrints(t *testing.T) {
	d, s, published := desk(nil)
	o := county.LabelOptions{Size: "100x150", DPI: 203, Tags: true, Link: true}
	zpl, absent, err := d.Print(t.Context(), []string{"YZ2600000002", "YZ2600000009", "YZ2600000001", "YZ2600000003"}, o)
	require.NoError(t, err)
	require.Equal(t, []string{"YZ2600000009"}, absent)
	pages := play(t, string(zpl))
	require.Len(t, pages, 3)
	var squares []string
	for _, p := range pages {
		_, square := read(t, p.img)
		squares = append(squares, square)
	}
	require.Equal(t, "https://id.yunling.example/01/09521234123453/21/7", squares[0])
	require.True(t, strings.HasPrefix(squares[1], "https://id.yunling.example/00/"), squares[1])
	require.Equal(t, "YZ2600000003", squares[2], "it is with its recipient: no tag any more")
	require.Equal(t, "urn:epc:id:sscc:9521234.0000000001", s.parcels["YZ2600000001"].EPC)
	require.Len(t, *published, 1)

	again, _, err := d.Print(t.Context(), []string{"YZ2600000002", "YZ2600000001", "YZ2600000003"}, o)
	require.NoError(t, err)
	require.Equal(t, zpl, again)

	o.Tags, o.Link, o.PDF = false, false, true
	doc, _, err := d.Print(t.Context(), []string{"YZ2600000001"}, o)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(doc), "%PDF-1.7"))

	_, _, err = d.Print(t.Context(), []string{"YZ2600000009"}, o)
	require.ErrorIs(t, err, county.ErrNoParcel)
	o.Size = "1x1"
	_, _, err = d.Print(t.Context(), []string{"YZ2600000001"}, o)
	require.ErrorIs(t, err, ErrSize)
	o.Size = "76x130"
	s.away = errors.New("away")
	_, _, err = d.Print(t.Context(), []string{"YZ2600000001"}, o)
	require.ErrorIs(t, err, s.away)
	bad := errors.New("not ours")
	d, _, _ = desk(bad)
	_, _, err = d.Print(t.Context(), []string{"YZ2600000001"}, o)
	require.ErrorIs(t, err, bad)
}

func TestWhatWasPrintedIsReadBack(t *testing.T) {
	d, s, _ := desk(nil)
	zpl, _, err := d.Print(t.Context(), []string{"YZ2600000001"}, county.LabelOptions{Size: "76x130", DPI: 300, Tags: true})
	require.NoError(t, err)
	name, err := d.ReadBack(t.Context(), "YZ2600000001", "EPC:"+play(t, string(zpl))[0].readBack)
	require.NoError(t, err)
	require.Equal(t, "urn:epc:id:sscc:9521234.0000000001", name)
	require.Contains(t, s.read, "YZ2600000001")
	for _, w := range []string{"YZ2600000002", "YZ2600000003"} {
		_, err = d.ReadBack(t.Context(), w, "EPC:3144247C48000000000007D2")
		require.ErrorIs(t, err, county.ErrTagDiffers)
		require.NotContains(t, s.read, w)
	}
	_, err = d.ReadBack(t.Context(), "YZ2600000009", "00")
	require.ErrorIs(t, err, county.ErrNoParcel)
}
