package transcript_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/devicestest/transcript"
	"yizhan/devices/port/porttest"
)

func parse(t *testing.T, text string) transcript.Script {
	s, err := transcript.Parse(strings.NewReader(text))
	require.NoError(t, err)
	return s
}

func TestParseErrorsNameTheLine(t *testing.T) {
	for text, why := range map[string]string{
		"# fine\n? 00":       "line 2: \"? 00\" begins with none",
		"< 0":                "line 1: encoding/hex: odd length",
		"<":                  "line 1: no bytes",
		"< 8A zz":            "line 1: encoding/hex: invalid byte",
		`< "open`:            "line 1: invalid syntax",
		"~ soon":             "line 1: time: invalid duration",
		"~ -1s":              "line 1: pause -1s is not positive",
		"~ 1s\n= over":       "only = again is known",
		"~ 1s\n= again\n< 1": "line 3: nothing can follow",
		"< 01\n= again":      "would never rest",
	} {
		_, err := transcript.Parse(strings.NewReader(text))
		require.ErrorContains(t, err, why)
	}
}

func TestFromDevice(t *testing.T) {
	s := parse(t, "# lock board\n< 8A 01\n> 80\n~ 1s\n  < \"\\x02ok\\r\\n\"\n\n")
	require.Equal(t, "\x8a\x01\x02ok\r\n", string(s.FromDevice()))
}

// play runs a script against a driver.
func play(t *testing.T, text string, driver func(*porttest.End)) (err error) {
	t.Helper()
	s := parse(t, text)
	synctest.Test(t, func(t *testing.T) {
		driverEnd, device := porttest.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Play(ctx, device) }()
		driver(driverEnd)
		cancel()
		device.Close()
		err = <-done
	})
	return err
}

func readN(t *testing.T, r io.Reader, n int) string {
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	require.NoError(t, err)
	return string(b)
}

func TestPlay(t *testing.T) {
	err := play(t, "> 80 01\n~ 2s\n< 01\n< 02\n> \"x\"\n= again", func(driver *porttest.End) {
		for range 3 {
			began := time.Now()
			_, err := driver.Write([]byte{0x80})
			require.NoError(t, err)
			_, err = driver.Write([]byte{0x01})
			require.NoError(t, err)
			require.Equal(t, "\x01\x02", readN(t, driver, 2))
			require.Equal(t, 2*time.Second, time.Since(began))
			_, err = driver.Write([]byte("x"))
			require.NoError(t, err)
		}
	})
	require.NoError(t, err)
}

func TestPlayReportsADeparture(t *testing.T) {
	err := play(t, "< 01\n> 80 01", func(driver *porttest.End) {
		require.Equal(t, "\x01", readN(t, driver, 1))
		_, err := driver.Write([]byte{0x80, 0x02})
		require.NoError(t, err)
		synctest.Wait()
	})
	require.EqualError(t, err, "line 2: the driver sent 80 02 where 80 01 is due")
}

func TestPlayEnds(t *testing.T) {
	require.NoError(t, play(t, "~ 1h", func(*porttest.End) { synctest.Wait() }), "ctx ends")
	require.NoError(t, play(t, "> 01 02", func(driver *porttest.End) { driver.Close(); synctest.Wait() }), "the driver hangs up")
	require.NoError(t, play(t, "< 01", func(driver *porttest.End) {
		synctest.Wait() // silent after the last line, and listening
		_, err := driver.Write([]byte("anything"))
		require.NoError(t, err)
	}))
}
