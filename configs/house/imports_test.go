package house

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the list of packages that the gateway links")

// A law says what the packages below a folder may import of this module (prefixes), and which
// other modules they must not.
type law struct {
	below  string   // "devices/telemetry"; "" is any folder
	except []string // folders below it with a law of their own
	may    []string // prefixes of this module's packages
	never  []string // prefixes of import paths
	why    string
}

var laws = []law{
	{below: "devices/telemetry", may: nil, never: []string{"."}, why: "the vocabulary is standard library only"},
	{below: "broker/topic", may: []string{"devices/telemetry"}, never: []string{"."}, why: "topics are standard library and vocabulary only"},
	{below: "broker/pickup", may: nil, never: []string{"."}, why: "codes and lists are standard library only"},
	{below: "broker/frame", may: []string{"devices/telemetry"}, why: "frames are ground floor"},
	{below: "devices/port", may: []string{"devices/port"}, why: "a port knows bytes only"},
	{below: "devices/epc", may: []string{"devices/telemetry"}, why: "tag data is pure"},
	{below: "devices/passage", may: []string{"devices/telemetry", "devices/epc"}, why: "passages are pure"},
	{
		below: "devices", except: []string{"devices/telemetry", "devices/port", "devices/epc", "devices/passage", "devices/devicestest"},
		may: []string{"=devices", "devices/telemetry", "devices/port", "devices/epc", "devices/passage", "self"},
		why: "a driver imports the contract and shared logic, never another driver, the broker, gateway or cloud",
	},
	{below: "broker", except: []string{"broker/topic", "broker/frame", "broker/pickup"}, may: []string{"devices/telemetry", "broker/topic", "broker/frame", "self"}, why: "the broker knows no driver"},
	{
		below: "gateway", may: []string{"devices", "broker", "gateway", "configs/strict"},
		never: []string{"github.com/jackc", "modernc.org", "github.com/influxdata", "github.com/pressly", "github.com/danielgtaylor", "github.com/prometheus", "database/sql"},
		why:   "the gateway links no store and no page",
	},
	{
		below: "gateway/internal/cabinet", may: []string{"=devices", "devices/telemetry", "broker/pickup", "broker/frame"}, never: []string{"net", "github.com"},
		why: "from the keypad to the pulse there is no network",
	},
	{below: "gateway/internal/door", may: []string{"=devices", "devices/telemetry", "broker/frame"}, never: []string{"net", "os", "github.com"}, why: "what a door did is decided without a file or a network"},
	{
		below: "cloud", may: []string{"devices/telemetry", "devices/epc", "broker", "cloud", "configs/strict"},
		never: []string{"go.bug.st", "periph.io"}, why: "the cloud drives no device",
	},
	{
		below: "firmware-sim/internal/soak", may: []string{"gateway/edge", "cloud/service", "broker", "=devices", "devices/telemetry", "self"},
		why: "the simulation of seeds drives the cores of the faces, and no driver",
	},
	{below: "firmware-sim", except: []string{"firmware-sim/internal/bench", "firmware-sim/internal/soak"}, may: []string{"firmware-sim"}, why: "each protocol is written twice, so the simulator imports no driver, no gateway and no cloud"},
}

const module = "yizhan/"

// A pkg is one row of go list.
type pkg struct {
	path    string // from the root: "devices/gnss"
	imports []string
}

// packages lists what each package imports outside its tests.
func packages(t *testing.T) []pkg {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	require.NoError(t, err)
	var all []pkg
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		all = append(all, pkg{strings.TrimPrefix(f[0], module), f[1:]})
	}
	return all
}

