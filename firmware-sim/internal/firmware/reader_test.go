package firmware

import (
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// client is the gateway's side of an LLRP connection, by hand.
type client struct {
	t    *testing.T
	conn net.Conn
}

func dialReader(t *testing.T, r *Reader) (dial func() *client) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- r.Serve(t.Context(), l) }()
	t.Cleanup(func() { require.NoError(t, <-done) })
	return func() *client {
		conn, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return &client{t, conn}
	}
}

func (c *client) send(s string) {
	_, err := c.conn.Write(unhex(c.t, s))
	require.NoError(c.t, err)
}

// next reads messages until one of the type comes, and returns its id and body.
func (c *client) next(typ uint16) (uint32, []byte) {
	require.NoError(c.t, c.conn.SetReadDeadline(time.Now().Add(3*time.Second)))
	for {
		var h [10]byte
		_, err := io.ReadFull(c.conn, h[:])
		require.NoError(c.t, err)
		body := make([]byte, binary.BigEndian.Uint32(h[2:])-10)
		_, err = io.ReadFull(c.conn, body)
		require.NoError(c.t, err)
		if got := binary.BigEndian.Uint16(h[:]); got&0x3FF == typ {
			require.Equal(c.t, uint16(1), got>>10, "version 1.0.1")
			return binary.BigEndian.Uint32(h[6:]), body
		}
	}
}

const success = "011f000800000000"

func (c *client) want(typ uint16, body string) {
	_, got := c.next(typ)
	require.Equal(c.t, body, hex.EncodeToString(got))
}

func TestReaderSequence(t *testing.T) {
	r := &Reader{Antennas: 4, Round: 10 * time.Millisecond}
	dial := dialReader(t, r)
	c := dial()
	_, event := c.next(msgEvent)
	require.Equal(t, "00f600160080000c", hex.EncodeToString(event[:8]))
	require.Equal(t, "010000060000", hex.EncodeToString(event[16:]), "ConnectionAttemptEvent, success")
	c.send("04010000000b0000001100")
	id, caps := c.next(11)
	require.Equal(t, uint32(0x11), id)
	require.Equal(t, success, hex.EncodeToString(caps[:8]))
	c.send("0415" + "0000000e" + "00000005" + "00000000")
	c.want(31, success)
	c.send("0403" + "00000014" + "00000001" + "00" + "00dc0009" + "01" + "00000032") // keepalive every 50 ms
	c.want(13, success)
	// The protocol page's ADD_ROSPEC: all antennas, every tag with antenna, RSSI, first, last, count.
	c.send("0414000000500000000200b1004600000001000000b2001200b300050000b60009000000000000b700180001000000b80009000000000000ba000700010100ed001201000100ee000b1780015c000580")
	c.want(30, success)
	c.send("04180000000e0000000300000001")
	c.want(34, success)
	c.send("04160000000e0000000400000001")
	c.want(32, success)
	var epc [12]byte
	copy(epc[:], unhex(t, "3005FB63AC1F3841EC880467"))
	r.Enter(epc, 2, -50)
	_, report := c.next(msgReport)
	require.Len(t, report, 4+13+3+2+9+9+3)
	require.Equal(t, "00f0002b8d3005fb63ac1f3841ec880467810002"+"86ce82", hex.EncodeToString(report[:23]))
	require.WithinDuration(t, time.Now(), time.UnixMicro(int64(binary.BigEndian.Uint64(report[23:]))), time.Minute)
	r.Leave(epc, 2)
	id, _ = c.next(msgKeepalive)
	c.send("04480000000a" + hex.EncodeToString(binary.BigEndian.AppendUint32(nil, id)))
	c.send("040e0000000a00000006")
	c.want(msgCloseResponse, success)
}

func TestReaderRefuses(t *testing.T) {
	dial := dialReader(t, &Reader{Antennas: 1})
	c := dial()
	c.next(msgEvent)
	c.send("04180000000e0000000300000009") // enable what isn't there
	_, body := c.next(34)
	require.Equal(t, uint16(codeField), binary.BigEndian.Uint16(body[4:]))
	c.send("07ff0000000a00000007") // a custom message
	_, body = c.next(msgError)
	require.Equal(t, uint16(codeUnsupported), binary.BigEndian.Uint16(body[4:]))
	c.send("0414" + "0000000e" + "00000008" + "00b100ff") // a cut ROSpec
	_, body = c.next(30)
	require.Equal(t, uint16(codeParameter), binary.BigEndian.Uint16(body[4:]))
	// A second client is told that there is one already.
	second := dial()
	_, event := second.next(msgEvent)
	require.Equal(t, "010000060002", hex.EncodeToString(event[16:]))
	_, err := second.conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

func TestReaderDropsASilentClient(t *testing.T) {
	dial := dialReader(t, &Reader{Antennas: 1, Round: 5 * time.Millisecond})
	c := dial()
	c.next(msgEvent)
	c.send("0403" + "00000014" + "00000001" + "00" + "00dc0009" + "01" + "0000000a")
	c.want(13, success)
	require.NoError(t, c.conn.SetReadDeadline(time.Now().Add(3*time.Second)))
	_, err := io.Copy(io.Discard, c.conn)
	require.NoError(t, err, "the reader closes")
}
