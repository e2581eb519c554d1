package notify

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
)

func demoNames(t *testing.T) *names {
	zone, err := time.LoadLocation("Asia/Shanghai")
	require.NoError(t, err)
	return &names{registry: smallCounty(), zone: zone, sign: channels.DefaultNotify().Sign, codes: code}
}

func someNotice(e county.NoticeEvent) *county.Notice {
	return &county.Notice{ID: "n-1", Waybill: "YZ2600000001", Event: e, About: county.NoticeAbout{
		Site: "out-qingshi", Locker: "lk-qingshi", Cell: 23, Deposit: "d-0123456789abcdef", Until: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC), Class: county.Damage,
	}}
}

// The default alphabet of 3GPP TS 23.038, as far as our texts use it.
const gsm7 = "@$ !\"#%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func septets(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case strings.ContainsRune(gsm7, r):
			n++
		case strings.ContainsRune("[]{}~\\|^€", r):
			n += 2
		default:
			return 1 << 20
		}
	}
	return n
}

func TestEveryTextIsOneMessage(t *testing.T) {
	s := demoNames(t)
	for _, event := range channels.Events {
		for _, known := range []bool{true, false} {
			e, class, _ := strings.Cut(event, ".")
			n := someNotice(county.NoticeEvent(e))
			n.About.Class = county.ExceptionClass(class)
			if !known {
				n.About.Cell, n.About.Until, n.About.Deposit = 0, time.Time{}, ""
			}
			l := &lane{}
			zh := s.message(n, &county.Recipient{Phone: "13800138000"}, l, nil)
			en := s.message(n, &county.Recipient{Phone: "13800138000", Lang: "en"}, l, nil)
			require.LessOrEqual(t, UCS2(zh.Text), 70, "%s: %s", event, zh.Text)
			require.LessOrEqual(t, septets(en.Text), 160, "%s: %s", event, en.Text)
			for _, text := range []string{zh.Text, en.Text} {
				require.NotContains(t, text, "{", event)
				require.NotContains(t, text, "  ", event)
				if n.Event != county.NoticeSignIn {
					require.Contains(t, text, "0001", event)
				}
			}
		}
	}
}

func TestTextOfADeposit(t *testing.T) {
	s := demoNames(t)
	n := someNotice(county.NoticeDeposited)
	c := code("", n.About.Deposit, 0)
	who := &county.Recipient{Phone: "13800138000"}
	require.Equal(t, "【云岭驿站】取件码"+c+"，快件在青石村智能柜23号格，请于11月24日18时前取。单号尾号0001", s.message(n, who, &lane{}, nil).Text)
	require.Equal(t, "[Yunling Post] Code "+c+": parcel ..0001 is in cell 23 of Qingshi locker until 24 Nov 18:00.",
		s.message(n, &county.Recipient{Phone: "1", Lang: "en"}, &lane{}, nil).Text)
	s.codes = nil
	require.Equal(t, "【云岭驿站】快件在青石村智能柜23号格，请于11月24日18时前取。单号尾号0001", s.message(n, who, &lane{}, nil).Text)
}

// The address of the page goes where it makes no second message of one, and always where length is free.
func TestTheLinkOfAPage(t *testing.T) {
	s := demoNames(t)
	s.link = func(waybill string) string { return "https://yz.example/p/" + waybill + "abcdefghijk" }
	link := s.link("YZ2600000001")
	zh, en := &county.Recipient{Phone: "1"}, &county.Recipient{Phone: "1", Lang: "en"}
	long, short := someNotice(county.NoticeDeposited), someNotice(county.NoticeDeposited)
	short.About = county.NoticeAbout{}
	for _, c := range []struct {
		n    *county.Notice
		who  *county.Recipient
		set  channels.Channel
		want bool
	}{
		{long, zh, channels.Channel{}, false},
		{short, zh, channels.Channel{}, true},
		{long, en, channels.Channel{}, true},
		{long, zh, channels.Channel{Kind: "outbox"}, true},
		{long, zh, channels.Channel{Form: "mail"}, true},
		{long, en, channels.Channel{Form: "speech"}, false},
		{long, en, channels.Channel{Form: "data"}, false},
	} {
		text := s.message(c.n, c.who, &lane{set: c.set}, nil).Text
		require.Equal(t, c.want, strings.HasSuffix(text, " "+link), text)
		if c.set.Kind == "" && c.set.Form == "" {
			require.True(t, UCS2(text) <= 70 || septets(text) <= 160, text)
		}
	}
	own := map[string]channels.Template{"deposited": {ZH: "{code} {link} {tail}"}}
	require.Equal(t, code("", long.About.Deposit, 0)+" "+link+" 0001", s.message(long, zh, &lane{}, own).Text, "a text that names it has it once")
	s.link = nil
	require.Equal(t, code("", long.About.Deposit, 0)+" 0001", s.message(long, zh, &lane{}, own).Text)
}

// A code is that of the key which the notice was planned with, until a later notice says otherwise.
func TestACodeIsOfItsKey(t *testing.T) {
	s := demoNames(t)
	n := someNotice(county.NoticeRecoded)
	n.About.KeyNo = 2
	who := &county.Recipient{Phone: "1"}
	require.Equal(t, "【云岭驿站】取件码已换为"+code("", n.About.Deposit, 2)+"，旧码作废，快件在青石村智能柜23号格。单号尾号0001", s.message(n, who, &lane{}, nil).Text)
	require.NotEqual(t, code("", n.About.Deposit, 2), code("", n.About.Deposit, 1))
}

