package edge_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
	"yizhan/gateway/edge"
)

// A mosquitto is a locker, or a technician, whose MQTT nobody here wrote.
type mosquitto struct{ host, port string }

func (m mosquitto) args(user string, more ...string) []string {
	return append([]string{"-h", m.host, "-p", m.port, "-u", user, "-P", "secret", "-V", "mqttv5"}, more...)
}

// publish publishes at QoS 1 and returns what it printed when it was acknowledged.
func (m mosquitto) publish(t *testing.T, name, payload string) error {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "mosquitto_pub", m.args("handheld", "-q", "1", "-r", "-t", name, "-m", payload)...).CombinedOutput()
	if err != nil || strings.Contains(string(out), "failed") {
		return fmt.Errorf("%s: %v", out, err)
	}
	return nil
}

// hear subscribes, waits until the broker says so, and returns the lines to come.
func (m mosquitto) hear(t *testing.T, user, filter string, n int) *bufio.Scanner {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "stdbuf", append([]string{"-oL", "mosquitto_sub"}, m.args(user, "-d", "-q", "1", "-t", filter, "-C", fmt.Sprint(n), "-W", "30", "-F", "> %E %t %p")...)...)
	r, err := cmd.StdoutPipe()
	require.NoError(t, err, "mosquitto-clients are installed by .ci/deps")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() })
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "Subscribed") {
			return lines
		}
	}
	require.FailNow(t, "no subscription", "%v", lines.Err())
	return nil
}

// next returns the next message: its expiry, topic and payload.
func next(t *testing.T, lines *bufio.Scanner) string {
	t.Helper()
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "> "); ok {
			return text
		}
	}
	require.FailNow(t, "no message", "%v", lines.Err())
	return ""
}

// command sends a command with the lease of the last hello and returns the result that arrives.
func (c *cloud) command(t *testing.T, id, cell string) string {
	t.Helper()
	c.mu.Lock()
	require.NotEmpty(t, c.hellos)
	last := c.hellos[len(c.hellos)-1]
	c.mu.Unlock()
	b, err := json.Marshal(frame.Command{ID: id, Device: "box", Action: "open_cell", Args: map[string]string{"cell": cell}, Boot: last.Boot, MonoNS: last.MonoNS, LeaseMS: 600_000})
	require.NoError(t, err)
	require.NoError(t, c.broker.Send("van-03", topic.Command, b))
	var got string
	require.True(t, waitFor(30*time.Second, func() bool {
		got = c.bodies("cmd-" + id)
		return got != ""
	}), "no result")
	return got
}

// bodies are those of the readings whose n begins so.
func (c *cloud) bodies(n string) (all string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.recs {
		if r.Device == "box" && strings.HasPrefix(r.N, n) {
			all += string(r.Body)
		}
	}
	return all
}

