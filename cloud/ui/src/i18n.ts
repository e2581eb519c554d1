// Every string of the page in both languages; the type makes a missing one a build error.
import { signal } from "@preact/signals";
import type { Text } from "./types";

const zh = {
  console: "驿站", vehicles: "车辆", lockers: "快递柜", coldboxes: "冷链", parcels: "包裹",
  vehicle: "车辆", locker: "快递柜", coldbox: "冷链设备", parcel: "包裹",
  search: "搜索车牌、快递柜、运单号…", searchLabel: "搜索全部", clear: "清除",
  moving: "行驶", stopped: "停留", stale: "延迟", offline: "离线", online: "在线",
  live: "实时", reconnecting: "重连中", connecting: "连接中", lost: "连接已断开", skew: "时钟相差 {s} 秒",
  theme: "深浅色", language: "English", help: "快捷键", close: "关闭", retry: "重试", back: "返回列表",
  demo: "{note} · SPEED ×{speed} 只加快故事，不改变时钟", demoOne: "{note}",
  s: "{n} 秒", m: "{n} 分钟", h: "{h} 小时 {m} 分", d: "{d} 天 {h} 小时", ago: "{t}前", justNow: "刚刚", never: "从未",
  speed: "速度", heading: "航向", satellites: "卫星", position: "位置", altitude: "海拔", aboard: "车上包裹", atSite: "所在站点", onRoad: "在途",
  temperature: "温度", humidity: "湿度", range: "要求范围", gateway: "网关", timeQuality: "时间来源", updated: "更新", last30: "近 30 分钟", noData: "无数据",
  out: "超温", outFor: "超温 {t}", within: "正常", fault: "探头异常",
  cells: "格口", free: "空闲", used: "占用", empty: "空", occupied: "有件", overdue: "超期", reserved: "预留", door_open: "门开", cellFault: "故障", unknown: "未知", cell: "{n} 号格",
  sizes: "小 / 中 / 大", since: "自", inside: "格内包裹", open: "开格", openAsk: "打开 {name} {n} 号格？", confirm: "确认打开", cancel: "取消",
  opening: "开格指令", step1: "已受理", step2: "已下发到网关", step3: "结果", waiting: "等待中…",
  done: "已打开", refused: "已拒绝", outcomeUnknown: "结果未知，请到现场查看", unreachable: "网关不可达，未下发", stale_cmd: "指令过期，未执行", no_result: "没有回音",
  jammed: "锁卡住", no_reply: "锁板无应答", opened: "门已打开", orderFailed: "指令未被接受",
  doorTruth: "柜门实况", doorHelp: "来自柜机证据", doorWaits: "等待柜门动静…", already_open: "门本来就开着", interrupted: "网关中途断电", lockerOffline: "柜机离线", ds_not_opened_short: "门没有打开",
  ds_accepted: "网关已受理（已落盘）", ds_pulse_sent: "开锁脉冲已发出", ds_opened: "门已打开", ds_forced: "门被拉开", ds_jammed: "锁卡住：门仍锁着", ds_not_opened: "{s} 秒内没有看到门动", ds_wrong_door: "开错门：{n} 号格的门动了", ds_closed: "门已关上", ds_deposited: "格内有件", ds_emptied: "格内已取空",
  created: "已下单", at_warehouse: "到仓", sorted: "已分拣", loaded: "已装车", in_transit: "运输中", at_outlet: "到站", in_locker: "已入柜",
  out_for_delivery: "派送中", picked_up: "已取件", signed_for: "已签收", completed: "已完成", returned: "已退回", lost_closed: "遗失结案",
  ev_created: "运单登记", ev_arrived: "读到标签", ev_departed: "标签离开", ev_passed_in: "进门", ev_passed_out: "出门", ev_aboard: "在车上",
  ev_off: "离车", ev_left_site: "车辆驶离", ev_reached_site: "车辆到达", ev_scanned: "扫码", ev_deposited: "投入格口", ev_collected: "取出",
  destination: "目的站", handling: "储运要求", ambient: "常温", chilled: "冷藏", frozen: "冷冻", fragile: "易碎", tag: "标签", timeline: "时间轴",
  evidence: "{n} 条证据", reads: "{n} 次读取", between: "{a} 至 {b} 之间", antenna: "天线 {n}", inferred: "推断", via: "由容器 {v} 推断", noEvidence: "还没有证据",
  tq_gnss: "卫星授时", tq_ntp: "网络授时", tq_cloud: "云端授时", tq_rtc: "板载时钟", tq_retro: "事后推定", tq_unknown: "时间未知",
  login: "登录", loginText: "请打开启动时打印的链接，或在此输入令牌。", token: "令牌", wrongToken: "令牌不对", tooMany: "尝试过多，请 {n} 秒后再试", noServer: "服务器没有应答",
  noParcels: "没有匹配的包裹", none: "没有匹配项", loading: "载入中…", failed: "没有取到数据", more: "更多", warehouse: "仓库", outlet: "服务站",
  fit: "全图", map: "县域地图", mapHelp: "方向键平移，加减键缩放", list: "列表", detail: "详情", selectHint: "从列表或地图选择一个对象",
  k_search: "搜索", k_move: "上下移动", k_open: "打开", k_close: "关闭 / 返回", k_fit: "全图", k_tabs: "切换列表", k_help: "本帮助",
  notFound: "没有这个对象", kmh: "公里/小时", postal_van: "邮政车", carrier_van: "共配车", rural_bus: "客运班车", freight: "货车",
  newWaybill: "登记运单", outbox: "短信箱", exceptions: "异常", w_number: "运单号", w_site: "服务站", w_byAddress: "按地址匹配", w_size: "大小", w_consent: "同意入柜", w_yes: "同意", wish_locker: "放智能柜", wish_station: "放服务站", wish_home: "送到家", w_no: "不同意", w_unknown: "未知",
  w_name: "收件人", w_phone: "手机号", w_village: "村 / 地址", w_send: "提交运单", w_done: "已登记", w_help: "等同于 POST /api/v1/waybills。演示中，卡车会把这件包裹送到县仓，装袋上车，几分钟后入柜。",
  w_matched: "已匹配到 {site}", w_unmatched: "地址没有匹配到服务站，已记为异常", size_s: "小", size_m: "中", size_l: "大",
  o_help: "演示模式：收件人会收到的短信，连同取件码。格号和取件码在快递柜的键盘上输入。", o_to: "发往", o_type: "在键盘上输入：", o_page: "收件人页面", o_none: "还没有短信", o_masked: "号码已遮挡，取件码不显示",
  ns_due: "待发", ns_sending: "发送中", ns_open: "待确认", ns_sent: "已发", ns_delivered: "已送达", ns_failed: "失败", ns_unknown: "待人工", ns_dropped: "不再需要", ns_told: "已告知",
  ne_arrived: "到站", ne_deposited: "入柜", ne_reminder: "提醒", ne_last_day: "最后一天", ne_expired: "超时", ne_extended: "延期", ne_recoded: "新取件码", ne_collected: "取件", ne_late: "延误", ne_exception: "异常", ne_resolved: "已解决", ne_offline: "断网",
  x_none: "没有未结异常", x_fix: "改到", x_end: "了结", x_over: "结于", x_delay: "延误", x_loss: "遗失", x_damage: "破损", x_misdelivery: "错投", x_data_error: "数据异常", x_since: "发现",
  c_unmatched_address: "地址没有匹配到服务站", c_refused: "收件人拒收（含不同意入柜）", c_cannot_open: "收件人：打不开柜门", c_not_mine: "收件人：不是我的件", c_contradiction: "证据互相矛盾", c_bad_sequence: "顺序不合", c_held: "冻结件已发出",
  c_wrong_outlet: "送错站点", c_damaged: "破损", c_lost: "遗失结案", c_count_differs: "袋内件数不符", c_offline: "快递柜断网", c_excursion: "温度超限",
  c_no_consent: "未同意入柜，柜机拒收", c_needs_cold: "需冷藏，柜机拒收", c_locker_full: "没有合适的空格", c_locker_unready: "柜机没有名单", c_unknown_waybill: "柜机名单里没有这件", ev_turned_away: "柜机拒收",
  no_consent: "未同意入柜", needs_cold: "需冷藏", full: "没有合适的空格", no_list: "没有名单", unknown_waybill: "名单里没有",
  confirmed: "确认", contradicted: "矛盾", witnesses: "旁证", wk_portal: "门架", wk_reader: "车载读写器", wk_fence: "车辆围栏", wk_door: "柜门", wk_scan: "扫码", wk_person: "人", wk_partner: "合作方", wk_sms: "短信", bad_sequence: "顺序不合",
  ev_timed_out: "自动完成", ev_refused: "拒收", ev_damaged: "破损", ev_cancelled: "撤单", ev_signed_for: "本人签收", ev_at_outlet: "到站", consent: "入柜意愿", size: "大小", label: "面单 PDF", epcis: "EPCIS 事件", held: "冻结",
  resumed: "已恢复，缺口 {t} 已补齐", silent: "静默 {t}", more_of: "共 {n} 个", zoomIn: "放大", zoomOut: "缩小",
};

