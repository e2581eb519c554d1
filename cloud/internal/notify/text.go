package notify

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"yizhan/cloud/internal/county"
	"yizhan/cloud/internal/county/channels"
)

// Texts are the built-in templates. With the demo county's words each of the Chinese ones is one message of 70
// UCS-2 characters, and each of the English ones one of 160 of the default alphabet.
var Texts = map[string]channels.Template{
	"arrived":   {ZH: "【{sign}】快件已到{site}，请来取。单号尾号{tail}", EN: "[{sign}] Parcel ..{tail} is at {site}. Please collect it."},
	"deposited": {ZH: "【{sign}】取件码{code}，快件在{locker}{cell}号格，请于{until}前取。单号尾号{tail}", EN: "[{sign}] Code {code}: parcel ..{tail} is in cell {cell} of {locker} until {until}."},
	"reminder":  {ZH: "【{sign}】提醒：取件码{code}，快件在{locker}{cell}号格，{until}前取。单号尾号{tail}", EN: "[{sign}] Reminder, code {code}: parcel ..{tail} is in cell {cell} of {locker} until {until}."},
	"last_day":  {ZH: "【{sign}】最后一天：取件码{code}，快件在{locker}{cell}号格，{until}前取。单号尾号{tail}", EN: "[{sign}] Last day, code {code}: parcel ..{tail} is in cell {cell} of {locker} until {until}."},
	"expired":   {ZH: "【{sign}】{locker}{cell}号格快件已超时，取件码失效，请联系{site}。单号尾号{tail}", EN: "[{sign}] Parcel ..{tail} in cell {cell} of {locker} has expired. Please ask {site}."},
	"extended":  {ZH: "【{sign}】已延期至{until}：{locker}{cell}号格，取件码{code}不变。单号尾号{tail}", EN: "[{sign}] Parcel ..{tail} is kept until {until} in cell {cell} of {locker}, code {code} as before."},
	"recoded":   {ZH: "【{sign}】取件码已换为{code}，旧码作废，快件在{locker}{cell}号格。单号尾号{tail}", EN: "[{sign}] New code {code}: parcel ..{tail} is in cell {cell} of {locker}. The old code is void."},
	"collected": {ZH: "【{sign}】快件已取出，单号尾号{tail}。若非本人，请联系{site}", EN: "[{sign}] Parcel ..{tail} was collected. Not by you? Please ask {site}."},
	"late":      {ZH: "【{sign}】快件有延误，我们正在处理，到后再通知您。单号尾号{tail}", EN: "[{sign}] Parcel ..{tail} is late. We are on it and will tell you when it is there."},
	"exception": {ZH: "【{sign}】快件出现异常，我们正在处理，详询{site}。单号尾号{tail}", EN: "[{sign}] Something is wrong with parcel ..{tail}. We are on it; ask {site}."},
	"exception.loss": {
		ZH: "【{sign}】暂未找到您的快件，正在查找，详询{site}。单号尾号{tail}", EN: "[{sign}] Parcel ..{tail} can't be found at the moment. We are searching; ask {site}.",
	},
	"exception.damage": {
		ZH: "【{sign}】快件外观有损，请到{site}核对后再签收。单号尾号{tail}", EN: "[{sign}] Parcel ..{tail} looks damaged. Please check it at {site} before you sign.",
	},
	"exception.misdelivery": {
		ZH: "【{sign}】快件送错站点，正在转送{site}。单号尾号{tail}", EN: "[{sign}] Parcel ..{tail} went to another station and is on its way to {site}.",
	},
	"resolved": {ZH: "【{sign}】快件的问题已处理好，感谢等待。单号尾号{tail}", EN: "[{sign}] The trouble with parcel ..{tail} is over. Thank you for waiting."},
	"sign_in":  {ZH: "【{sign}】查件登录码{code}，10分钟内有效，请勿告诉他人。", EN: "[{sign}] Sign-in code {code}, good for 10 minutes. Tell nobody."},
	"offline":  {ZH: "【{sign}】{locker}暂时断网，取件码照常可用；打不开请到{site}。单号尾号{tail}", EN: "[{sign}] {locker} is offline. Your code still works; if it doesn't open, ask {site}. Parcel ..{tail}"},
}

// names are what texts name.
type names struct {
	registry *county.Registry
	zone     *time.Location
	sign     channels.Text
	codes    func(locker, deposit string, generation int) string
	link     func(waybill string) string
	signIn   func(occasion string) string
}

