// The courier's and keeper's page: works without a link, and says how old what it shows is.
import "./style.css";
import { render } from "preact";
import { signal, useSignal } from "@preact/signals";
import { login, Problem } from "../src/api";
import { drop } from "./db";
import { acts, kit, lastSync, link, manifest, me, note, now, refresh, refused, run, serverNow, setMe, start, sync, syncing, waiting } from "./store";
import { latest } from "./cargo";
import { duration, lang, name, setLang, t, word, type Key } from "./words";
import { Work } from "./work";
import type { Cargo } from "./types";

type Tab = "manifest" | "work" | "log";
const tab = signal<Tab>("work");
const fresh = signal<ServiceWorker | undefined>(undefined);

function App() {
  return (
    <>
      <State />
      {fresh.value && <p class="banner">{t("update")} <button onClick={() => fresh.value?.postMessage("now")}>{t("reload")}</button></p>}
      {link.value === "closed" && <Login />}
      <main>{!kit.value ? <p class="nothing">{link.value === "closed" ? "" : link.value === "off" ? t("first") : t("asking")}</p> : !me.value ? <SignOn /> : tab.value === "work" ? <Work /> : tab.value === "manifest" ? <List /> : <Log />}</main>
      {me.value && (
        <nav>
          {(["manifest", "work", "log"] as Tab[]).map((x) => <button key={x} aria-current={tab.value === x ? "page" : undefined} onClick={() => { tab.value = x; }}>{t(x)}{x === "log" && waiting.value + refused.value > 0 && <b class={refused.value ? "badge hot" : "badge"}>{waiting.value + refused.value}</b>}</button>)}
        </nav>
      )}
    </>
  );
}

/** What is true of this phone: whether there is a link, what waits, when it last spoke with the server, how old the list is. */
function State() {
  const m = manifest.value, age = now.value + (serverNow() - Date.now());
  return (
    <header class={"state " + link.value}>
      <p class="line">
        <b id="link"><i class="dot" aria-hidden="true" />{t(link.value === "on" ? "online" : link.value === "off" ? "offline" : link.value)}</b>
        <span id="queue" class={waiting.value ? "warn" : ""} role="status">{syncing.value && waiting.value ? t("sending") + " · " : ""}{waiting.value ? t("queued", { n: waiting.value }) : t("allSent")}</span>
        {refused.value > 0 && <span class="bad">{t("refusedN", { n: refused.value })}</span>}
        <button class="lang" lang={lang.value === "zh" ? "en" : "zh"} onClick={() => setLang(lang.value === "zh" ? "en" : "zh")}>{t("language")}</button>
      </p>
      <p class="line soft">
        <span id="synced">{lastSync.value ? t("synced", { t: duration(now.value - lastSync.value) }) : t("never")}</span>
        {me.value?.run && <span id="age" class={m && age - Date.parse(m.at) > 30 * 60_000 ? "warn" : ""}>{m ? t("age", { t: duration(age - Date.parse(m.at)) }) : t("noManifest")}</span>}
        {!("serviceWorker" in navigator) && <span class="warn">{t("notKept")}</span>}
      </p>
    </header>
  );
}

async function enter(token: string): Promise<string> {
  try {
    await login(token);
    link.value = "asking";
    await refresh();
    return "";
  } catch (e) {
    return e instanceof Problem && e.status === 401 ? t("wrongToken") : t("noServer");
  }
}

function Login() {
  const token = useSignal(""), trouble = useSignal("");
  return (
    <form class="card login" onSubmit={(e) => { e.preventDefault(); void enter(token.value.trim()).then((x) => { trouble.value = x; }); }}>
      <p>{t("loginText")}</p>
      <label class="field">{t("token")}<input type="password" autocomplete="current-password" onInput={(e) => { token.value = e.currentTarget.value; }} /></label>
      {trouble.value && <p class="bad" role="alert">{trouble.value}</p>}
      <button class="primary wide">{t("login")}</button>
    </form>
  );
}

