package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"yizhan/firmware-sim/internal/power"
)

// An air is two networks between the county and a gateway that runs in a network namespace of its own: one over the sky, for
// the uplink, and one by cable, for its devices. Each end is a TUN device; the packets between them pass through the
// test. It needs no qdisc and no filter of the kernel.
type air struct {
	power.Sky
	cloud, lan string // addresses: of the cloud in the sky, of the gateway on the cable
	forgot     atomic.Bool
}

// airSocket is where a gateway that begins hands over its ends; its name stands beside its configuration.
const airSocket = "air"

// The addresses of network k: the sky's are 10.77.k.1 and .2, the cable's 10.78.k.1 and .2; the gateway has the latter.
func skyAddr(k, end byte) [4]byte   { return [4]byte{10, 77, k, end} }
func cableAddr(k, end byte) [4]byte { return [4]byte{10, 78, k, end} }

func quad(a [4]byte) string { return net.IP(a[:]).String() }

// openTun makes a TUN device of the namespace that the calling thread is in.
func openTun(name string, addr [4]byte) (fd int, err error) {
	fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("/dev/net/tun: %w", err)
	}
	r, err := unix.NewIfreq(name)
	if err == nil {
		r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
	}
	if err == nil {
		err = wireUp(name, addr)
	}
	if err != nil {
		return -1, errors.Join(fmt.Errorf("%s: %w", name, err), unix.Close(fd))
	}
	return fd, nil
}

// wireUp gives a device its address, in a network of four, and switches it on.
func wireUp(name string, addr [4]byte) error {
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(sock)
	set := func(req uint, fill func(r *unix.Ifreq) error) {
		if err != nil {
			return
		}
		var r *unix.Ifreq
		if r, err = unix.NewIfreq(name); err == nil {
			if err = fill(r); err == nil {
				err = unix.IoctlIfreq(sock, req, r)
			}
		}
	}
	if addr != [4]byte{} {
		set(unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(addr[:]) })
		set(unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 252}) })
	}
	set(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil })
	return err
}

// onBoard starts a gateway: it runs in place of the program, which it becomes. A daemon whose configuration has an air beside it
// first gets a network namespace with the ends of that.
func onBoard(args []string) error {
	runtime.LockOSThread() // the thread becomes the program
	if len(args) == 3 && args[1] == "-config" {
		if socket := filepath.Join(filepath.Dir(args[2]), airSocket); exists(socket) {
			if err := takeOff(socket); err != nil {
				return err
			}
		}
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil { // it was the first thread's
		return err
	}
	return syscall.Exec(args[0], args, os.Environ())
}

func takeOff(socket string) error {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer c.Close()
	var k [1]byte
	if _, err := c.Read(k[:]); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	if err := wireUp("lo", [4]byte{}); err != nil {
		return err
	}
	sky, err := openTun("sky", skyAddr(k[0], 2))
	if err != nil {
		return err
	}
	cable, err := openTun("cable", cableAddr(k[0], 2))
	if err != nil {
		return err
	}
	_, _, err = c.(*net.UnixConn).WriteMsgUnix(k[:], unix.UnixRights(sky, cable), nil)
	return err
}

// openAir makes network k for a board, until the test ends.
func openAir(t *testing.T, b *board, k byte) (*air, error) {
	sky, err := openTun(fmt.Sprint("sky", k), skyAddr(k, 1))
	if err != nil {
		return nil, err
	}
	cable, err := openTun(fmt.Sprint("cable", k), cableAddr(k, 1))
	if err != nil {
		return nil, errors.Join(err, unix.Close(sky))
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: b.file(airSocket), Net: "unix"})
	require.NoError(t, err)
	a := &air{cloud: quad(skyAddr(k, 1)), lan: quad(cableAddr(k, 2))}
	here := []*os.File{os.NewFile(uintptr(sky), "sky"), os.NewFile(uintptr(cable), "cable")}
	var there []*os.File
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var mu sync.Mutex
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		_ = l.Close()
		for _, f := range slices.Concat(here, there) {
			_ = f.Close() // ends those who read there
		}
	})
	running.Go(func() {
		ends, err := landed(l, k)
		mu.Lock()
		there = ends
		if err != nil || ctx.Err() != nil {
			mu.Unlock()
			return // the board never started
		}
		mu.Unlock()
		a.fly(ctx, &running, here, ends)
	})
	t.Cleanup(func() {
		cancel()
		stop()
		running.Wait()
	})
	return a, nil
}

// landed waits for the gateway and takes its ends.
func landed(l *net.UnixListener, k byte) ([]*os.File, error) {
	c, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := c.Write([]byte{k}); err != nil {
		return nil, err
	}
	buf, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(8))
	_, n, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return nil, err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(msgs) != 1 {
		return nil, fmt.Errorf("%d messages: %w", len(msgs), err)
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 2 {
		return nil, fmt.Errorf("%d ends: %w", len(fds), err)
	}
	return []*os.File{os.NewFile(uintptr(fds[0]), "sky"), os.NewFile(uintptr(fds[1]), "cable")}, nil
}

// fly carries packets between the ends.
func (a *air) fly(ctx context.Context, running *sync.WaitGroup, here, there []*os.File) {
	var cable power.Sky // clear
	for i, sky := range []*power.Sky{&a.Sky, &cable} {
		to := func(f *os.File) func([]byte) error {
			return func(b []byte) error { _, err := f.Write(b); return err }
		}
		read := there[i].Read
		if i == 0 {
			read = func(b []byte) (int, error) { return a.hear(there[0], b) }
		}
		running.Go(func() { _ = sky.Packets(ctx, power.Up, read, to(here[i])) })
		running.Go(func() { _ = sky.Packets(ctx, power.Down, here[i].Read, to(there[i])) })
	}
}

// hear reads a packet of the board's. While the network has forgotten its connections each that belongs to one is answered with a
// reset, as the address translation of a carrier does.
func (a *air) hear(f *os.File, b []byte) (int, error) {
	for {
		n, err := f.Read(b)
		if err != nil || !a.forgot.Load() {
			return n, err
		}
		if r := refuse(b[:n]); r != nil {
			if _, err := f.Write(r); err != nil {
				return 0, err
			}
		}
	}
}

// refuse returns the reset (RFC 9293, 3.5.2) for an IPv4 packet of TCP that belongs to a connection; nil for others.
func refuse(p []byte) []byte {
	const ack, syn, rst = 0x10, 0x02, 0x04
	if len(p) < 40 || p[0]>>4 != 4 || p[9] != unix.IPPROTO_TCP {
		return nil
	}
	tcp := p[4*(p[0]&15):]
	if len(tcp) < 20 || tcp[13]&ack == 0 || tcp[13]&(syn|rst) != 0 {
		return nil
	}
	r := make([]byte, 40)
	r[0], r[3], r[8], r[9] = 0x45, 40, 64, unix.IPPROTO_TCP
	copy(r[12:], p[16:20])
	copy(r[16:], p[12:16])
	copy(r[20:], tcp[2:4])
	copy(r[22:], tcp[0:2])
	copy(r[24:], tcp[8:12])
	r[32], r[33] = 5<<4, rst
	binary.BigEndian.PutUint16(r[10:], checksum(0, r[:20]))
	pseudo := uint32(unix.IPPROTO_TCP + 20)
	for i := 12; i < 20; i += 2 {
		pseudo += uint32(binary.BigEndian.Uint16(r[i:]))
	}
	binary.BigEndian.PutUint16(r[36:], checksum(pseudo, r[20:]))
	return r
}

func checksum(sum uint32, b []byte) uint16 {
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
