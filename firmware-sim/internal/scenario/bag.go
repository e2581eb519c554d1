package scenario

import (
	"context"
	"encoding/binary"
	"fmt"
)

// A bag goes from the carrier to one outlet. It bears a tag, a GRAI; what is in it needs none.

// BagID is what the county calls a bag.
func BagID(number uint64) string { return fmt.Sprintf("bag-%d", number) }

// BagEPC is the pure identity of a bag's tag: a GRAI of asset type 00001 under the company prefix that GS1 keeps for examples.
func BagEPC(number uint64) string { return fmt.Sprintf("urn:epc:id:grai:9521141.00001.%d", number) }

// grai96 is TDS 1.13, section 14.5.4, with a company prefix of seven digits (partition 5): 24 bits, 20 of the asset type, 38 of the
// serial.
func grai96(filter, prefix, asset, serial uint64) []byte {
	const header, partition = 0x33, 5
	t := make([]byte, 12)
	binary.BigEndian.PutUint64(t, header<<56|filter<<53|partition<<50|prefix<<26|asset<<6|serial>>32&0x3f)
	binary.BigEndian.PutUint32(t[8:], uint32(serial))
	return t
}

// freight is what is carried in one piece: a bag with parcels for one outlet, or a parcel.
type freight struct {
	bag     uint64
	parcels []*Parcel
}

// loads puts parcels together that are in one bag.
func loads(parcels []*Parcel) []freight {
	var out []freight
	at := map[uint64]int{}
	for _, p := range parcels {
		if i, ok := at[p.Bag]; ok && p.Bag != 0 {
			out[i].parcels = append(out[i].parcels, p)
			continue
		}
		at[p.Bag] = len(out)
		out = append(out, freight{p.Bag, []*Parcel{p}})
	}
	return out
}

// atMost is the first of some loads, of n parcels or a few more: a bag isn't opened for a number.
func atMost(all []freight, n int) []freight {
	count := 0
	for i, l := range all {
		if count >= n {
			return all[:i]
		}
		count += len(l.parcels)
	}
	return all
}

// tag is what a reader sees of it; ok is false for a parcel without a tag.
func (l freight) tag() (tag [12]byte, ok bool) {
	switch {
	case l.bag != 0:
		return [12]byte(grai96(0, 9521141, 1, l.bag)), true
	case l.parcels[0].Serial != 0:
		return l.parcels[0].Tag(), true
	}
	return tag, false
}

func (l freight) waybills() (all []string) {
	for _, p := range l.parcels {
		all = append(all, p.Waybill)
	}
	return all
}

// enter and leave bring it before a reader's antenna and away.
func (l freight) enter(r Reader, antenna int, rssi int8) {
	if tag, ok := l.tag(); ok {
		r.Enter(tag, antenna, rssi)
	}
}

func (l freight) leave(r Reader, antenna int) {
	if tag, ok := l.tag(); ok {
		r.Leave(tag, antenna)
	}
}

// pack tells the county what is in the bags among some parcels, as the carrier does that packed them.
func (s *Story) pack(ctx context.Context, parcels []*Parcel) error {
	for _, l := range loads(parcels) {
		if l.bag == 0 {
			continue
		}
		if err := s.ask(ctx, "bag", func(ctx context.Context) error { return s.Front.Pack(ctx, l.bag, l.waybills()) }); err != nil {
			return err
		}
	}
	return nil
}

// unpack takes parcels out of their bag at an outlet. Where nobody can be told, the work goes on.
func (s *Story) unpack(ctx context.Context, l freight) error {
	if l.bag == 0 {
		return nil
	}
	brief, cancel := context.WithTimeout(ctx, patience/4)
	defer cancel()
	if err := s.Front.Unpack(brief, l.bag, l.waybills()); err != nil {
		s.Logger.Debug("asked in vain", "kind", "bag", "err", err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.World.unbag(l.parcels)
}
