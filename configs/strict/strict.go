package strict

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// MaxBytes is the largest file.
const MaxBytes = 1 << 20

// Error is one thing wrong in a file.
type Error struct {
	File         string
	Line, Column int    // from 1
	Path         string // broker.users[0].name; empty for the file as a whole
	Msg          string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", e.File, e.Line, e.Column, e.Path, e.Msg)
}

// Errors is everything wrong in a file, in the file's order.
type Errors []*Error

// Error implements error: one line each.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// FieldError is an error about one key, before it has a place in a file.
type FieldError struct {
	Path string // relative to the value that was validated: "users[0].name"
	Msg  string
}

// Error implements error.
func (e *FieldError) Error() string { return e.Path + ": " + e.Msg }

// Field is how a Validate method names the key that is wrong.
func Field(path, format string, args ...any) error {
	return &FieldError{Path: path, Msg: fmt.Sprintf(format, args...)}
}

// Join collects errors of this package into one, sorted by place and each once; nil when there are none.
func Join(errs ...error) error {
	var all Errors
	for _, err := range errs {
		for _, leaf := range leaves(err) {
			var e *Error
			if !errors.As(leaf, &e) {
				e = &Error{Line: 1, Column: 1, Msg: leaf.Error()}
			}
			if !slices.ContainsFunc(all, func(o *Error) bool { return *o == *e }) {
				all = append(all, e)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return all
}

// leaves takes joined errors apart.
func leaves(err error) []error {
	if err == nil {
		return nil
	}
	if es, ok := err.(Errors); ok {
		out := make([]error, len(es))
		for i, e := range es {
			out[i] = e
		}
		return out
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range j.Unwrap() {
			out = append(out, leaves(e)...)
		}
		return out
	}
	return []error{err}
}

// Decode reads src, the content of file, into the struct that into points to. Its error is Errors.
func Decode(file string, src []byte, into any) error {
	n, err := Parse(file, src)
	if err != nil {
		return err
	}
	err = n.Decode(into)
	v, ok := into.(interface{ Validate() error })
	if !ok {
		return err
	}
	return Join(err, n.without(n.Locate(v.Validate()), err))
}

// without leaves out of found what speaks of a key that known already speaks of, n as a whole aside.
func (n Node) without(found, known error) error {
	var out []error
	for _, leaf := range leaves(found) {
		e := leaf.(*Error)
		if !slices.ContainsFunc(leaves(known), func(k error) bool {
			return within(e.Path, k.(*Error).Path) || e.Path != n.path && within(k.(*Error).Path, e.Path)
		}) {
			out = append(out, e)
		}
	}
	return errors.Join(out...)
}

// within reports whether path is key or below it.
func within(path, key string) bool {
	rest, ok := strings.CutPrefix(path, key)
	return ok && (rest == "" || key == "" || rest[0] == '.' || rest[0] == '[')
}

// Node is a part of a file that is decoded later. Its zero value is an empty mapping in no file.
type Node struct {
	file string
	path string
	node ast.Node
}

// Parse reads src, the content of file, as one YAML document.
func Parse(file string, src []byte) (n Node, err error) {
	fail := func(tk *token.Token, msg string) (Node, error) {
		e := &Error{File: file, Line: 1, Column: 1, Msg: msg}
		if tk != nil && tk.Position != nil {
			e.Line, e.Column = tk.Position.Line, tk.Position.Column
		}
		return Node{}, Errors{e}
	}
	if len(src) > MaxBytes {
		return fail(nil, fmt.Sprintf("%d bytes, at most %d", len(src), MaxBytes))
	}
	defer func() { // the parser is not ours, and a bad file must not end a gateway
		if p := recover(); p != nil {
			n, err = fail(nil, fmt.Sprintf("no YAML that can be read: %v", p))
		}
	}()
	f, err := parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var at interface {
			GetToken() *token.Token
			GetMessage() string
		}
		if errors.As(err, &at) {
			return fail(at.GetToken(), at.GetMessage())
		}
		return fail(nil, err.Error())
	}
	n = Node{file: file}
	for _, doc := range f.Docs {
		if doc.Body == nil {
			continue
		}
		if n.node != nil {
			return fail(doc.Body.GetToken(), "a second document; one file is one document")
		}
		n.node = doc.Body
	}
	return n, nil
}

// Path returns the node's key path in its file; empty for the file as a whole.
func (n Node) Path() string { return n.path }

// Line returns the line on which the node begins.
func (n Node) Line() int { return n.errorf("").Line }

// String returns the node as YAML.
func (n Node) String() string {
	if n.node == nil {
		return ""
	}
	return n.node.String()
}

// Keys returns the keys of a mapping in the file's order; none when n is no mapping.
func (n Node) Keys() []string {
	var keys []string
	for _, kv := range n.entries() {
		keys = append(keys, keyText(kv.Key))
	}
	return keys
}

// Errorf makes an error about the node itself.
func (n Node) Errorf(format string, args ...any) error { return n.errorf(format, args...) }

func (n Node) errorf(format string, args ...any) *Error {
	e := &Error{File: n.file, Line: 1, Column: 1, Path: n.path, Msg: fmt.Sprintf(format, args...)}
	if n.node == nil {
		return e
	}
	tk := n.node.GetToken()
	if m, ok := n.node.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		tk = m.Values[0].Key.GetToken() // a block mapping's own token is its first colon
	} else if m, ok := n.node.(*ast.MappingValueNode); ok {
		tk = m.Key.GetToken()
	}
	if tk != nil && tk.Position != nil {
		e.Line, e.Column = tk.Position.Line, tk.Position.Column
	}
	return e
}

// At returns the node at a path below n ("users[0].name"), or the deepest that exists on the way.
func (n Node) At(path string) Node {
	for path != "" {
		var step string
		if i := strings.IndexAny(path[1:], ".["); i >= 0 {
			step, path = path[:i+1], path[i+1:]
		} else {
			step, path = path, ""
		}
		path = strings.TrimPrefix(path, ".")
		next, ok := n.child(step)
		if !ok {
			return n
		}
		n = next
	}
	return n
}

func (n Node) child(step string) (Node, bool) {
	if strings.HasPrefix(step, "[") {
		var i int
		if _, err := fmt.Sscanf(step, "[%d]", &i); err != nil {
			return n, false
		}
		s, ok := n.node.(*ast.SequenceNode)
		if !ok || i < 0 || i >= len(s.Values) {
			return n, false
		}
		return n.item(i, s.Values[i]), true
	}
	for _, kv := range n.entries() {
		if keyText(kv.Key) == step {
			return n.key(step, kv.Value), true
		}
	}
	return n, false
}

// Locate gives errors of Field, and any others that Validate methods joined, their place below n. An error that
// isn't by Field is placed at the key its text begins with, or at n. Errors that have a place keep it, and hide others
// about the same key: a value that could not be read is not worth judging.
func (n Node) Locate(err error) error {
	var placed, found []error
	for _, leaf := range leaves(err) {
		var known *Error
		var field *FieldError
		switch {
		case errors.As(leaf, &known):
			placed = append(placed, known)
		case errors.As(leaf, &field):
			e := n.At(field.Path).errorf("%s", field.Msg)
			e.Path = joinPath(n.path, field.Path)
			found = append(found, e)
		default:
			found = append(found, n.guess(leaf.Error()))
		}
	}
	known := errors.Join(placed...)
	return Join(known, n.without(errors.Join(found...), known))
}

// guess places an error by the key that its text begins with.
func (n Node) guess(text string) *Error {
	word, _, ok := strings.Cut(text, " ")
	if word = strings.TrimSuffix(word, ":"); !ok || word == "" {
		return n.errorf("%s", text)
	}
	at := n.At(word)
	if at.path == n.path {
		return n.errorf("%s", text)
	}
	e := at.errorf("%s", strings.TrimPrefix(text, word+": "))
	e.Path = joinPath(n.path, word)
	return e
}

func (n Node) key(name string, v ast.Node) Node {
	return Node{file: n.file, path: joinPath(n.path, name), node: v}
}

func (n Node) item(i int, v ast.Node) Node {
	return Node{file: n.file, path: fmt.Sprintf("%s[%d]", n.path, i), node: v}
}

func joinPath(a, b string) string {
	if a == "" || b == "" || b[0] == '[' {
		return a + b
	}
	return a + "." + b
}

// entries returns the pairs of a mapping, none when n is none.
func (n Node) entries() []*ast.MappingValueNode {
	switch m := n.node.(type) {
	case *ast.MappingNode:
		return m.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}
	}
	return nil
}

// keyText is a key as it would be written without quotes.
func keyText(k ast.MapKeyNode) string {
	if s, ok := k.(*ast.StringNode); ok {
		return s.Value
	}
	return k.String()
}
