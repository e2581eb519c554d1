package modem

import (
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

const fourDays = 4 * 24 * time.Hour

// Vectors from makers' manuals and captures, and computed ones.
func TestSubmitVectors(t *testing.T) {
	for _, c := range []struct {
		name, to, text string
		form           form
		as             alphabet // where it isn't what compose chooses
		n              int
		want           string
	}{
		{
			"a greeting by way of a service centre", "+8613902433649", "工作愉快！", form{smsc: "+8613800100500", validity: 5 * time.Minute}, "",
			25, "0891683108100005F0" + "11000D91683109423346F90008000A5DE54F5C61095FEBFF01",
		},
		{
			"a module's manual: as dialled, no validity", "13421839693", "hello", form{}, ucs2,
			23, "00" + "01000B813124819396F300080A00680065006C006C006F",
		},
		{
			"a cold box", "+8613800138000", "仓库3号冷藏柜温度-5.2℃超限", form{validity: fourDays}, "",
			47, "00" + "11000D91683108108300F00008AA204ED35E93003353F751B785CF67DC6E295EA6002D0035002E003221038D859650",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, parts, err := compose(c.text, 0, 1)
			if c.as == ucs2 {
				require.Equal(t, gsm7, a)
				a = ucs2
				parts, err = cut(ucs2, units(c.text), 0, 1)
			}
			require.NoError(t, err)
			require.Len(t, parts, 1)
			got, n := c.form.submit(c.to, a, parts[0])
			require.Equal(t, c.want, got)
			require.Equal(t, c.n, n)

			p, err := parsePDU(got, n)
			require.NoError(t, err)
			require.Equal(t, pdu{kind: submit, number: c.to, alphabet: ucs2, text: c.text}, p)
		})
	}
}

func TestSubmitInTwoParts(t *testing.T) {
	text := strings.Repeat("驿", 82)
	a, parts, err := compose(text, 0x5A, 2)
	require.NoError(t, err)
	require.Len(t, parts, 2)
	f := form{validity: fourDays}
	first, n := f.submit("+8613800138000", a, parts[0])
	require.Equal(t, 155, n)
	require.True(t, strings.HasPrefix(first, "0051000D91683108108300F00008AA8C0500035A0201"), first)
	second, n := f.submit("+8613800138000", a, parts[1])
	require.Equal(t, 51, n)
	require.True(t, strings.HasPrefix(second, "0051000D91683108108300F00008AA240500035A0202"), second)
}

func TestStatusReportIsAskedFor(t *testing.T) {
	_, parts, err := compose("hi", 0, 1)
	require.NoError(t, err)
	got, _ := form{report: true}.submit("10086", gsm7, parts[0])
	require.Equal(t, "002100058101"+"80F6"+"0000"+"02"+"E834", got)
}

func TestRelativeValidity(t *testing.T) {
	for d, want := range map[time.Duration]byte{
		5 * time.Minute: 0, 6 * time.Minute: 1, 12 * time.Hour: 143, 12*time.Hour + time.Minute: 144, 24 * time.Hour: 0xA7,
		48 * time.Hour: 168, fourDays: 0xAA, 30 * day: 196, 31 * day: 197, 63 * 7 * day: 255,
	} {
		require.Equal(t, want, relative(d), d.String())
	}
}

// parse every part and put the text together again, as the phone does.
func receive(t *testing.T, a alphabet, parts []part) string {
	t.Helper()
	var out strings.Builder
	for i, p := range parts {
		text, n := form{validity: day, report: true}.submit("+8613800138000", a, p)
		require.LessOrEqual(t, n, 164)
		got, err := parsePDU(text, n)
		require.NoError(t, err)
		require.Equal(t, a, got.alphabet)
		if len(parts) > 1 {
			require.Equal(t, [3]int{7, len(parts), i + 1}, [3]int{got.ref, got.total, got.part})
		}
		for _, u := range got.text {
			require.NotEqual(t, '�', u, "half a character in part %d", i+1)
		}
		out.WriteString(got.text)
	}
	return out.String()
}

