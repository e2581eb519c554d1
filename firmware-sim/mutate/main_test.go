package main

import (
	"go/parser"
	"go/token"
	"testing"

	"github.com/stretchr/testify/require"
)

// The list is about the product as it is: each mutation has its place, once, and leaves sources that parse.
func TestMutationsHaveTheirPlaces(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	names := map[string]bool{}
	for i := range mutations {
		m := &mutations[i]
		require.False(t, names[m.name], m.name)
		names[m.name] = true
		text, err := mutate(root, m)
		if !assertNoError(t, err, m.name) {
			continue
		}
		_, err = parser.ParseFile(token.NewFileSet(), m.file, text, parser.SkipObjectResolution)
		assertNoError(t, err, m.name)
	}
}

func assertNoError(t *testing.T, err error, name string) bool {
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return err == nil
}
