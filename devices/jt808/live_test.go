package jt808

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the transcripts and golden files")

// The transcript is written by the codec that the vectors proved, so that it is the same bytes on every machine.
func TestTheTranscriptIsCurrent(t *testing.T) {
	var b strings.Builder
	p := plug{t: t, head: header{}}
	p.head.phone, _ = parsePhone("13912345678")
	line := func(dir string, raw []byte) { fmt.Fprintf(&b, "%s %X\n", dir, raw) }
	say := func(id, serial uint16, body []byte) { line("<", p.head.appendMessage(nil, id, serial, body)) }
	hear := func(id, serial uint16, body []byte) { line(">", p.head.appendMessage(nil, id, serial, body)) }
	ack := func(serial, of, id uint16) {
		hear(platformAck, serial, []byte{byte(of >> 8), byte(of), byte(id >> 8), byte(id), 0})
	}
	s := server{secret: []byte(testSecret)}
	code := s.code(p.head.phone)
	b.WriteString("# A terminal of 2013 registers, authenticates, reports twice a minute and replays a blind zone.\n")
	say(registerRequest, 0, p.registration())
	hear(registerReply, 0, append([]byte{0, 0, 0}, code...))
	say(authRequest, 1, code)
	ack(1, 1, authRequest)
	say(heartbeat, 2, nil)
	ack(2, 2, heartbeat)
	b.WriteString("~ 200ms\n")
	say(locationReport, 3, where(noon, 1, 3, 1, 4, 0, 0, 1, 0, 0x30, 1, 17, 0x31, 1, 12, 0xe4, 1, 99))
	ack(3, 3, locationReport)
	b.WriteString("~ 30s\n")
	say(locationReport, 4, where(noon.Add(30*time.Second), 0, 3))
	ack(4, 4, locationReport)
	say(locationBatch, 5, batch(1, where(noon.Add(-time.Hour), 0, 3), where(noon.Add(-59*time.Minute), 2, 3)))
	ack(5, 5, locationBatch)
	const file = "testdata/live.txt"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String(), "if that is meant: go test ./devices/jt808 -update")
}
