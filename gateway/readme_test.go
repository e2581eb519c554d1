package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/broker"
)

// The page of devices has a row, a section and a configuration that is right for each kind there is.
func TestThePageOfDevices(t *testing.T) {
	b, err := os.ReadFile("../devices/README.md")
	require.NoError(t, err)
	page := string(b)
	hash, err := broker.HashPassword("x")
	require.NoError(t, err)
	for _, k := range kinds() {
		t.Run(k.Kind, func(t *testing.T) {
			require.Contains(t, page, fmt.Sprintf("| [`%s`](%s/doc.go) |", k.Kind, k.Kind))
			_, section, found := strings.Cut(page, "\n### "+k.Kind+"\n")
			require.True(t, found, "a section")
			section, _, _ = strings.Cut(section, "\n##")
			blocks := strings.Split(section, "```yaml\n")[1:]
			require.NotEmpty(t, blocks, "a configuration")
			for _, block := range blocks {
				entry, _, _ := strings.Cut(block, "```")
				require.LessOrEqual(t, strings.Count(entry, "\n"), 5)
				require.Contains(t, entry, "kind: "+k.Kind+"\n")
				file := filepath.Join(t.TempDir(), "g.yaml")
				require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `gateway: van-03
data: data
uplink: {url: "tls://127.0.0.1:1", ca: ca, cert: cert, key: key}
broker: {listen: "127.0.0.1:1883", users: [{name: wall, role: device, password_hash: %q}]}
devices:
%s`, hash, entry), 0o600))
				r := call(t, "", "-check", "-config", file)
				require.Zero(t, r.code, r.stderr)
			}
		})
	}
}