function SignOn() {
  const runs = kit.value!.runs.filter((r) => !r.cancelled), outlets = kit.value!.sites;
  const role = useSignal<"courier" | "keeper">(runs.length ? "courier" : "keeper");
  const badge = useSignal(localStorage.getItem("badge") ?? ""), runID = useSignal(runs[0]?.id ?? ""), site = useSignal(outlets.find((s) => s.kind === "outlet")?.id ?? "");
  const good = /^[A-Za-z0-9-]{1,32}$/.test(badge.value) && (role.value === "courier" ? runID.value !== "" : site.value !== "");
  const on = async () => {
    localStorage.setItem("badge", badge.value);
    const r = runs.find((x) => x.id === runID.value);
    const day = kit.value!.day;
    const mine = role.value === "courier" && r ? { badge: badge.value, run: r.id, day, ...(r.stops[0] ? { site: r.stops[0].site } : {}) } : { badge: badge.value, day, site: site.value };
    await setMe(mine);
    await note("sign_on", {});
  };
  return (
    <form class="card" onSubmit={(e) => { e.preventDefault(); if (good) void on(); }}>
      <div class="choices two" role="radiogroup">
        {(["courier", "keeper"] as const).map((r) => <button type="button" key={r} role="radio" aria-checked={role.value === r} onClick={() => { role.value = r; }}>{t(r)}</button>)}
      </div>
      <label class="field">{t("badge")}<input id="badge" value={badge.value} autocomplete="off" placeholder={t("badgeHint")} onInput={(e) => { badge.value = e.currentTarget.value.trim(); }} /></label>
      {role.value === "courier" ? (runs.length ? (
        <label class="field">{t("chooseRun")}<select id="run" value={runID.value} onChange={(e) => { runID.value = e.currentTarget.value; }}>
          {runs.map((r) => <option key={r.id} value={r.id}>{r.id} {r.name ?? ""} {r.stops[0]?.depart ?? ""} {kit.value!.vehicles.find((v) => v.id === r.vehicle)?.plate ?? ""}</option>)}
        </select></label>
      ) : <p class="nothing">{t("noRuns")}</p>) : (
        <label class="field">{t("chooseSite")}<select id="site" value={site.value} onChange={(e) => { site.value = e.currentTarget.value; }}>{outlets.map((s) => <option key={s.id} value={s.id}>{name(s.name)}</option>)}</select></label>
      )}
      <button class="primary wide" disabled={!good}>{t("signOn")}</button>
    </form>
  );
}

function Row({ c }: { c: Cargo }) {
  const l = latest(acts.value, c.waybill), newer = l && (l.queued || !manifest.value || Date.parse(l.at) > Date.parse(manifest.value.at));
  const marks = [c.direction === "outbound" ? "outbound" : "", c.hold ? "hold" : "", c.handling && c.handling !== "ambient" ? c.handling : "", c.plan === "home" ? "" : c.consent === "yes" ? "yes" : c.consent === "no" ? "no" : ""].filter(Boolean);
  return (
    <li class={newer ? "changed" : ""}>
      <b class="mono">{c.waybill}</b>
      <span class={"stage" + (newer && l.queued ? " warn" : "")}>{word(newer ? l.stage : c.stage)}{newer && l.queued && ` · ${t("st_queued")}`}</span>
      <small class="soft">{c.size && t(("size_" + c.size) as Key)} {marks.map((m) => <i key={m} class={"mark " + m}>{word(m)}</i>)}</small>
      {c.plan === "home" && <small class="door">⌂ <b>{t("toDoor")}</b> {[c.to?.village, c.to?.name, c.to?.phone].filter(Boolean).join(" · ")}</small>}
    </li>
  );
}

