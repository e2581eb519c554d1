package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/devicestest/transcript"
	"yizhan/devices/port"
	"yizhan/devices/port/porttest"
)

// A wireUp is a device's port behind a tap: the driver's end, and the device's.
func wireUp(t *testing.T, taps *Taps, device string) (driver port.Port, end *porttest.End) {
	near, far := porttest.Pipe()
	open := taps.Opener(device, func(context.Context, string) (port.Port, error) { return near, nil })
	driver, err := open(t.Context(), "serial:/dev/ttyS1")
	require.NoError(t, err)
	return driver, far
}

func talk(t *testing.T, driver, device io.ReadWriter, ask, answer string) {
	b := make([]byte, 64)
	_, err := driver.Write([]byte(ask))
	require.NoError(t, err)
	n, err := device.Read(b)
	require.NoError(t, err)
	require.Equal(t, ask, string(b[:n]))
	_, err = device.Write([]byte(answer))
	require.NoError(t, err)
	n, err = driver.Read(b)
	require.NoError(t, err)
	require.Equal(t, answer, string(b[:n]))
}

// following begins a recording over a socket, and returns a function that ends it and returns what was told.
func following(t *testing.T, taps *Taps, device string) (stop func() []Event) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- taps.Serve(ctx, ln, func(q Request) ([]string, error) { return []string{"of " + q.Device}, nil })
	}()
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	ready, done := make(chan struct{}), make(chan error, 1)
	var events []Event
	seen := make(chan Event, 1000)
	receive, end := context.WithCancel(t.Context())
	go func() {
		done <- Receive(receive, conn, Request{Device: device}, func(notes []string) {
			if len(notes) == 1 && notes[0] == "of "+device {
				close(ready)
			}
		}, func(e Event) error {
			seen <- e
			return nil
		})
	}()
	<-ready
	return func() []Event {
		taps.of(device).tell(Event{What: "end"}, nil)
		for e := range seen {
			if e.What == "end" {
				break
			}
			events = append(events, e)
		}
		end()
		require.NoError(t, <-done)
		cancel()
		require.NoError(t, <-served)
		return events
	}
}

func TestFollow(t *testing.T) {
	taps := New()
	driver, device := wireUp(t, taps, "board")
	other, otherDevice := wireUp(t, taps, "gps")
	talk(t, driver, device, "before", "unheard")
	stop := following(t, taps, "board")
	talk(t, driver, device, "\x80\x01", "\x00")
	talk(t, other, otherDevice, "another", "device")
	require.NoError(t, driver.Close())
	require.NoError(t, driver.Close())
	again, _ := wireUp(t, taps, "board")
	require.NoError(t, again.Close())
	events := stop()
	for i := range events {
		require.Positive(t, events[i].At)
		events[i].At = 0
		require.Equal(t, "serial:/dev/ttyS1", events[i].Addr)
	}
	const addr = "serial:/dev/ttyS1"
	require.Equal(t, []Event{
		{What: ToDevice, Conn: 1, Addr: addr, Data: []byte("\x80\x01")},
		{What: FromDevice, Conn: 1, Addr: addr, Data: []byte{0}},
		{What: Closed, Conn: 1, Addr: addr},
		{What: Opened, Conn: 2, Addr: addr},
		{What: Closed, Conn: 2, Addr: addr},
	}, events)
	require.False(t, taps.of("board").followed.Load())
}

func TestUnknownDevice(t *testing.T) {
	taps := New()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- taps.Serve(ctx, ln, func(q Request) ([]string, error) { return nil, fmt.Errorf("no device %q", q.Device) })
	}()
	for request, why := range map[string]string{`{"device":"gps"}` + "\n": "no device", "GET / HTTP/1.1\r\n\r\n": "which device", strings.Repeat("x", maxRequest): "which device"} {
		conn, err := net.Dial("unix", path)
		require.NoError(t, err)
		_, err = conn.Write([]byte(request))
		require.NoError(t, err)
		said, err := io.ReadAll(conn)
		if err == nil { // bytes that weren't read make the hanging up a reset
			require.Contains(t, string(said), why)
		}
	}
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	require.ErrorContains(t, Receive(t.Context(), conn, Request{Device: "gps"}, func([]string) { t.Error("it began") }, nil), `no device "gps"`)
	cancel()
	require.NoError(t, <-served)
}

func TestSoManyAtATime(t *testing.T) {
	taps := New()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- taps.Serve(ctx, ln, func(Request) ([]string, error) { return nil, nil }) }()
	ended := make(chan error, recordings+1)
	for i := range recordings + 1 {
		conn, err := net.Dial("unix", path)
		require.NoError(t, err)
		ready := make(chan struct{})
		go func() {
			ended <- Receive(ctx, conn, Request{Device: "gps"}, func([]string) { close(ready) }, func(Event) error { return nil })
		}()
		if i < recordings {
			<-ready
		}
	}
	require.ErrorContains(t, <-ended, "4 recordings")
	cancel()
	for range recordings {
		require.NoError(t, <-ended)
	}
	require.NoError(t, <-served)
}

