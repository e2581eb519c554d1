package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// seed is the county's; another seed is another county.
const seed = 1932

func main() {
	out := flag.String("o", "configs/county", "folder to write county.yaml, map.geojson and roads.json to")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string) error {
	for name, data := range files(drawCounty(seed)) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return fmt.Errorf("draw: %w", err)
		}
	}
	return nil
}

// files renders the county as the files that are committed.
func files(c *county) map[string][]byte {
	return map[string][]byte{
		"county.yaml": c.yaml(),
		"map.geojson": c.geojson(),
		"roads.json":  c.roadsJSON(),
	}
}

// A county is everything that is drawn.
type county struct {
	boundary []point
	rivers   []river
	land     *land
	towns    []settlement
	villages []settlement
	outlets  []settlement // the villages that have one, in the order of outletTable
	depot    settlement   // the warehouse
	roads    graph
}

// A settlement is a named place on the road network.
type settlement struct {
	zh, en string
	at     point
	town   int // index of its township
	seat   bool
}

func drawCounty(seed uint64) *county {
	c := &county{rivers: drawRivers(seed), boundary: drawBoundary()}
	c.land = newLand(seed, c.rivers)
	c.settle(seed)
	c.roads = c.buildRoads()
	return c
}
