package state

import (
	"context"
	"maps"
	"slices"

	"yizhan/cloud/internal/coldchain"
	"yizhan/cloud/internal/county"
)

// measureBoxes makes the newest climate reading that of its box, and takes every trusted one through the limits.
func (c *commit) measureBoxes(ctx context.Context) error {
	if len(c.climates) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(c.climates))
	boxes, err := c.lockBoxes(ctx, ids)
	if err != nil {
		return err
	}
	var rows [][]any
	for _, id := range ids {
		b := boxes[id]
		was := *b
		for _, m := range c.climates[id] {
			b.measure(&m)
		}
		if err := c.limit(ctx, b, c.climates[id]); err != nil {
			return err
		}
		if differ := b.spell() != was.spell() || b.at != was.at || b.tq != was.tq || b.climate != was.climate; differ {
			b.version++
		}
		rows = append(rows, b.row())
		if b.version == was.version {
			continue
		}
		noun, err := c.reg.boxOf(id, b)
		if err != nil {
			return err
		}
		c.changes = append(c.changes, county.Change{Kind: county.ColdBoxChanged, ID: id, Version: b.version, Object: noun})
	}
	if err := c.putTracks(ctx); err != nil {
		return err
	}
	return c.c.put(ctx, coldBoxesTable, rows)
}

// lockBoxes locks the rows of cold boxes in order, and makes those that are new.
func (c *commit) lockBoxes(ctx context.Context, ids []string) (map[string]*box, error) {
	boxes, err := readBoxes(ctx, c.c, ids, true)
	if err != nil || len(boxes) == len(ids) {
		return boxes, err
	}
	var rows [][]any
	for _, id := range ids {
		if boxes[id] == nil {
			rows = append(rows, (&box{id: id}).row())
		}
	}
	if err := c.c.put(ctx, newBoxesTable, rows); err != nil {
		return nil, err
	}
	return readBoxes(ctx, c.c, ids, true)
}

// measure makes a reading the box's climate when it is the newest; of several of one moment one and the same.
func (b *box) measure(m *climate) {
	at := ms(m.At)
	if at < b.at {
		return
	}
	doc, tq := m.doc(), string(m.TQ)
	if at > b.at || doc > b.climate || doc == b.climate && tq > b.tq {
		b.at, b.tq, b.climate = at, tq, doc
	}
}

func (b *box) spell() coldchain.Spell { return coldchain.Spell{In: b.inMS, Out: b.outMS} }

func (b *box) set(s coldchain.Spell) { b.inMS, b.outMS, b.out = s.In, s.Out, oneIf(s.Out != 0) }

// limit takes readings into the box's track, and finds since when it is out of its limits.
func (c *commit) limit(ctx context.Context, b *box, all []climate) error {
	limits := c.reg.limits(b.id)
	var marks, late county.Trace
	for i := range all {
		if word, trusted := coldchain.Word(limits, &all[i].body); trusted {
			marks, _ = marks.Add(county.Mark{At: ms(all[i].At), Word: word})
		}
	}
	s := b.spell()
	for _, m := range marks {
		if b.track.late(m.At) {
			late = append(late, m)
			continue
		}
		c.follow(&b.track, m)
		s = s.Next(m)
	}
	b.set(s)
	for _, flock := range c.flocks(&b.track, late) {
		if err := c.limitLate(ctx, b, flock); err != nil {
			return err
		}
	}
	return nil
}

func (c *commit) limitLate(ctx context.Context, b *box, late county.Trace) error {
	_, fresh, err := c.merge(ctx, &b.track, late, spanOf(late[0].At), spanOf(late[len(late)-1].At))
	if err != nil {
		return err
	}
	s := b.spell()
	for _, m := range fresh {
		next, ok := s.Late(m)
		if !ok {
			s = coldchain.Spell{}
			err := c.back(ctx, &b.track, func(t county.Trace) (done bool) {
				s, done = s.Back(t)
				return done
			})
			b.set(s)
			return err
		}
		s = next
	}
	b.set(s)
	return nil
}

// limits is a box with its limits.
func (p *places) limits(id string) *county.ColdBox {
	if known := p.box[id]; known != nil {
		return known
	}
	return &county.ColdBox{ID: id}
}
