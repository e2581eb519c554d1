package strict

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Decode reads n into what into points to; the keys named in skip belong to somebody else and are passed over. It does
// not call Validate. Its error is Errors.
func (n Node) Decode(into any, skip ...string) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic("BUG: strict: Decode needs a pointer")
	}
	d := decoder{skip: skip}
	d.value(n, v.Elem())
	return Join(d.errs...)
}

type decoder struct {
	skip []string // keys of the outermost mapping only
	errs []error
}

func (d *decoder) fail(n Node, format string, args ...any) {
	d.errs = append(d.errs, n.errorf(format, args...))
}

type unmarshaler interface{ UnmarshalYAML(func(any) error) error }

// value reads n into v. After an error v keeps what it had.
func (d *decoder) value(n Node, v reflect.Value) {
	switch n.node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		d.fail(n, "anchors, aliases, merge keys and tags are not used in this file")
		return
	}
	if v.Type() == reflect.TypeFor[Node]() {
		v.Set(reflect.ValueOf(n))
		return
	}
	if u, ok := v.Addr().Interface().(unmarshaler); ok {
		if err := u.UnmarshalYAML(func(into any) error { return n.Decode(into) }); err != nil {
			d.errs = append(d.errs, leaves(n.Locate(err))...)
		}
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if s, ok := d.text(n); ok {
			if err := u.UnmarshalText([]byte(s)); err != nil {
				d.fail(n, "%v", err)
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			p.Elem().Set(v.Elem())
		}
		d.value(n, p.Elem())
		v.Set(p)
	case reflect.Struct:
		d.structure(n, v)
	case reflect.Map:
		d.mapping(n, v)
	case reflect.Slice:
		d.sequence(n, v)
	default:
		d.scalar(n, v)
	}
}

func (d *decoder) scalar(n Node, v reflect.Value) {
	switch k := v.Kind(); {
	case v.Type() == reflect.TypeFor[time.Duration]():
		s, ok := n.node.(*ast.StringNode)
		if !ok {
			d.fail(n, "must be a duration such as 250ms, 5s or 10m, not %s", describe(n.node))
			return
		}
		t, err := time.ParseDuration(s.Value)
		if err != nil {
			d.fail(n, "%.40q is no duration such as 250ms, 5s or 10m", s.Value)
			return
		}
		v.SetInt(int64(t))
	case k == reflect.String:
		if s, ok := d.text(n); ok {
			v.SetString(s)
		}
	case k == reflect.Bool:
		b, ok := n.node.(*ast.BoolNode)
		if !ok {
			d.fail(n, "must be true or false, not %s", describe(n.node))
			return
		}
		v.SetBool(b.Value)
	case v.CanInt() || v.CanUint():
		d.integer(n, v)
	case v.CanFloat():
		d.float(n, v)
	default:
		panic(fmt.Sprintf("BUG: strict: %s: cannot decode into %s", n.path, v.Type()))
	}
}

func (d *decoder) integer(n Node, v reflect.Value) {
	in, ok := n.node.(*ast.IntegerNode)
	if !ok {
		d.fail(n, "must be a whole number, not %s", describe(n.node))
		return
	}
	switch x := in.Value.(type) {
	case int64:
		switch {
		case v.CanInt() && !v.OverflowInt(x):
			v.SetInt(x)
			return
		case v.CanUint() && x >= 0 && !v.OverflowUint(uint64(x)):
			v.SetUint(uint64(x))
			return
		}
	case uint64:
		switch {
		case v.CanUint() && !v.OverflowUint(x):
			v.SetUint(x)
			return
		case v.CanInt() && x <= math.MaxInt64 && !v.OverflowInt(int64(x)):
			v.SetInt(int64(x))
			return
		}
	}
	if v.CanUint() {
		d.fail(n, "%s is outside 0 to %d", in.String(), uint64(math.MaxUint64)>>(64-v.Type().Bits()))
		return
	}
	limit := int64(math.MaxInt64) >> (64 - v.Type().Bits())
	d.fail(n, "%s is outside %d to %d", in.String(), -limit-1, limit)
}

func (d *decoder) float(n Node, v reflect.Value) {
	switch x := n.node.(type) {
	case *ast.FloatNode:
		v.SetFloat(x.Value)
	case *ast.IntegerNode:
		switch i := x.Value.(type) {
		case int64:
			v.SetFloat(float64(i))
		case uint64:
			v.SetFloat(float64(i))
		}
	default:
		d.fail(n, "must be a number, not %s", describe(n.node))
	}
}

