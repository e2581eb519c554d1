package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A failpoint is a place in the product at which a test ends the process. The product knows nothing
// of it: the test builds the programs from sources with a call put before one line.
type failpoint struct {
	name, file string
	before     string // the line; it must be in the file once
	lose       string // what is lost besides the process
}

// failpoints lie along the way of a reading, from the device's publish to the cloud's acknowledgement and back to the card.
var failpoints = []failpoint{
	{name: "append", file: "gateway/internal/spool/spool.go", before: "if !thin || all.sum() >= lingerBytes {"},
	{name: "written", file: "gateway/internal/spool/commit.go", before: "if err := s.main.sync(a.f); err != nil {"},
	// As in a power cut: what was written and not synced never reached the card.
	{name: "fsync", file: "gateway/internal/spool/commit.go", before: "if err := s.main.sync(a.f); err != nil {", lose: "a.f.WriteAt(make([]byte, len(buf)), seg.end)"},
	{name: "synced", file: "gateway/internal/spool/commit.go", before: "s.book(mine, groups, errs)"},
	{name: "puback", file: "broker/acks.go", before: "if _, err := c.Write(b); err != nil {"},
	{name: "told", file: "broker/acks.go", before: "c.guard.count.add(nAcks, len(b)/4)"},
	{name: "ack", file: "gateway/internal/uplink/core.go", before: "c.cfg.Source.Commit(l.epoch, l.lane, slices.Clone(l.committed))"},
	{name: "cursor", file: "gateway/internal/spool/cursor.go", before: "if err := s.fs.Rename(s.path(cursorTemp), s.path(cursorName)); err != nil {"},
	{name: "renamed", file: "gateway/internal/spool/cursor.go", before: "return s.main.syncDir()"},
	{name: "unlink", file: "gateway/internal/spool/volume.go", before: "spared, err := v.let(d, room)"},
	{name: "unlinked", file: "gateway/internal/spool/volume.go", before: "if first == nil && err != nil {"},
	{name: "commit", file: "cloud/internal/state/commit.go", before: "verdicts, changes, facts = w.verdicts, w.changes, len(w.facts)"},
	{name: "committed", file: "cloud/internal/ingest/group.go", before: "in.told(group, verdicts, changes)"},
	{name: "acked", file: "cloud/internal/ingest/group.go", before: "in.cfg.Publish(changes)"},
}

// Where each start of a program ends: at a failpoint, the n-th time it comes there.
var (
	gatewayDeaths = []string{
		"append 1", "fsync 5", "puback 3", "ack 4", "synced 1", "told 8", "unlink 1", "written 30", "cursor 2",
		"append 333", "fsync 1", "puback 40", "ack 1", "synced 50", "told 1", "unlinked 1", "renamed 1",
		"append 50", "fsync 20", "fsync 60", "puback 1", "ack 9", "synced 4", "told 60", "unlink 3", "written 1", "unlinked 2",
		"fsync 2", "cursor 1", "fsync 9", "renamed 3",
	}
	cloudDeaths = []string{
		"commit 1", "committed 5", "acked 1", "commit 6", "committed 1", "commit 2", "acked 5", "commit 3", "committed 9", "acked 2", "commit 4",
	}
)

// failing builds the programs with failpoints and returns their folder. Each start of one takes the next line
// of the file failpoints beside its configuration.
func failing(t *testing.T, points []failpoint) string {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	dir := t.TempDir()
	replace := map[string]string{}
	put := func(file, text string) {
		name := filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		replace[filepath.Join(root, file)] = name
	}
	changed := map[string]string{}
	for _, p := range points {
		if changed[p.file] == "" {
			b, err := os.ReadFile(filepath.Join(root, p.file))
			require.NoError(t, err)
			changed[p.file] = string(b)
		}
		changed[p.file], err = insert(changed[p.file], p)
		require.NoError(t, err)
	}
	for file, text := range changed {
		put(file, text)
		folder := filepath.Dir(file)
		put(filepath.Join(folder, "failpoint.go"), "package "+filepath.Base(folder)+failpointCode)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	bin := filepath.Join(dir, "bin")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", bin+"/", "../gateway", "../cloud").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, name := range []string{"gateway", "cloud"} {
		name = filepath.Join(bin, name)
		require.NoError(t, os.Rename(name, name+".real"))
		require.NoError(t, os.WriteFile(name, []byte(starter), 0o700))
	}
	return bin
}

// insert puts a failpoint's call into a source.
func insert(text string, p failpoint) (string, error) {
	lines := strings.Split(text, "\n")
	at := -1
	for i, line := range lines {
		if strings.TrimSpace(line) != p.before {
			continue
		}
		if at >= 0 {
			return "", fmt.Errorf("failpoint %s: lines %d and %d of %s are %q", p.name, at+1, i+1, p.file, p.before)
		}
		at = i
	}
	if at < 0 {
		return "", fmt.Errorf("failpoint %s: %s has no line %q", p.name, p.file, p.before)
	}
	return strings.Join(slices.Insert(lines, at, fmt.Sprintf("failpoint(%q, func() { %s })", p.name, p.lose)), "\n"), nil
}

// failpointCode ends the process at the failpoint and the hit that the environment names. Who came there goes no further;
// all others run on for a moment, as they do while a card or a store is slow: what is said too early gets out.
const failpointCode = `

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

var failpointHits atomic.Int64

func failpoint(name string, lose func()) {
	at, n, _ := strings.Cut(os.Getenv("FAILPOINT"), " ")
	if at != name || strconv.FormatInt(failpointHits.Add(1), 10) != n {
		return
	}
	os.Stderr.WriteString("failpoint " + name + " " + n + "\n")
	<-time.After(50 * time.Millisecond)
	lose()
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
`

const starter = `#!/bin/sh
plan=$(dirname "$2")/failpoints
if [ "$1" = -config ] && [ -s "$plan" ]; then
	FAILPOINT=$(head -n 1 "$plan")
	export FAILPOINT
	sed -i 1d "$plan"
fi
exec "$0.real" "$@"
`

// deaths reads from a program's log at which failpoints it died.
func deaths(t *testing.T, log string) (all []string) {
	b, err := os.ReadFile(log)
	require.NoError(t, err)
	for line := range strings.Lines(string(b)) {
		if at, ok := strings.CutPrefix(line, "failpoint "); ok {
			all = append(all, strings.TrimSpace(at))
		}
	}
	return all
}

// A failpoint that lost its place is an error, not a place where nothing dies.
func TestAFailpointHasOnePlace(t *testing.T) {
	p := failpoint{name: "here", before: "work()"}
	text, err := insert("a()\n\twork()\nb()", p)
	require.NoError(t, err)
	require.Equal(t, "a()\nfailpoint(\"here\", func() {  })\n\twork()\nb()", text)
	for _, text := range []string{"a()", "work()\nwork()", "a() // work()"} {
		_, err := insert(text, p)
		require.ErrorContains(t, err, "failpoint here", text)
	}
	for _, p := range failpoints {
		text, err := os.ReadFile(filepath.Join("..", p.file))
		require.NoError(t, err)
		_, err = insert(string(text), p)
		require.NoError(t, err)
	}
	for _, plan := range [][]string{gatewayDeaths, cloudDeaths} {
		for _, line := range plan {
			name, _, _ := strings.Cut(line, " ")
			require.True(t, slices.ContainsFunc(failpoints, func(p failpoint) bool { return p.name == name }), line)
		}
	}
}
