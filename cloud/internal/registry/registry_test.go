package registry

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheDemoCountyLoads(t *testing.T) {
	r, err := Load(filepath.Join("..", "..", "..", "configs", "county"))
	require.NoError(t, err)
	require.NotEmpty(t, r.Sites)
	require.NotEmpty(t, r.Vehicles)
	for _, v := range r.Vehicles {
		require.NotEmpty(t, v.Gateway, v.ID)
	}
	for _, l := range r.Lockers {
		require.NotEmpty(t, l.Device, l.ID)
		require.NotZero(t, l.Place.Lat, l.ID)
	}
}

func TestEveryErrorAtOnce(t *testing.T) {
	_, err := Parse("county.yaml", []byte(`
name: {zh: 县, en: County}
timezone: Nowhere/At all
sites:
  - {id: WH, kind: castle, name: {zh: 仓, en: W}, lat: 91, lon: 181, fence_m: 1}
vehicles:
  - {id: v01, plate: A, kind: tank, name: {zh: 车, en: V}}
  - {id: v01, plate: A, kind: freight, name: {zh: 车, en: V}}
lockers:
  - {id: lk-a, name: {zh: 柜, en: L}, site: nowhere, cells: [s, xl]}
cold_boxes:
  - {id: cr-1, name: {zh: 冷, en: C}, min_c: 8, max_c: 2}
boundaries:
  - {id: dock, site: nowhere, kind: sideways}
gateways:
  - {id: van-01, vehicle: v09}
bindings:
  - {device: gps, thing: vehicle/v01}
  - {device: van-02/gps, thing: vehicle/v77}
  - {device: van-01/gps, thing: moon/1}
colour: red
`))
	require.Error(t, err)
	for _, want := range []string{
		"timezone: ", "sites[0].id", "sites[0].kind", "sites[0].lat", "sites[0].lon", "sites[0].fence_m", "vehicles[0].kind", "vehicles[1].id",
		"lockers[0].site", "lockers[0].cells[1]", "cold_boxes[0].max_c", "boundaries[0].site", "boundaries[0].kind", "gateways[0].vehicle",
		"bindings[0].device", "bindings[1].device", "bindings[1].thing", "bindings[2].thing", "colour",
	} {
		require.Contains(t, err.Error(), want)
	}
	for line := range strings.Lines(err.Error()) {
		require.Regexp(t, `^county\.yaml:\d+:\d+: `, line)
	}
}
