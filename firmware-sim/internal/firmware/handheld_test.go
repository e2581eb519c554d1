package firmware

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// accept takes one MQTT connection and answers its CONNECT.
func accept(t *testing.T, l net.Listener) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := l.Accept()
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(5*time.Second)))
	in := bufio.NewReader(conn)
	first, body, err := readMQTT(in)
	require.NoError(t, err)
	require.Equal(t, byte(mqttConnect), first)
	require.Equal(t, "\x00\x04MQTT\x04\xc2\x00\x14\x00\x03hh1\x00\x03hh1\x00\x06secret", string(body))
	_, err = conn.Write([]byte{mqttConnack, 2, 0, 0})
	require.NoError(t, err)
	return conn, in
}

func TestHandheldSendsAgainUntilPuback(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	h := &Handheld{Addr: l.Addr().String(), Device: "hh1", Password: "secret", Boot: "b1"}
	told := make(chan string, 4)
	h.Told(func(n string) { told <- n })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	for range 2 {
		_, err := h.Queue("scan", time.Now(), map[string]string{"text": "YZ1"})
		require.NoError(t, err)
	}
	conn, in := accept(t, l)
	publish := func(in *bufio.Reader) (first byte, n string, id []byte) {
		first, body, err := readMQTT(in)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(body), "\x00\x0cdev/hh1/scan"))
		var r struct{ N, At string }
		require.NoError(t, json.Unmarshal(body[16:], &r))
		return first, r.N, body[14:16]
	}
	first, n, _ := publish(in)
	require.Equal(t, byte(0x32), first)
	require.Equal(t, "b1-1", n)
	require.NoError(t, conn.Close()) // killed before it acknowledged
	require.Zero(t, h.Safe())

	conn, in = accept(t, l)
	first, n, id := publish(in)
	require.Equal(t, byte(0x3A), first, "marked as duplicate")
	require.Equal(t, "b1-1", n)
	_, err = conn.Write([]byte{mqttPuback, 2, id[0], id[1]})
	require.NoError(t, err)
	require.Equal(t, "b1-1", <-told)
	_, n, id = publish(in)
	require.Equal(t, "b1-2", n)
	_, err = conn.Write([]byte{mqttPuback, 2, id[0] ^ 0x55, id[1]}) // nobody's id is nobody's safety
	require.NoError(t, err)
	_, err = conn.Write([]byte{mqttPuback, 2, id[0], id[1]})
	require.NoError(t, err)
	require.Equal(t, "b1-2", <-told)
	require.Equal(t, uint64(2), h.Safe())
	require.Zero(t, h.Waiting())
	cancel()
	require.NoError(t, <-done)
}
