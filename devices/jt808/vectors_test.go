package jt808

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/devices/telemetry"
)

// unhex reads bytes as the standard prints them.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

// oneFrame splits a vector that is a single frame, which must survive being written again.
func oneFrame(t *testing.T, vector string) (h header, body []byte) {
	t.Helper()
	raw := unhex(t, vector)
	n := 0
	var count counters
	f := framer{count: &count, take: func(content []byte, good bool) counter {
		n++
		require.True(t, good)
		var why counter
		h, body, why = parseHeader(bytes.Clone(content[:len(content)-1]))
		require.Equal(t, framesOK, why)
		return framesOK
	}}
	f.feed(raw)
	require.Equal(t, 1, n)
	require.Equal(t, raw, h.appendMessage(nil, h.id, h.serial, body), "what is sent is what was received")
	return h, body
}

func decodeAll(t testing.TB, raw []byte, opt Options) (rs []telemetry.Reading, counts map[string]uint64) {
	counts, err := Decode(bytes.NewReader(raw), opt, func(r telemetry.Reading) error {
		require.NoError(t, r.Validate(), "%s", r.AppendJSON(nil))
		rs = append(rs, r)
		return nil
	}, nil)
	require.NoError(t, err)
	return rs, counts
}

func position(t *testing.T, r telemetry.Reading) telemetry.Position {
	t.Helper()
	p, err := telemetry.As[telemetry.Position](r)
	require.NoError(t, err)
	return p
}

const (
	vector1 = "7E0200002612345678901200 7D02 000000010000000200BA7F0E07E4F11C0028003C0000181015101010010400000064020200 7D01 13 7E"
	vector2 = "7E0100002D000123456789000A002800323132333400736D616C6C6368693132330000000000000000004348493132330001D4C14131323334358A7E"
	vector3 = "7e0100405401000000000002234567890000000b00650123456789abcdef0000000123456789abcdef000000000000000000000000000000000000000000000123456789abcdef0000000000000000000000000000000000000000000001bea9443132333435937e"
	vector5 = "7E0704005311223344556622B80002000026000000010000000200BA7F0E07E4F11C0028003C0000180715101010010400000064020200370026000000020000000100CB735507E6A32300290036007818071510103001040000006002020042D47E"
	vector7 = "7e0200005200200260432300a400020000000c00020158b91b06cb706100460000005921092216375801040000000103020000250400000001300111310110e30100d51b022002604323279593786160001220000012342795937861580012867e"
)

func TestLocation(t *testing.T) {
	h, body := oneFrame(t, vector1)
	require.EqualValues(t, locationReport, h.id)
	require.Len(t, body, 38)
	require.Equal(t, "123456789012", h.phone.String())
	require.EqualValues(t, 126, h.serial)

	rs, _ := decodeAll(t, unhex(t, vector1), Options{})
	require.Len(t, rs, 2)
	p := position(t, rs[0])
	require.True(t, p.Valid)
	require.InDelta(t, 12.222222, p.Lat.Or(0), 1e-9)
	require.InDelta(t, 132.444444, p.Lon.Or(0), 1e-9)
	require.InDelta(t, 40, p.AltitudeM.Or(0), 0)
	require.InDelta(t, 6/3.6, p.SpeedMPS.Or(0), 1e-3)
	require.Equal(t, telemetry.Some(0.0), p.HeadingDeg)
	require.Equal(t, time.Date(2018, 10, 15, 2, 10, 10, 0, time.UTC), rs[0].At)
	require.Equal(t, telemetry.GNSS, rs[0].TQ)
	require.Empty(t, rs[0].N)
	require.JSONEq(t, `{"lat":12.222222,"lon":132.444444,"altitude_m":40,"speed_mps":1.667,"heading_deg":0,"valid":true,
		"acc":false,"status":"00000002","alarm":"00000001","mileage_km":10,"fuel_l":12.5}`, string(rs[0].Body))
	a, err := telemetry.As[telemetry.Alarm](rs[1])
	require.NoError(t, err)
	require.Equal(t, telemetry.Alarm{Code: "sos", Severity: telemetry.Critical}, a)
	require.Equal(t, rs[0].At, rs[1].At)
}

func TestRegister2013(t *testing.T) {
	h, body := oneFrame(t, vector2)
	require.EqualValues(t, registerRequest, h.id)
	require.Equal(t, "000123456789", h.phone.String())
	require.EqualValues(t, 10, h.serial)
	reg, ok := parseRegistration(body, h.is2019)
	require.True(t, ok)
	require.Equal(t, registration{
		Protocol: 2013, Province: 40, City: 50, Maker: "1234", Model: "smallchi123", Terminal: "CHI123", PlateColour: 1, Plate: "粤A12345",
	}, reg)
}

func TestRegister2011(t *testing.T) {
	body := unhex(t, "0028 0032 3132333400 4D4F44454C2D3100 43484931323300 01 D4C1413132333435")
	reg, ok := parseRegistration(body, false)
	require.True(t, ok)
	require.Equal(t, registration{
		Protocol: 2011, Province: 40, City: 50, Maker: "1234", Model: "MODEL-1", Terminal: "CHI123", PlateColour: 1, Plate: "粤A12345",
	}, reg)
	vin := append(body[:24:24], append([]byte{0}, "LSVAA4182E2123456"...)...)
	reg, ok = parseRegistration(vin, false)
	require.True(t, ok)
	require.Equal(t, 2011, reg.Protocol, "a VIN makes it as long as one of 2013")
	require.Equal(t, "LSVAA4182E2123456", reg.Plate)
	_, ok = parseRegistration(body[:20], false)
	require.False(t, ok)
}

