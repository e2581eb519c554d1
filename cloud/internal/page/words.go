package page

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
)

// words are the page's texts in one language.
type words struct {
	Lang, Other, OtherName                  string
	Title, Nothing, Away                    string
	Confirmed, InLocker, AtOutlet           string
	CodeIs, CodeHow, FamilyIs, FamilyGive   string
	AtOutletHome, Bring                     string
	Until, Extend                           string
	Help, CannotOpen, NotMine, Reported     string
	Way, All, Number                        string
	Rate, Rated, Send                       string
	ColdGood, ColdOut                       string
	MyTitle, MyPhone, MyAsk, MySent, MyCode string
	MyIn, MyBack, MyWrong, MyNumber         string
	MyNone, MyOpen, MyLeave, MyAgain        string
	WhereTo, Wished, Otherwise              string
	Wish                                    map[county.Wish]string
	Contradicted, NoTime, Inferred          string
	Day                                     string // layout of a day and a time
	Just, Minutes, Hours, Days              string
	LeftDays, LeftHours, LeftNone           string
	Stage, Row                              map[county.Stage]string
	Said                                    map[string]string
	zh                                      bool
}

var chinese = &words{
	Lang: "zh", Other: "en", OtherName: "English", zh: true,
	Title: "包裹查询", Nothing: "这个链接查不到包裹。请核对短信里的链接，或联系服务站。", Away: "系统正在维护，请过几分钟再打开。",
	Confirmed: "最后确认：%s（%s）", InLocker: "已到%s，%d号格", AtOutlet: "已到%s，可以来取", AtOutletHome: "已到%s，会送到您家", Bring: "。到站后由快递员送来。",
	CodeIs: "取件码", CodeHow: "在柜子键盘上输入格号和取件码，或把二维码对准扫码口。", FamilyIs: "家人取件码", FamilyGive: "让家人代取",
	Until: "免费保管到 %s，%s", Extend: "延长一天",
	Help: "取不了？", CannotOpen: "柜门打不开", NotMine: "不是我的包裹", Reported: "已收到您的反映，工作人员会联系您。",
	Way: "走到哪了", All: "查看全部", Number: "单号",
	Rate: "这次送件您满意吗？（5分最好）", Rated: "您的评分", Send: "提交",
	ColdGood: "冷链件：到目前没有发现超温。", ColdOut: "冷链件：路上曾超温，正在核查。",
	MyTitle: "我的包裹", MyPhone: "手机号", MyAsk: "获取登录码", MySent: "如果这个号码有包裹，登录码已用短信发出", MyCode: "登录码", MyIn: "登录", MyBack: "换个号码",
	MyWrong: "登录码不对，或已过期。", MyNumber: "请核对手机号。", MyNone: "现在没有您的包裹。", MyOpen: "查看", MyLeave: "退出登录", MyAgain: "请过一分钟再试。",
	WhereTo: "到了放哪里？", Wished: "您选了：%s", Otherwise: "改一下",
	Wish:         map[county.Wish]string{county.WishLocker: "放智能柜", county.WishStation: "放服务站", county.WishHome: "送到家"},
	Contradicted: "正在核查", NoTime: "时间不确定", Inferred: "随袋推断",
	Day: "1月2日 15:04", Just: "刚刚", Minutes: "%d分钟前", Hours: "%d小时前", Days: "%d天前",
	LeftDays: "还有%d天", LeftHours: "还有%d小时", LeftNone: "已到期，请尽快联系服务站",
	Stage: map[county.Stage]string{
		county.Created: "已下单，还没到县仓", county.AtWarehouse: "在县级物流仓储中心", county.Sorted: "在县仓，已分拣", county.Loaded: "已装车，准备出发",
		county.InTransit: "正在路上", county.OutForDelivery: "正在派送", county.PickedUp: "已取走", county.SignedFor: "已签收", county.Completed: "已完成",
		county.Returned: "已退回", county.LostClosed: "已按丢失处理，工作人员会联系您",
	},
	Row: map[county.Stage]string{
		county.Created: "已下单", county.AtWarehouse: "到县仓", county.Sorted: "已分拣", county.Loaded: "已装车", county.InTransit: "出发",
		county.AtOutlet: "到服务站", county.InLocker: "放入智能柜", county.OutForDelivery: "派送中", county.PickedUp: "已取走", county.SignedFor: "已签收",
		county.Completed: "已完成", county.Returned: "已退回", county.LostClosed: "按丢失处理",
	},
	Said: map[string]string{"extended": "已延长一天。", "cannot": "现在办不了，请联系服务站。", "reported": "已收到，工作人员会联系您。", "thanks": "谢谢您的评价。", "wished": "已记下。"},
}

