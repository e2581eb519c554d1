package registry

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"yizhan/cloud/internal/county"
	"yizhan/configs/strict"
	"yizhan/devices/epc"
	"yizhan/devices/telemetry"
)

// File is the name of the registry within a county folder.
const File = "county.yaml"

type text struct {
	ZH string `yaml:"zh" strict:"required"`
	EN string `yaml:"en" strict:"required"`
}

func (t text) noun() county.Text { return county.Text{ZH: t.ZH, EN: t.EN} }

type site struct {
	ID       string  `yaml:"id" strict:"required"`
	Kind     string  `yaml:"kind" strict:"required"`
	Name     text    `yaml:"name" strict:"required"`
	Village  text    `yaml:"village"`
	Township text    `yaml:"township"`
	Lat      float64 `yaml:"lat" strict:"required"`
	Lon      float64 `yaml:"lon" strict:"required"`
	FenceM   float64 `yaml:"fence_m" strict:"required"`
	SGLN     string  `yaml:"sgln"`
}

type vehicle struct {
	ID    string `yaml:"id" strict:"required"`
	Plate string `yaml:"plate" strict:"required"`
	Kind  string `yaml:"kind" strict:"required"`
	Name  text   `yaml:"name" strict:"required"`
}

type locker struct {
	ID    string   `yaml:"id" strict:"required"`
	Name  text     `yaml:"name" strict:"required"`
	Site  string   `yaml:"site" strict:"required"`
	Cells []string `yaml:"cells" strict:"required"`
}

type coldBox struct {
	ID      string  `yaml:"id" strict:"required"`
	Name    text    `yaml:"name" strict:"required"`
	Site    string  `yaml:"site"`
	Vehicle string  `yaml:"vehicle"`
	MinC    float64 `yaml:"min_c" strict:"required"`
	MaxC    float64 `yaml:"max_c" strict:"required"`
}

type boundary struct {
	ID   string `yaml:"id" strict:"required"`
	Site string `yaml:"site" strict:"required"`
	Kind string `yaml:"kind" strict:"required"`
}

type gateway struct {
	ID      string `yaml:"id" strict:"required"`
	Site    string `yaml:"site"`
	Vehicle string `yaml:"vehicle"`
}

type binding struct {
	Device string `yaml:"device" strict:"required"`
	Thing  string `yaml:"thing" strict:"required"`
}

type gs1 struct {
	Prefix string `yaml:"prefix"`
	Base   string `yaml:"base"`
}

// defaultBase is reserved for examples (RFC 2606): it names things, and nobody answers there.
const defaultBase = "https://id.county.example"

type place struct {
	Site  string   `yaml:"site" strict:"required"`
	Names []string `yaml:"names" strict:"required"`
}

type keeping struct {
	Reminder   time.Duration `yaml:"reminder"`
	LastDay    time.Duration `yaml:"last_day"`
	Expire     time.Duration `yaml:"expire"`
	Extension  time.Duration `yaml:"extension"`
	Extensions int           `yaml:"extensions"`
}

// file is county.yaml.
type file struct {
	Name       text       `yaml:"name" strict:"required"`
	Note       text       `yaml:"note"`
	Timezone   string     `yaml:"timezone"`
	GS1        gs1        `yaml:"gs1"`
	Sites      []site     `yaml:"sites"`
	Vehicles   []vehicle  `yaml:"vehicles"`
	Lockers    []locker   `yaml:"lockers"`
	ColdBoxes  []coldBox  `yaml:"cold_boxes"`
	Boundaries []boundary `yaml:"boundaries"`
	Places     []place    `yaml:"places"`
	Keeping    keeping    `yaml:"keeping"`
	Gateways   []gateway  `yaml:"gateways"`
	Bindings   []binding  `yaml:"bindings"`
}

// Load reads the registry of a county folder. Its error lists all that is wrong with the file.
func Load(dir string) (*county.Registry, error) {
	path := filepath.Join(dir, File)
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	return Parse(path, src)
}

// Parse reads src, the content of the file named path.
func Parse(path string, src []byte) (*county.Registry, error) {
	f := file{Timezone: "Asia/Shanghai", GS1: gs1{Base: defaultBase}}
	if err := strict.Decode(path, src, &f); err != nil {
		return nil, err
	}
	return f.nouns(), nil
}

// names are the ids given so far, by kind: an id is given once, and what is named must exist.
type names struct {
	seen map[string]bool
	errs []error
}

func (n *names) fail(path, format string, args ...any) {
	n.errs = append(n.errs, strict.Field(path, format, args...))
}

func (n *names) add(path, kind, id string) {
	switch key := kind + "/" + id; {
	case !telemetry.ValidID(id):
		n.fail(path, "must be 1 to 32 of a-z, 0-9 and '-'")
	case n.seen[key]:
		n.fail(path, "%q is taken", id)
	default:
		n.seen[key] = true
	}
}

func (n *names) want(path, kind, id string) {
	if id != "" && !n.seen[kind+"/"+id] {
		n.fail(path, "there is no %s %q", kind, id)
	}
}