// A sign-in's code goes out at any hour to whoever wants no other messages, never by mail, and not when it is too late.
func TestTheCodeOfASignIn(t *testing.T) {
	s := demoNames(t)
	s.link, s.signIn = func(string) string { return "https://yz.example/p/x" }, func(nonce string) string { return "00" + nonce }
	now := time.Date(2026, 11, 24, 18, 0, 0, 0, time.UTC)
	n := SignIn(county.Waybill{Waybill: "YZ2600000001", Site: "out-qingshi"}, "1234", now, now.Add(10*time.Minute))
	who := &county.Recipient{Phone: "13800138000", Email: "x@example.org"}
	require.Equal(t, "【云岭驿站】查件登录码001234，10分钟内有效，请勿告诉他人。", s.message(&n, who, &lane{}, nil).Text)
	require.True(t, (&lane{}).fits(&n, who))
	require.False(t, (&lane{set: channels.Channel{Form: "mail"}}).fits(&n, who))
	w := worker{quiet: channels.Quiet{From: "00:00", To: "23:59"}, now: func() time.Time { return now }}
	prefs := &county.NoticePrefs{AllOff: true, QuietFrom: "00:00", QuietTo: "23:59"}
	require.False(t, w.held(&n, true, prefs))
	require.Equal(t, channels.Quiet{}, w.hush(&lane{}, &n, prefs))
	now = now.Add(10 * time.Minute)
	require.True(t, w.held(&n, true, prefs))
	require.Equal(t, county.NoticeDropped, n.Status)
	require.False(t, Matters(n.Event))
}

func TestTemplatesOfTheChannelComeFirst(t *testing.T) {
	s := demoNames(t)
	n := someNotice(county.NoticeException)
	l := &lane{set: channels.Channel{Templates: map[string]channels.Template{"exception": {ZH: "{sign}{class}", ID: "SMS_1", Params: []string{"tail", "site"}}}}}
	m := s.message(n, &county.Recipient{Phone: "1", Lang: "en"}, l, map[string]channels.Template{"exception.damage": {ZH: "x"}})
	require.Equal(t, "Yunling Postdamage", m.Text, "a text in one language serves both")
	require.Equal(t, "SMS_1", m.Template)
	require.Equal(t, []string{"0001", "Qingshi station"}, m.Params)
	m = s.message(n, &county.Recipient{Phone: "1"}, &lane{}, map[string]channels.Template{"exception.damage": {ZH: "x"}})
	require.Equal(t, "x", m.Text)
}

func TestVirtualNumbers(t *testing.T) {
	s := demoNames(t)
	n := someNotice(county.NoticeDeposited)
	who := &county.Recipient{Phone: "17012345678,4321"}
	for ext, want := range map[string]struct {
		fits  bool
		start string
	}{"": {false, "【"}, "skip": {false, "【"}, "dial": {true, "【"}, "text": {true, "[4321]【"}} {
		l := &lane{set: channels.Channel{Extension: ext}}
		m := s.message(n, who, l, nil)
		require.Equal(t, want.fits, l.fits(n, who), ext)
		require.Equal(t, "17012345678", m.Phone)
		require.Equal(t, "4321", m.Ext)
		require.True(t, strings.HasPrefix(m.Text, want.start), m.Text)
	}
}

func TestAChannelOfSomeOutlets(t *testing.T) {
	n, who := someNotice(county.NoticeDeposited), &county.Recipient{Phone: "17012345678"}
	require.True(t, (&lane{set: channels.Channel{Sites: []string{"out-else", n.About.Site}}}).fits(n, who))
	require.False(t, (&lane{set: channels.Channel{Sites: []string{"out-else"}}}).fits(n, who))
}

func TestACodeIsSpokenDigitByDigit(t *testing.T) {
	s := demoNames(t)
	m := s.message(someNotice(county.NoticeDeposited), &county.Recipient{Phone: "1"}, &lane{set: channels.Channel{Form: "speech"}}, nil)
	c := code("", "d-0123456789abcdef", 0)
	require.Contains(t, m.Text, strings.Join(strings.Split(c, ""), "，"))
}

func TestQuietHours(t *testing.T) {
	zone := time.FixedZone("county", 8*3600)
	at := func(h, m int) time.Time { return time.Date(2026, 11, 21, h, m, 0, 0, zone) }
	night := channels.Quiet{From: "21:30", To: "07:00"}
	for _, c := range []struct {
		q      channels.Quiet
		at     time.Time
		end    time.Time
		silent bool
	}{
		{night, at(12, 0), time.Time{}, false},
		{night, at(21, 29), time.Time{}, false},
		{night, at(21, 30), at(7, 0).AddDate(0, 0, 1), true},
		{night, at(3, 0), at(7, 0), true},
		{night, at(7, 0), time.Time{}, false},
		{channels.Quiet{From: "12:00", To: "14:00"}, at(13, 0), at(14, 0), true},
		{channels.Quiet{From: "12:00", To: "14:00"}, at(14, 0), time.Time{}, false},
		{channels.Quiet{}, at(3, 0), time.Time{}, false},
	} {
		end, silent := c.q.Around(c.at)
		require.Equal(t, c.silent, silent, "%v at %v", c.q, c.at)
		if silent {
			require.True(t, c.end.Equal(end), "%v at %v: %v", c.q, c.at, end)
		}
	}
}
