package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// The records of a county's day, cut otherwise, doubled and in any order, make the same tables byte for byte as those
// of the day as it went.
func TestACountyDayInAnyOrder(t *testing.T) {
	p := play(t, options{speed: 200, seed: 7, boards: "wh-1,van-01,van-02,van-03,lk-qingshi-1,lk-zhuhai-1,lk-baihe-1"}, nil)
	var list struct{ Items []map[string]any }
	require.True(t, within(patience, func() bool {
		return p.committed(t) > 500 && p.front.get(t.Context(), "/api/v1/parcels?limit=200", &list) == nil &&
			slices.ContainsFunc(list.Items, func(x map[string]any) bool { return x["stage"] == "picked_up" })
	}), "a parcel goes the whole way")
	p.stop()
	day := readDay(t, filepath.Join(p.dir, "state.db"))

	morning := t.TempDir() // a cloud that knows the waybills and nothing else, which the others are copies of
	c := p.another(t, morning)
	c.announce(t, list.Items)
	c.stop()

	want := p.relive(t, morning, day.frames)
	require.Contains(t, want, "picked_up")
	for seed := range uint64(2) {
		got := p.relive(t, morning, day.shuffled(t, p, rand.New(rand.NewPCG(5, seed))))
		require.Equal(t, want, got, "seed %d", seed)
	}
}

// committed is how many records the cloud has.
func (p *played) committed(t *testing.T) (n int) {
	var list struct{ Items []struct{ Committed int } }
	if p.front.get(t.Context(), "/api/v1/gateways", &list) != nil {
		return 0
	}
	for _, g := range list.Items {
		n += g.Committed
	}
	return n
}

// recorded is what a gateway shipped in a lane of an epoch.
type recorded struct {
	gateway string
	epoch   frame.Epoch
	lane    telemetry.Lane
}

// day is what the archive of a county has.
type day struct {
	frames  []*frame.Frame
	records map[recorded][]frame.Record
	prev    map[recorded][32]byte // the hash before the first
	total   int
}

func readDay(t *testing.T, db string) *day {
	t.Helper()
	d := &day{records: map[recorded][]frame.Record{}, prev: map[recorded][32]byte{}}
	dec, err := frame.NewDecoder()
	require.NoError(t, err)
	s, err := sql.Open("sqlite", "file:"+db+"?mode=ro")
	require.NoError(t, err)
	defer s.Close()
	rows, err := s.QueryContext(t.Context(), "select body from frames order by gateway, epoch, lane, first")
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var raw []byte
		require.NoError(t, rows.Scan(&raw))
		f, err := dec.Decode(raw)
		require.NoError(t, err)
		k := recorded{f.Gateway, f.Epoch, f.Lane}
		if d.records[k] == nil {
			d.prev[k] = f.Prev
		}
		for _, r := range f.Records {
			if n := len(d.records[k]); n == 0 || r.Seq > d.records[k][n-1].Seq {
				d.records[k] = append(d.records[k], r)
			}
		}
	}
	require.NoError(t, rows.Err())
	// As it went: whole runs, of records whose time doesn't hang on when they are received.
	for _, k := range d.keys() {
		for from := 0; from < len(d.records[k]); {
			to := from
			for to < len(d.records[k]) && to-from < 500 && dated(&d.records[k][to]) {
				to++
			}
			if to > from {
				d.frames = append(d.frames, d.cut(k, from, to))
				d.total += to - from
			}
			from = max(to, from+1)
		}
	}
	require.Greater(t, d.total, 200, "a day of many records")
	return d
}

func (d *day) keys() (keys []recorded) {
	for k := range d.records {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b recorded) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return keys
}

// dated reports whether a record, or the reading in it, has a time of its own.
func dated(r *frame.Record) bool {
	return r.Type != frame.TypeReading || r.Quality != telemetry.Unknown || bytes.Contains(r.Payload, []byte(`"at":`))
}

