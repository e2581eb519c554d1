package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The limits of a file and a function, in lines.
const (
	maxFile     = 500
	maxFunction = 70
)

// A source is one parsed Go file of the project.
type source struct {
	path  string // slash-separated, from the root
	dir   string
	text  string
	lines int
	test  bool
	file  *ast.File
	fset  *token.FileSet
}

func (s *source) line(p token.Pos) int { return s.fset.Position(p).Line }

func root(t *testing.T) string {
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	_, err = os.Stat(filepath.Join(dir, "go.mod"))
	require.NoError(t, err)
	return dir
}

// sources parses every Go file below the root, generated and third-party folders left out.
func sources(t *testing.T) []source {
	var all []source
	top := root(t)
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "node_modules" || name == "testdata" || name == "bin" || name == "data" || strings.HasPrefix(name, ".") && p != top) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, p)
		if err != nil {
			return err
		}
		s := source{path: filepath.ToSlash(rel), text: string(b), test: strings.HasSuffix(name, "_test.go"), fset: token.NewFileSet()}
		s.dir = filepath.ToSlash(filepath.Dir(rel))
		s.lines = strings.Count(s.text, "\n")
		s.file, err = parser.ParseFile(s.fset, p, b, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, s)
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

func TestFilesAndFunctionsAreShort(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		if s.lines > maxFile {
			t.Errorf("%s: %d lines, at most %d: is there a room missing?", s.path, s.lines, maxFile)
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				if n := s.line(f.End()) - s.line(f.Pos()) + 1; n > maxFunction {
					t.Errorf("%s:%d: %s has %d lines, at most %d", s.path, s.line(f.Pos()), f.Name.Name, n, maxFunction)
				}
			}
		}
	}
}

func TestMainFilesAreThin(t *testing.T) {
	for _, p := range []string{"gateway/main.go", "cloud/main.go", "firmware-sim/main.go"} {
		b, err := os.ReadFile(filepath.Join(root(t), p))
		require.NoError(t, err)
		if n := strings.Count(string(b), "\n"); n > 120 {
			t.Errorf("%s: %d lines, at most 120", p, n)
		}
	}
}

func TestEachPackageHasOneComment(t *testing.T) {
	comments, packages := map[string]int{}, map[string]string{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		packages[s.dir] = s.file.Name.Name
		if s.file.Doc != nil {
			comments[s.dir]++
			want := "Package " + s.file.Name.Name + " "
			if s.file.Name.Name == "main" {
				want = "Command "
			}
			if text := s.file.Doc.Text(); !strings.HasPrefix(text, want) {
				t.Errorf("%s: the package comment begins %.40q, not %q", s.path, text, want)
			}
		}
	}
	for dir := range packages {
		if comments[dir] != 1 {
			t.Errorf("%s: %d package comments, must be one", dir, comments[dir])
		}
	}
}

func TestWhatIsPublicIsExplained(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.file.Name.Name == "main" {
			continue
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
					t.Errorf("%s:%d: %s has no comment", s.path, s.line(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				explainSpecs(t, &s, d)
			}
		}
	}
}

func explainSpecs(t *testing.T, s *source, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
				t.Errorf("%s:%d: %s has no comment", s.path, s.line(spec.Pos()), spec.Name.Name)
			}
		case *ast.ValueSpec:
			for _, n := range spec.Names {
				if n.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
					t.Errorf("%s:%d: %s has no comment", s.path, s.line(n.Pos()), n.Name)
				}
			}
		}
	}
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

func TestNothingRunsBeforeMain(t *testing.T) {
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s:%d: init()", s.path, s.line(f.Pos()))
			}
		}
	}
}

// A sleep in a test is a race that waits for a slow day; inside a synctest bubble time is made up.
func TestNoTestSleeps(t *testing.T) {
	for _, s := range sources(t) {
		if s.test && strings.Contains(s.text, "time.Sleep(") && !strings.Contains(s.text, `"testing/synctest"`) {
			t.Errorf("%s: time.Sleep outside a synctest bubble", s.path)
		}
		if s.test && strings.Contains(s.text, "t.Skip") && s.path != "configs/house/source_test.go" {
			t.Errorf("%s: a test that may be skipped proves nothing", s.path)
		}
	}
}

func TestNoTLSWithoutVerification(t *testing.T) {
	for _, s := range sources(t) {
		if s.path != "configs/house/source_test.go" && strings.Contains(s.text, "InsecureSkipVerify") {
			t.Errorf("%s: InsecureSkipVerify", s.path)
		}
	}
}
