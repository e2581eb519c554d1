//go:build !race

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/service"
	"yizhan/devices"
	"yizhan/devices/modem"
	"yizhan/devices/port"
	"yizhan/devices/port/porttest"
	"yizhan/firmware-sim/internal/firmware"
)

// socket is a modem's end of a line in memory.
type socket struct{ *porttest.End }

func (socket) Idle() {}

// post sends JSON to the cloud's API.
func (b *Bench) post(t *testing.T, path string, body any) int {
	token, err := os.ReadFile(filepath.Join(b.dir, "token"))
	require.NoError(t, err)
	doc, err := json.Marshal(body)
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+CloudHTTP+path, bytes.NewReader(doc))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := b.http.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

type shownNotice struct {
	Waybill, Event, Status, Reason, Text string
	Tries                                []struct{ Channel, Outcome, Detail string }
}

func (b *Bench) notice(t *testing.T, waybill string) shownNotice {
	var v struct{ Items []shownNotice }
	require.NoError(t, b.Get(t.Context(), "/api/v1/notices?waybill="+waybill, &v))
	require.Len(t, v.Items, 1)
	return v.Items[0]
}

// A message goes out by the SIM of a gateway, whose report comes back as data; a number or text stands nowhere on the way.
// What the network refuses goes by the next channel, and where an answer is lost nothing is sent while the report may come.
func TestAMessageGoesOutByAGatewaysSIM(t *testing.T) {
	dir := t.TempDir()
	county, err := filepath.Abs(filepath.Join("..", "..", "..", "configs", "county"))
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 12, 1, 6, 0, 0, 0, time.UTC)))
		b, err := New(dir, county, []devices.Factory{devices.Kind("modem", modem.New)})
		require.NoError(t, err)
		defer b.Close()
		file := filepath.Join(dir, "cloud.yaml")
		yaml, err := os.ReadFile(file)
		require.NoError(t, err)
		yaml = append(yaml, "notify:\n  channels:\n    - {name: sim, kind: modem, device: lk-baihe-1/modem, per_minute: 12}\n    - {name: other, kind: outbox}\n"...)
		require.NoError(t, os.WriteFile(file, yaml, 0o600))
		b.cfg, err = service.Load(file)
		require.NoError(t, err)
		s, err := b.Cloud(t.Context())
		require.NoError(t, err)
		c := start(t.Context(), s.Run)

		near, far := porttest.Pipe()
		sim := firmware.NewModem(socket{far})
		m := start(t.Context(), func(ctx context.Context) error { _ = sim.Run(ctx); return nil })
		e, err := b.Gateway("lk-baihe-1", `[{id: modem, kind: modem, port: "serial:/dev/sms?baud=115200"}]`, func(context.Context, string) (port.Port, error) { return near, nil })
		require.NoError(t, err)
		g := start(t.Context(), e.Run)
		time.Sleep(time.Minute)

		arrive := func(waybill string) {
			require.Equal(t, 201, b.post(t, "/api/v1/waybills", map[string]any{
				"waybill": waybill, "site": "out-baihe", "consent": "no", "recipient": map[string]any{"name": "王小明", "phone": "13800138000"},
			}))
			require.Less(t, b.post(t, "/api/v1/parcels/"+waybill+"/events", map[string]any{"id": "e-" + waybill, "step": "at_outlet", "at": time.Now(), "site": "out-baihe"}), 300)
		}
		arrive("YZ2600000001")
		time.Sleep(time.Minute)
		n := b.notice(t, "YZ2600000001")
		require.Equal(t, "delivered", n.Status, "%+v", n)
		require.Equal(t, "delivered", n.Tries[0].Outcome)
		require.Equal(t, "sim", n.Tries[0].Channel)
		require.Equal(t, "【云岭驿站】快件已到白鹤服务站，请来取。单号尾号0001", n.Text)
		require.Len(t, sim.Sent(), 1)
		require.Equal(t, n.Text, sim.Text("13800138000"))

		sim.Refuse("+CMS ERROR: 38", "+CMS ERROR: 38", "+CMS ERROR: 38") // network out of order, for good
		arrive("YZ2600000002")
		time.Sleep(3 * time.Minute)
		n = b.notice(t, "YZ2600000002")
		require.Equal(t, "delivered", n.Status, "%+v", n)
		require.Equal(t, "other", n.Tries[len(n.Tries)-1].Channel)

		sim.LoseResults(1) // it goes out, and neither its answer nor its reference comes: no report can be matched
		before := len(sim.Sent())
		arrive("YZ2600000003")
		time.Sleep(8 * time.Minute)
		n = b.notice(t, "YZ2600000003")
		require.Equal(t, "open", n.Status, "a report is waited for: %+v", n)
		require.Len(t, sim.Sent(), before+1)
		time.Sleep(8 * time.Minute)
		n = b.notice(t, "YZ2600000003")
		require.Equal(t, "delivered", n.Status, "%+v", n)
		require.Len(t, n.Tries, 2, "once more, by the next channel")
		require.Len(t, sim.Sent(), before+1)

		g.stop(t)
		c.stop(t)
		m.stop(t)
		for _, name := range []string{"state.db", "state.db-wal"} {
			raw, err := os.ReadFile(filepath.Join(dir, name))
			if err == nil {
				require.NotContains(t, string(raw), "13800138000", name)
				require.NotContains(t, string(raw), "王小明", name)
				require.NotContains(t, string(raw), "请来取", name)
			}
		}
	})
}
