package porttest_test

import (
	"bytes"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/port"
	"yizhan/devices/port/porttest"
)

var _ port.Port = (*porttest.End)(nil)

func TestPipeUnderSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		driver, device := porttest.Pipe()
		began := time.Now()
		require.NoError(t, driver.SetReadDeadline(began.Add(time.Hour)))
		_, err := driver.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, time.Hour, time.Since(began), "time is free and exact")

		time.AfterFunc(time.Minute, func() { _, _ = device.Write([]byte("late")) })
		require.NoError(t, driver.SetReadDeadline(time.Time{}))
		b := make([]byte, 10)
		n, err := driver.Read(b)
		require.NoError(t, err)
		require.Equal(t, "late", string(b[:n]))
	})
}

// What was on the line when the device went is still read.
func TestPipeDrainsAfterHangUp(t *testing.T) {
	driver, device := porttest.Pipe()
	_, err := device.Write([]byte("last words"))
	require.NoError(t, err)
	require.NoError(t, device.Close())
	got, err := io.ReadAll(driver)
	require.NoError(t, err)
	require.Equal(t, "last words", string(got))
	_, err = driver.Write([]byte("x"))
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

// A device that nobody reads doesn't block until a megabyte waits.
func TestPipeIsBuffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		driver, device := porttest.Pipe()
		_, err := device.Write(make([]byte, 1<<20))
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() {
			_, err := device.Write([]byte("more"))
			done <- err
		}()
		synctest.Wait()
		require.Empty(t, done)
		require.NoError(t, driver.Flush())
		require.NoError(t, <-done)
		b := make([]byte, 10)
		n, err := driver.Read(b)
		require.NoError(t, err)
		require.True(t, bytes.Equal([]byte("more"), b[:n]))
	})
}

func TestPTYDeadlineOnMaster(t *testing.T) {
	master, _ := porttest.PTY(t)
	require.NoError(t, master.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	_, err := master.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

// A device that listens on the pty must end when the test unplugs it.
func TestPTYCloseEndsRead(t *testing.T) {
	master, _ := porttest.PTY(t)
	ended := make(chan error, 1)
	go func() {
		_, err := master.Read(make([]byte, 1))
		ended <- err
	}()
	require.NoError(t, master.Close())
	require.Error(t, <-ended)
}
