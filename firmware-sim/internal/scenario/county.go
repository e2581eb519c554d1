package scenario

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"
)

// County is what the story needs of county.yaml.
type County struct {
	Sites     []Site    `yaml:"sites"`
	Vehicles  []Vehicle `yaml:"vehicles"`
	Lockers   []Locker  `yaml:"lockers"`
	ColdBoxes []ColdBox `yaml:"cold_boxes"`
	Places    []Places  `yaml:"places"`
	Gateways  []Gateway `yaml:"gateways"`
	Bindings  []Binding `yaml:"bindings"`
	Roads     *Roads    `yaml:"-"`
}

// Site is the warehouse or an outlet.
type Site struct {
	ID   string  `yaml:"id"`
	Kind string  `yaml:"kind"`
	Lat  float64 `yaml:"lat"`
	Lon  float64 `yaml:"lon"`

	Village struct {
		ZH string `yaml:"zh"`
	} `yaml:"village"`
}

// Places are the villages that an outlet serves besides its own: each name in Chinese, then in English.
type Places struct {
	Site  string   `yaml:"site"`
	Names []string `yaml:"names"`
}

// Vehicle is a van, a bus or a truck that carries parcels.
type Vehicle struct {
	ID    string `yaml:"id"`
	Plate string `yaml:"plate"`
}

// Locker is a parcel locker at an outlet.
type Locker struct {
	ID    string   `yaml:"id"`
	Site  string   `yaml:"site"`
	Cells []string `yaml:"cells"`
}

// ColdBox is a cold room of a site or a cold box of a vehicle.
type ColdBox struct {
	ID      string  `yaml:"id"`
	Site    string  `yaml:"site"`
	Vehicle string  `yaml:"vehicle"`
	MinC    float64 `yaml:"min_c"`
	MaxC    float64 `yaml:"max_c"`
}

// Gateway is a board at a site or in a vehicle.
type Gateway struct {
	ID      string `yaml:"id"`
	Site    string `yaml:"site"`
	Vehicle string `yaml:"vehicle"`
}

// Binding says which thing a device, gateway/device, speaks for.
type Binding struct {
	Device string `yaml:"device"`
	Thing  string `yaml:"thing"`
}

// Load reads a county folder.
func Load(dir string) (*County, error) {
	src, err := os.ReadFile(filepath.Join(dir, "county.yaml"))
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	var c County
	if err := yaml.Unmarshal(src, &c); err != nil {
		return nil, fmt.Errorf("scenario: county.yaml: %w", err)
	}
	if c.Roads, err = loadRoads(filepath.Join(dir, "roads.json")); err != nil {
		return nil, err
	}
	if c.warehouse() == nil {
		return nil, fmt.Errorf("scenario: county.yaml: sites: there is no warehouse")
	}
	return &c, nil
}

// Only keeps the boards named, and the things that stand there; no names keep all.
func (c *County) Only(boards []string) error {
	if len(boards) == 0 {
		return nil
	}
	want := make(map[string]bool, len(boards))
	for _, b := range boards {
		want[b] = true
	}
	var keep []Gateway
	for _, g := range c.Gateways {
		if want[g.ID] {
			keep = append(keep, g)
			delete(want, g.ID)
		}
	}
	for b := range want {
		return fmt.Errorf("scenario: the county has no board %.40q", b)
	}
	c.Gateways = keep
	return nil
}

func (c *County) warehouse() *Site {
	for i := range c.Sites {
		if c.Sites[i].Kind == "warehouse" {
			return &c.Sites[i]
		}
	}
	return nil
}

func (c *County) site(id string) *Site {
	for i := range c.Sites {
		if c.Sites[i].ID == id {
			return &c.Sites[i]
		}
	}
	return nil
}

// Locker is the locker of an id, or nil.
func (c *County) Locker(id string) *Locker {
	for i := range c.Lockers {
		if c.Lockers[i].ID == id {
			return &c.Lockers[i]
		}
	}
	return nil
}

// Vehicle is the vehicle of an id, or nil.
func (c *County) Vehicle(id string) *Vehicle {
	for i := range c.Vehicles {
		if c.Vehicles[i].ID == id {
			return &c.Vehicles[i]
		}
	}
	return nil
}

// ColdBox is the cold box of an id and its place in the list, or nil.
func (c *County) ColdBox(id string) (box *ColdBox, index int) {
	for i := range c.ColdBoxes {
		if c.ColdBoxes[i].ID == id {
			return &c.ColdBoxes[i], i
		}
	}
	return nil, 0
}
