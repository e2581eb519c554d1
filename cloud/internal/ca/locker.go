package ca

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"yizhan/broker/pickup"
	"yizhan/devices/telemetry"
)

// MasterFile holds the secret that all lockers' keys come from: 64 hex digits, mode 0600.
const MasterFile = "pickup.key"

// Master reads a master secret.
func Master(file string) ([]byte, error) {
	st, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("pickup master: %w", err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("pickup master: %s: mode %v lets others read it: chmod 600", file, st.Mode().Perm())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("pickup master: %w", err)
	}
	secret, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(secret) != pickup.KeyBytes {
		return nil, fmt.Errorf("pickup master: %s is not %d hex digits", file, 2*pickup.KeyBytes)
	}
	return secret, nil
}

// MakeMaster makes a master secret, and leaves one that is there as it is.
func MakeMaster(file string, rand io.Reader) error {
	secret := make([]byte, pickup.KeyBytes)
	if _, err := io.ReadFull(rand, secret); err != nil {
		return fmt.Errorf("pickup master: %w", err)
	}
	err := writeNew(file, []byte(hex.EncodeToString(secret)+"\n"), 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Locker writes the key file of a locker's board into dir and returns its name, LOCKER-GENERATION.key. It makes the master secret where there
// is none. The same locker and generation have the same key for ever.
func Locker(dir, locker string, generation int, rand io.Reader) (file string, err error) {
	switch {
	case !telemetry.ValidID(locker):
		return "", fmt.Errorf("ca: locker %.40q is not 1 to 32 of a-z, 0-9 and '-'", locker)
	case generation < 1:
		return "", fmt.Errorf("ca: generation %d is not 1 or more", generation)
	}
	master := filepath.Join(dir, MasterFile)
	if err := MakeMaster(master, rand); err != nil {
		return "", err
	}
	secret, err := Master(master)
	if err != nil {
		return "", err
	}
	k := pickup.Key{Locker: locker, Generation: generation, Secret: pickup.LockerKey(secret, locker, generation)}
	file = filepath.Join(dir, fmt.Sprintf("%s-%d.key", locker, generation))
	line := []byte(k.String() + "\n")
	if old, err := os.ReadFile(file); err == nil {
		if !bytes.Equal(old, line) {
			return "", fmt.Errorf("ca: %s is of another master secret", file)
		}
		return file, nil
	}
	return file, writeNew(file, line, 0o600)
}
