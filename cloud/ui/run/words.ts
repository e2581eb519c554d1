// Every string of the page in both languages; the type makes a missing one a build error.
import { signal } from "@preact/signals";
import type { Text } from "./types";

const zh = {
  title: "揽派", language: "English", online: "在线", offline: "离线", asking: "连接中", closed: "未登录", sending: "发送中",
  queued: "待发 {n}", allSent: "全部已发", synced: "{t}前同步", never: "尚未同步", age: "清单 {t}前", noManifest: "没有清单", refusedN: "{n} 条被拒",
  s: "{n} 秒", m: "{n} 分钟", h: "{h} 小时 {m} 分", d: "{d} 天",
  badge: "工号", badgeHint: "字母、数字，不写姓名", courier: "跟车", keeper: "站点", chooseRun: "班次", chooseSite: "站点", signOn: "签到", signOff: "签退", signOffAsk: "还有 {n} 条未发送，它们会留在手机里继续发送。", noRuns: "今天没有班次", cancelled: "已取消",
  token: "令牌", login: "登录", loginText: "会话已结束。已记录的操作都在手机里，登录后发送。", wrongToken: "令牌不对", noServer: "服务器没有应答", first: "首次使用需要联网打开一次。",
  manifest: "清单", work: "操作", log: "记录", stop: "当前站点", parcels: "{n} 件", aboard: "车上 {n}", done: "已完成 {n}", allStops: "全部站点", empty: "没有包裹", refresh: "刷新",
  load: "装车", unload: "卸车", pack: "装袋", unpack: "出袋", deposit: "入柜", to_door: "送上门", toDoor: "送货上门", notHome: "没有要求送上门", goesHome: "收件人要求送上门", hand_over: "交付", refuse: "拒收", count: "清点", sign_on: "签到", sign_off: "签退",
  scan: "扫描或输入运单号", camera: "相机", picture: "照片", stopCamera: "关闭相机", enter: "确定", noCode: "没有读到条码", noCamera: "相机不可用：可用扫码枪、照片或手工输入", notWaybill: "这不是运单号：{v}",
  noted: "已记录", twice: "已记录过，不重复", unknownParcel: "不在清单上", held: "暂扣件：不得离仓", otherStop: "目的站是 {s}", noVehicle: "班次没有车辆", chooseBag: "扫描或选择袋、笼", bag: "袋/笼", noBag: "没有这个袋或笼：{v}", cold: "需要冷藏",
  reason: "原因", r_unwanted: "不要了", r_damaged: "外包装破损", r_wrong: "发错货", r_late: "太晚", r_absent: "多次无人", photo: "拍照", photoDone: "照片 {n} KB", photoBad: "照片无法读取", record: "记录", otherReason: "其他原因（不写姓名电话）",
  counted: "实点件数", expected: "清单 {n} 件", differs: "相差 {n}", equal: "相符",
  locker: "快递柜", chooseLocker: "选择快递柜", askCell: "开一个格口", free: "空格 {n}", lockerOff: "柜子离线", noConsent: "收件人未同意入柜", consentUnknown: "收件人是否同意入柜：未知", cellIs: "{n} 号格", size_s: "小", size_m: "中", size_l: "大",
  d_asked: "已请求", d_sent: "已下发", d_pulse: "锁已脉冲", d_open: "门已开，请放入并关门", d_shut: "门已关，格内有件", d_empty: "门已关，格内是空的", d_refused: "没有打开", d_unknown: "结果未知，请看柜门", another: "换一个格口", again: "再开一次", putIn: "已放入，门已关", give_up: "不放了",
  decides: "没有网络：由柜子决定。请在柜子面板上输入运单号：", whichCell: "打开的是几号格？", cell: "格号", putInCell: "已放入 {n} 号格，门已关",
  st_queued: "待发", st_done: "已发", st_refused: "被拒", dismiss: "知道了", nothing: "还没有记录", update: "新版本已就绪", reload: "重新载入", close: "关闭", notKept: "此页不是 https：关闭后离线打不开",
  w_of: "没有这个运单", w_at: "手机时钟不对", w_site: "没有这个站点", w_container: "没有这个袋或笼", w_photo: "照片不能用", w_id: "编号已被占用", w_locker: "没有这个柜子", w_vehicle: "没有这辆车",
  created: "已下单", at_warehouse: "到仓", sorted: "已分拣", loaded: "已装车", in_transit: "运输中", at_outlet: "到站", in_locker: "已入柜", out_for_delivery: "派送中", picked_up: "已取件", signed_for: "已签收", completed: "已完成", returned: "已退回", lost_closed: "遗失",
  chilled: "冷藏", frozen: "冷冻", fragile: "易碎", outbound: "寄件", yes: "可入柜", no: "不入柜", hold: "暂扣",
};