// text reads a string. A bare number or date is refused, for 007 and 1e3 would not come back as written.
func (d *decoder) text(n Node) (string, bool) {
	switch s := n.node.(type) {
	case *ast.StringNode:
		return s.Value, true
	case *ast.LiteralNode:
		return s.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		d.fail(n, "must be a string: put %s in quotes", n.node.String())
	default:
		d.fail(n, "must be a string, not %s", describe(n.node))
	}
	return "", false
}

func (d *decoder) sequence(n Node, v reflect.Value) {
	if _, null := n.node.(*ast.NullNode); null { // all items commented out
		v.SetZero()
		return
	}
	s, ok := n.node.(*ast.SequenceNode)
	if !ok {
		d.fail(n, "must be a list, not %s", describe(n.node))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(s.Values), len(s.Values))
	d.skip = nil
	for i, item := range s.Values {
		d.value(n.item(i, item), out.Index(i))
	}
	v.Set(out)
}

func (d *decoder) mapping(n Node, v reflect.Value) {
	pairs, ok := d.pairs(n)
	if !ok {
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(pairs))
	for _, p := range pairs {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(p.value, item)
		out.SetMapIndex(reflect.ValueOf(p.name).Convert(v.Type().Key()), item)
	}
	v.Set(out)
}

type pair struct {
	name  string
	value Node
}

// pairs returns the entries of a mapping, each key once.
func (d *decoder) pairs(n Node) (out []pair, ok bool) {
	skip := d.skip
	d.skip = nil
	switch n.node.(type) {
	case nil, *ast.NullNode: // an empty file, or all keys commented out
		return nil, true
	case *ast.MappingNode, *ast.MappingValueNode:
	default:
		d.fail(n, "must be a mapping (key: value), not %s", describe(n.node))
		return nil, false
	}
	seen := map[string]int{}
	for _, kv := range n.entries() {
		name := keyText(kv.Key)
		at := n.key(name, kv.Key)
		if _, plain := kv.Key.(*ast.StringNode); !plain {
			at.path = n.path
			d.fail(at, "key %.40s is no plain string", name)
			continue
		}
		if line, twice := seen[name]; twice {
			d.fail(at, "is given twice, first on line %d", line)
			continue
		}
		seen[name] = at.Line()
		if !slices.Contains(skip, name) {
			out = append(out, pair{name, n.key(name, kv.Value)})
		}
	}
	return out, true
}

type field struct {
	name             string
	index            []int
	required, secret bool
}

// fields lists the keys of a struct type.
func fields(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if f.Type.Kind() == reflect.Struct && slices.Contains(strings.Split(opts, ","), "inline") {
			for _, in := range fields(f.Type) {
				in.index = append([]int{i}, in.index...)
				out = append(out, in)
			}
			continue
		}
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		tag := f.Tag.Get("strict")
		out = append(out, field{name: name, index: []int{i}, required: tag == "required", secret: tag == "secret"})
	}
	return out
}

func (d *decoder) structure(n Node, v reflect.Value) {
	pairs, ok := d.pairs(n)
	if !ok {
		return
	}
	known := fields(v.Type())
	given := map[string]bool{}
	for _, p := range pairs {
		i := slices.IndexFunc(known, func(f field) bool { return f.name == p.name })
		if i < 0 {
			d.unknown(n, p.name, known)
			continue
		}
		given[p.name] = true
		d.value(p.value, v.FieldByIndex(known[i].index))
	}
	for _, f := range known {
		if f.required && !given[f.name] {
			e := n.errorf("is required")
			e.Path = joinPath(n.path, f.name)
			d.errs = append(d.errs, e)
		}
	}
}

func (d *decoder) unknown(n Node, name string, known []field) {
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.name
	}
	slices.Sort(names)
	for _, kv := range n.entries() {
		if keyText(kv.Key) == name {
			d.fail(n.key(name, kv.Key), "unknown key; allowed here: %s", strings.Join(names, ", "))
			return
		}
	}
}

// describe names what stands where something else was wanted.
func describe(n ast.Node) string {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.StringNode:
		return fmt.Sprintf("the string %.40q", n.Value)
	case *ast.LiteralNode:
		return "a block of text"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("%.40s", n.String())
}