func TestTextsAreCutWhereTheyMayBe(t *testing.T) {
	for _, c := range []struct {
		name, text string
		as         alphabet
		parts      int
	}{
		{"70 characters", strings.Repeat("山", 70), ucs2, 1},
		{"71", strings.Repeat("山", 71), ucs2, 2},
		{"134", strings.Repeat("山", 134), ucs2, 2},
		{"135", strings.Repeat("山", 135), ucs2, 3},
		{"a pair at the cut", strings.Repeat("山", 66) + "🚚" + strings.Repeat("山", 10), ucs2, 2},
		{"pairs only", strings.Repeat("🚚", 36), ucs2, 2},
		{"35 pairs", strings.Repeat("🚚", 35), ucs2, 1},
		{"160 of ASCII", strings.Repeat("a", 160), gsm7, 1},
		{"161 of ASCII", strings.Repeat("a", 161), gsm7, 2},
		{"306 of ASCII", strings.Repeat("b", 306), gsm7, 2},
		{"307 of ASCII", strings.Repeat("b", 307), gsm7, 3},
		{"an escape at the cut", strings.Repeat("a", 152) + "[" + strings.Repeat("c", 20), gsm7, 2},
		{"the whole default alphabet", "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0:;<=>?¡AZÄÖÑÜ§¿azäöñüà^{}\\[~]|€", gsm7, 1},
		{"a grave accent isn't in it", "`", ucs2, 1},
		{"one Chinese character makes all UCS-2", strings.Repeat("a", 70) + "号", ucs2, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, parts, err := compose(c.text, 7, maxParts)
			require.NoError(t, err)
			require.Equal(t, c.as, a)
			require.Len(t, parts, c.parts)
			require.Equal(t, c.text, receive(t, a, parts))
			_, _, err = compose(c.text, 7, c.parts-1)
			require.ErrorIs(t, err, errTooLong)
		})
	}
}

func TestCheckText(t *testing.T) {
	require.NoError(t, checkText("第一行\n第二行 🚚"))
	for _, bad := range []string{"", "\x00", "a\x1ab", "a\x1bb", "\xff", "�", "a\u0085", "\x7f"} {
		require.Error(t, checkText(bad), "%q", bad)
	}
}

// Messages from the network, as real modems tell them (numbers made up).
func TestParsePDU(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		return v.UTC()
	}
	for _, c := range []struct {
		name, hex string
		length    int
		want      pdu
	}{
		{
			"a status report, delivered", "0891683108100005F0" + "06110D91683108108300F0" + "62112132600023" + "62112132603023" + "00", 26,
			pdu{kind: report, number: "+8613800138000", mr: 0x11, sent: at("2026-11-12T23:06:00+08:00"), discharged: at("2026-11-12T23:06:03+08:00")},
		},
		{
			"without the service centre's address", "06110D91683108108300F0" + "62112132600023" + "62112132603023" + "46", 26,
			pdu{kind: report, number: "+8613800138000", mr: 0x11, status: 0x46, sent: at("2026-11-12T23:06:00+08:00"), discharged: at("2026-11-12T23:06:03+08:00")},
		},
		{
			"a message in the default alphabet", "07917283010010F5040BC87238880900F10000993092516195800AE8329BFD4697D9EC37", -1,
			pdu{kind: deliver, number: "27838890001", alphabet: gsm7, text: "hellohello", sent: at("1999-03-29T15:16:59+02:00").AddDate(100, 0, 0)},
		},
		{
			"a message in UCS-2 as the second of two", "00" + "440B813100318000F00008" + "62112132600023" + "0A" + "0500035A0202" + "597D53CB", -1,
			pdu{kind: deliver, number: "13001308000", alphabet: ucs2, text: "好友", ref: 0x5A, total: 2, part: 2, sent: at("2026-11-12T23:06:00+08:00")},
		},
		{
			"a sender with a name", "00" + "040BD0" + "4F295A3C7C01" + "0000" + "62112132600023" + "02" + "E834", -1,
			pdu{kind: deliver, number: "ORih", named: true, alphabet: gsm7, text: "hi", sent: at("2026-11-12T23:06:00+08:00")},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parsePDU(c.hex, c.length)
			require.NoError(t, err)
			if got.named {
				require.Len(t, []rune(got.number), 6)
				got.number = c.want.number
			}
			require.Equal(t, c.want, got)
			for cut := 0; cut < len(c.hex); cut += 2 {
				if p, err := parsePDU(c.hex[:cut], -1); err == nil {
					require.Equal(t, report, p.kind, "cut at %d", cut) // what stands behind TP-ST may be absent
				}
				_, err := parsePDU(c.hex[:cut], len(c.hex)/2)
				require.Error(t, err)
			}
		})
	}
}

func TestFate(t *testing.T) {
	for status, want := range map[byte]string{0: delivered, 1: delivered, 0x1F: delivered, 0x20: trying, 0x3F: trying, 0x40: failed, 0x46: failed, 0x60: failed, 0x80: failed, 0xFF: failed} {
		require.Equal(t, want, (&pdu{status: status}).fate(), "%#x", status)
	}
}