// A locker that speaks MQTT, played by mosquitto's clients: what it says is mapped and kept before it is acknowledged, what
// it hears is a command, once.
func TestALockerLodgesAtTheBroker(t *testing.T) {
	a := newAuthority(t)
	c := newCloud(t, a)
	c.lossless = true
	s := newSite(t, c.broker.Addr().String(), "[{id: box, kind: mqttlocker, user: handheld, uid: k7, shape: open-locker, cells: 4, answer_within: 5s}]")
	a.enrol(t, &s.cfg)
	b := s.start(t)
	defer b.kill(t)
	require.True(t, waitFor(20*time.Second, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.hellos) > 0
	}))
	host, port, err := net.SplitHostPort(s.lan)
	require.NoError(t, err)
	m := mosquitto{host, port}
	state := func(id, door string) string {
		return fmt.Sprintf(`{"message_id":"%s-0000-1111-2222","timestamp":"2026-11-21T08:00:00Z","compartments":[{"compartment_number":2,"door_state":%q,"occupied":true}]}`, id, door)
	}
	const states = "locker/k7/state/compartments"

	watch := m.hear(t, "tech", "dev/box/locker", 1)
	require.NoError(t, m.publish(t, states, state("aaaa", "closed")))
	require.Contains(t, next(t, watch), `dev/box/locker {"device":"box","kind":"locker","at":"2026-11-21T08:00:00.000Z","tq":"rtc","n":"aaaa-0000-1111-2222-2","body":{"cell":2,"event":"closed","occupied":true}}`)
	require.NoError(t, m.publish(t, states, state("aaaa", "closed")), "told again")
	require.NoError(t, m.publish(t, states, `{"not":"a snapshot"}`), "quarantined, and acknowledged")
	for _, foreign := range []string{"locker/k8/event", "locker/k7/command", "dev/box/locker", "anything"} {
		require.Error(t, m.publish(t, foreign, state("bbbb", "open")), foreign)
	}

	// Nobody is there to hear a command.
	require.JSONEq(t, `{"command":"c-1","outcome":"refused","detail":"offline"}`, c.command(t, "c-1", "2"))

	hears := m.hear(t, "handheld", "locker/k7/command", 1)
	answered := make(chan error, 1)
	go func() {
		for hears.Scan() {
			text, ok := strings.CutPrefix(hears.Text(), "> ")
			if !ok {
				continue
			}
			expiry, rest, _ := strings.Cut(text, " ")
			name, payload, _ := strings.Cut(rest, " ")
			var v struct {
				ID   string `json:"transaction_id"`
				Data struct {
					Cell int `json:"compartment_number"`
				}
			}
			if err := json.Unmarshal([]byte(payload), &v); err != nil || name != "locker/k7/command" || expiry == "0" || v.ID != "c-2" || v.Data.Cell != 2 {
				answered <- fmt.Errorf("heard %s: %v", text, err)
				return
			}
			err := m.publish(t, "locker/k7/response", `{"transaction_id":"c-2","result":"success"}`)
			if err == nil {
				err = m.publish(t, states, state("cccc", "open"))
			}
			answered <- err
			return
		}
		answered <- io.ErrUnexpectedEOF
	}()
	require.JSONEq(t, `{"command":"c-2","outcome":"done","detail":"opened"}`, c.command(t, "c-2", "2"))
	require.NoError(t, <-answered)

	// A locker that hears and says nothing: its connection ends with the deadline, and the command with it.
	mute := m.hear(t, "handheld", "locker/k7/command", 5)
	require.JSONEq(t, `{"command":"c-3","outcome":"unknown","detail":"no_reply"}`, c.command(t, "c-3", "1"))
	require.Contains(t, next(t, mute), `"transaction_id":"c-3"`)

	require.True(t, waitFor(20*time.Second, func() bool { return strings.Contains(c.bodies("cccc"), "opened") }))
	require.JSONEq(t, `{"cell":2,"event":"closed","occupied":true}`, c.bodies("aaaa"), "once")
	require.Empty(t, c.bodies("bbbb"))
	c.mu.Lock()
	defer c.mu.Unlock()
	online := 0
	for _, r := range c.recs {
		if r.Device == "box" && r.Kind == telemetry.KindHealth {
			online++
		}
	}
	require.Positive(t, online)
}

func TestALodgerNeedsItsUser(t *testing.T) {
	site := func(devices string) error {
		_, err := edge.Parse("g.yaml", []byte(`gateway: van-03
data: data
uplink: {url: "tls://127.0.0.1:1", ca: ca.pem, cert: cert.pem, key: key.pem}
broker: {listen: 127.0.0.1:0, users: [{name: wall, role: device, password_hash: "pbkdf2-sha256$120000$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}
devices:
`+devices), kinds())
		return err
	}
	require.NoError(t, site("  - {id: box, kind: mqttlocker, user: wall, shape: lkaas, cells: 4}\n"))
	require.ErrorContains(t, site("  - {id: box, kind: mqttlocker, user: hall, shape: lkaas, cells: 4}\n"), `g.yaml:6:39: devices[0].user: broker.users has no device "hall"`)
	require.ErrorContains(t, site("  - {id: box, kind: mqttlocker, user: wall, shape: lkaas, cells: 4}\n  - {id: fox, kind: mqttlocker, user: wall, shape: open-locker, cells: 4}\n"), `"wall" is the user of the device of line 6 too`)
	require.ErrorContains(t, site("  - {id: wall, kind: mqttlocker, user: wall, shape: lkaas, cells: 4}\n"), "logs in to the broker too")
}
