package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// drawn is the county, drawn once for all tests.
var drawn = sync.OnceValue(func() *county { return drawCounty(seed) })

func TestCommittedFilesAreWhatIsDrawn(t *testing.T) {
	total := 0
	for name, want := range files(drawn()) {
		got, err := os.ReadFile(filepath.Join("..", name))
		require.NoError(t, err)
		require.True(t, string(want) == string(got), "%s differs: run go run ./configs/county/draw", name)
		total += len(got)
	}
	require.Less(t, total, 400<<10)
}

func TestCountyIsWhole(t *testing.T) {
	c := drawn()
	require.Len(t, c.towns, 14)
	require.Len(t, c.villages, villageCount)
	require.Len(t, c.outlets, 8)
	seats, names := 0, make(map[string]bool)
	for _, s := range append(append([]settlement{c.depot}, c.towns...), c.villages...) {
		require.Greater(t, c.land.inside[cellIndex(s.at)], 0.5, "%s lies inside", s.zh)
		require.False(t, names[s.zh], "%s is the name of two places", s.zh)
		names[s.zh] = true
		if s.seat {
			seats++
		}
	}
	require.Equal(t, 1, seats)
}

func TestRoadsJoinEverySettlement(t *testing.T) {
	c := drawn()
	reached := map[point]bool{}
	adj := make([][]int, len(c.roads.nodes))
	for _, e := range c.roads.edges {
		require.Equal(t, c.roads.nodes[e.from], e.line[0])
		require.Equal(t, c.roads.nodes[e.to], e.line[len(e.line)-1])
		adj[e.from] = append(adj[e.from], e.to)
		adj[e.to] = append(adj[e.to], e.from)
	}
	seen, stack := make([]bool, len(adj)), []int{0}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[n] {
			continue
		}
		seen[n], reached[c.roads.nodes[n]] = true, true
		stack = append(stack, adj[n]...)
	}
	require.Len(t, reached, len(c.roads.nodes), "one network")
	for _, s := range append(append([]settlement{c.depot}, c.towns...), c.villages...) {
		require.True(t, reached[s.at], "%s is on the road", s.zh)
	}
}

func TestRegistryIsConsistent(t *testing.T) {
	var r struct {
		Sites, Vehicles, Lockers, Boundaries, Gateways []struct {
			ID, Site, Vehicle string
			Cells             []string
		}
		ColdBoxes []struct{ ID string } `yaml:"cold_boxes"`
		Bindings  []struct{ Device, Thing string }
	}
	require.NoError(t, yaml.Unmarshal(drawn().yaml(), &r))
	require.Len(t, r.Vehicles, 6)
	require.Len(t, r.Lockers, 8)
	require.Len(t, r.Gateways, 16)
	require.Len(t, r.ColdBoxes, 8)
	id, sites := regexp.MustCompile(`^[a-z0-9-]{1,32}$`), map[string]bool{}
	for _, s := range r.Sites {
		sites[s.ID] = true
	}
	for _, l := range r.Lockers {
		require.True(t, sites[l.Site])
		require.True(t, len(l.Cells) >= 12 && len(l.Cells) <= 24)
	}
	gateways := map[string]bool{}
	for _, g := range r.Gateways {
		require.Regexp(t, id, g.ID)
		gateways[g.ID] = true
	}
	for _, b := range r.Bindings {
		require.True(t, gateways[filepath.Dir(b.Device)], b.Device)
	}
}

func TestMapIsGeoJSON(t *testing.T) {
	var m struct {
		Type     string
		Features []struct {
			Properties map[string]any
			Geometry   struct {
				Type        string
				Coordinates json.RawMessage
			}
		}
	}
	require.NoError(t, json.Unmarshal(drawn().geojson(), &m))
	count := map[string]int{}
	for _, f := range m.Features {
		count[f.Properties["kind"].(string)]++
		if f.Geometry.Type == "MultiPolygon" {
			var polygons [][][][2]float64
			require.NoError(t, json.Unmarshal(f.Geometry.Coordinates, &polygons))
			for _, rings := range polygons {
				for _, r := range rings {
					require.Equal(t, r[0], r[len(r)-1], "rings are closed")
				}
			}
		}
	}
	require.Equal(t, 14, count["township"])
	require.Equal(t, villageCount, count["village"])
	require.Equal(t, len(levels), count["terrain"])
	require.Equal(t, 1, count["boundary"])
	require.Positive(t, count["river"])
	require.Positive(t, count["road"])
}
