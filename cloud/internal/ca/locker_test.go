package ca_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/broker/pickup"
	"yizhan/cloud/internal/ca"
)

func TestLockerKeys(t *testing.T) {
	dir := t.TempDir()
	read := func(locker string, generation int) pickup.Key {
		file, err := ca.Locker(dir, locker, generation, rand.Reader)
		require.NoError(t, err)
		st, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), st.Mode().Perm())
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		k, err := pickup.ParseKey(b)
		require.NoError(t, err)
		require.Equal(t, []any{locker, generation}, []any{k.Locker, k.Generation})
		return k
	}
	one := read("lk-qingshi", 1)
	master, err := ca.Master(filepath.Join(dir, ca.MasterFile))
	require.NoError(t, err)
	require.Equal(t, pickup.LockerKey(master, "lk-qingshi", 1), one.Secret, "the cloud derives the same")
	require.Equal(t, one.Secret, read("lk-qingshi", 1).Secret, "asked for again")
	two, other := read("lk-qingshi", 2), read("lk-longchi", 1)
	require.NotEqual(t, one.Secret, two.Secret)
	require.NotEqual(t, one.Secret, other.Secret)

	// A card shows its own locker's key and nothing that leads to another's.
	card, err := os.ReadFile(filepath.Join(dir, "lk-qingshi-1.key"))
	require.NoError(t, err)
	for _, secret := range [][]byte{master, two.Secret, other.Secret} {
		require.NotContains(t, string(card), string(bytes.ToLower(secret)))
	}

	for _, bad := range []struct {
		locker     string
		generation int
	}{{"", 1}, {"LK", 1}, {"../x", 1}, {"lk", 0}} {
		_, err := ca.Locker(dir, bad.locker, bad.generation, rand.Reader)
		require.Error(t, err)
	}
	require.NoError(t, os.Remove(filepath.Join(dir, ca.MasterFile)))
	_, err = ca.Locker(dir, "lk-qingshi", 1, rand.Reader)
	require.ErrorContains(t, err, "another master")
	require.NoError(t, os.Chmod(filepath.Join(dir, ca.MasterFile), 0o644))
	_, err = ca.Master(filepath.Join(dir, ca.MasterFile))
	require.ErrorContains(t, err, "lets others read it")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "short"), []byte("00"), 0o600))
	_, err = ca.Master(filepath.Join(dir, "short"))
	require.ErrorContains(t, err, "hex digits")
}
