package scenario

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
)

// Parcel is a parcel as a thing: where it is, whatever anybody's system believes.
type Parcel struct {
	Waybill string `json:"waybill"`
	No      uint64 `json:"no,omitempty"`     // of all parcels, in the order in which they came into the world
	Serial  uint64 `json:"serial,omitempty"` // of its tag; 0: it bears none
	Bag     uint64 `json:"bag,omitempty"`    // of the bag that it is in; 0: in none
	Site    string `json:"site"`             // where it shall go
	Locker  string `json:"locker"`
	Place   string `json:"place"`          // truck, hall, a vehicle's id, a locker's, or counter/ and a site's
	Cell    int    `json:"cell,omitempty"` // in that locker
	Size    string `json:"size,omitempty"`
	Consent string `json:"consent,omitempty"` // of its recipient, for a locker: yes, no, unknown
	To      Person `json:"to,omitzero"`
	Guest   bool   `json:"guest,omitempty"` // somebody outside of the story announced it, and will come for it
}

// Person is somebody who gets parcels. All of them are made up.
type Person struct {
	Name    string `json:"name"`
	Phone   string `json:"phone"`
	Village string `json:"village"`
	Lang    string `json:"lang"`
}

// Places that are no thing of the county.
const (
	inTruck = "truck" // announced, not arrived
	inPost  = "post"  // the same, of a guest
	inHall  = "hall"  // in the warehouse
)

// counter is the place of what an outlet's keeper has at hand.
func counter(site string) string { return "counter/" + site }

// EPC is the tag's pure identity: an SSCC under the company prefix that GS1 keeps for examples. It is empty where there is no tag.
func (p *Parcel) EPC() string {
	if p.Serial == 0 {
		return ""
	}
	return fmt.Sprintf("urn:epc:id:sscc:9521141.%010d", p.Serial)
}

// Tag is what the tag's EPC bank holds.
func (p *Parcel) Tag() [12]byte { return [12]byte(sscc96(2, 9521141, p.Serial)) }

// sscc96 is TDS 1.13, section 14.5.2, with a company prefix of seven digits (partition 5).
func sscc96(filter, prefix, serial uint64) []byte {
	const header, partition = 0x31, 5
	t := make([]byte, 12)
	binary.BigEndian.PutUint64(t, header<<56|filter<<53|partition<<50|prefix<<26|serial>>8)
	t[8] = byte(serial)
	return t
}

// World is where all parcels are. It is kept in a file.
type World struct {
	file string

	mu      sync.Mutex
	run     int
	last    int
	bags    uint64
	count   uint64             // of parcels
	parcels map[string]*Parcel // by waybill
	gone    map[string]bool    // waybills of parcels that were taken in this run
}

// OpenWorld reads the world's file, or begins a new world, and begins a run in it.
func OpenWorld(file string) (*World, error) {
	w := &World{file: file, parcels: make(map[string]*Parcel), gone: make(map[string]bool)}
	src, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	var f worldFile
	if err == nil {
		if err := json.Unmarshal(src, &f); err != nil {
			return nil, fmt.Errorf("scenario: %s: %w", file, err)
		}
	}
	w.run = f.Run + 1
	for _, p := range f.Parcels {
		w.parcels[p.Waybill] = p
		w.count = max(w.count, p.No)
	}
	return w, w.save()
}

type worldFile struct {
	Run     int       `json:"run"`
	Parcels []*Parcel `json:"parcels"`
}

// save is called with mu held, or before the world is shared.
func (w *World) save() error {
	f := worldFile{Run: w.run, Parcels: w.sorted(func(*Parcel) bool { return true })}
	b, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return fmt.Errorf("scenario: %w", err)
	}
	if err := os.WriteFile(w.file+".new", b, 0o600); err != nil {
		return fmt.Errorf("scenario: %w", err)
	}
	if err := os.Rename(w.file+".new", w.file); err != nil {
		return fmt.Errorf("scenario: %w", err)
	}
	return nil
}