func (d *day) cut(k recorded, from, to int) *frame.Frame {
	rs := d.records[k]
	prev := d.prev[k]
	if from > 0 {
		prev = rs[from-1].Hash(k.epoch, k.lane)
	}
	return &frame.Frame{Gateway: k.gateway, Epoch: k.epoch, Lane: k.lane, Prev: prev, Records: rs[from:to]}
}

// shuffled are the same records in other frames, which overlap, some of them twice, in any order.
func (d *day) shuffled(t *testing.T, p *played, rng *rand.Rand) (out []*frame.Frame) {
	t.Helper()
	for _, f := range d.frames {
		k := recorded{f.Gateway, f.Epoch, f.Lane}
		start := slices.IndexFunc(d.records[k], func(r frame.Record) bool { return r.Seq == f.First() })
		for i := 0; i < len(f.Records); {
			n := min(1+rng.IntN(40), len(f.Records)-i)
			back := rng.IntN(min(i, 5) + 1)
			cut := d.cut(k, start+i-back, start+i+n)
			out = append(out, cut)
			if rng.IntN(6) == 0 {
				out = append(out, cut)
			}
			i += n
		}
	}
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// relive sends frames to a cloud that begins as morning, and returns its tables.
func (p *played) relive(t *testing.T, morning string, frames []*frame.Frame) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(morning)))
	c := p.another(t, dir)
	wires := map[string]*wire{}
	seqs := map[recorded]map[uint64]bool{}
	for _, f := range frames {
		k := recorded{f.Gateway, f.Epoch, f.Lane}
		if seqs[k] == nil {
			seqs[k] = map[uint64]bool{}
		}
		for _, r := range f.Records {
			seqs[k][r.Seq] = true
		}
		if wires[f.Gateway] == nil {
			wires[f.Gateway] = p.wire(t, f.Gateway)
		}
		wires[f.Gateway].send(t, f)
	}
	want := 0
	for _, s := range seqs {
		want += len(s)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "state.db")+"?mode=ro")
	require.NoError(t, err)
	defer db.Close()
	got := 0
	require.True(t, within(patience, func() bool {
		return db.QueryRowContext(t.Context(), "select coalesce(sum(records), 0) from ranges").Scan(&got) == nil && got == want
	}), "%d of %d records committed", &got, want)
	require.True(t, within(patience, func() bool { return c.caughtUp(t, db) }), "history has it all")
	for _, w := range wires {
		w.client.Disconnect(100)
	}
	c.stop()
	return tables(t, db)
}

// lived are the tables that the day decides, and standing what of them counts; moments (and by what an exception was found first) are columns that tell when the cloud did something, and how often.
var (
	lived    = []string{"ranges", "tombstones", "openings", "latest", "vehicles", "stays", "cold_boxes", "lockers", "cells", "parcels", "evidence", "points", "quarantine", "exceptions"}
	standing = map[string]string{"exceptions": " where ended_ms = 0"}
	moments  = []string{"version", "changed_ms", "received_ms", "told", "first_ms", "last_ms", "quarantined", "discovered_ms", "evidence", "detail"}
)

func tables(t *testing.T, db *sql.DB) string {
	t.Helper()
	var out strings.Builder
	for _, table := range lived {
		rows, err := db.QueryContext(t.Context(), "select name from pragma_table_info('"+table+"')")
		require.NoError(t, err)
		var columns []string
		for rows.Next() {
			var name string
			require.NoError(t, rows.Scan(&name))
			if !slices.Contains(moments, name) {
				columns = append(columns, name)
			}
		}
		require.NoError(t, rows.Err())
		require.NotEmpty(t, columns, table)
		list := strings.Join(columns, ", ")
		rows, err = db.QueryContext(t.Context(), "select "+list+" from "+table+standing[table]+" order by "+list)
		require.NoError(t, err)
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			require.NoError(t, rows.Scan(values...))
			out.WriteString(table)
			for _, v := range values {
				fmt.Fprintf(&out, "|%v", *v.(*any))
			}
			out.WriteByte('\n')
		}
		require.NoError(t, rows.Err())
	}
	return out.String()
}

