package epc

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

func TestDecodeLines(t *testing.T) {
	in := "3074257BF7194E4000001A85\r\n\n0x30 74 25 7B F7 19 4E 40 00 00 1A 85\nE28011700000020A3B5C1D2E\nnot hex\n" +
		strings.Repeat("30", 5000) + "\n3774257BF40C0E59B2C2BF100000000000000000000"
	var names, hexes []string
	var offsets []int64
	counters, err := Decode(iotest.HalfReader(strings.NewReader(in)), func(r telemetry.Reading) error {
		require.NoError(t, r.Validate())
		require.True(t, r.RawRead())
		require.True(t, r.At.IsZero())
		tag, err := telemetry.As[telemetry.Tag](r)
		require.NoError(t, err)
		names, hexes = append(names, tag.EPC), append(hexes, tag.EPCHex)
		return nil
	}, func(offset int64, raw []byte, reason string) {
		require.NotEmpty(t, reason)
		require.LessOrEqual(t, len(raw), maxLine)
		offsets = append(offsets, offset)
	})
	require.NoError(t, err)
	require.Equal(t, []string{"urn:epc:id:sgtin:0614141.812345.6789", "urn:epc:id:sgtin:0614141.812345.6789",
		"E28011700000020A3B5C1D2E", "urn:epc:id:grai:0614141.12345.32a%2Fb"}, names)
	require.Equal(t, "3074257BF7194E4000001A85", hexes[1])
	notHex := int64(strings.Index(in, "not hex"))
	require.Equal(t, []int64{notHex, notHex + 8}, offsets)
	require.Equal(t, map[string]uint64{"lines": 6, "gs1": 3, "raw": 1, "rejected": 2}, counters)
}

func TestDecodeFailsOnlyWithItsReaderOrEmit(t *testing.T) {
	broken := errors.New("cable")
	_, err := Decode(iotest.ErrReader(broken), nil, nil)
	require.ErrorIs(t, err, broken)
	_, err = Decode(strings.NewReader("3074257BF7194E4000001A85"), func(telemetry.Reading) error { return broken }, nil)
	require.ErrorIs(t, err, broken)
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("3074257BF7194E4000001A85\nxx\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var good, bad uint64
		c, err := Decode(strings.NewReader(string(in)), func(r telemetry.Reading) error {
			require.NoError(t, r.Validate())
			good++
			return nil
		}, func(int64, []byte, string) { bad++ })
		require.NoError(t, err)
		require.Equal(t, good, c["gs1"]+c["raw"])
		require.Equal(t, bad, c["rejected"])
	})
}
