package strict

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Print returns v, a struct as Decode fills it, as YAML: the effective configuration. Secrets that are set
// stand as "(set)", and keys that are unset are left out. A Node, or a value with a method Node() Node, stands as
// in its file.
func Print(v any) string {
	var p printer
	p.structure(reflect.Indirect(reflect.ValueOf(v)), "")
	return p.b.String()
}

type printer struct{ b strings.Builder }

func (p *printer) structure(v reflect.Value, indent string) {
	for _, f := range fields(v.Type()) {
		fv := v.FieldByIndex(f.index)
		if fv.IsZero() && fv.Kind() != reflect.Bool {
			continue
		}
		p.b.WriteString(indent + f.name + ":")
		if f.secret {
			p.b.WriteString(" (set)\n")
			continue
		}
		p.value(fv, indent)
	}
}

// value writes what follows a colon or a dash.
func (p *printer) value(v reflect.Value, indent string) {
	n, ok := v.Interface().(Node)
	if holder, yes := v.Interface().(interface{ Node() Node }); yes {
		n, ok = holder.Node(), true
	}
	if ok {
		p.b.WriteString("\n" + shift(n.String(), indent+"  ") + "\n")
		return
	}
	if s, ok := scalarText(v); ok {
		p.b.WriteString(" " + s + "\n")
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p.value(v.Elem(), indent)
	case reflect.Struct:
		p.b.WriteByte('\n')
		p.structure(v, indent+"  ")
	case reflect.Map:
		p.b.WriteByte('\n')
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			p.b.WriteString(indent + "  " + quote(k.String()) + ":")
			p.value(v.MapIndex(k), indent+"  ")
		}
	case reflect.Slice:
		p.b.WriteByte('\n')
		for i := range v.Len() {
			p.b.WriteString(indent + "  -")
			p.value(v.Index(i), indent+"  ")
		}
	}
}

func scalarText(v reflect.Value) (string, bool) {
	switch x := v.Interface().(type) {
	case time.Duration:
		return x.String(), true
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		return quote(string(b)), err == nil
	}
	switch {
	case v.Kind() == reflect.String:
		return quote(v.String()), true
	case v.Kind() == reflect.Bool, v.CanInt(), v.CanUint(), v.CanFloat():
		return fmt.Sprint(v.Interface()), true
	}
	return "", false
}

// quote puts s in quotes unless it is a plain word that YAML reads as a string.
func quote(s string) string {
	plain := s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./") == ""
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		plain = false
	}
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off":
		plain = false
	}
	if plain && s[0] != '-' && s[0] != '.' {
		return s
	}
	return strconv.Quote(s)
}

// shift gives text the indent in place of its own.
func shift(text, indent string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	own := len(text)
	for _, l := range lines {
		if bare := strings.TrimLeft(l, " "); bare != "" {
			own = min(own, len(l)-len(bare))
		}
	}
	for i, l := range lines {
		lines[i] = indent + l[min(own, len(l)):]
	}
	return strings.Join(lines, "\n")
}
