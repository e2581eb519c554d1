package address

import (
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
)

func table() *Table {
	outlet := func(id, vzh, ven, tzh, ten string) county.Site {
		return county.Site{ID: id, Kind: county.Outlet, Village: county.Text{ZH: vzh, EN: ven}, Township: county.Text{ZH: tzh, EN: ten}}
	}
	return New(&county.Registry{
		Sites: []county.Site{
			{ID: "wh", Kind: county.Warehouse, Village: county.Text{ZH: "云岭镇", EN: "Yunling"}},
			outlet("out-qingshi", "青石村", "Qingshi", "青石镇", "Qingshi"),
			outlet("out-baihe", "白鹤村", "Baihe", "白水镇", "Baishui"),
			outlet("out-baisha", "白沙村", "Baisha", "白水镇", "Baishui"),
			outlet("out-yuntai", "云台村", "Yuntai", "云台乡", "Yuntai"),
		},
		Places: []county.Place{{Site: "out-yuntai", Names: []string{"青石坡", "Upper Qingshi Village"}}, {Site: "wh", Names: []string{"老街"}}},
	})
}

func TestSite(t *testing.T) {
	for _, c := range []struct{ village, address, want string }{
		{"", "云岭县青石镇青石村三组12号", "out-qingshi"},
		{"青石村", "", "out-qingshi"},
		{"青石", "", "out-qingshi"},
		{"", "青石坡6号", "out-yuntai"},    // longer than 青石
		{"", "青石镇青石坡6号", "out-yuntai"}, // listed goes before a township's
		{"", "白水镇白鹤村", "out-baihe"},    // the village decides
		{"", "白水镇8号", ""},              // two outlets in the township
		{"", "云岭县云岭镇老街", ""},           // the warehouse is no outlet
		{"", "No 3, Qing-shi, Yunling", "out-qingshi"},
		{"", "qing shi village 3", "out-qingshi"},
		{"", "Upper Qingshi 7", "out-yuntai"},
		{"", "Qingshiling 7", ""}, // no whole word
		{"白鹤村", "云台乡", "out-baihe"},
		{"无名村", "云台乡", "out-yuntai"},
		{"", "", ""},
		{"", "青石村和云台村", ""}, // which?
	} {
		site, ok := table().Site(c.village, c.address)
		if !ok {
			site = ""
		}
		require.Equal(t, c.want, site, c)
		require.Equal(t, c.want != "", ok, c)
	}
}

func FuzzSite(f *testing.F) {
	t := table()
	f.Add("青石村", "云岭县青石镇青石村三组12号")
	f.Add("", "\xff\xfe qing-shi")
	f.Fuzz(func(_ *testing.T, village, address string) { t.Site(village, address) })
}