const en: Record<keyof typeof zh, string> = {
  console: "Yizhan", vehicles: "Vehicles", lockers: "Lockers", coldboxes: "Cold chain", parcels: "Parcels",
  vehicle: "Vehicle", locker: "Locker", coldbox: "Cold box", parcel: "Parcel",
  search: "Search plate, locker, waybill…", searchLabel: "Search everything", clear: "Clear",
  moving: "moving", stopped: "stopped", stale: "stale", offline: "offline", online: "online",
  live: "live", reconnecting: "reconnecting", connecting: "connecting", lost: "connection lost", skew: "clocks differ by {s} s",
  theme: "Theme", language: "中文", help: "Keys", close: "Close", retry: "Try again", back: "Back to the list",
  demo: "{note} · SPEED ×{speed} scales the story, not the clock", demoOne: "{note}",
  s: "{n} s", m: "{n} min", h: "{h} h {m}", d: "{d} d {h} h", ago: "{t} ago", justNow: "just now", never: "never",
  speed: "Speed", heading: "Heading", satellites: "Satellites", position: "Position", altitude: "Altitude", aboard: "Aboard", atSite: "At", onRoad: "on the road",
  temperature: "Temperature", humidity: "Humidity", range: "Limits", gateway: "Gateway", timeQuality: "Time from", updated: "Updated", last30: "last 30 min", noData: "no data",
  out: "out of limits", outFor: "out for {t}", within: "within limits", fault: "probe fault",
  cells: "Cells", free: "free", used: "used", empty: "empty", occupied: "occupied", overdue: "overdue", reserved: "reserved", door_open: "door open", cellFault: "fault", unknown: "unknown", cell: "cell {n}",
  sizes: "small / medium / large", since: "since", inside: "Parcel inside", open: "Open cell", openAsk: "Open cell {n} of {name}?", confirm: "Open it", cancel: "Cancel",
  opening: "Order to open", step1: "accepted", step2: "sent to the gateway", step3: "outcome", waiting: "waiting…",
  done: "opened", refused: "refused", outcomeUnknown: "outcome unknown: somebody must look", unreachable: "gateway out of reach, not sent", stale_cmd: "too old, not run", no_result: "nothing came back",
  jammed: "lock jammed", no_reply: "lock board silent", opened: "the door opened", orderFailed: "the order was not taken",
  doorTruth: "What the door did", doorHelp: "as its board saw it", doorWaits: "waiting for the door…", already_open: "the door stood open", interrupted: "the gateway lost power", lockerOffline: "the locker is offline", ds_not_opened_short: "the door stayed shut",
  ds_accepted: "accepted by the gateway, on its card", ds_pulse_sent: "pulse sent to the lock", ds_opened: "door opened", ds_forced: "door pulled open", ds_jammed: "lock jammed: still locked", ds_not_opened: "no door seen to move in {s} s", ds_wrong_door: "wrong door: cell {n} moved", ds_closed: "door closed", ds_deposited: "something inside", ds_emptied: "empty now",
  created: "announced", at_warehouse: "at warehouse", sorted: "sorted", loaded: "loaded", in_transit: "in transit", at_outlet: "at outlet", in_locker: "in locker",
  out_for_delivery: "out for delivery", picked_up: "picked up", signed_for: "signed for", completed: "completed", returned: "returned", lost_closed: "lost, closed",
  ev_created: "waybill announced", ev_arrived: "tag read", ev_departed: "tag gone", ev_passed_in: "through the door, in", ev_passed_out: "through the door, out", ev_aboard: "aboard",
  ev_off: "left the vehicle", ev_left_site: "vehicle left", ev_reached_site: "vehicle arrived", ev_scanned: "scanned", ev_deposited: "put into the cell", ev_collected: "taken out",
  destination: "Goes to", handling: "Handling", ambient: "ambient", chilled: "chilled", frozen: "frozen", fragile: "fragile", tag: "Tag", timeline: "Timeline",
  evidence: "{n} pieces of evidence", reads: "{n} reads", between: "between {a} and {b}", antenna: "antenna {n}", inferred: "inferred", via: "inferred from container {v}", noEvidence: "no evidence yet",
  tq_gnss: "satellite time", tq_ntp: "network time", tq_cloud: "cloud time", tq_rtc: "board clock", tq_retro: "dated afterwards", tq_unknown: "time unknown",
  login: "Log in", loginText: "Open the link that was printed at the start, or enter the token here.", token: "Token", wrongToken: "That token is not right", tooMany: "Too many tries; wait {n} s", noServer: "The server does not answer",
  noParcels: "No parcel matches", none: "Nothing matches", loading: "Loading…", failed: "The data did not come", more: "More", warehouse: "Warehouse", outlet: "Outlet",
  fit: "Whole county", map: "Map of the county", mapHelp: "arrow keys pan, plus and minus zoom", list: "List", detail: "Detail", selectHint: "Choose something from the list or the map",
  k_search: "search", k_move: "move in the list", k_open: "open", k_close: "close, back", k_fit: "whole county", k_tabs: "switch lists", k_help: "this help",
  notFound: "There is no such thing", kmh: "km/h", postal_van: "postal van", carrier_van: "carrier van", rural_bus: "rural bus", freight: "freight",
  newWaybill: "New waybill", outbox: "Outbox", exceptions: "Exceptions", w_number: "Waybill", w_site: "Outlet", w_byAddress: "found by the address", w_size: "Size", w_consent: "Locker", w_yes: "agreed", wish_locker: "into the locker", wish_station: "to the station", wish_home: "to the door", w_no: "refused", w_unknown: "not asked",
  w_name: "Recipient", w_phone: "Phone", w_village: "Village or address", w_send: "Announce", w_done: "Announced", w_help: "The same as POST /api/v1/waybills. In the demo a truck brings this parcel to the warehouse; it goes into a bag and a van, and within minutes into a locker.",
  w_matched: "goes to {site}", w_unmatched: "the address names no outlet: an exception", size_s: "small", size_m: "medium", size_l: "large",
  o_help: "Demo: messages as their recipients read them, codes and all. Cell and code are typed at the locker's keypad.", o_to: "to", o_type: "type it:", o_page: "recipient's page", o_none: "no messages yet", o_masked: "numbers and codes are hidden",
  ns_due: "due", ns_sending: "sending", ns_open: "unconfirmed", ns_sent: "sent", ns_delivered: "delivered", ns_failed: "failed", ns_unknown: "needs a person", ns_dropped: "not needed", ns_told: "told",
  ne_arrived: "arrival", ne_deposited: "in locker", ne_reminder: "reminder", ne_last_day: "last day", ne_expired: "expired", ne_extended: "extended", ne_recoded: "new code", ne_collected: "collected", ne_late: "late", ne_exception: "exception", ne_resolved: "resolved", ne_offline: "offline",
  x_none: "nothing is wrong", x_fix: "send it to", x_end: "Settled", x_over: "ended", x_delay: "delay", x_loss: "loss", x_damage: "damage", x_misdelivery: "misdelivery", x_data_error: "data error", x_since: "found",
  c_unmatched_address: "the address names no outlet", c_refused: "refused (the parcel, or a locker)", c_cannot_open: "recipient: it doesn't open", c_not_mine: "recipient: not mine", c_contradiction: "evidence contradicts itself", c_bad_sequence: "out of order", c_held: "left although on hold",
  c_wrong_outlet: "at another outlet", c_damaged: "damaged", c_lost: "closed as lost", c_count_differs: "another count than packed", c_offline: "locker out of reach", c_excursion: "out of its temperatures",
  c_no_consent: "turned away: no consent to a locker", c_needs_cold: "turned away: needs cold", c_locker_full: "turned away: no free cell of its size", c_locker_unready: "turned away: the locker has no list", c_unknown_waybill: "turned away: not expected there", ev_turned_away: "turned away",
  no_consent: "no consent", needs_cold: "needs cold", full: "no free cell of its size", no_list: "the locker has no list", unknown_waybill: "not expected there",
  confirmed: "confirmed", contradicted: "contradicted", witnesses: "witnesses", wk_portal: "portal", wk_reader: "reader in the vehicle", wk_fence: "vehicle in the fence", wk_door: "cell door", wk_scan: "scan", wk_person: "person", wk_partner: "partner", wk_sms: "SMS", bad_sequence: "out of order",
  ev_timed_out: "completed by time", ev_refused: "refused", ev_damaged: "damaged", ev_cancelled: "cancelled", ev_signed_for: "signed for", ev_at_outlet: "at outlet", consent: "Locker", size: "Size", label: "Label PDF", epcis: "EPCIS events", held: "on hold",
  resumed: "back, the gap of {t} is closed", silent: "silent {t}", more_of: "{n} in all", zoomIn: "Zoom in", zoomOut: "Zoom out",
};