func TestErrorClasses(t *testing.T) {
	for line, want := range map[string]string{
		"+CMS ERROR: 38": "network cms=38", "+CMS ERROR: 41": "temporary cms=41", "+CMS ERROR: 42": "temporary cms=42", "+CMS ERROR: 69": "rejected cms=69",
		"+CMS ERROR: 95": "malformed cms=95", "+CMS ERROR: 96": "malformed cms=96", "+CMS ERROR: 302": "malformed cms=302", "+CMS ERROR: 304": "malformed cms=304",
		"+CMS ERROR: 305": "malformed cms=305", "+CMS ERROR: 310": "sim cms=310", "+CMS ERROR: 311": "sim cms=311", "+CMS ERROR: 320": "memory cms=320",
		"+CMS ERROR: 330": "smsc cms=330", "+CMS ERROR: 331": "temporary cms=331", "+CMS ERROR: 332": "doubtful cms=332", "+CMS ERROR: 500": "doubtful cms=500",
		"+CMS ERROR: 512": "error cms=512", "+CME ERROR: 10": "sim cme=10", "+CME ERROR: 30": "temporary cme=30", "ERROR": "error",
		"+CMS ERROR: no network service": "error cms", "+CMS ERROR: -5": "error cms",
	} {
		f, ok := finalOf(line)
		require.True(t, ok, line)
		require.False(t, f.ok)
		require.Equal(t, want, f.code.detail(), line)
	}
	for _, line := range []string{"", "OKAY", "+CMSERROR: 3", "CONNECT", "NO CARRIER", "+CMGS: 3"} {
		_, ok := finalOf(line)
		require.False(t, ok, line)
	}
}

func TestRegistrationOfEitherForm(t *testing.T) {
	for rest, want := range map[string]int{
		"0,1": 1, "0, 5": 5, "2,1,\"1A2B\",\"0000C3D4\"": 1, "1": 1, "2,\"1A2B\",\"C3D4\"": 2, "1,\"1A2B\",\"01C3D4\",7": 1, "": -1, "x": -1, "0,3": 3,
	} {
		require.Equal(t, want, registration(rest), rest)
	}
}

func TestHidden(t *testing.T) {
	for in, want := range map[string]string{
		"+CMGS: 25":              "+CMGS: ##",
		"0891683108100005F011ab": "######################",
		"AT+CSQ\xff18":           "AT+CSQ\xff##",
		"+CPIN: READY":           "+CPIN: READY",
		"138-0013-8000":          "###-####-####",
		"5DE5\x80FACE":           "####\x80####",
	} {
		require.Equal(t, want, string(hidden([]byte(in))))
	}
}

func TestMasked(t *testing.T) {
	for in, want := range map[string]string{"+8613902433649": "+86139****3649", "13428139693": "134****9693", "10086": "1**86", "110": "***", "": ""} {
		require.Equal(t, want, masked(in))
	}
}

func FuzzParsePDU(f *testing.F) {
	for _, s := range []string{
		"0891683108100005F011000D91683109423346F90008000A5DE54F5C61095FEBFF01",
		"0001000B813124819396F300080A00680065006C006C006F",
		"0891683108100005F006110D91683108108300F0621121326000236211213260302300",
		"07917283010010F5040BC87238880900F10000993092516195800AE8329BFD4697D9EC37",
		"00440B813100318000F00008621121326000230A0500035A0202597D53CB",
		"00040BD04F295A3C7C0100006211213260002302E834",
	} {
		f.Add(s, -1)
		f.Add(s, len(s)/2-1)
	}
	f.Fuzz(func(t *testing.T, s string, length int) {
		p, err := parsePDU(s, length)
		if err != nil {
			return
		}
		require.Contains(t, []string{deliver, submit, report}, p.kind)
		require.LessOrEqual(t, p.part, p.total)
		require.LessOrEqual(t, len([]rune(p.text)), maxSeptets)
		_ = p.told()
	})
}

func FuzzCompose(f *testing.F) {
	for _, s := range []string{"hello", "仓库3号", strings.Repeat("🚚", 40), strings.Repeat("[", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if checkText(s) != nil {
			return
		}
		a, parts, err := compose(s, 7, maxParts)
		if err != nil {
			require.Greater(t, len(utf16.Encode([]rune(s))), 70)
			return
		}
		require.Equal(t, s, receive(t, a, parts))
	})
}

func FuzzSplitter(f *testing.F) {
	f.Add([]byte("\r\n+CMTI: \"SM\",3\r\n\r\nOK\r\nAT+CSQ\r\r\n> \xffx\n"), true)
	f.Add([]byte("> > OK\r"), false)
	f.Fuzz(func(t *testing.T, b []byte, awaited bool) {
		collect := func(step int) (got []string) {
			s := splitter{awaited: awaited}
			for i := 0; i < len(b); i += step {
				s.feed(b[i:min(i+step, len(b))], func(kind int, line []byte) {
					require.LessOrEqual(t, len(line), maxLine)
					got = append(got, string(rune('0'+kind))+string(line))
					if kind == textLine {
						_, _ = finalOf(string(line))
						if name, rest, ok := header(string(line)); ok {
							_, _ = announced(name, rest)
							_ = registration(rest)
						}
					}
					for _, c := range hidden(line) {
						require.False(t, c >= '0' && c <= '9')
					}
				})
			}
			return got
		}
		require.Equal(t, collect(len(b)+1), collect(1), "however the bytes come")
	})
}
