package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/config"
)

const minimal = "mqtt: {ca: ca.crt, cert: s.crt, key: s.key}\n"

func TestTheExampleLoadsAndSaysTheDefaults(t *testing.T) {
	c, err := config.Load(filepath.Join("..", "..", "..", "configs", "cloud.example.yaml"))
	require.NoError(t, err)
	want := config.Default()
	want.MQTT.CA, want.MQTT.Cert, want.MQTT.Key = c.MQTT.CA, c.MQTT.Cert, c.MQTT.Key
	require.Equal(t, want, c)
}

func TestDefaults(t *testing.T) {
	c, err := config.Parse("c.yaml", []byte(minimal))
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8080", c.Listen)
	require.Equal(t, 30*time.Second, c.Command.Lease)
	require.False(t, c.Demo)
}

func TestEveryErrorAtOnce(t *testing.T) {
	_, err := config.Parse("c.yaml", []byte(`listen: nowhere
ops: "1.2.3.4:99999"
publik: x
public: ftp://x
mqtt: {ca: "", cert: s.crt}
state: mysql://x
history: influx+http://host
archive: {keep: 1h}
command: {lease: 1h}
log: loud
demo: yes
speed: 0
tls: {cert: c.pem}
`))
	require.Error(t, err)
	for _, want := range []string{
		"c.yaml:1:9: listen", "c.yaml:2:6: ops", "publik: unknown key", "c.yaml:4:9: public", "mqtt.ca", "mqtt.key",
		"c.yaml:6:8: state", "c.yaml:7:10: history", "archive.keep", "command.lease", "c.yaml:10:6: log", "demo", "speed", "tls: needs cert and key",
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestTLSHasAnAddressThatSaysSo(t *testing.T) {
	_, err := config.Parse("c.yaml", []byte(minimal+"listen: 0.0.0.0:8443\npublic: http://post.example\ntls: {cert: c.pem, key: k.pem}\n"))
	require.ErrorContains(t, err, "is not https")
	_, err = config.Parse("c.yaml", []byte(minimal+"listen: 0.0.0.0:8443\npublic: https://post.example:8443\ntls: {cert: c.pem, key: k.pem}\n"))
	require.NoError(t, err)
}

func TestADemoStaysOnThisMachine(t *testing.T) {
	_, err := config.Parse("c.yaml", []byte(minimal+"listen: 0.0.0.0:8080\ndemo: true\n"))
	require.ErrorContains(t, err, "can be reached from outside")
	_, err = config.Parse("c.yaml", []byte(minimal+"listen: 0.0.0.0:8080\n"))
	require.ErrorContains(t, err, "by which URL")
	_, err = config.Parse("c.yaml", []byte(minimal+"listen: 0.0.0.0:8080\npublic: https://yz.example\n"))
	require.NoError(t, err)
	for addr, want := range map[string]bool{"127.0.0.1:80": true, "127.9.1.1:80": true, "[::1]:80": true, "localhost:80": true, ":80": false, "0.0.0.0:80": false, "10.0.0.1:80": false, "x": false} {
		require.Equal(t, want, config.Loopback(addr), addr)
	}
}

func TestStores(t *testing.T) {
	for state, ok := range map[string]bool{"sqlite:x.db": true, "sqlite:": false, "postgres://u:p@h/db": true, "postgresql:///db?host=/run": true, "": false} {
		_, err := config.Parse("c.yaml", []byte(minimal+"state: \""+state+"\"\n"))
		require.Equal(t, ok, err == nil, state)
	}
	for history, ok := range map[string]bool{"sqlite:": true, "sqlite:x": false, "influx+http://h:8086/yizhan?token=t": true, "influx+http://h:8086/": false} {
		_, err := config.Parse("c.yaml", []byte(minimal+"history: \""+history+"\"\n"))
		require.Equal(t, ok, err == nil, history)
	}
}

func TestPrintKeepsSecrets(t *testing.T) {
	c, err := config.Parse("c.yaml", []byte(minimal+"state: \"postgres://u:hunter2@h/db\"\nhistory: \"influx+http://h:8086/y?token=hunter2\"\n"))
	require.NoError(t, err)
	out := c.Print()
	require.NotContains(t, out, "hunter2")
	require.Contains(t, out, "postgres://u:xxxxx@h/db")
	again, err := config.Parse("printed.yaml", []byte(out))
	require.NoError(t, err, "what -check prints is a config")
	require.Equal(t, c.Command, again.Command)
	_, err = config.Load(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
