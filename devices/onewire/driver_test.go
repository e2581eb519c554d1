package onewire

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/devices/devicestest"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
)

const front = "28-0316a2795e50"

func oneProbe() Config { return Config{Probes: []Probe{{Address: front, Probe: "front"}}} }

func newDriver(t testing.TB, c Config) *Driver {
	require.NoError(t, c.Validate())
	d, err := New(c, devices.Env{Name: "cold", Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return d
}

// A wire is a bus whose kernel sits at the other end of a port: an address goes out, a w1_slave
// comes back. It lets the conformance suite play w1_therm.
type wire struct{ port port.Port }

func (w wire) Probes() ([]string, error) { return []string{front}, nil }
func (w wire) Close() error              { return w.port.Close() }

func (w wire) Read(address string) ([]byte, error) {
	err := errors.Join(w.port.Flush(), w.port.SetReadDeadline(time.Now().Add(800*time.Millisecond)))
	if _, writeErr := w.port.Write([]byte(address + "\n")); writeErr != nil || err != nil {
		return nil, errors.Join(err, writeErr)
	}
	var text []byte
	for buf := make([]byte, maxFile); len(text) < maxFile && bytes.Count(text, []byte("\n")) < 2; {
		n, err := w.port.Read(buf)
		if err != nil {
			return nil, err
		}
		text = append(text, buf[:n]...)
	}
	return text, nil
}

func TestContract(t *testing.T) {
	kernel := func(_ context.Context, conn devicestest.Conn) {
		buf := make([]byte, 64)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			if bytes.ContainsRune(buf[:n], '\n') {
				if _, err := conn.Write([]byte(w1(vectors[0].bytes, vectors[0].milli))); err != nil {
					return
				}
			}
		}
	}
	make := func(open port.Opener) devices.Driver {
		c := oneProbe()
		c.Every = time.Second
		d := newDriver(t, c)
		d.open = func(ctx context.Context) (bus, error) {
			p, err := open(ctx, "")
			return wire{p}, err
		}
		return d
	}
	devicestest.Contract(t, make, kernel)
	devicestest.OnTCP(t, make, kernel)
}

// A kernel is w1_therm in memory.
type kernel struct {
	mu    sync.Mutex
	files map[string][]any // text or error, in turn; the last for ever
	reads map[string]int
	took  time.Duration // of one read
	hang  chan struct{} // a read that never ends
	gone  error
}

func (k *kernel) Probes() ([]string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var found []string
	for address := range k.files {
		found = append(found, address)
	}
	return found, k.gone
}

func (k *kernel) Read(address string) ([]byte, error) {
	if k.hang != nil {
		<-k.hang
	}
	timer := time.NewTimer(k.took)
	defer timer.Stop()
	<-timer.C
	k.mu.Lock()
	defer k.mu.Unlock()
	file := k.files[address]
	if len(file) == 0 {
		return nil, fs.ErrNotExist
	}
	if k.reads == nil {
		k.reads = map[string]int{}
	}
	k.reads[address]++
	if len(file) > 1 {
		k.files[address] = file[1:]
	}
	if err, bad := file[0].(error); bad {
		return nil, err
	}
	return []byte(file[0].(string)), nil
}

func (k *kernel) Close() error { return nil }

func (k *kernel) plug(address string, file ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.files[address] = file
	if file == nil {
		delete(k.files, address)
	}
}

// runs drives d in a bubble until it ends or limit passed.
func runs(t *testing.T, d *Driver, k *kernel, limit time.Duration) (bodies []string, err error) {
	d.open = func(context.Context) (bus, error) { return k, nil }
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err = d.Run(ctx, func(_ context.Context, rs ...telemetry.Reading) error {
		for _, r := range rs {
			require.NoError(t, r.Validate())
			require.True(t, r.At.IsZero())
			bodies = append(bodies, string(r.Body))
		}
		return nil
	})
	synctest.Wait()
	return bodies, err
}

func value(milli string) string {
	return `{"probe":"front","temperature_c":` + milli + `,"quality":"ok"}`
}

const faulty = `{"probe":"front","quality":"fault"}`

var (
	warm = w1(vectors[0].bytes, vectors[0].milli)
	frst = w1(vectors[5].bytes, vectors[5].milli)
	cold = w1(powered, 85000)
)

// Each of the bus's ways to fail, once: the next attempt of the same round has the value.
func TestOneBadReadIsReadAgain(t *testing.T) {
	const good = "73 01 4b 46 7f ff 0d 10 41"
	for name, c := range map[string]struct {
		file    any
		counter string
	}{
		"brown-out":    {cold, "power_on"},
		"short":        {w1("00 00 00 00 00 00 00 00 00", 0), "all_zero"},
		"lost":         {"ff ff ff ff ff ff ff ff ff : crc=c9 NO\n" + good + " t=23187\n", "all_ones"},
		"noise":        {"73 01 4b 46 7f ff 0d 10 40 : crc=41 NO\n" + good + " t=23187\n", "bad_checksum"},
		"EIO":          {syscall.EIO, "read_errors"},
		"gone":         {fs.ErrNotExist, "gone"},
		"empty":        {"", "malformed"},
		"a lying test": {w1(powered, 21312), "disagree"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDriver(t, oneProbe())
				bodies, err := runs(t, d, &kernel{files: map[string][]any{front: {c.file, warm}}}, 5*time.Second)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, []string{value("25.188")}, bodies)
				require.EqualValues(t, 1, d.Counters()[c.counter])
				require.EqualValues(t, 1, d.Counters()["retries"])
				require.EqualValues(t, 0, d.Counters()["probe_faults"])
			})
		})
	}
}

func TestUnpluggedAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rear = "28-0416c1f3a8ff"
		c := oneProbe()
		c.Probes = append(c.Probes, Probe{Address: rear, Probe: "rear"})
		k := &kernel{files: map[string][]any{front: {warm}, rear: {frst}, "28-00000000aaaa": {warm}}, took: 750 * time.Millisecond}
		d := newDriver(t, c)
		time.AfterFunc(15*time.Second, func() { k.plug(front) })
		time.AfterFunc(95*time.Second, func() { k.plug(front, cold, warm) })
		bodies, _ := runs(t, d, k, 115*time.Second)
		count := map[string]int{}
		for _, b := range bodies {
			count[b]++
		}
		require.Equal(t, map[string]int{
			value("25.188"): 3, faulty: 2, `{"probe":"rear","temperature_c":-10.125,"quality":"ok"}`: 12,
		}, count, "told at once and a minute later; power-on is no value when it comes back")
		require.EqualValues(t, 0, d.Counters()["probes_lost"])
		require.EqualValues(t, 1, d.Counters()["unlisted"])
	})
}

func TestAllThatAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kernel{files: map[string][]any{front: {warm}}}
		bodies, _ := runs(t, newDriver(t, Config{}), k, 5*time.Second)
		require.Equal(t, []string{strings.Replace(value("25.188"), "front", front, 1)}, bodies)
	})
}

func TestNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bodies, err := runs(t, newDriver(t, oneProbe()), &kernel{files: map[string][]any{front: {syscall.EIO}}}, time.Hour)
		require.ErrorIs(t, err, errNobody)
		require.NotErrorIs(t, err, devices.ErrPermanent)
		require.Equal(t, []string{faulty}, bodies)
		_, err = runs(t, newDriver(t, oneProbe()), &kernel{gone: fs.ErrNotExist}, time.Hour)
		require.ErrorIs(t, err, fs.ErrNotExist, "the kernel's module is unloaded")
	})
}

// A kernel that doesn't finish a read has one reader at most, and stops nobody.
func TestHangingKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kernel{files: map[string][]any{front: {warm}}, hang: make(chan struct{})}
		d := newDriver(t, oneProbe())
		began := time.Now()
		_, err := runs(t, d, k, time.Hour)
		require.ErrorIs(t, err, errHangs)
		require.Equal(t, 5*time.Second, time.Since(began))
		_, err = runs(t, d, k, time.Hour)
		require.ErrorIs(t, err, errHangs, "the read of the run before")
		require.EqualValues(t, 1, d.Counters()["timeouts"])
		close(k.hang)
		synctest.Wait()
		bodies, _ := runs(t, d, k, time.Second)
		require.Equal(t, []string{value("25.188")}, bodies)
	})
}

func TestCancelDoesNotWaitForTheConversion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kernel{files: map[string][]any{front: {warm}}, took: 3 * time.Second}
		began := time.Now()
		_, err := runs(t, newDriver(t, oneProbe()), k, time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
		time.Sleep(k.took) // what the kernel began it finishes
	})
}

// On a real folder, with real files.
func TestFolder(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, front)
	require.NoError(t, os.MkdirAll(filepath.Join(root, "w1_bus_master1"), 0o755))
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "w1_slave"), []byte(warm), 0o644))
	b, err := openFolder(t.Context(), root)
	require.NoError(t, err)
	found, err := b.Probes()
	require.NoError(t, err)
	require.Equal(t, []string{front}, found)
	text, err := b.Read(front)
	require.NoError(t, err)
	require.Equal(t, warm, string(text))
	require.NoError(t, os.RemoveAll(dir))
	_, err = b.Read(front)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, b.Close())

	c := oneProbe()
	c.Root = filepath.Join(root, "none")
	require.ErrorIs(t, newDriver(t, c).Run(t.Context(), nil), fs.ErrNotExist)
}

func TestConfig(t *testing.T) {
	require.NoError(t, Config{}.Validate())
	require.Equal(t, "/sys/bus/w1/devices", Config{}.withDefaults().Root)
	for _, c := range []struct {
		name string
		edit func(*Config)
		want []string
	}{
		{"root", func(c *Config) { c.Root = "w1" }, []string{`root: "w1"`}},
		{"times", func(c *Config) { c.Every, c.Timeout, c.FaultEvery, c.StuckAfter = 1, 1, 1, 1 }, []string{"every: ", "timeout: ", "fault_every: ", "stuck_after: "}},
		{"family", func(c *Config) { c.Probes[0].Address = "29-0316a2795e50" }, []string{"probes[0].address: "}},
		{"address", func(c *Config) { c.Probes[0].Address = "28-0316A2795E50" }, []string{"probes[0].address: "}},
		{"path", func(c *Config) { c.Probes[0].Address = "28-../../../../e" }, []string{"probes[0].address: "}},
		{"probe", func(c *Config) { c.Probes[0].Probe = "" }, []string{"probes[0].probe: "}},
		{"twice", func(c *Config) { c.Probes = append(c.Probes, c.Probes[0]) }, []string{"probes[1].address: ", "probes[1].probe: "}},
	} {
		cfg := oneProbe()
		c.edit(&cfg)
		err := cfg.Validate()
		require.Error(t, err, c.name)
		lines := strings.Split(err.Error(), "\n")
		require.Len(t, lines, len(c.want), err)
		for i, w := range c.want {
			require.True(t, strings.HasPrefix(lines[i], w), "%q begins no %q", lines[i], w)
		}
	}
}
