package firmware

import (
	"bytes"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFaultsOfAWire(t *testing.T) {
	sent := []byte("$GNRMC,055234.200,A\r\n")
	require.Equal(t, sent, Faults{}.spoil(sent))
	for range 100 {
		noisy := Faults{Noise: 1}.spoil(sent)
		require.True(t, len(noisy) > len(sent) && bytes.HasSuffix(noisy, sent))
		cut := Faults{Cut: 1}.spoil(sent)
		require.True(t, len(cut) > 0 && len(cut) < len(sent) && bytes.HasPrefix(sent, cut))
		require.NotEmpty(t, Faults{Noise: 1, Cut: 1, WrongBaud: true}.spoil([]byte{1}))
	}
	require.Equal(t, []byte{0b1001_1110, 0xFE}, Faults{WrongBaud: true}.spoil([]byte{0b1011, 0, 0x0F}))
	require.Equal(t, "$GNRMC,055234.200,A\r\n", string(sent), "what was given is left alone")
}

func TestAFaultyConnection(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := FaultyListener{ln, Faults{Noise: 1}}
	defer l.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	conn, err := l.Accept()
	require.NoError(t, err)
	n, err := conn.Write([]byte("abc"))
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.NoError(t, conn.Close())
	var got bytes.Buffer
	_, err = got.ReadFrom(client)
	require.NoError(t, err)
	require.Greater(t, got.Len(), 3)
}