// values are what stands for the names in braces.
func (s *names) values(n *county.Notice, english bool) map[string]string {
	pick := func(t county.Text) string {
		if english && t.EN != "" {
			return t.EN
		}
		return t.ZH
	}
	v := map[string]string{
		"sign": pick(county.Text{ZH: s.sign.ZH, EN: s.sign.EN}), "waybill": n.Waybill, "tail": n.Waybill[max(0, len(n.Waybill)-4):], "class": string(n.About.Class),
		"code": "", "cell": "", "locker": "", "until": "", "link": "", "site": n.About.Site, "village": "",
	}
	for i := range s.registry.Sites {
		if x := &s.registry.Sites[i]; x.ID == n.About.Site {
			v["site"], v["village"] = pick(x.Name), pick(x.Village)
		}
	}
	v["locker"] = n.About.Locker
	for i := range s.registry.Lockers {
		if x := &s.registry.Lockers[i]; x.ID == n.About.Locker {
			v["locker"] = pick(x.Name)
		}
	}
	if n.About.Cell > 0 {
		v["cell"] = strconv.Itoa(n.About.Cell)
	}
	if s.codes != nil && n.About.Deposit != "" {
		v["code"] = s.codes(n.About.Locker, n.About.Deposit, n.About.KeyNo)
	}
	if n.Event == county.NoticeSignIn {
		if s.signIn != nil {
			v["code"] = s.signIn(n.Occasion)
		}
		return v
	}
	if s.link != nil {
		v["link"] = s.link(n.Waybill)
	}
	if !n.About.Until.IsZero() {
		at := n.About.Until.In(s.zone)
		v["until"] = fmt.Sprintf("%d月%d日%d时", at.Month(), at.Day(), at.Hour())
		if english {
			v["until"] = at.Format("2 Jan 15:04")
		}
	}
	return v
}

// textOf finds the text of a notice: the channel's, the configuration's, the built-in one; an exception's by its class first.
func textOf(n *county.Notice, layers ...map[string]channels.Template) channels.Template {
	keys := []string{string(n.Event)}
	if n.Event == county.NoticeException {
		keys = []string{"exception." + string(n.About.Class), "exception"}
	}
	for _, layer := range append(layers, Texts) {
		for _, k := range keys {
			if t, ok := layer[k]; ok {
				return t
			}
		}
	}
	return Texts["exception"]
}

// missing are the phrases that fall away with a value that isn't known.
var missing = []struct{ value, zh, en string }{
	{"code", "取件码{code}，", "Code {code}: "},
	{"code", "，取件码{code}不变", ", code {code} as before"},
	{"code", "取件码{code}，", ", code {code}"},
	{"until", "，请于{until}前取", " until {until}"},
	{"until", "，{until}前取", ""},
	{"cell", "{cell}号格", "cell {cell} of "},
	{"link", " {link}", "{link}"},
}

// fill puts values into a text.
func fill(text string, values map[string]string) string {
	for _, m := range missing {
		if values[m.value] == "" {
			if m.zh != "" {
				text = strings.ReplaceAll(text, m.zh, "")
			}
			if m.en != "" {
				text = strings.ReplaceAll(text, m.en, "")
			}
		}
	}
	pairs := make([]string, 0, 2*len(values))
	for k, v := range values {
		pairs = append(pairs, "{"+k+"}", v)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// One text message: in 16-bit units, or in septets of the default alphabet, which a URL is written in.
const (
	oneUCS2 = 70
	oneGSM  = 160
)

// linked adds the page's address to a text without it: to one without bounds always, to a text message where that stays one.
func linked(text, link string, bounded bool) string {
	if link == "" || strings.Contains(text, link) {
		return text
	}
	longer, most := text+" "+link, oneGSM
	if strings.ContainsFunc(longer, func(r rune) bool { return r > '~' }) {
		most = oneUCS2
	}
	if bounded && UCS2(longer)+strings.Count(longer, "[")+strings.Count(longer, "]") > most {
		return text
	}
	return longer
}

// spoken spells a code for a voice.
func spoken(values map[string]string, english bool) {
	sep := "，"
	if english {
		sep = ", "
	}
	for _, k := range []string{"code", "tail"} {
		values[k] = strings.Join(strings.Split(values[k], ""), sep)
	}
	values["sign"] = strings.Trim(values["sign"], "【】[]")
}

// UCS2 counts the 16-bit units that a text takes in a message of UCS-2.
func UCS2(text string) int { return len(utf16.Encode([]rune(text))) }