export type Key = keyof typeof zh;
export type Lang = "zh" | "en";

const saved = localStorage.getItem("lang");
export const lang = signal<Lang>(saved === "en" || saved === "zh" ? saved : navigator.language.startsWith("zh") ? "zh" : "en");

export function setLang(l: Lang) {
  lang.value = l;
  localStorage.setItem("lang", l);
  document.documentElement.lang = l === "zh" ? "zh-CN" : "en";
}

export function t(key: Key, values: Record<string, string | number> = {}): string {
  return (lang.value === "zh" ? zh : en)[key].replace(/\{(\w+)\}/g, (_, k: string) => String(values[k] ?? ""));
}

/** A word that the server made up, in words of ours where we have one. */
export const word = (prefix: string, w: string, values: Record<string, string | number> = {}): string => (prefix + w in zh ? t((prefix + w) as Key, values) : w);

export const name = (n: Text | undefined): string => (n ? n[lang.value] || n.zh || n.en : "");

export function duration(sec: number): string {
  if (sec < 60) return t("s", { n: sec });
  if (sec < 3600) return t("m", { n: Math.floor(sec / 60) });
  if (sec < 48 * 3600) return t("h", { h: Math.floor(sec / 3600), m: String(Math.floor(sec / 60) % 60).padStart(2, "0") });
  return t("d", { d: Math.floor(sec / 86400), h: Math.floor(sec / 3600) % 24 });
}

export const ago = (sec: number): string => (sec < 2 ? t("justNow") : t("ago", { t: duration(sec) }));

/** Local time of the county; the date only when it isn't today's. */
export function clockTime(at: string, nowMs: number, zone: string): string {
  const d = new Date(at);
  const loc = lang.value === "zh" ? "zh-CN" : "en-GB";
  const day = (x: Date) => x.toLocaleDateString("en-CA", { timeZone: zone });
  const hms = d.toLocaleTimeString(loc, { timeZone: zone, hour12: false });
  if (day(d) === day(new Date(nowMs))) return hms;
  return d.toLocaleDateString(loc, { timeZone: zone, month: "short", day: "numeric" }) + " " + hms;
}