// cloudOf is a cloud of a test, over a folder, with the county's authority.
type cloudOf struct {
	url, token string
	stop       func()
}

// another starts a cloud over the state in dir. The county's own must be down.
func (p *played) another(t *testing.T, dir string) *cloudOf {
	t.Helper()
	o := options{county: "../configs/county", history: "sqlite:", speed: 1}
	twin := *p.site
	twin.dir, twin.state = dir, "sqlite:"+filepath.Join(dir, "state.db")
	config, err := twin.cloudConfig(&o)
	require.NoError(t, err)
	log, err := os.OpenFile(filepath.Join(dir, "cloud.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer log.Close()
	cmd := exec.Command(p.cloud, "-config", config)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	c := &cloudOf{url: "http://" + p.listen, stop: stop}
	if !within(patience, func() bool {
		resp, err := http.Get(c.url + "/")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}) {
		said, _ := os.ReadFile(filepath.Join(dir, "cloud.log"))
		t.Fatalf("the cloud doesn't answer: %v\n%s", err, said)
	}
	token, err := os.ReadFile(p.token)
	require.NoError(t, err)
	c.token = strings.TrimSpace(string(token))
	require.NoError(t, c.call(t, http.MethodGet, "/api/v1/parcels", nil))
	return c
}

func (c *cloudOf) call(t *testing.T, method, path string, body any) error {
	b, err := json.Marshal(body)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+path, bytes.NewReader(b))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return err
}

// announce posts waybills as a carrier does.
func (c *cloudOf) announce(t *testing.T, parcels []map[string]any) {
	t.Helper()
	for _, p := range parcels {
		w := map[string]any{}
		for _, field := range []string{"waybill", "epc", "site", "locker", "handling"} {
			if v, ok := p[field]; ok {
				w[field] = v
			}
		}
		if w["site"] == nil { // nobody knows where it goes
			w["recipient"] = map[string]string{"phone": "19900000000", "village": "远山坳"}
		}
		require.NoError(t, c.call(t, http.MethodPost, "/api/v1/waybills", []any{w}))
	}
}

// caughtUp reports whether history follows the archive to its end.
func (c *cloudOf) caughtUp(t *testing.T, db *sql.DB) bool {
	var last, cursor int64
	err := db.QueryRowContext(t.Context(), "select (select max(no) from frames), (select value from counters where name = 'cursor history')").Scan(&last, &cursor)
	return err == nil && cursor >= last
}

// wire is a gateway's connection, as its board has it.
type wire struct {
	client  mqtt.Client
	encoder *frame.Encoder
}

func (p *played) wire(t *testing.T, gateway string) *wire {
	t.Helper()
	i := slices.IndexFunc(p.yard.boards, func(b *board) bool { return b.id == gateway })
	b := p.yard.boards[i]
	cert, err := tls.LoadX509KeyPair(b.file("cert.pem"), b.file("key.pem"))
	require.NoError(t, err)
	ca, err := os.ReadFile(filepath.Join(p.ca, "ca.crt"))
	require.NoError(t, err)
	block, _ := pem.Decode(ca)
	root, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	w := &wire{client: mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tls://" + p.mqtt).SetClientID(gateway).SetProtocolVersion(4).
		SetTLSConfig(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}))}
	token := w.client.Connect()
	token.Wait()
	require.NoError(t, token.Error())
	w.encoder, err = frame.NewEncoder(cert.PrivateKey.(ed25519.PrivateKey))
	require.NoError(t, err)
	return w
}

func (w *wire) send(t *testing.T, f *frame.Frame) {
	t.Helper()
	b, err := w.encoder.Encode(f)
	require.NoError(t, err)
	token := w.client.Publish("yz/1/up/"+f.Gateway+"/"+f.Lane.String(), 1, false, b)
	token.Wait()
	require.NoError(t, token.Error())
}