func (n *names) oneOf(path, v string, allowed ...string) {
	for _, a := range allowed {
		if v == a {
			return
		}
	}
	n.fail(path, "%q is none of %s", v, strings.Join(allowed, ", "))
}

// Validate checks what the form of the file alone doesn't.
func (f *file) Validate() error {
	n := &names{seen: map[string]bool{}}
	if _, err := time.LoadLocation(f.Timezone); err != nil {
		n.fail("timezone", "%q is no time zone", f.Timezone)
	}
	f.validateGS1(n)
	f.validateKeeping(n)
	for i, s := range f.Sites {
		at := fmt.Sprintf("sites[%d].", i)
		n.add(at+"id", "site", s.ID)
		n.oneOf(at+"kind", s.Kind, county.Warehouse, county.Outlet)
		if s.Lat < -90 || s.Lat > 90 {
			n.fail(at+"lat", "is outside -90 to 90")
		}
		if s.Lon < -180 || s.Lon > 180 {
			n.fail(at+"lon", "is outside -180 to 180")
		}
		if s.FenceM < 10 || s.FenceM > 20000 {
			n.fail(at+"fence_m", "is outside 10 to 20000")
		}
	}
	for i, v := range f.Vehicles {
		at := fmt.Sprintf("vehicles[%d].", i)
		n.add(at+"id", "vehicle", v.ID)
		n.oneOf(at+"kind", v.Kind, "postal_van", "carrier_van", "rural_bus", "freight")
	}
	f.validateThings(n)
	f.validatePlaces(n)
	f.validateBoards(n)
	return errors.Join(n.errs...)
}

func (f *file) validateGS1(n *names) {
	if p := f.GS1.Prefix; p != "" && (len(p) < 6 || len(p) > 12 || strings.Trim(p, "0123456789") != "") {
		n.fail("gs1.prefix", "%q is not 6 to 12 digits", p)
	}
	if u, err := url.Parse(f.GS1.Base); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		n.fail("gs1.base", "%q is no http or https URL", f.GS1.Base)
	}
	for i, s := range f.Sites {
		if s.SGLN == "" {
			continue
		}
		if e, err := epc.FromURI(s.SGLN); err != nil || e.Scheme() != epc.SGLN96 && e.Scheme() != epc.SGLN195 {
			n.fail(fmt.Sprintf("sites[%d].sgln", i), "%q is no urn:epc:id:sgln:", s.SGLN)
		}
	}
}

func (f *file) validateKeeping(n *names) {
	k := f.Keeping
	if k == (keeping{}) {
		return
	}
	switch {
	case k.Expire < time.Hour || k.Expire > 60*24*time.Hour:
		n.fail("keeping.expire", "%v is outside 1h to 1440h", k.Expire)
	case k.Reminder <= 0 || k.Reminder > k.LastDay:
		n.fail("keeping.reminder", "%v is outside 0 to last_day", k.Reminder)
	case k.LastDay > k.Expire:
		n.fail("keeping.last_day", "%v is after expire", k.LastDay)
	case k.Extensions < 0 || k.Extensions > 30:
		n.fail("keeping.extensions", "%d is outside 0 to 30", k.Extensions)
	case k.Extensions > 0 && (k.Extension < time.Hour || k.Extension > 30*24*time.Hour):
		n.fail("keeping.extension", "%v is outside 1h to 720h", k.Extension)
	}
}

func (f *file) validateThings(n *names) {
	for i, l := range f.Lockers {
		at := fmt.Sprintf("lockers[%d].", i)
		n.add(at+"id", "locker", l.ID)
		n.want(at+"site", "site", l.Site)
		if len(l.Cells) == 0 || len(l.Cells) > 1024 {
			n.fail(at+"cells", "must be 1 to 1024 sizes")
		}
		for j, c := range l.Cells {
			n.oneOf(fmt.Sprintf("%scells[%d]", at, j), c, "s", "m", "l")
		}
	}
	for i, c := range f.ColdBoxes {
		at := fmt.Sprintf("cold_boxes[%d].", i)
		n.add(at+"id", "coldbox", c.ID)
		n.want(at+"site", "site", c.Site)
		n.want(at+"vehicle", "vehicle", c.Vehicle)
		if (c.Site == "") == (c.Vehicle == "") {
			n.fail(at+"id", "%q needs either a site or a vehicle", c.ID)
		}
		if !(c.MinC < c.MaxC) {
			n.fail(at+"max_c", "is not above min_c")
		}
	}
	for i, b := range f.Boundaries {
		at := fmt.Sprintf("boundaries[%d].", i)
		n.add(at+"id", "boundary", b.ID)
		n.want(at+"site", "site", b.Site)
		n.oneOf(at+"kind", b.Kind, county.Inbound, county.Outbound, county.Sorting)
	}
}