const en: Record<keyof typeof zh, string> = {
  title: "Run", language: "中文", online: "online", offline: "offline", asking: "connecting", closed: "logged out", sending: "sending",
  queued: "{n} waiting", allSent: "all sent", synced: "synced {t} ago", never: "never synced", age: "list {t} old", noManifest: "no list", refusedN: "{n} refused",
  s: "{n} s", m: "{n} min", h: "{h} h {m}", d: "{d} d",
  badge: "Badge", badgeHint: "letters and digits, no name", courier: "On a run", keeper: "At an outlet", chooseRun: "Run", chooseSite: "Outlet", signOn: "Sign on", signOff: "Sign off", signOffAsk: "{n} are still waiting; they stay on this phone and go on being sent.", noRuns: "No runs today", cancelled: "cancelled",
  token: "Token", login: "Log in", loginText: "The session has ended. What you noted is on this phone and goes out after you log in.", wrongToken: "That token is not right", noServer: "The server does not answer", first: "The first time it must be opened with a link.",
  manifest: "List", work: "Work", log: "Log", stop: "Stop", parcels: "{n} parcels", aboard: "{n} aboard", done: "{n} done", allStops: "All stops", empty: "No parcels", refresh: "Refresh",
  load: "Load", unload: "Unload", pack: "Into bag", unpack: "Out of bag", deposit: "Locker", to_door: "To door", toDoor: "to the door", notHome: "not asked for at the door", goesHome: "its recipient wants it at the door", hand_over: "Hand over", refuse: "Refused", count: "Count", sign_on: "Sign on", sign_off: "Sign off",
  scan: "Scan or type a waybill", camera: "Camera", picture: "Picture", stopCamera: "Stop", enter: "OK", noCode: "No code was read", noCamera: "No camera: use a scanner, a picture or the keys", notWaybill: "That is no waybill: {v}",
  noted: "noted", twice: "noted before, not doubled", unknownParcel: "not on the list", held: "on hold: must not leave", otherStop: "goes to {s}", noVehicle: "the run has no vehicle", chooseBag: "Scan or choose a bag or cage", bag: "Bag or cage", noBag: "No bag or cage is called {v}", cold: "needs cold",
  reason: "Reason", r_unwanted: "not wanted", r_damaged: "damaged", r_wrong: "wrong goods", r_late: "too late", r_absent: "nobody there", photo: "Photo", photoDone: "photo {n} KB", photoBad: "the photo can't be read", record: "Note it", otherReason: "other (no name, no number)",
  counted: "Counted", expected: "{n} on the list", differs: "differs by {n}", equal: "agrees",
  locker: "Locker", chooseLocker: "Choose a locker", askCell: "Open a cell", free: "{n} free", lockerOff: "locker offline", noConsent: "The recipient has not agreed to a locker", consentUnknown: "Whether the recipient agrees to a locker is not known", cellIs: "Cell {n}", size_s: "small", size_m: "medium", size_l: "large",
  d_asked: "asked", d_sent: "sent", d_pulse: "lock pulsed", d_open: "door open: put it in and shut", d_shut: "shut, something inside", d_empty: "shut, nothing inside", d_refused: "did not open", d_unknown: "outcome unknown, look at the door", another: "Another cell", again: "Open again", putIn: "It is in, door shut", give_up: "Not now",
  decides: "No link: the locker decides. Type the waybill at its panel:", whichCell: "Which cell opened?", cell: "Cell", putInCell: "It is in cell {n}, door shut",
  st_queued: "waiting", st_done: "sent", st_refused: "refused", dismiss: "Seen", nothing: "Nothing noted yet", update: "A new version is here", reload: "Load it", close: "Close", notKept: "Not by https: this page won't open without a link",
  w_of: "There is no such waybill", w_at: "This phone's clock is wrong", w_site: "There is no such site", w_container: "There is no such bag or cage", w_photo: "The photo can't be used", w_id: "The id is taken", w_locker: "There is no such locker", w_vehicle: "There is no such vehicle",
  created: "announced", at_warehouse: "at warehouse", sorted: "sorted", loaded: "loaded", in_transit: "in transit", at_outlet: "at outlet", in_locker: "in locker", out_for_delivery: "out for delivery", picked_up: "picked up", signed_for: "signed for", completed: "completed", returned: "returned", lost_closed: "lost",
  chilled: "chilled", frozen: "frozen", fragile: "fragile", outbound: "outbound", yes: "locker ok", no: "no locker", hold: "on hold",
};

export type Key = keyof typeof zh;
const saved = localStorage.getItem("lang");
export const lang = signal<"zh" | "en">(saved === "en" || saved === "zh" ? saved : navigator.language.startsWith("zh") ? "zh" : "en");

export function setLang(l: "zh" | "en") {
  lang.value = l;
  localStorage.setItem("lang", l);
  document.documentElement.lang = l === "zh" ? "zh-CN" : "en";
  document.title = t("title") + " · 驿站";
}

export function t(key: Key, values: Record<string, string | number> = {}): string {
  return (lang.value === "zh" ? zh : en)[key].replace(/\{(\w+)\}/g, (_, k: string) => String(values[k] ?? ""));
}

/** A word of the server's, in ours where we have one. */
export const word = (w: string): string => (w in zh ? t(w as Key) : w);
export const name = (n: Text | undefined): string => (n ? n[lang.value] || n.zh || n.en : "");

export function duration(ms: number): string {
  const sec = Math.max(0, Math.floor(ms / 1000));
  if (sec < 60) return t("s", { n: sec });
  if (sec < 3600) return t("m", { n: Math.floor(sec / 60) });
  if (sec < 48 * 3600) return t("h", { h: Math.floor(sec / 3600), m: String(Math.floor(sec / 60) % 60).padStart(2, "0") });
  return t("d", { d: Math.floor(sec / 86400) });
}
