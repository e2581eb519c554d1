package onewire

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A bus is where probes are found and read.
type bus interface {
	// Probes lists the addresses of what is plugged in. Its error is a bus that is gone.
	Probes() ([]string, error)
	// Read starts a conversion and returns the text of w1_slave.
	Read(address string) ([]byte, error)
	Close() error
}

// maxFile is more than a w1_slave ever has.
const maxFile = 256

// A folder is the kernel's view of the bus.
type folder string

func openFolder(_ context.Context, root string) (bus, error) {
	if _, err := os.Stat(root); err != nil {
		return nil, fmt.Errorf("open w1 bus: %w", err)
	}
	return folder(root), nil
}

// Probes lists the folders that look like a probe's; beside them are the bus masters.
func (f folder) Probes() ([]string, error) {
	entries, err := os.ReadDir(string(f))
	if err != nil {
		return nil, fmt.Errorf("list w1 bus: %w", err)
	}
	var found []string
	for _, e := range entries {
		if validAddress(e.Name()) {
			found = append(found, e.Name())
		}
	}
	return found, nil
}

// Read reads w1_slave in one go: the kernel converts at each read from its start.
func (f folder) Read(address string) ([]byte, error) {
	file, err := os.Open(filepath.Join(string(f), address, "w1_slave"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	buf := make([]byte, maxFile)
	n, err := file.Read(buf)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return buf[:n], nil
}

// Close does nothing: nothing is open between reads.
func (folder) Close() error { return nil }