// validatePlaces: a name that says nothing would lead every address astray.
func (f *file) validatePlaces(n *names) {
	for i, p := range f.Places {
		at := fmt.Sprintf("places[%d].", i)
		n.want(at+"site", "site", p.Site)
		for j, name := range p.Names {
			if r := utf8.RuneCountInString(strings.TrimSpace(name)); r < 2 || r > 64 {
				n.fail(fmt.Sprintf("%snames[%d]", at, j), "must have 2 to 64 characters")
			}
		}
	}
}

func (f *file) validateBoards(n *names) {
	for i, g := range f.Gateways {
		at := fmt.Sprintf("gateways[%d].", i)
		n.add(at+"id", "gateway", g.ID)
		n.want(at+"site", "site", g.Site)
		n.want(at+"vehicle", "vehicle", g.Vehicle)
		if g.Site != "" && g.Vehicle != "" {
			n.fail(at+"site", "%q can't be at a site and in a vehicle", g.ID)
		}
	}
	for i, b := range f.Bindings {
		at := fmt.Sprintf("bindings[%d].", i)
		board, device, ok := strings.Cut(b.Device, "/")
		switch {
		case !ok || !telemetry.ValidID(device):
			n.fail(at+"device", "%q is not gateway/device", b.Device)
		case n.seen["binding/"+b.Device]:
			n.fail(at+"device", "%q is bound already", b.Device)
		default:
			n.want(at+"device", "gateway", board)
			n.seen["binding/"+b.Device] = true
		}
		kind, id, _ := strings.Cut(b.Thing, "/")
		switch kind {
		case "vehicle", "locker", "coldbox", "boundary", "site":
			n.want(at+"thing", kind, id)
		case "courier", "bench":
			if !telemetry.ValidID(id) {
				n.fail(at+"thing", "must be %s/ and 1 to 32 of a-z, 0-9 and '-'", kind)
			}
		default:
			n.fail(at+"thing", "%q is none of vehicle/, locker/, coldbox/, boundary/, site/, courier/, bench/", b.Thing)
		}
	}
}

func (f *file) nouns() *county.Registry {
	r := &county.Registry{Name: f.Name.noun(), Note: f.Note.noun(), Timezone: f.Timezone, Keeping: county.Keeping(f.Keeping).Usual(), GS1: county.GS1(f.GS1), Bindings: map[string]string{}}
	sites := map[string]site{}
	for _, s := range f.Sites {
		sites[s.ID] = s
		r.Sites = append(r.Sites, county.Site{ID: s.ID, Kind: s.Kind, Name: s.Name.noun(), Village: s.Village.noun(), Township: s.Township.noun(), Lat: s.Lat, Lon: s.Lon, FenceM: s.FenceM, SGLN: s.SGLN})
	}
	for _, v := range f.Vehicles {
		r.Vehicles = append(r.Vehicles, county.Vehicle{ID: v.ID, Plate: v.Plate, Kind: v.Kind, Name: v.Name.noun()})
	}
	for _, l := range f.Lockers {
		s := sites[l.Site]
		noun := county.Locker{ID: l.ID, Name: l.Name.noun(), Site: l.Site, Village: s.Village.noun(), Place: county.Point{Lat: s.Lat, Lon: s.Lon}}
		for i, size := range l.Cells {
			noun.Cells = append(noun.Cells, county.Cell{Cell: i + 1, Size: size, State: county.CellUnknown})
		}
		r.Lockers = append(r.Lockers, noun)
	}
	for _, c := range f.ColdBoxes {
		r.ColdBoxes = append(r.ColdBoxes, county.ColdBox{ID: c.ID, Name: c.Name.noun(), Site: c.Site, Vehicle: c.Vehicle, MinC: c.MinC, MaxC: c.MaxC})
	}
	for _, b := range f.Boundaries {
		r.Boundaries = append(r.Boundaries, county.Boundary{ID: b.ID, Site: b.Site, Kind: b.Kind})
	}
	for _, p := range f.Places {
		r.Places = append(r.Places, county.Place{Site: p.Site, Names: p.Names})
	}
	for _, g := range f.Gateways {
		r.Gateways = append(r.Gateways, county.Gateway{ID: g.ID, Site: g.Site, Vehicle: g.Vehicle})
	}
	for _, b := range f.Bindings {
		r.Bindings[b.Device] = b.Thing
	}
	link(r)
	return r
}

// link fills in what follows from the bindings: a vehicle's gateway and cold box, a locker's board.
func link(r *county.Registry) {
	for i := range r.Vehicles {
		v := &r.Vehicles[i]
		for _, g := range r.Gateways {
			if g.Vehicle == v.ID {
				v.Gateway = g.ID
			}
		}
		for _, c := range r.ColdBoxes {
			if c.Vehicle == v.ID {
				v.ColdBox = c.ID
			}
		}
	}
	for i := range r.Lockers {
		l := &r.Lockers[i]
		for device, thing := range r.Bindings {
			if thing == "locker/"+l.ID && (l.Device == "" || device < l.Device) {
				l.Device = device
				l.Gateway, _, _ = strings.Cut(device, "/")
			}
		}
	}
}
