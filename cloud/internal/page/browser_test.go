package page

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// SHOTS is a folder that keeps the screenshots.
func TestE2EVillagerWithoutJavaScript(t *testing.T) {
	p, b := openMy(t)
	p.opt.My.Secure = false
	d := b.desk
	server := httptest.NewServer(p)
	defer server.Close()
	shots := os.Getenv("SHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	code := filepath.Join(t.TempDir(), "code")
	b.told = func(_, c string) { _ = os.WriteFile(code, []byte(c), 0o600) }
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join("test", "villager.mjs"), shots,
		server.URL+p.Link("YZ-IN-LOCKER"), server.URL+p.Link("YZ-ON-THE-WAY"), server.URL+Path+"nothing", server.URL+MyPath, code)
	cmd.Dir = filepath.Join("..", "..", "ui")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "recipient YZ-ON-THE-WAY station", d.amended[0])
	require.Len(t, d.reported, 2, "once in each language")
}
