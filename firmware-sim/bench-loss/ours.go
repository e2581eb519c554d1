package main

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the cloud's database is read with it
)

const gatewayID = "lk-qingshi-1" // one of the demo county

const gatewayConfig = `gateway: ` + gatewayID + `
data: %[1]s
uplink: {url: "tls://%[2]s", ca: ca/ca.crt, cert: cert.pem, key: key.pem, retry_min: 500ms, retry_max: 1s}
broker: {listen: %[3]q, users: [{name: ` + deviceName + `, role: device, password_hash: %[4]q}]}
`

const cloudConfig = `listen: %[1]q
token_file: %[2]s/token
mqtt: {listen: %[3]q, ca: %[2]s/ca/ca.crt, cert: %[2]s/ca/server.crt, key: %[2]s/ca/server.key}
state: "sqlite:%[2]s/state.db"
history: "sqlite:"
county: %[4]q
demo: true
`

// tool runs a program to its end and returns what it printed.
func (b *bench) tool(stdin, path string, args ...string) (string, error) {
	cmd := exec.CommandContext(b.ctx, path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %.500s", filepath.Base(path), args[0], err, complaint.String())
	}
	return out.String(), nil
}

// enrol writes the configurations, makes the keys and signs them.
func (b *bench) enrol(gateway, cloud string) error {
	file := func(name string) string { return filepath.Join(b.dir, name) }
	page, err := free()
	if err != nil {
		return err
	}
	county, err := filepath.Abs(b.opt.county)
	if err != nil {
		return err
	}
	if _, err := b.tool("", cloud, "ca", "init", file("ca")); err != nil {
		return err
	}
	if _, err := b.tool("", cloud, "ca", "server", file("ca"), "127.0.0.1"); err != nil {
		return err
	}
	hash, err := b.tool(b.device.Password+"\n", gateway, "hash")
	if err != nil {
		return err
	}
	err = errors.Join(
		os.WriteFile(file("gateway.yaml"), fmt.Appendf(nil, gatewayConfig, file("data"), b.link.Addr(), b.edge, strings.TrimSpace(hash)), 0o600),
		os.WriteFile(file("cloud.yaml"), fmt.Appendf(nil, cloudConfig, page, b.dir, b.cloud, county), 0o600))
	if err != nil {
		return err
	}
	request, err := b.tool("", gateway, "key", "-config", file("gateway.yaml"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(file("request.pem"), []byte(request), 0o600); err != nil {
		return err
	}
	cert, err := b.tool("", cloud, "ca", "sign", file("ca"), file("request.pem"))
	if err != nil {
		return err
	}
	return os.WriteFile(file("cert.pem"), []byte(cert), 0o600)
}

func openOurs(b *bench) (*way, error) {
	gateway, cloud := filepath.Join(b.opt.bin, "gateway"), filepath.Join(b.opt.bin, "cloud")
	if err := b.enrol(gateway, cloud); err != nil {
		return nil, err
	}
	b.unit("cloud", cloud, "-config", filepath.Join(b.dir, "cloud.yaml"))
	b.unit("gateway", gateway, "-config", filepath.Join(b.dir, "gateway.yaml"))
	if err := errors.Join(b.listening(b.cloud), b.listening(b.edge)); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, "state.db")+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, err
	}
	return &way{
		edge: "gateway", broker: "cloud",
		silence: func(gone bool) error {
			if gone {
				return b.rack.Off("cloud")
			}
			return b.rack.On("cloud")
		},
		arrived: func(ctx context.Context) ([]uint64, error) { return weights(ctx, db) },
		read:    func(ctx context.Context) ([]uint64, error) { return inOrder(ctx, db) },
		close:   db.Close,
	}, nil
}

// evidence is one reading in the cloud's database, with the identity of its record.
type evidence struct {
	n     uint64
	epoch string
	seq   uint64
}

const custody = 2 // the lane of weights

// weights are the readings in the order in which their records were committed: frame by frame of the archive.
func weights(ctx context.Context, db *sql.DB) (ns []uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	all, err := read(ctx, db)
	if err != nil {
		return nil, err
	}
	left := map[string]map[uint64][]uint64{} // numbers by epoch and seq
	for _, e := range all {
		if left[e.epoch] == nil {
			left[e.epoch] = map[uint64][]uint64{}
		}
		left[e.epoch][e.seq] = append(left[e.epoch][e.seq], e.n)
	}
	rows, err := db.QueryContext(ctx, "select epoch, first, last from frames where lane = ? order by no", custody)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var epoch string
		var first, last uint64
		if err := rows.Scan(&epoch, &first, &last); err != nil {
			return nil, err
		}
		for seq := first; seq <= last; seq++ {
			ns = append(ns, left[epoch][seq]...)
			delete(left[epoch], seq) // resent with another frame: it was committed once
		}
	}
	return ns, rows.Err()
}

// inOrder are the readings in the order of their records' numbers, which every record carries: what a consumer of the
// database reads.
func inOrder(ctx context.Context, db *sql.DB) (ns []uint64, err error) {
	all, err := read(ctx, db)
	if err != nil {
		return nil, err
	}
	begins := map[string]uint64{} // the lowest number of each epoch: epochs follow each other
	for _, e := range all {
		if b, ok := begins[e.epoch]; !ok || e.n < b {
			begins[e.epoch] = e.n
		}
	}
	slices.SortFunc(all, func(a, b evidence) int {
		return cmp.Or(cmp.Compare(begins[a.epoch], begins[b.epoch]), cmp.Compare(a.seq, b.seq))
	})
	for _, e := range all {
		ns = append(ns, e.n)
	}
	return ns, nil
}

func read(ctx context.Context, db *sql.DB) (all []evidence, err error) {
	rows, err := db.QueryContext(ctx, "select epoch, seq, body from evidence where kind = 'weight'")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var e evidence
		var body []byte
		var w struct {
			N uint64 `json:"weight_kg"`
		}
		if err := rows.Scan(&e.epoch, &e.seq, &body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(body, &w); err != nil {
			return nil, err
		}
		e.n = w.N
		all = append(all, e)
	}
	return all, rows.Err()
}
