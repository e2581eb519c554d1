package topic

import (
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

func TestWhatIsBuiltIsParsed(t *testing.T) {
	d, k, err := ParseDevice(Device("gps", telemetry.KindPosition))
	require.NoError(t, err)
	require.Equal(t, "gps", d)
	require.Equal(t, telemetry.KindPosition, k)
	for _, l := range telemetry.Lanes {
		g, what, err := ParseUp(UpLane("van-03", l))
		require.NoError(t, err)
		require.Equal(t, "van-03", g)
		require.Equal(t, l.String(), what)
	}
	for _, w := range []string{Hello, State} {
		_, what, err := ParseUp(Up("van-03", w))
		require.NoError(t, err)
		require.Equal(t, w, what)
	}
	for _, w := range []string{Ack, Command, Config, Expect} {
		_, what, err := ParseDown(Down("van-03", w))
		require.NoError(t, err)
		require.Equal(t, w, what)
	}
}

func TestForeignTopicsAreRefused(t *testing.T) {
	for _, s := range []string{
		"", "dev", "dev/gps", "dev/gps/position/x", "dev/GPS/position", "dev//position", "dev/gps/weather",
		"dev/+/position", "yz/1/up/van-03/track", "dev/a\x00b/position",
	} {
		_, _, err := ParseDevice(s)
		require.Error(t, err, "%q", s)
	}
	for _, s := range []string{
		"yz/1/up/van-03", "yz/1/up//hello", "yz/1/up/+/hello", "yz/2/up/van-03/hello", "yz/1/up/van-03/ack",
		"yz/1/up/van-03/track/x", "yz/1/down/van-03/ack", "yz/1/up/#",
	} {
		_, _, err := ParseUp(s)
		require.Error(t, err, "%q", s)
	}
	for _, s := range []string{"yz/1/down/van-03/hello", "yz/1/up/van-03/ack", "yz/1/down/van_03/ack"} {
		_, _, err := ParseDown(s)
		require.Error(t, err, "%q", s)
	}
}
