package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func cloud(t *testing.T, ctx context.Context, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(ctx, args, &out, &errs)
	return status, out.String(), errs.String()
}

// prepare makes what a cloud needs and returns its configuration file.
func prepare(t *testing.T, extra string) string {
	t.Helper()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca")
	for _, args := range [][]string{{"ca", "init", ca}, {"ca", "server", ca, "127.0.0.1"}} {
		status, _, errs := cloud(t, t.Context(), args...)
		require.Equal(t, exitOK, status, errs)
	}
	text := "listen: \"127.0.0.1:0\"\ntoken_file: " + dir + "/token\nstate: \"sqlite:" + dir + "/state.db\"\ncounty: ../configs/county\n" +
		"mqtt: {listen: \"127.0.0.1:0\", ca: " + ca + "/ca.crt, cert: " + ca + "/server.crt, key: " + ca + "/server.key}\n" + extra
	file := filepath.Join(dir, "cloud.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestExitStatus(t *testing.T) {
	good := prepare(t, "demo: true\n")
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("listen: x\nwhat: ever\n"), 0o600))
	nowhere := prepare(t, "demo: false\n") // its token was never made
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"version"}, exitOK, ""},
		{[]string{"-check", "-config", good}, exitOK, ""},
		{nil, exitUsage, "usage: cloud"},
		{[]string{"-config"}, exitUsage, "flag needs an argument"},
		{[]string{"-config", good, "extra"}, exitUsage, "usage: cloud"},
		{[]string{"-nonsense"}, exitUsage, "not defined"},
		{[]string{"verify", "van-01"}, exitUsage, "usage: cloud verify"},
		{[]string{"verify", "-config", bad, "van-01"}, exitConfig, "bad.yaml:1:9: listen"},
		{[]string{"verify", "-config", good, "Van 1"}, exitUsage, "is no gateway"},
		{[]string{"verify", "-config", good, "van-01"}, exitFailed, "no key of this gateway is known"},
		{[]string{"ca", "burn"}, exitUsage, "cloud ca init DIR"},
		{[]string{"frame"}, exitUsage, "cloud frame FILE"},
		{[]string{"frame", bad}, exitFailed, "frame"},
		{[]string{"-config", bad}, exitConfig, "bad.yaml:1:9: listen"},
		{[]string{"-check", "-config", bad}, exitConfig, "what: unknown key"},
		{[]string{"-config", filepath.Join(t.TempDir(), "none")}, exitConfig, "no such file"},
		{[]string{"-config", nowhere}, exitFailed, "token"},
	} {
		status, _, errs := cloud(t, t.Context(), c.args...)
		require.Equal(t, c.status, status, "%v: %s", c.args, errs)
		require.Contains(t, errs, c.says, c.args)
	}
}

func TestCheckPrintsWhatIsInForce(t *testing.T) {
	status, out, _ := cloud(t, t.Context(), "-check", "-config", prepare(t, ""))
	require.Equal(t, exitOK, status)
	require.Contains(t, out, "lease: 30s")
}

func TestCheckLooksAtTheCounty(t *testing.T) {
	file := prepare(t, "")
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, bytes.Replace(b, []byte("../configs/county"), []byte(t.TempDir()), 1), 0o600))
	status, _, errs := cloud(t, t.Context(), "-check", "-config", file)
	require.Equal(t, exitConfig, status)
	require.Contains(t, errs, "county.yaml")
}

// upThenStop takes what a cloud logs, and asks it to stop once it says that it is up.
type upThenStop struct {
	bytes.Buffer
	stop context.CancelFunc
}

func (w *upThenStop) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("cloud up")) {
		w.stop()
	}
	return w.Buffer.Write(p)
}

// Asked to stop, it stops with 0; the token is in its file and in nothing that it wrote elsewhere.
func TestRunUntilAskedToStop(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	file := prepare(t, "demo: true\n")
	var out bytes.Buffer
	errs := &upThenStop{stop: cancel}
	require.Equal(t, exitOK, run(ctx, []string{"-config", file}, &out, errs), errs.String())
	token, err := os.ReadFile(filepath.Join(filepath.Dir(file), "token"))
	require.NoError(t, err)
	require.NotContains(t, out.String()+errs.String(), strings.TrimSpace(string(token)), "nobody reads this as a person would")
	require.Contains(t, errs.String(), "cloud down")
}