func TestRegister2019(t *testing.T) {
	h, body := oneFrame(t, vector3)
	require.True(t, h.is2019)
	require.EqualValues(t, 1, h.revision)
	require.Equal(t, "000223456789", h.phone.String())
	require.Equal(t, "t000223456789", h.phone.device())
	reg, ok := parseRegistration(body, h.is2019)
	require.True(t, ok)
	require.EqualValues(t, 11, reg.Province)
	require.EqualValues(t, 101, reg.City)
	require.EqualValues(t, 1, reg.PlateColour)
	require.Equal(t, "京D12345", reg.Plate)

	answer := h.appendMessage(nil, registerReply, 0, append([]byte{0, 0, 0}, "nugmQRV4axlLGjjonA=="...))
	require.Equal(t, unhex(t, "7E810040170100000000000223456789000000 00 00 6E75676D515256 3461786C4C476A6A6F6E413D3D137E"), answer)
}

func TestAuthAndAcknowledgement(t *testing.T) {
	h, body := oneFrame(t, "7E0102000D00200260432500013833303032303032363034333213 7E")
	require.EqualValues(t, authRequest, h.id)
	require.Equal(t, "8300200260432", string(authCode(body, false)))

	h, body = oneFrame(t, "7E800100050020026043230009 00EE 0200 00 43 7E")
	require.EqualValues(t, platformAck, h.id)
	c := conn{server: &server{Driver: &Driver{}}, serial: 9}
	c.ack(&header{id: locationReport, phone: h.phone, serial: 0xee}, resultOK)
	require.Equal(t, unhex(t, "7E800100050020026043230009 00EE 0200 00 43 7E"), c.out)
	require.Equal(t, []byte{0, 0xee, 2, 0, 0}, body)
}

func TestAuthCode2019(t *testing.T) {
	tail := make([]byte, 35)
	require.Equal(t, "abc", string(authCode(append([]byte("\x03abc"), tail...), true)))
	require.Equal(t, "abc", string(authCode([]byte("abc\x00\x00"), true)), "the old body under the new flag")
	require.Empty(t, authCode(nil, true))
}

func TestBatch(t *testing.T) {
	h, _ := oneFrame(t, vector5)
	require.EqualValues(t, 8888, h.serial)
	rs, counts := decodeAll(t, unhex(t, vector5), Options{})
	require.EqualValues(t, 2, counts["positions"])
	require.EqualValues(t, 0, counts["replayed"], "type 0 is no replay")
	var ps []telemetry.Position
	for _, r := range rs {
		if r.Kind == telemetry.KindPosition {
			ps = append(ps, position(t, r))
		}
	}
	require.Len(t, ps, 2)
	require.True(t, ps[0].Valid)
	require.False(t, ps[1].Valid, "status 1 is ACC without a fix")
	require.Equal(t, time.Date(2018, 7, 15, 2, 10, 10, 0, time.UTC), rs[0].At)
}

// A wrong inner length must not lose the locations before it.
func TestBatchWithAWrongLength(t *testing.T) {
	_, body := oneFrame(t, vector5)
	body[3+40+1] = 0xff
	n := 0
	bad := eachPoint(body, func(location, bool) { n++ })
	require.Equal(t, 1, n)
	require.Len(t, bad, 40)
	require.Empty(t, eachPoint(body[:3], func(location, bool) { n++ }))
	require.Equal(t, 1, n)
}

func TestHeartbeatsAndTerminalAck(t *testing.T) {
	h, body := oneFrame(t, "7E000200000400216792 87002B7D027E")
	require.EqualValues(t, heartbeat, h.id)
	require.Equal(t, "040021679287", h.phone.String())
	require.EqualValues(t, 43, h.serial)
	require.Empty(t, body)

	h, _ = oneFrame(t, "7e000240000112345678901234567890ffff437e")
	require.True(t, h.is2019)
	require.Equal(t, "12345678901234567890", h.phone.String())
	require.EqualValues(t, 65535, h.serial)

	h, body = oneFrame(t, "7E0001000501234567890004B303E8000200D37E")
	require.EqualValues(t, terminalAck, h.id)
	require.Equal(t, []byte{0x03, 0xe8, 0, 2, 0}, body)
}

func TestVendorItems(t *testing.T) {
	rs, _ := decodeAll(t, unhex(t, vector7), Options{})
	require.NotEmpty(t, rs)
	p := position(t, rs[0])
	require.InDelta(t, 22.591771, p.Lat.Or(0), 1e-9)
	require.InDelta(t, 113.995873, p.Lon.Or(0), 1e-9)
	require.InDelta(t, 70, p.AltitudeM.Or(0), 0)
	require.InDelta(t, 89, p.HeadingDeg.Or(0), 0)
	require.Equal(t, telemetry.Some(16), p.Satellites)
	require.Equal(t, time.Date(2021, 9, 22, 8, 37, 58, 0, time.UTC), rs[0].At)
	require.JSONEq(t, `{"lat":22.591771,"lon":113.995873,"altitude_m":70,"speed_mps":0,"heading_deg":89,"satellites":16,"valid":true,
		"acc":false,"status":"000c0002","alarm":"00020000","mileage_km":0.1,"recorder_kmh":0,"csq":17,
		"items":{"25":"00000001","e3":"00","d5":"022002604323279593786160001220000012342795937861580012"}}`, string(rs[0].Body))
	require.Len(t, rs, 1, "bit 17 was reserved in 2013: no alarm")
}