function List() {
  const m = manifest.value, r = run.value;
  const v = kit.value?.vehicles.find((x) => x.id === r?.vehicle);
  const sites = r ? r.stops.map((s) => s.site) : [];
  const groups = [...new Set([...sites, ...(m?.items.map((c) => c.site ?? "") ?? [])])].map((id) => ({ id, items: m?.items.filter((c) => (c.site ?? "") === id) ?? [] })).filter((g) => g.items.length || sites.includes(g.id));
  return (
    <>
      <h2>{r ? <>{r.id} {r.name} {v?.plate} {r.cancelled && <b class="bad">{t("cancelled")}</b>}</> : t("noManifest")} <button class="right" onClick={() => void refresh()}>{t("refresh")}</button></h2>
      {groups.map((g) => {
        const stop = r?.stops.find((s) => s.site === g.id);
        return (
          <section key={g.id}>
            <h3>{name(kit.value?.sites.find((s) => s.id === g.id)?.name) || g.id} <small class="soft">{[stop?.arrive, stop?.depart].filter(Boolean).join("–")} · {t("parcels", { n: g.items.length })}</small></h3>
            <ol class="rows">{g.items.map((c) => <Row key={c.waybill} c={c} />)}</ol>
          </section>
        );
      })}
      {m && m.items.length === 0 && <p class="nothing">{t("empty")}</p>}
    </>
  );
}

/** Why the server refused an act, in our words where we have them: it names the field first. */
function why(said: string): string {
  const key = "w_" + said.split(":")[0];
  const ours = word(key);
  return ours === key ? said : ours;
}

function Log() {
  const asking = useSignal(false);
  const off = async () => {
    await note("sign_off", {});
    await setMe(undefined);
  };
  return (
    <>
      <h2>{me.value?.badge} {me.value?.run} <button class="right" onClick={() => { if (waiting.value) asking.value = true; else void off(); }}>{t("signOff")}</button></h2>
      {asking.value && <div class="card"><p>{t("signOffAsk", { n: waiting.value })}</p><button class="primary wide" onClick={() => void off()}>{t("signOff")}</button><button class="wide" onClick={() => { asking.value = false; }}>{t("close")}</button></div>}
      <ol class="rows log">
        {acts.value.slice(0, 200).map((a) => (
          <li key={a.id} class={a.state}>
            <b>{t(a.kind as Key)}</b> <span class="mono">{a.of ?? ""}{a.cell ? ` → ${a.cell}` : ""}{a.container ? ` → ${a.container}` : ""}{a.n !== undefined ? ` ${a.n}` : ""}</span>
            <small class="soft">{new Date(a.at).toLocaleTimeString(lang.value === "zh" ? "zh-CN" : "en-GB", { hour: "2-digit", minute: "2-digit" })} · <i class={a.state}>{t(("st_" + a.state) as Key)}</i></small>
            {a.why && <p class="bad" title={a.why}>{why(a.why)} <button onClick={() => void drop(a.id).then(() => sync())}>{t("dismiss")}</button></p>}
          </li>
        ))}
        {acts.value.length === 0 && <p class="nothing">{t("nothing")}</p>}
      </ol>
    </>
  );
}

/** Keeps the page on the phone, and says so when a newer one has come. */
async function settleIn() {
  if (!("serviceWorker" in navigator)) return;
  const reg = await navigator.serviceWorker.register("/run/sw.js", { scope: "/run/" });
  const look = () => { if (reg.waiting && navigator.serviceWorker.controller) fresh.value = reg.waiting; };
  look();
  reg.addEventListener("updatefound", () => reg.installing?.addEventListener("statechange", look));
  const before = navigator.serviceWorker.controller;
  navigator.serviceWorker.addEventListener("controllerchange", () => { if (before) location.reload(); });
  await navigator.storage?.persist?.();
}

async function boot() {
  setLang(lang.value);
  render(<App />, document.getElementById("app")!);
  void settleIn().catch(() => {});
  const token = /^#token=([^&]+)$/.exec(location.hash)?.[1];
  if (token) {
    history.replaceState(null, "", location.pathname); // a token must not stay in the address bar or the history
    await login(decodeURIComponent(token)).catch(() => {});
  }
  await start();
}

void boot();
