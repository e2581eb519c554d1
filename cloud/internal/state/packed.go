package state

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"yizhan/cloud/internal/county"
)

// A passing is an item going into a container or out of it.
type passing struct {
	container, item string
	in              bool
	at              int64
}

func (p passing) key() string {
	way := "out"
	if p.in {
		way = "in"
	}
	return fmt.Sprintf("contents/%s/%s/%s/%d", p.container, p.item, way, p.at)
}

func passings(spells []spell) map[passing]bool {
	out := map[passing]bool{}
	for _, s := range spells {
		out[passing{s.container, s.item, true, s.since}] = true
		if s.until != 0 {
			out[passing{s.container, s.item, false, s.until}] = true
		}
	}
	return out
}

// tellContents tells what went into containers and out of them by the spells of now and didn't by those of old, and takes back what was told and isn't so.
func (c *commit) tellContents(ctx context.Context, items []string, old, now map[string][]spell) error {
	var fresh, gone []passing
	for _, item := range items {
		before, after := passings(old[item]), passings(now[item])
		for p := range after {
			if !before[p] {
				fresh = append(fresh, p)
			}
		}
		for p := range before {
			if !after[p] {
				gone = append(gone, p)
			}
		}
	}
	order := func(a, b passing) int {
		if a.at != b.at {
			return int(min(1, max(-1, a.at-b.at)))
		}
		return strings.Compare(a.key(), b.key())
	}
	slices.SortFunc(fresh, order)
	slices.SortFunc(gone, order)
	tags, parcels, err := c.tagsOf(ctx, append(slices.Clone(fresh), gone...))
	if err != nil {
		return err
	}
	for _, p := range gone {
		facts, err := readFacts(ctx, c.c, "key = $1 or key >= $2 and key < $3 order by seq desc limit 1", p.key(), p.key()+"/", p.key()+"0")
		if err != nil {
			return err
		}
		for i := range facts { // none: of before such facts were told
			var doc county.Packed
			if err := json.Unmarshal(facts[i].Doc, &doc); err != nil {
				return fmt.Errorf("fact %d: %w", facts[i].Seq, err)
			}
			doc.Gone = true
			c.facts = append(c.facts, NewFact(county.FactContents, facts[i].Object, "retracted/"+facts[i].Key, doc))
		}
	}
	for _, p := range fresh {
		times := 1
		err := c.c.each(ctx, func(scan func(...any) error) error {
			err := scan(&times)
			times++
			return err
		}, "select count(*) from facts where key = $1 or key >= $2 and key < $3", p.key(), p.key()+"/", p.key()+"0")
		if err != nil {
			return err
		}
		doc := county.Packed{Container: p.container, ContainerEPC: tags[p.container], Item: p.item, ItemEPC: tags[p.item], Parcel: parcels[p.item], In: p.in, At: moment(p.at)}
		if times > 1 {
			doc.Times = times
		}
		c.facts = append(c.facts, NewFact(county.FactContents, "container/"+p.container, again(p.key(), times), doc))
	}
	return nil
}

// tagsOf reads the tags of what passed, by waybill or id of a container, and which of the items are parcels.
func (c *commit) tagsOf(ctx context.Context, all []passing) (tags map[string]string, parcels map[string]bool, err error) {
	names, items := map[string]bool{}, map[string]bool{}
	for _, p := range all {
		names[p.container], names[p.item], items[p.item] = true, true, true
	}
	tags, parcels = map[string]string{}, map[string]bool{}
	w := c.c.words()
	read := func(tell func(name, tag string), sql string, of map[string]bool) error {
		return c.c.each(ctx, func(scan func(...any) error) error {
			var name, tag string
			err := scan(&name, &tag)
			tell(name, tag)
			return err
		}, sql, w.list(slices.Sorted(maps.Keys(of))))
	}
	err = read(func(name, tag string) { tags[name] = tag }, "select id, epc from containers where "+w.in("id", "$1"), names)
	if err == nil {
		err = read(func(name, tag string) { tags[name], parcels[name] = tag, true }, "select waybill, epc from parcels where "+w.in("waybill", "$1"), items)
	}
	return tags, parcels, err
}
