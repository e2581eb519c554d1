package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"yizhan/broker/frame"
	"yizhan/cloud/service"
	"yizhan/devices"
	"yizhan/devices/port"
	"yizhan/devices/telemetry"
	"yizhan/gateway/edge"
)

// Where the cloud answers on the bench's network.
const (
	CloudMQTT = "127.0.0.1:8883"
	CloudHTTP = "127.0.0.1:8080"
)

// Bench is a county in one process.
type Bench struct {
	Net   *Net
	dir   string
	kinds []devices.Factory
	cfg   service.Config
	began time.Time
	http  *http.Client
}

// New makes the authority and the cloud's configuration in dir; county is the folder of county.yaml.
func New(dir, county string, kinds []devices.Factory) (*Bench, error) {
	b := &Bench{Net: NewNet(), dir: dir, kinds: kinds, began: time.Now()}
	b.http = &http.Client{Transport: &http.Transport{DialContext: b.Net.Dial}}
	ca := filepath.Join(dir, "ca")
	for _, args := range [][]string{{"ca", "init", ca}, {"ca", "server", ca, "127.0.0.1"}} {
		if err := service.Tool(args, os.Stderr); err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
	}
	file := filepath.Join(dir, "cloud.yaml")
	yaml := fmt.Sprintf(`listen: %q
token_file: %q
mqtt: {listen: %q, ca: %q, cert: %q, key: %q}
state: %q
county: %q
demo: true
`, CloudHTTP, filepath.Join(dir, "token"), CloudMQTT, filepath.Join(ca, "ca.crt"), filepath.Join(ca, "server.crt"),
		filepath.Join(ca, "server.key"), "sqlite:"+filepath.Join(dir, "state.db"), county)
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	var err error
	b.cfg, err = service.Load(file)
	return b, err
}

// Cloud opens the cloud; run it with Run. After its Run ended it may be opened again over the same stores.
func (b *Bench) Cloud(ctx context.Context) (*service.Service, error) {
	return service.New(ctx, b.cfg, service.Env{Listen: b.Net.Listen, Version: "bench"})
}

// Gateway opens a board with these devices (YAML, a list) over its card; run it with Run. open opens its
// ports. Opened again after its Run ended it is the same board after a power cut.
func (b *Bench) Gateway(id, deviceList string, open port.Opener) (*edge.Edge, error) {
	dir := filepath.Join(b.dir, id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	cert := filepath.Join(dir, "cert.pem")
	yaml := fmt.Sprintf(`gateway: %s
data: %q
uplink: {url: "tls://%s", ca: %q, cert: %q, key: %q, retry_min: 1s, retry_max: 10s}
devices: %s
`, id, dir, CloudMQTT, filepath.Join(b.dir, "ca", "ca.crt"), cert, filepath.Join(dir, "board.key"), deviceList)
	cfg, err := edge.Parse("gateway.yaml", []byte(yaml), b.kinds)
	if err != nil {
		return nil, err
	}
	if err := b.enrol(&cfg, cert); err != nil {
		return nil, err
	}
	return edge.New(cfg, edge.Env{
		Kinds: b.kinds, Version: "bench", Clock: clock{b.began}, Dial: b.Net.Dial, Listen: b.Net.Listen, Open: open,
	})
}

func (b *Bench) enrol(cfg *edge.Config, cert string) error {
	if _, err := os.Stat(cert); err == nil {
		return nil
	}
	csr, err := edge.Request(cfg)
	if err != nil {
		return err
	}
	request := cert + ".csr"
	if err := os.WriteFile(request, csr, 0o600); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	var pem bytes.Buffer
	if err := service.Tool([]string{"ca", "sign", filepath.Join(b.dir, "ca"), request}, &pem); err != nil {
		return err
	}
	return os.WriteFile(cert, pem.Bytes(), 0o600)
}

// Get asks the cloud's API for path and reads the JSON answer into v.
func (b *Bench) Get(ctx context.Context, path string, v any) error {
	token, err := os.ReadFile(filepath.Join(b.dir, "token"))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+CloudHTTP+path, nil)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := b.http.Do(req)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("bench: %s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(v)
}

// Close hangs up idle connections.
func (b *Bench) Close() { b.http.CloseIdleConnections() }

// clock is a board's time over the process's, made up or not: right from the first moment, one boot.
type clock struct{ began time.Time }

func (c clock) Mono() (frame.Boot, int64) { return frame.Boot{1}, int64(time.Since(c.began)) }

func (clock) Now() (time.Time, telemetry.Quality) { return time.Now(), telemetry.NTP }

func (c clock) Stamp() (frame.Boot, int64, int64, telemetry.Quality) {
	boot, mono := c.Mono()
	return boot, mono, time.Now().UnixMilli(), telemetry.NTP
}

func (clock) Observe(telemetry.Reading) {}

func (clock) ObserveCloud(time.Time) {}