// sorted lists parcels, the oldest first.
func (w *World) sorted(pick func(*Parcel) bool) []*Parcel {
	var out []*Parcel
	for _, p := range w.parcels {
		if pick(p) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *Parcel) int { return cmp.Or(cmp.Compare(a.No, b.No), cmp.Compare(a.Waybill, b.Waybill)) })
	return out
}

// make creates parcels for a locker, announced and on their way by truck.
func (w *World) make(l *Locker, n int) ([]*Parcel, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []*Parcel
	for range n {
		w.last++
		w.count++
		p := &Parcel{
			Waybill: w.waybill(), No: w.count, Serial: uint64(w.run)%100_000*100_000 + uint64(w.last),
			Site: l.Site, Locker: l.ID, Place: inTruck, Consent: "yes",
		}
		p.To.Phone = w.phone()
		w.parcels[p.Waybill] = p
		out = append(out, p)
	}
	return out, w.save()
}

func (w *World) waybill() string { return fmt.Sprintf("YL%04d%05d", w.run, w.last) }

// phone is a number of its own for each parcel: what comes to it is about that parcel.
func (w *World) phone() string { return fmt.Sprintf("199%04d%04d", w.run%10_000, w.last%10_000) }

// stray is a waybill without a parcel yet, for nobody knows where it is to go.
func (w *World) stray(village string) *Parcel {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	return &Parcel{Waybill: w.waybill(), Consent: "yes", To: Person{Name: "周永福", Phone: w.phone(), Village: village, Lang: "zh"}}
}

// adopt makes the parcel of a waybill that somebody else announced; nil where there is, or was, one.
func (w *World) adopt(a Known, l *Locker) (*Parcel, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.parcels[a.Waybill] != nil || w.gone[a.Waybill] {
		return nil, nil
	}
	w.count++
	p := &Parcel{Waybill: a.Waybill, No: w.count, Site: l.Site, Locker: l.ID, Place: inPost, Size: a.Size, Consent: a.Consent, Guest: true}
	w.parcels[p.Waybill] = p
	return p, w.save()
}

// change alters parcels that others may be looking at.
func (w *World) change(f func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	return w.save()
}

// bag puts parcels into a bag of their own, so that they need no tags; unbag takes them out.
func (w *World) bag(parcels []*Parcel) (number uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bags++
	number = uint64(w.run)%10_000*10_000 + w.bags%10_000
	for _, p := range parcels {
		p.Bag, p.Serial = number, 0
	}
	return number, w.save()
}

func (w *World) unbag(parcels []*Parcel) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range parcels {
		p.Bag = 0
	}
	return w.save()
}

// inCell is what lies in a cell, or nil.
func (w *World) inCell(locker string, cell int) *Parcel {
	for _, p := range w.at(locker) {
		if p.Cell == cell {
			return p
		}
	}
	return nil
}

// move puts a parcel somewhere else.
func (w *World) move(p *Parcel, place string, cell int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.Place, p.Cell = place, cell
	return w.save()
}

// carry puts everything of a load somewhere at once, for nobody sees half a bag.
func (w *World) carry(l freight, place string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range l.parcels {
		p.Place, p.Cell = place, 0
	}
	return w.save()
}

// take removes a parcel: it is with its receiver.
func (w *World) take(p *Parcel) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.parcels, p.Waybill)
	w.gone[p.Waybill] = true
	return w.save()
}

// Cells lists the cells of a locker that something lies in.
func (w *World) Cells(locker string) []int {
	var out []int
	for _, p := range w.at(locker) {
		out = append(out, p.Cell)
	}
	return out
}

// at lists the parcels of a place, oldest first.
func (w *World) at(place string) []*Parcel {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sorted(func(p *Parcel) bool { return p.Place == place })
}

// bound lists the parcels that shall go to a locker, those that lie in it included.
func (w *World) bound(locker string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sorted(func(p *Parcel) bool { return p.Locker == locker }))
}

// freeCell is an empty cell of a locker, from 1, or 0.
func (w *World) freeCell(l *Locker) int {
	taken := make(map[int]bool)
	for _, p := range w.at(l.ID) {
		taken[p.Cell] = true
	}
	for cell := 1; cell <= len(l.Cells); cell++ {
		if !taken[cell] {
			return cell
		}
	}
	return 0
}
