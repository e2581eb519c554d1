package passage

import "yizhan/devices/epc"

// Names remembers what tags are called: the same tags are read over and over. The zero value is
// ready.
type Names struct {
	m   map[string]Name
	key []byte
}

// Name is what a tag is called, and its bits in upper-case hex.
type Name struct{ EPC, Hex string }

const maxNames = 8192

// Of names the tag with these bits; iso says that its protocol control word marks it as none of GS1's.
func (n *Names) Of(bits []byte, iso bool) Name {
	n.key = append(n.key[:0], 0)
	if iso {
		n.key[0] = 1
	}
	n.key = append(n.key, bits...)
	if got, ok := n.m[string(n.key)]; ok {
		return got
	}
	if n.m == nil || len(n.m) >= maxNames {
		n.m = make(map[string]Name)
	}
	var got Name
	got.EPC, got.Hex = epc.Name(bits, iso)
	n.m[string(n.key)] = got
	return got
}
