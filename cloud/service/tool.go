package service

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"yizhan/broker/frame"
	"yizhan/cloud/internal/api"
	"yizhan/cloud/internal/ca"
	"yizhan/cloud/internal/config"
	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/registry"
)

// ErrUsage is wrapped by an error that says how a tool is called.
var ErrUsage = errors.New("wrong usage")

// Load reads the configuration in file; its error has a line for each mistake.
func Load(file string) (Config, error) { return config.Load(file) }

// Check reads the county's folder too, which a configuration names.
func Check(cfg Config) error {
	_, _, err := readCounty(cfg.County)
	return err
}

// readCounty reads the registry and the base map of a county's folder; the map may be absent.
func readCounty(dir string) (*county.Registry, []byte, error) {
	reg, err := registry.Load(dir)
	if err != nil {
		return nil, nil, err
	}
	base, err := os.ReadFile(filepath.Join(dir, MapFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("map: %w", err)
	}
	return reg, base, api.CheckMap(base)
}

// Tool runs one of the small tools: ca and frame. args[0] is its name.
func Tool(args []string, stdout io.Writer) error {
	if args[0] == "frame" {
		if len(args) != 2 {
			return fmt.Errorf("%w: cloud frame FILE", ErrUsage)
		}
		b, err := os.ReadFile(args[1])
		if err == nil {
			err = frame.Print(stdout, b)
		}
		if err != nil {
			return fmt.Errorf("frame: %w", err)
		}
		return nil
	}
	word := ""
	if len(args) > 1 {
		word = args[1]
	}
	switch {
	case word == "init" && len(args) == 3:
		return ca.Init(args[2], time.Now(), rand.Reader)
	case word == "server" && len(args) > 3:
		return ca.Server(args[2], args[3:], time.Now(), rand.Reader)
	case word == "sign" && len(args) == 4:
		csr, err := os.ReadFile(args[3])
		if err != nil {
			return fmt.Errorf("ca: %w", err)
		}
		cert, _, err := ca.Sign(args[2], csr, time.Now(), rand.Reader)
		if err == nil {
			_, err = stdout.Write(cert)
		}
		return err
	case word == "locker" && (len(args) == 4 || len(args) == 5):
		return lockerKey(args[2:], stdout)
	}
	return fmt.Errorf("%w: cloud ca init DIR | cloud ca server DIR HOST... | cloud ca sign DIR CSR.pem | cloud ca locker DIR LOCKER [GENERATION]", ErrUsage)
}

// lockerKey makes the key file of a locker's board and prints its name: the key itself is on no screen.
func lockerKey(args []string, stdout io.Writer) error {
	generation := 1
	if len(args) == 3 {
		var err error
		if generation, err = strconv.Atoi(args[2]); err != nil {
			return fmt.Errorf("%w: GENERATION %.20q is no number", ErrUsage, args[2])
		}
	}
	file, err := ca.Locker(args[0], args[1], generation, rand.Reader)
	if err == nil {
		_, err = fmt.Fprintln(stdout, file)
	}
	return err
}