// The gateway ends, and so does who listens in on it.
func TestReceiveEndsWithTheGateway(t *testing.T) {
	near, far := net.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- Receive(t.Context(), near, Request{Device: "gps"}, func([]string) {}, func(Event) error { return nil })
	}()
	b := make([]byte, 64)
	_, err := far.Read(b)
	require.NoError(t, err)
	_, err = far.Write([]byte("{}\n"))
	require.NoError(t, err)
	require.NoError(t, far.Close())
	require.ErrorContains(t, <-done, "has ended")

	near, far = net.Pipe()
	full := errors.New("disk full")
	go func() {
		done <- Receive(t.Context(), near, Request{Device: "gps"}, func([]string) {}, func(Event) error { return full })
	}()
	_, err = far.Read(b)
	require.NoError(t, err)
	_, err = far.Write([]byte("{}\n{}\n"))
	require.NoError(t, err)
	require.ErrorIs(t, <-done, full)
}

// Nobody takes what a recording hears: the driver goes on, and the gap is told.
func TestSlowRecording(t *testing.T) {
	taps := New()
	r := taps.Follow("gps")
	driver, device := wireUp(t, taps, "gps") // opened is the first event
	b := make([]byte, 1)
	for range queued + 9 {
		_, err := device.Write([]byte{1})
		require.NoError(t, err)
		_, err = driver.Read(b)
		require.NoError(t, err)
	}
	for range 2 {
		<-r.C
	}
	talk(t, driver, device, "x", "y")
	r.Close()
	r.Close()
	var kinds []string
	var lost uint64
	for e := range r.C {
		kinds = append(kinds, e.What)
		lost += e.N
	}
	require.EqualValues(t, 10, lost)
	require.Equal(t, []string{Lost, ToDevice}, kinds[queued-2:])
}

func TestListener(t *testing.T) {
	taps := New()
	listen := taps.Listener("vans", func(context.Context, string, string) (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") })
	ln, err := listen(t.Context(), "tcp", ":0")
	require.NoError(t, err)
	defer ln.Close()
	r := taps.Follow("vans")
	van, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer van.Close()
	conn, err := ln.Accept()
	require.NoError(t, err)
	talk(t, conn, van, "ask", "answer")
	require.NoError(t, conn.Close())
	r.Close()
	var got []string
	for e := range r.C {
		require.Equal(t, van.LocalAddr().String(), e.Addr)
		got = append(got, e.What+string(e.Data))
	}
	require.Equal(t, []string{Opened, ToDevice + "ask", FromDevice + "answer", Closed}, got)
}

func TestFile(t *testing.T) {
	events := []Event{
		{At: 0, What: Opened, Conn: 1, Addr: "10.0.0.1:1"},
		{At: time.Second, What: FromDevice, Conn: 1, Addr: "10.0.0.1:1", Data: []byte("one")},
		{At: 2 * time.Second, What: FromDevice, Conn: 2, Addr: "10.0.0.2:1", Data: []byte("two")},
		{At: 2 * time.Second, What: ToDevice, Conn: 1, Addr: "10.0.0.1:1", Data: []byte("ok")},
		{At: 3 * time.Second, What: Lost, N: 7},
		{At: 3 * time.Second, What: Closed, Conn: 1, Addr: "10.0.0.1:1"},
		{At: 4 * time.Second, What: FromDevice, Conn: 3, Addr: "10.0.0.1:2", Data: []byte("again")},
		{At: 4 * time.Second, What: Opened, Conn: 4, Addr: "10.0.0.1:3"},
	}
	record := func(raw bool, peer string) (string, *File) {
		var out strings.Builder
		f := NewFile(&out, raw, peer)
		f.Note("of a van")
		for _, e := range events {
			require.NoError(t, f.Add(e))
		}
		require.NoError(t, f.Close())
		return out.String(), f
	}
	got, f := record(false, "")
	require.Equal(t, `# of a van
# 1s: 10.0.0.1:1
< "one"
> "ok"
# 7 pieces were lost here: the recording was too slow
# 3s: closed
# 4s: 10.0.0.1:2
~ 2s
< "again"
# 1 other connections spoke and are left out
`, got)
	require.Equal(t, []int{8, 2, 1, 7}, []int{f.From, f.To, f.LeftOut(), int(f.Lost)})
	script, err := transcript.Parse(strings.NewReader(got))
	require.NoError(t, err)
	require.Equal(t, "oneagain", string(script.FromDevice()))
	got, _ = record(true, "")
	require.Equal(t, "oneagain", got)
	got, f = record(true, "10.0.0.2")
	require.Equal(t, "two", got)
	require.Equal(t, 2, f.LeftOut())
}