func within(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

func (l *law) covers(path string) bool {
	if !within(path, l.below) {
		return false
	}
	for _, e := range l.except {
		if within(path, e) {
			return false
		}
	}
	return true
}

func (l *law) allows(from, imp string) bool {
	own, inModule := strings.CutPrefix(imp, module)
	if !inModule {
		for _, n := range l.never {
			if n == "." && strings.Contains(strings.Split(imp, "/")[0], ".") || n != "." && within(imp, n) {
				return false
			}
		}
		return true
	}
	for _, m := range l.may {
		switch {
		case m == "self" && sameProtocol(from, own), m == "="+own, !strings.HasPrefix(m, "=") && within(own, m):
			return true
		}
	}
	return false
}

// sameProtocol reports whether two packages are in the same second-level folder: devices/llrp and
// devices/llrp/llrptest.
func sameProtocol(a, b string) bool {
	cut := func(s string) string {
		return strings.Join(strings.SplitN(s, "/", 3)[:min(2, strings.Count(s, "/")+1)], "/")
	}
	return cut(a) == cut(b)
}

func TestImportLaw(t *testing.T) {
	covered := map[string]bool{}
	for _, p := range packages(t) {
		for _, l := range laws {
			if !l.covers(p.path) {
				continue
			}
			covered[l.below] = true
			for _, imp := range p.imports {
				if !l.allows(p.path, imp) {
					t.Errorf("%s imports %s: %s", p.path, imp, l.why)
				}
			}
		}
	}
	for _, l := range laws {
		require.True(t, covered[l.below], "the law of %s covers nothing: delete it", l.below)
	}
}

// Rooms of one product don't import each other: the user declares what it needs and the face
// hands the thing in. Nouns and data that every room speaks in are the exception.
func TestSiblingsKeepApart(t *testing.T) {
	shared := map[string]bool{"cloud/internal/county": true}
	for _, p := range packages(t) {
		product, room, ok := strings.Cut(p.path, "/internal/")
		if !ok || product == "firmware-sim" {
			continue
		}
		for _, imp := range p.imports {
			own := strings.TrimPrefix(imp, module)
			other, otherRoom, ok := strings.Cut(own, "/internal/")
			same := strings.Split(room, "/")[0] == strings.Split(otherRoom, "/")[0]
			if ok && other == product && !same && !shared[own] && !strings.HasPrefix(own, "cloud/internal/county/") && !pureRule(own) {
				t.Errorf("%s imports its sibling %s", p.path, own)
			}
		}
	}
}

// pureRule names rooms that are logic over nouns without state or I/O; ingest applies them.
func pureRule(path string) bool {
	switch path {
	case "cloud/internal/registry", "cloud/internal/parcel", "cloud/internal/vehicle", "cloud/internal/locker", "cloud/internal/coldchain":
		return true
	}
	return false
}

func TestTheTopLevelIsFixed(t *testing.T) {
	allowed := map[string]bool{"gateway": true, "broker": true, "devices": true, "cloud": true, "firmware-sim": true, "configs": true, "Makefile": true, "go.mod": true, "go.sum": true, "README.md": true, "LICENSE": true}
	cmd := exec.CommandContext(t.Context(), "git", "ls-files")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		top := strings.Split(strings.TrimSpace(line), "/")[0]
		if !allowed[top] && !strings.HasPrefix(top, ".") {
			t.Errorf("%s is no part of the house's top level", top)
		}
	}
}

// What the gateway links on its boards is checked in, so that a new package is a visible line.
func TestWhatTheGatewayLinks(t *testing.T) {
	for _, arch := range []string{"arm", "arm64"} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./gateway")
		cmd.Dir = root(t)
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
		out, err := cmd.Output()
		require.NoError(t, err)
		var lines []string
		for line := range strings.Lines(string(out)) {
			if p := strings.TrimSpace(line); !strings.HasPrefix(p, "internal/") && !strings.HasPrefix(p, "vendor/") && !strings.Contains(p, "/internal/") || strings.HasPrefix(p, module) {
				lines = append(lines, p)
			}
		}
		sort.Strings(lines)
		got := strings.Join(lines, "\n") + "\n"
		file := filepath.Join("testdata", "gateway-"+arch+".txt")
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		if !bytes.Equal(want, []byte(got)) {
			require.Equal(t, string(want), got, "the gateway links other packages on %s; if that is meant: go test ./configs/house -update", arch)
		}
	}
}
