package notify

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
)

// The programs of Debian's kannel and kannel-extras.
const (
	bearerbox = "/usr/sbin/bearerbox"
	smsbox    = "/usr/sbin/smsbox"
	fakesmsc  = "/usr/lib/kannel/test/fakesmsc"
)

// freePort is a port that nobody listens on.
func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// output is what a program says, to be read while it runs.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// program starts a program until the test ends.
func program(t *testing.T, path string, args ...string) *output {
	out := &output{}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, t.TempDir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start(), "Debian: apt-get install kannel kannel-extras")
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		if t.Failed() {
			t.Logf("%s:\n%s", path, out)
		}
	})
	return out
}

func listens(t *testing.T, port int) {
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, time.Minute, 50*time.Millisecond, "port %d", port)
}

// startKannel starts an SMS centre of its own: the gateway's two boxes and a fake centre behind them. It returns the
// port that sends, and what the centre got.
func startKannel(t *testing.T) (send int, centre *output) {
	admin, box, smsc, dir := freePort(t), freePort(t), freePort(t), t.TempDir()
	send = freePort(t)
	conf := filepath.Join(dir, "kannel.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, `group = core
admin-port = %d
admin-interface = 127.0.0.1
admin-password = admin
smsbox-port = %d
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
dlr-storage = internal

group = smsc
smsc = fake
smsc-id = centre
host = 127.0.0.1
port = %d
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = %d
sendsms-port = %d
sendsms-interface = 127.0.0.1

group = sendsms-user
username = county
password = k4nnel
max-messages = 1
concatenation = false
`, admin, box, smsc, box, send), 0o600))
	program(t, bearerbox, "-v", "1", conf)
	listens(t, box)
	listens(t, smsc)
	centre = program(t, fakesmsc, "-H", "127.0.0.1", "-r", strconv.Itoa(smsc), "-m", "0", "-i", "1", "100 200 text started")
	program(t, smsbox, "-v", "1", conf)
	listens(t, send)
	return send, centre
}

// A deposit's message goes through a real SMS gateway, and its delivery report comes back by the URL that went with it.
func TestThroughKannel(t *testing.T) {
	send, centre := startKannel(t)
	w := calm(t)
	w.via, w.set.Quiet = nil, channels.Quiet{}
	var n *Notifier
	hook := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { n.Hooks().ServeHTTP(rw, r) }))
	t.Cleanup(hook.Close)
	w.set.Channels = []channels.Channel{{Name: "kannel", Kind: "http", HTTP: &channels.HTTP{
		Method: "GET",
		URL: fmt.Sprintf("http://127.0.0.1:%d/cgi-bin/sendsms?username=county&password={{query (secret \"password\")}}&from=10690000&to={{.Phone}}", send) +
			"&charset=UTF-8&coding=2&text={{query .Text}}&dlr-mask=31&dlr-url={{query .Report}}{{query \"?status=%d&ref=\"}}{{query .Ref}}",
		Secrets: map[string]string{"password": secretFile(t, "k4nnel"), "hook": secretFile(t, "s3cret")},
		Success: &channels.Match{Field: "body", Match: `[03]: .*`},
		Errors:  []channels.Match{{Status: []int{503}, Class: "temporary"}, {Status: []int{403}, Class: "permanent"}},
		Report:  &channels.Report{Secret: "hook", Ref: "ref", Status: "status", Delivered: "1", Failed: "2|16"},
	}}}
	var wrong []string
	w.set.Validate("notify", func(path, format string, args ...any) { wrong = append(wrong, path+": "+fmt.Sprintf(format, args...)) })
	require.Empty(t, wrong)
	w.store.at = func(string) {}
	set := w.set
	set.Marker += "k"
	var err error
	n, err = New(Options{
		Settings: set, Registry: smallCounty(), Store: &locked{memory: w.store}, People: w.people, Code: code, Report: hook.URL + HookPath,
		NewID: func() string { return "store-1" }, Now: func() time.Time { return w.now },
	})
	require.NoError(t, err)
	require.NoError(t, n.Open(t.Context()))
	w.deposit("YZ0000001", "d-1", 3)
	require.NoError(t, n.prepare(t.Context()))
	claimed, err := n.opt.Store.ClaimNotices(t.Context(), w.now, time.Minute, 1)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	require.NoError(t, n.worker.work(t.Context(), claimed[0]))
	got := func() county.Notice {
		x, _, err := n.opt.Store.Notice(t.Context(), claimed[0].ID)
		require.NoError(t, err)
		return x
	}
	x := got()
	require.Contains(t, []county.NoticeStatus{county.NoticeSent}, x.Status, "%+v", x.Tries)
	require.Eventually(t, func() bool {
		require.NoError(t, n.reports(t.Context()))
		return got().Status == county.NoticeDelivered
	}, time.Minute, 50*time.Millisecond)
	require.Len(t, got().Tries, 1)
	text := w.workers[0].Text(&x, &w.people.is, false)
	require.Eventually(t, func() bool {
		_, said, ok := strings.Cut(centre.String(), "10690000 13800138000 ucs-2 ")
		said, _, _ = strings.Cut(said, ">\n")
		raw, err := url.QueryUnescape(said)
		return ok && err == nil && strings.ToUpper(hex.EncodeToString([]byte(raw))) == ucs2(text)
	}, time.Minute, 50*time.Millisecond, "the centre has the text, in one message")
	require.Equal(t, county.TryPermanent, func() string {
		bad := set
		bad.Channels[0].HTTP.Secrets["password"] = secretFile(t, "wrong")
		web, _, err := openWeb("kannel", bad.Channels[0].HTTP, hook.URL+HookPath)
		require.NoError(t, err)
		return web.Send(t.Context(), hello).Class
	}())
}

// locked is an Outbox that reports may come to while it is read.
type locked struct {
	*memory
	mu sync.Mutex
}

func (l *locked) PutNoticeReport(ctx context.Context, r county.NoticeReport) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.memory.PutNoticeReport(ctx, r)
}

func (l *locked) ClaimNoticeReports(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]string, []county.NoticeReport, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.memory.ClaimNoticeReports(ctx, now, 0, limit)
}

func (l *locked) SaveNotice(ctx context.Context, n *county.Notice, refs map[string]string, reports ...string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.memory.SaveNotice(ctx, n, refs, reports...)
}

func (l *locked) DropNoticeReport(ctx context.Context, id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.memory.DropNoticeReport(ctx, id)
}
