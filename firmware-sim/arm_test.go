package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The gateway of the boards in the field, run as its instructions: what a device was told is safe while the cloud was
// away survives a kill, and drains once the cloud is back.
func TestGatewayOfAnotherProcessor(t *testing.T) {
	for _, c := range []struct{ name, arch, emulator string }{
		{"arm v7", "GOARCH=arm", "qemu-arm-static"},
		{"arm64", "GOARCH=arm64", "qemu-aarch64-static"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			w := openWard(t, options{speed: 1, data: dir, bin: emulated(t, c.arch, c.emulator)})
			w.flowing(t)
			require.NoError(t, w.rack.Off("cloud"))
			w.flowing(t) // onto the card
			require.NoError(t, w.rack.Kill(victim))
			require.True(t, within(patience, func() bool { return w.started(victim, 2) }))
			w.flowing(t)
			require.NoError(t, w.rack.On("cloud"))
			w.settle(t)
			w.audit(t, "sqlite", "file:"+filepath.Join(dir, "state.db")+"?mode=ro")
		})
	}
}

// emulated is a folder with a gateway of another processor, which runs in an emulator, and this machine's cloud.
func emulated(t *testing.T, arch, emulator string) string {
	t.Helper()
	emulator, err := exec.LookPath(emulator)
	require.NoError(t, err, "qemu is missing: apt-get install qemu-user-static")
	native, err := programs()
	require.NoError(t, err)
	bin := t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(native, "cloud"), filepath.Join(bin, "cloud")))
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(bin, "gateway.real"), "../gateway")
	build.Env = append(os.Environ(), "GOOS=linux", "GOARM=7", "CGO_ENABLED=0", arch)
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	script := fmt.Sprintf("#!/bin/sh\nexec %s \"$0.real\" \"$@\"\n", emulator)
	require.NoError(t, os.WriteFile(filepath.Join(bin, "gateway"), []byte(script), 0o700))
	return bin
}
