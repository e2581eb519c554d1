package edge_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/pickup"
	"yizhan/broker/topic"
	"yizhan/devices/telemetry"
)

// A locker that speaks MQTT, a scanner behind a serial server, and a cloud that sends what is expected: a parcel goes in, its deposit comes to the
// cloud with the door's own event, and a ticket opens the cell again without coming anywhere.
func TestTheCabinetOfALodger(t *testing.T) {
	a := newAuthority(t)
	c := newCloud(t, a)
	c.lossless = true
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	s := newSite(t, c.broker.Addr().String(), fmt.Sprintf(`
  - {id: box, kind: mqttlocker, user: handheld, uid: k7, shape: open-locker, cells: 2, answer_within: 10s}
  - {id: scan, kind: scanner, port: "tcp:%s"}
locker: {device: box, scanner: scan, key_file: lk.key, cells: [s, m]}
`, ln.Addr()))
	key := pickup.Key{Locker: "lk-a", Generation: 4, Secret: pickup.LockerKey([]byte(strings.Repeat("k", pickup.KeyBytes)), "lk-a", 4)}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "lk.key"), []byte(key.String()), 0o644))
	a.enrol(t, &s.cfg)
	b := s.start(t)
	defer func() { b.kill(t) }()
	scanner, err := ln.Accept()
	require.NoError(t, err)
	defer scanner.Close()
	scan := func(text string) {
		_, err := fmt.Fprintf(scanner, "]Q1%s\r\n", text)
		require.NoError(t, err)
	}
	require.True(t, waitFor(time.Minute, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.hellos) > 0 }))
	_, page := s.get(t, "/healthz")
	require.Contains(t, page, "there is no locker key", "others may read it")

	list := `{"series":"t","version":1,"parcels":[{"waybill":"YL000100001","size":"m","consent":"yes"}]}`
	require.NoError(t, c.broker.Send("van-03", topic.Expect, []byte(list)))
	require.True(t, waitFor(time.Minute, func() bool {
		kept, err := os.ReadFile(filepath.Join(s.dir, "data", "expect"))
		return err == nil && string(kept) == list
	}))

	host, port, err := net.SplitHostPort(s.lan)
	require.NoError(t, err)
	m := mosquitto{host, port}
	n := 0
	says := func(one, two string, item bool) {
		n++
		require.NoError(t, m.publish(t, "locker/k7/state/compartments", fmt.Sprintf(
			`{"message_id":"%08d-0000-1111-2222","timestamp":"2026-11-21T08:00:%02dZ","compartments":[{"compartment_number":1,"door_state":%q,"occupied":false},{"compartment_number":2,"door_state":%q,"occupied":%t}]}`,
			n, n, one, two, item)))
	}
	// opens answers the next command as the locker would: it takes the connection of its one user.
	opens := func(item bool, ask func()) {
		hears := m.hear(t, "handheld", "locker/k7/command", 1)
		ask()
		var v struct {
			ID   string `json:"transaction_id"`
			Data struct {
				Cell int `json:"compartment_number"`
			}
		}
		got := next(t, hears)
		require.NoError(t, json.Unmarshal([]byte(got[strings.IndexByte(got, '{'):]), &v), got)
		require.Equal(t, 2, v.Data.Cell)
		require.NoError(t, m.publish(t, "locker/k7/response", fmt.Sprintf(`{"transaction_id":%q,"result":"success"}`, v.ID)))
		says("closed", "open", item)
		require.True(t, waitFor(time.Minute, func() bool { return c.has("result", `"command":"`+v.ID+`","outcome":"done"`) }))
	}
	says("closed", "closed", false)
	opens(false, func() { scan("YL000100001") })
	says("closed", "closed", true)
	require.True(t, waitFor(time.Minute, func() bool { return c.has("locker", `"event":"deposited","occupied":true,"deposit":"d-`) }))
	deposit := c.deposit("YL000100001")
	require.Regexp(t, "^d-[0-9a-f]{16}$", deposit)

	require.NoError(t, os.Chmod(filepath.Join(s.dir, "lk.key"), 0o600))
	b.kill(t) // a start reads it at once
	require.NoError(t, scanner.Close())
	b = s.start(t)
	scanner, err = ln.Accept()
	require.NoError(t, err)
	require.True(t, waitFor(time.Minute, func() bool {
		_, page := s.get(t, "/healthz")
		return page != "" && !strings.Contains(page, "locker key")
	}))
	says("closed", "closed", true)
	ticket := pickup.Ticket(key.Secret, deposit, 0)
	opens(true, func() { scan(ticket) })
	says("closed", "closed", false)
	require.True(t, waitFor(time.Minute, func() bool { return c.has("locker", `"event":"emptied","occupied":false,"deposit":"`+deposit) }))
	require.True(t, c.has("scan", "YL000100001"))
	require.False(t, c.has("scan", "YZP1"), "a ticket is nobody's reading")
	require.True(t, c.has("locker", `"event":"accepted"`))
}

// has reports whether a reading of a kind holds a text.
func (c *cloud) has(kind telemetry.Kind, text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.recs {
		if r.Kind == kind && strings.Contains(string(r.Body), text) {
			return true
		}
	}
	return false
}

// deposit is the id of what was put in under a waybill.
func (c *cloud) deposit(waybill string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.recs {
		if l, err := telemetry.As[telemetry.Locker](r); err == nil && r.Kind == telemetry.KindLocker && l.Event == telemetry.CellDeposited && l.Waybill == waybill {
			return l.Deposit
		}
	}
	return ""
}
