package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A mutation breaks one mechanism.
type mutation struct {
	promise string // of the design, section 4: 1 to 8
	name    string // what is broken
	file    string
	old     string // in the file exactly once
	new     string
	tests   []string // packages whose tests should notice, "PACKAGE" or "PACKAGE TestName"
}

// noticed is what came of a mutation.
type noticed struct {
	by   string // the test that failed; empty when none did
	took time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	only := flags.String("only", "", "mutations whose name or file has this word")
	table := flags.Bool("md", false, "print a Markdown table")
	many := flags.Int("seeds", 200, "of the simulation; 0: it is left out")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	if *table {
		fmt.Fprintf(out, "| promise | broken | in | noticed by |\n|---|---|---|---|\n")
	}
	var wrong []error
	for i := range mutations {
		m := &mutations[i]
		if !strings.Contains(m.name+" "+m.file, *only) {
			continue
		}
		n, err := try(ctx, root, m, *many)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			wrong = append(wrong, fmt.Errorf("%s: %w", m.name, err))
			continue
		case n.by == "":
			wrong = append(wrong, fmt.Errorf("%s: survived", m.name))
			n.by = "nobody"
		}
		if *table {
			fmt.Fprintf(out, "| %s | %s | `%s` | %s |\n", m.promise, m.name, m.file, n.by)
		} else {
			fmt.Fprintf(out, "%-70s %-60s %v\n", m.name, n.by, n.took.Round(time.Second))
		}
	}
	return errors.Join(wrong...)
}

func moduleRoot() (string, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(mod))), nil
}

// mutate returns the text of m's file with the mechanism broken.
func mutate(root string, m *mutation) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(b), m.old); n != 1 {
		return "", fmt.Errorf("%s has these lines %d times, not once:\n%s", m.file, n, m.old)
	}
	return strings.Replace(string(b), m.old, m.new, 1), nil
}

// try runs the tests of m on the broken product.
func try(ctx context.Context, root string, m *mutation, many int) (n noticed, err error) {
	text, err := mutate(root, m)
	if err != nil {
		return n, err
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return n, err
	}
	defer os.RemoveAll(dir)
	file, overlay := filepath.Join(dir, filepath.Base(m.file)), filepath.Join(dir, "overlay.json")
	doc, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, m.file): file}})
	if err != nil {
		return n, err
	}
	if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.WriteFile(overlay, doc, 0o600)); err != nil {
		return n, err
	}
	start := time.Now()
	tests := m.tests
	if many > 0 {
		tests = append(slices.Clip(tests), seeds)
	}
	for _, t := range tests {
		by, err := noticedBy(ctx, root, overlay, t, many)
		if err != nil {
			return n, err
		}
		if by != "" {
			return noticed{by, time.Since(start)}, nil
		}
	}
	return noticed{took: time.Since(start)}, nil
}

// seeds is the simulation.
const seeds = "./firmware-sim/internal/soak TestSeeds"

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)|^(panic: .*)$|^fatal error: (.*)$`)

// noticedBy runs tests with the overlay and returns what failed first; empty when nothing did. A product that doesn't build
// is an error: the mutation is wrong.
func noticedBy(ctx context.Context, root, overlay, tests string, many int) (string, error) {
	pkg, name, _ := strings.Cut(tests, " ")
	args := []string{"test", "-overlay", overlay, "-count", "1", "-failfast", "-timeout", "10m"}
	if name != "" {
		args = append(args, "-run", name)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "YIZHAN_SEEDS="+strconv.Itoa(many))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "", nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case !errors.As(err, &exit), bytes.Contains(out.Bytes(), []byte("[build failed]")), bytes.Contains(out.Bytes(), []byte("[setup failed]")):
		return "", fmt.Errorf("%w: %.2000s", err, out.Bytes())
	}
	by := ""
	for _, m := range failed.FindAllSubmatch(out.Bytes(), -1) {
		for _, word := range m[1:] {
			if len(word) > 0 {
				by = string(word) // subtests come after their tests
			}
		}
		if len(m[1]) > 0 && !bytes.Contains(m[1], []byte("/")) && by != "" {
			break
		}
	}
	if by == "" {
		by = "exit " + exit.String()
	}
	return by + " (" + strings.TrimPrefix(pkg, "./") + ")", nil
}
