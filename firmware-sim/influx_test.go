package main

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/frame"
	"yizhan/devices/telemetry"
)

// InfluxDB is killed for a while (AWAY, 15 seconds): the map, parcels and what others are told go on, and afterwards history has
// every position, those of the outage too.
func TestNobodyMissesInfluxDB(t *testing.T) {
	away, err := time.ParseDuration(cmp.Or(os.Getenv("AWAY"), "15s"))
	require.NoError(t, err, "AWAY")
	influx := startInflux(t)
	p := play(t, options{speed: 100, seed: 3, history: "influx+http://" + influx.addr + "/county"}, nil)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(p.dir, "state.db")+"?mode=ro")
	require.NoError(t, err)
	defer db.Close()
	count := func(q string) (n int64) {
		require.NoError(t, db.QueryRowContext(t.Context(), q).Scan(&n))
		return n
	}
	require.True(t, within(patience, func() bool { return influx.positions(t, "van-01/gps") > 5 }), "history begins")

	influx.kill()
	facts, evidence := count("select count(*) from facts"), count("select count(*) from evidence")
	var oldest time.Duration
	for end := time.Now().Add(away); time.Now().Before(end); {
		wait := time.NewTimer(200 * time.Millisecond)
		<-wait.C
		oldest = max(oldest, p.age(t, "v01"))
	}
	require.Less(t, oldest, 30*time.Second, "the map goes on")
	require.True(t, within(patience, func() bool { return count("select count(*) from evidence") > evidence }), "parcels go on")
	require.True(t, within(patience, func() bool { return count("select count(*) from facts") > facts }), "others are told")

	influx.start(t)
	p.rackOff(t, "van-01")
	var want, got int
	require.True(t, within(patience, func() bool {
		want, got = archivedPositions(t, db, "van-01", "gps"), influx.positions(t, "van-01/gps")
		return want == got
	}), "%d positions in the archive, %d in history", &want, &got)
	require.Greater(t, want, int(away/time.Second)/2)
}

// rackOff switches a board off once all that it made is committed.
func (p *played) rackOff(t *testing.T, board string) {
	t.Helper()
	require.NoError(t, p.rack.Off(board))
	require.True(t, within(patience, func() bool { return !p.rack.Running(board) }))
}

// age is how old the position of a vehicle is that the API shows.
func (p *played) age(t *testing.T, vehicle string) time.Duration {
	t.Helper()
	var v struct {
		Position struct {
			AgeS float64 `json:"age_s"`
		}
	}
	require.NoError(t, p.front.get(t.Context(), "/api/v1/vehicles/"+vehicle, &v))
	return time.Duration(v.Position.AgeS * float64(time.Second))
}

// archivedPositions counts the positions with a place of a device in the archive.
func archivedPositions(t *testing.T, db *sql.DB, gateway, device string) (n int) {
	t.Helper()
	dec, err := frame.NewDecoder()
	require.NoError(t, err)
	rows, err := db.QueryContext(t.Context(), "select body from frames where gateway = $1 and lane = $2", gateway, int(telemetry.Track))
	require.NoError(t, err)
	defer rows.Close()
	seen := map[string]bool{} // a frame cut anew may hold a record again
	for rows.Next() {
		var raw []byte
		require.NoError(t, rows.Scan(&raw))
		f, err := dec.Decode(raw)
		require.NoError(t, err)
		for _, r := range f.Records {
			if text := string(r.Payload); r.Type == frame.TypeReading && strings.Contains(text, `"kind":"position"`) && strings.Contains(text, `"`+device+`"`) && strings.Contains(text, `"lat":`) {
				seen[fmt.Sprint(f.Epoch, r.Seq)] = true
			}
		}
	}
	require.NoError(t, rows.Err())
	return len(seen)
}

// influxServer is an InfluxDB 1.8 of a test's own.
type influxServer struct {
	bin, dir, addr, rpc string
	cmd                 *exec.Cmd
}

func startInflux(t *testing.T) *influxServer {
	t.Helper()
	s := &influxServer{dir: t.TempDir(), bin: os.Getenv("YIZHAN_INFLUXD")}
	if s.bin == "" {
		s.bin, _ = exec.LookPath("influxd")
	}
	if s.bin == "" {
		out, err := exec.Command("go", "env", "GOPATH").Output()
		require.NoError(t, err)
		s.bin = filepath.Join(strings.TrimSpace(string(out)), "bin", "influxd")
	}
	s.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
	s.rpc = net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "conf"), nil, 0o600))
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

func (s *influxServer) start(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command(s.bin, "run", "-config", filepath.Join(s.dir, "conf"))
	s.cmd.Env = append(os.Environ(), "INFLUXDB_REPORTING_DISABLED=true", "INFLUXDB_BIND_ADDRESS="+s.rpc, "INFLUXDB_HTTP_BIND_ADDRESS="+s.addr,
		"INFLUXDB_HTTP_FLUX_ENABLED=true", "INFLUXDB_HTTP_LOG_ENABLED=false", "INFLUXDB_MONITOR_STORE_ENABLED=false",
		"INFLUXDB_META_DIR="+s.dir+"/meta", "INFLUXDB_DATA_DIR="+s.dir+"/data", "INFLUXDB_DATA_WAL_DIR="+s.dir+"/wal")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, s.cmd.Start(), "influxd is missing: .ci/deps installs it")
	require.True(t, within(patience, func() bool {
		resp, err := http.Get("http://" + s.addr + "/health")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == http.StatusOK
	}), "influxd answers")
}

func (s *influxServer) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

var counted = regexp.MustCompile(`,(\d+)\s*$`)

// positions counts the points of a receiver.
func (s *influxServer) positions(t *testing.T, device string) int {
	t.Helper()
	form := url.Values{"db": {"county"}, "q": {"select count(lat) from position where device = '" + device + "'"}}
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, "http://"+s.addr+"/query", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/csv")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	m := counted.FindSubmatch(b)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(string(m[1]))
	require.NoError(t, err)
	return n
}
