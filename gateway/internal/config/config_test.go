package config_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices"
	"yizhan/gateway/internal/config"
)

type settings struct {
	Port string        `yaml:"port"`
	Poll time.Duration `yaml:"poll"`
}

func (s settings) Validate() error {
	var errs []error
	if s.Port == "" {
		errs = append(errs, errors.New("port is absent"))
	}
	if s.Poll < 0 {
		errs = append(errs, errors.New("poll: is negative"))
	}
	return errors.Join(errs...)
}

type driver struct{}

func (driver) Run(context.Context, devices.Emit) error { return nil }

func kinds() []devices.Factory {
	open := func(settings, devices.Env) (driver, error) { return driver{}, nil }
	return []devices.Factory{devices.Kind("gnss", open), devices.Kind("modbus", open)}
}

const head = `gateway: van-03
data: data
uplink: {url: "tls://cloud:8883", ca: ca.pem, cert: cert.pem, key: /etc/yizhan/key.pem}
`

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "gateway.yaml")
	src := head + `broker:
  listen: "127.0.0.1:1883"
  users:
    - {name: probe, role: device, password_hash_file: probe.hash}
    - {name: tech, role: technician, password_hash: "pbkdf2-sha256$1$a$b"}
spool: {max_bytes: 512MiB}
devices:
  - id: gps
    kind: gnss
    port: serial:/dev/ttyUSB0
    poll: 250ms
`
	require.NoError(t, os.WriteFile(file, []byte(src), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "probe.hash"), []byte("pbkdf2-sha256$9$c$d\n"), 0o600))
	c, err := config.Load(file, kinds())
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "data"), c.Data)
	require.Equal(t, filepath.Join(dir, "ca.pem"), c.Uplink.CA)
	require.Equal(t, "/etc/yizhan/key.pem", c.Uplink.Key)
	require.Equal(t, config.Addresses{"127.0.0.1:1883"}, c.Broker.Listen)
	require.Equal(t, "pbkdf2-sha256$9$c$d", c.Broker.Users[0].PasswordHash)
	require.Equal(t, config.Size(512<<20), c.Spool.MaxBytes)
	require.Equal(t, 5*time.Second, c.Uplink.RetryMin)
	require.Equal(t, "gps", c.Devices[0].ID)
	var s settings
	require.NoError(t, c.Devices[0].Settings(&s))
	require.Equal(t, settings{"serial:/dev/ttyUSB0", 250 * time.Millisecond}, s)

	out := c.Print()
	require.NotContains(t, out, "pbkdf2", "a hash is a secret")
	require.Contains(t, out, "max_bytes: 512MiB")
	require.Contains(t, out, "port: serial:/dev/ttyUSB0")
	require.Contains(t, out, "retry_max: 10m0s")
}

func TestEveryErrorAtOnce(t *testing.T) {
	src := `gateway: Van_03
uplink: {url: "mqtt://cloud", ca: ca.pem, cert: cert.pem, key: key.pem, retry_min: 1ms}
broker:
  listen: ["127.0.0.1:1883", "nowhere", "1.2.3.4:70000"]
  users:
    - {name: gps, role: device, password_hash: x}
    - {name: tech, role: boss}
    - {name: gateway, role: device, password_hash_file: missing.hash}
status: {listen: 9101}
spool: {segment_bytes: 1KiB, max_bytes: 64, keep: -1h, card_tbw: -3}
clock: {rtc: maybe}
devices:
  - {id: gps, kind: gnss, port: a}
  - {id: gps, kind: gnss, port: a}
  - {id: gateway, kind: gnss, port: a}
  - {kind: radar}
  - {id: x, prot: a, kind: modbus}
  - {id: y, kind: modbus, poll: -1s}
  - just a word
  - {id: z, kind: [a]}
`
	_, err := config.Parse("g.yaml", []byte(src), kinds())
	require.Error(t, err)
	want := []string{
		"g.yaml:1:1: data: is required",
		"g.yaml:1:10: gateway: \"Van_03\" is no id: 1 to 32 of a-z, 0-9 and '-'",
		"g.yaml:2:15: uplink.url: \"mqtt://cloud\" is not tls://host:port",
		"g.yaml:2:84: uplink.retry_min: 1ms, at least 100ms",
		"g.yaml:4:30: broker.listen[1]: \"nowhere\" is not host:port",
		"g.yaml:4:41: broker.listen[2]: \"1.2.3.4:70000\": port \"70000\" is outside 0 to 65535",
		"g.yaml:7:26: broker.users[1].role: \"boss\" is neither device nor technician",
		"g.yaml:7:7: broker.users[1].password_hash_file: give password_hash_file or password_hash",
		"g.yaml:8:14: broker.users[2].name: \"gateway\" is the gateway's own device",
		"broker.users[2].password_hash_file: open missing.hash: no such file or directory",
		"g.yaml:9:18: status.listen: must be a string: put 9101 in quotes",
		"g.yaml:10:24: spool.segment_bytes: must be 64KiB to 64MiB",
		"g.yaml:10:41: spool.max_bytes: must be a string: put 64 in quotes",
		"g.yaml:10:51: spool.keep: -1h0m0s is outside 0s to 10 years",
		"g.yaml:10:66: spool.card_tbw: -3 is outside 0 to 1000000",
		"g.yaml:11:14: clock.rtc: \"maybe\" is none of auto, trust, ignore",
		"g.yaml:13:10: devices[0].id: \"gps\" is a device that logs in to the broker too",
		"g.yaml:14:10: devices[1].id: \"gps\" is the device of line 13 too",
		"g.yaml:15:10: devices[2].id: \"gateway\" is the gateway's own device",
		"g.yaml:16:5: devices[3].id: is required",
		"g.yaml:16:12: devices[3].kind: there is no kind \"radar\"; the kinds are gnss, modbus",
		"g.yaml:17:13: devices[4].prot: unknown key; allowed here: poll, port",
		"g.yaml:17:5: devices[4]: port is absent",
		"g.yaml:18:33: devices[5].poll: is negative",
		"g.yaml:18:5: devices[5]: port is absent",
		"g.yaml:19:5: devices[6]: must be a mapping (key: value), not the string \"just a word\"",
		"g.yaml:20:19: devices[7].kind: must be a string, not a list",
	}
	text := err.Error()
	for _, w := range want {
		require.Contains(t, text, w)
	}
	require.Len(t, strings.Split(text, "\n"), len(want), text)
}

func TestSize(t *testing.T) {
	for text, want := range map[string]config.Size{"64KiB": 64 << 10, "4 MiB": 4 << 20, "2GiB": 2 << 30, "1500KiB": 1500 << 10} {
		var s config.Size
		require.NoError(t, s.UnmarshalText([]byte(text)))
		require.Equal(t, want, s)
		out, err := s.MarshalText()
		require.NoError(t, err)
		require.Equal(t, strings.ReplaceAll(text, " ", ""), string(out))
	}
	for _, text := range []string{"", "12", "0KiB", "-1MiB", "99999999GiB", "1.5GiB", "4MB"} {
		var s config.Size
		require.Error(t, s.UnmarshalText([]byte(text)), text)
	}
}