var english = &words{
	Lang: "en", Other: "zh", OtherName: "中文",
	Title: "Your parcel", Nothing: "No parcel is found by this link. Check the link in your message, or ask the station.", Away: "The service is being looked after. Please open this again in a few minutes.",
	Confirmed: "Last confirmed %s (%s)", InLocker: "At %s, cell %d", AtOutlet: "At %s, ready for you", AtOutletHome: "At %s, will be brought to your door", Bring: ". A courier brings it from the station.",
	CodeIs: "Pickup code", CodeHow: "Type the cell and the code at the locker, or hold the QR code to its scanner.", FamilyIs: "Code for your family", FamilyGive: "Let somebody else collect it",
	Until: "Kept free until %s, %s", Extend: "One day longer",
	Help: "Trouble?", CannotOpen: "The door doesn't open", NotMine: "This isn't mine", Reported: "We have your report. Somebody will call you.",
	Way: "Its way", All: "Show all", Number: "Number",
	Rate: "How was it? (5 is best)", Rated: "Your rating", Send: "Send",
	ColdGood: "Cold goods: not seen too warm so far.", ColdOut: "Cold goods: were too warm for a while, being looked into.",
	MyTitle: "My parcels", MyPhone: "Your phone number", MyAsk: "Send me a code", MySent: "If there are parcels for this number, a code is on its way", MyCode: "Code", MyIn: "Sign in", MyBack: "Another number",
	MyWrong: "That code is wrong, or too old.", MyNumber: "Please check the number.", MyNone: "There are no parcels for you now.", MyOpen: "Open", MyLeave: "Sign out", MyAgain: "Please try again in a minute.",
	WhereTo: "Where shall it go?", Wished: "You chose: %s", Otherwise: "Change this",
	Wish:         map[county.Wish]string{county.WishLocker: "Into the locker", county.WishStation: "To the station", county.WishHome: "To my door"},
	Contradicted: "being looked into", NoTime: "time not certain", Inferred: "by its bag",
	Day: "2 Jan 15:04", Just: "just now", Minutes: "%d min ago", Hours: "%d h ago", Days: "%d days ago",
	LeftDays: "%d days left", LeftHours: "%d hours left", LeftNone: "that is over: please ask the station",
	Stage: map[county.Stage]string{
		county.Created: "Ordered, not at the county warehouse yet", county.AtWarehouse: "At the county warehouse", county.Sorted: "At the warehouse, sorted", county.Loaded: "Loaded, about to leave",
		county.InTransit: "On the way", county.OutForDelivery: "Out for delivery", county.PickedUp: "Collected", county.SignedFor: "Signed for", county.Completed: "Completed",
		county.Returned: "Returned", county.LostClosed: "Closed as lost; somebody will call you",
	},
	Row: map[county.Stage]string{
		county.Created: "Ordered", county.AtWarehouse: "At the warehouse", county.Sorted: "Sorted", county.Loaded: "Loaded", county.InTransit: "Left",
		county.AtOutlet: "At the station", county.InLocker: "Put into the locker", county.OutForDelivery: "Out for delivery", county.PickedUp: "Collected", county.SignedFor: "Signed for",
		county.Completed: "Completed", county.Returned: "Returned", county.LostClosed: "Closed as lost",
	},
	Said: map[string]string{"extended": "One day longer.", "cannot": "That isn't possible now. Please ask the station.", "reported": "We have it. Somebody will call you.", "thanks": "Thank you.", "wished": "We have noted it."},
}

// speak chooses the language: ?lang=, else the browser's, else Chinese.
func speak(r *http.Request) *words {
	switch lang := r.URL.Query().Get("lang"); {
	case lang == "en":
		return english
	case lang == "zh":
		return chinese
	}
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		switch tag := strings.ToLower(strings.TrimSpace(part)); {
		case strings.HasPrefix(tag, "zh"):
			return chinese
		case strings.HasPrefix(tag, "en"):
			return english
		}
	}
	return chinese
}

func (w *words) of(t county.Text) string {
	if w.zh {
		return t.ZH
	}
	return t.EN
}

// age says how long ago something was.
func (w *words) age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return w.Just
	case d < time.Hour:
		return fmt.Sprintf(w.Minutes, int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf(w.Hours, int(d.Hours()))
	}
	return fmt.Sprintf(w.Days, int(d.Hours()/24))
}

// left says how long there still is.
func (w *words) left(d time.Duration) string {
	switch {
	case d <= 0:
		return w.LeftNone
	case d < 48*time.Hour:
		return fmt.Sprintf(w.LeftHours, max(1, int(d.Hours())))
	}
	return fmt.Sprintf(w.LeftDays, int(d.Hours()/24))
}
