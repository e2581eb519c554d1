package firmware

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// onALine runs a modem on a line of its own.
func onALine(t *testing.T) (*Modem, *Line) {
	t.Helper()
	l, err := OpenLine()
	require.NoError(t, err)
	m := NewModem(l)
	m.Takes, m.Delivers = 20*time.Millisecond, 50*time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, l.Close())
	})
	return m, l
}

// Vectors from makers' manuals: what a message says when it is read by the book.
func TestModemReadsSubmit(t *testing.T) {
	for _, c := range []struct {
		pdu  string
		n    int
		want SMS
	}{
		{"0891683108100005F011000D91683109423346F90008000A5DE54F5C61095FEBFF01", 25, SMS{To: "+8613902433649", Text: "工作愉快！", UCS2: true}},
		{"0001000B813124819396F300080A00680065006C006C006F", 23, SMS{To: "13421839693", Text: "hello", UCS2: true}},
		{"0011000D91683108108300F00008AA204ED35E93003353F751B785CF67DC6E295EA6002D0035002E003221038D859650", 47, SMS{To: "+8613800138000", Text: "仓库3号冷藏柜温度-5.2℃超限", UCS2: true}},
		{"0021000581" + "0180F6" + "0000" + "0AE8329BFD4697D9EC37", 19, SMS{To: "10086", Text: "hellohello", Report: true}},
	} {
		got, err := parseSubmit(c.pdu, c.n)
		require.NoError(t, err)
		got.Raw = ""
		require.Equal(t, c.want, got)
		for _, n := range []int{c.n - 1, c.n + 1} {
			_, err = parseSubmit(c.pdu, n)
			require.Error(t, err)
		}
		_, err = parseSubmit(c.pdu[:len(c.pdu)-2], c.n-1)
		require.Error(t, err)
	}
}

func FuzzModem(f *testing.F) {
	f.Add([]byte("ATE0\rAT+CMGS=25\r0891683108100005F011000D91683109423346F90008000A5DE54F5C61095FEBFF01\x1aAT+CNMI=2,1,0,1,0\r"))
	f.Add([]byte("AT+CMGL=4\rAT+CMGR=1\rAT+CMGD=1\rAT+CFUN=1,1\rAT+CMGS=3\r\x1b\x1a"))
	f.Add([]byte("AT+CMGS=140\r0051000D91683108108300F00008AA8C0500035A0201\x1a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := NewModem(nowhere{})
		m.Takes = time.Hour
		m.Receive("+8613800138000", "到了")
		m.took(b)
		require.LessOrEqual(t, len(m.in), 1024)
	})
}

// gammu is a program that knows many modems and was written by others: what it can send through the simulated modem, a real one
// would take.
func TestGammuSends(t *testing.T) {
	_, err := exec.LookPath("gammu")
	require.NoError(t, err, "apt install gammu: it judges the simulated modem")
	m, l := onALine(t)
	config := filepath.Join(t.TempDir(), "gammurc")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "[gammu]\ndevice = %s\nconnection = at115200\nuse_locking = no\n", l.Path), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	chinese, plain := "您的包裹已到青石村驿站3号柜，取件码483920", "Parcel 42 is in cell 7 {code: 483920} [ok]"
	long := strings.Repeat("山路因雨封闭，包裹改日送达。", 12) // 168 characters
	cmd := exec.CommandContext(ctx, "gammu", "-c", config, "batch")
	cmd.Stdin = strings.NewReader("identify\n" +
		`sendsms TEXT +8613800138000 -unicode -report -text "` + chinese + "\"\n" +
		`sendsms TEXT +8613800138001 -unicode -len 400 -text "` + long + "\"\n" +
		`sendsms TEXT 13800138002 -text "` + plain + "\"\n" +
		"getallsms\n")
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	m.Receive("+8613900139000", "收到，谢谢")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "490154203237518")
	require.Contains(t, string(out), "收到，谢谢")

	sent := m.Sent()
	require.Len(t, sent, 5, "%s", out)
	require.Equal(t, chinese, m.Text("+8613800138000"))
	require.True(t, sent[0].UCS2)
	require.True(t, sent[0].Report)
	require.Equal(t, long, m.Text("+8613800138001"))
	for i, s := range sent[1:4] { // at most 67 characters each
		require.Equal(t, [2]int{i + 1, 3}, [2]int{s.Part, s.Parts})
	}
	require.Equal(t, plain, m.Text("13800138002"))
	require.False(t, sent[4].UCS2)
}
