import "./style.css";
import "./views.css";
import { render } from "preact";
import { effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { get, hasSession, login, Problem } from "./api";
import { motionOf, now, online, serverNow, skew, startClock } from "./clock";
import { Detail } from "./detail";
import { duration, lang, name, setLang, t } from "./i18n";
import { isDark } from "./icons";
import { bindKeys, helpOpen, Help } from "./keys";
import { showHits, Sidebar, speedText } from "./list";
import { CountyMap, type TrailPoint } from "./map";
import { about, coldboxes, denied, features, findParcels, gap, lastByte, link, loadCounty, lockers, persist, picked, query, select, show, startStream, tab, timeline, vehicles, view } from "./store";
import type { Kind, Pick, View } from "./types";
import { Views, ViewTabs } from "./views";

type Door = "asking" | "closed" | "open";
const door = signal<Door>("asking");
const loginError = signal("");

function App() {
  if (door.value === "asking") return null;
  if (door.value === "closed") return <Login />;
  return <Console />;
}

function Console() {
  const lost = link.value === "reconnecting";
  return (
    <div class={"console" + (picked.value ? " has-detail" : "") + (view.value ? " has-view" : "") + (lost ? " lost" : "")}>
      <TopBar />
      <Sidebar />
      <MapPane />
      <Views />
      <Detail />
      <Help />
    </div>
  );
}

function TopBar() {
  const a = about.value;
  const since = Math.max(0, Math.round((now.value - lastByte.value) / 1000));
  const off = Math.round(Math.abs(skew.value) / 1000);
  return (
    <header class="top">
      <h1><img src="/icon.svg" alt="" width="24" height="24" />{t("console")}{a && <span class="soft">{name(a.county)}</span>}</h1>
      <SearchBox />
      <ViewTabs />
      <p class={"link-state " + link.value} role="status">
        <i class="dot" aria-hidden="true" />
        {link.value === "live" ? `${t("live")} ${duration(since)}` : link.value === "reconnecting" ? `${t("reconnecting")} ${duration(since)}` : t("connecting")}
      </p>
      {off > 5 && <p class="skew" role="alert">{t("skew", { s: off })}</p>}
      <div class="tools">
        <button onClick={() => setLang(lang.value === "zh" ? "en" : "zh")} lang={lang.value === "zh" ? "en" : "zh"}>{t("language")}</button>
        <button class="icon" aria-label={t("help")} title={t("help") + " (?)"} onClick={() => { helpOpen.value = true; }}>?</button>
      </div>
    </header>
  );
}

function SearchBox() {
  const timer = useRef(0);
  return (
    <div class="search" role="search">
      <input id="search" type="search" placeholder={t("search")} aria-label={t("searchLabel")} value={query.value} autocomplete="off" spellcheck={false}
        onInput={(e) => {
          query.value = e.currentTarget.value;
          if (/^(yz|urn:|[0-9a-f]{6})/i.test(query.value.trim())) tab.value = "parcel"; // it looks like a waybill or a tag
          clearTimeout(timer.current);
          timer.current = window.setTimeout(() => void findParcels().then(showHits, () => {}), 180);
        }} />
      <kbd aria-hidden="true">/</kbd>
    </div>
  );
}

function MapPane() {
  const el = useRef<HTMLDivElement>(null);
  const map = useRef<CountyMap | null>(null);
  const fromMap = useRef(false);
  useEffect(() => {
    const m = new CountyMap(el.current!, (p) => { fromMap.current = true; select(p); });
    map.current = m;
    (window as unknown as { yizhanMap: CountyMap }).yizhanMap = m;
    let grounded = false;
    const stop = [
      effect(() => {
        const theme = { dark: isDark.value, lang: lang.value };
        if (!grounded && features.value.length > 0) { grounded = true; m.setGround(features.value, theme); } else if (grounded) m.setTheme(theme);
      }),
      effect(() => {
        const at = now.value;
        m.setVehicles([...vehicles.value.values()].filter((v) => v.position).map((v) => {
          const p = v.position!, motion = motionOf(p, at);
          const note = motion === "stale" || motion === "offline" ? duration(Math.floor((at - Date.parse(p.at)) / 1000)) : motion === "moving" && picked.value?.id === v.id ? speedText(p.value.speed_mps) : "";
          return { id: v.id, label: v.plate, note, lon: p.value.lon, lat: p.value.lat, heading: p.value.heading_deg ?? 0, motion, alarm: Boolean(v.cold_box && coldboxes.value.get(v.cold_box)?.out) };
        }));
      }),
      effect(() => {
        const at = now.value;
        m.setLockers([...lockers.value.values()].map((l) => ({ id: l.id, label: name(l.name), lon: l.place.lon, lat: l.place.lat, online: online(l.last, at), free: l.cells.filter((c) => c.state === "empty").length })));
      }),
      effect(() => { m.select(onMap(), !fromMap.current); fromMap.current = false; }),
      trail(m),
    ];
    return () => stop.forEach((s) => s());
  }, []);
  const keys = (e: KeyboardEvent) => {
    const m = map.current!;
    const by: Record<string, [number, number]> = { ArrowLeft: [-80, 0], ArrowRight: [80, 0], ArrowUp: [0, 80], ArrowDown: [0, -80] };
    const d = by[e.key];
    if (d) m.pan(...d);
    else if (e.key === "+" || e.key === "=") m.zoom(1);
    else if (e.key === "-") m.zoom(-1);
    else return;
    e.preventDefault();
  };
  const a = about.value, g = gap.value;
  return (
    <main class="map-pane">
      <div class="map" ref={el} tabIndex={0} role="application" aria-label={`${t("map")}: ${t("mapHelp")}`} onKeyDown={keys} />
      <div class="map-tools">
        <button class="icon" aria-label={t("zoomIn")} title={t("zoomIn")} onClick={() => map.current!.zoom(1)}>+</button>
        <button class="icon" aria-label={t("zoomOut")} title={t("zoomOut")} onClick={() => map.current!.zoom(-1)}>−</button>
        <button class="icon" id="fit" aria-label={t("fit")} title={t("fit") + " (F)"} onClick={() => map.current!.fit()}>⤢</button>
      </div>
      {link.value === "reconnecting" && <p class="notice amber" role="alert">{t("reconnecting")} {duration(Math.round((now.value - lastByte.value) / 1000))}</p>}
      {link.value === "live" && g && now.value - g.to < 8000 && g.to - g.from > 3000 && <p class="notice" role="status">{t("resumed", { t: duration(Math.round((g.to - g.from) / 1000)) })}</p>}
      {a && <p class="banner">{a.demo ? t("demo", { note: name(a.note), speed: a.speed }) : t("demoOne", { note: name(a.note) })}</p>}
    </main>
  );
}

/** What the map marks: a parcel is where its vehicle or locker is. */
function onMap(): Pick | null {
  const p = picked.value;
  if (p?.kind === "coldbox") {
    const van = coldboxes.value.get(p.id)?.vehicle;
    return van ? { kind: "vehicle", id: van } : null;
  }
  if (p?.kind !== "parcel") return p;
  const at = timeline.value && timeline.value !== "missing" ? timeline.value.place?.split("/") : undefined;
  return at?.[0] === "vehicle" || at?.[0] === "locker" ? { kind: at[0], id: at[1]! } : null;
}

/** The last half hour of the vehicle that was chosen: from the server once, then grown by what comes. */
function trail(m: CountyMap) {
  let id = "", points: TrailPoint[] = [];
  return effect(() => {
    const p = picked.value, v = p?.kind === "vehicle" ? vehicles.value.get(p.id) : undefined;
    if (!v) { id = ""; points = []; m.setTrail([], 0); return; }
    if (v.id !== id) {
      const asked = (id = v.id);
      points = [];
      m.setTrail([], 0);
      void get<{ geometry: { type: string; coordinates: number[][] } | null; properties: { times: string[] } }>(`/vehicles/${id}/track`).then((f) => {
        if (id !== asked || f.geometry?.type !== "LineString") return;
        const old = f.geometry.coordinates.map((c, i) => ({ lon: c[0]!, lat: c[1]!, at: Date.parse(f.properties.times[i]!) }));
        const last = old[old.length - 1]?.at ?? 0;
        points = [...old, ...points.filter((x) => x.at > last)];
        m.setTrail(points, serverNow());
      }, () => {});
    }
    const at = v.position ? Date.parse(v.position.at) : 0;
    if (v.position && at > (points[points.length - 1]?.at ?? 0)) {
      points.push({ lon: v.position.value.lon, lat: v.position.value.lat, at });
      points = points.filter((x) => x.at > at - 1.8e6);
      if (points.length > 1) m.setTrail(points, serverNow());
    }
  });
}

function Login() {
  const token = useRef<HTMLInputElement>(null);
  useEffect(() => token.current?.focus(), []);
  return (
    <div class="login">
      <form onSubmit={(e) => { e.preventDefault(); void enter(token.current!.value.trim()); }}>
        <img src="/icon.svg" alt="" width="56" height="56" />
        <h1>{t("console")} <span class="soft">Yizhan</span></h1>
        <p>{t("loginText")}</p>
        <label>{t("token")}<input ref={token} type="password" autocomplete="current-password" required /></label>
        {loginError.value && <p class="hot" role="alert">{loginError.value}</p>}
        <button class="primary">{t("login")}</button>
        <button type="button" class="link" onClick={() => setLang(lang.value === "zh" ? "en" : "zh")}>{t("language")}</button>
      </form>
    </div>
  );
}

async function enter(token: string) {
  loginError.value = "";
  try {
    await login(token);
    await start();
  } catch (e) {
    const p = e instanceof Problem ? e : null;
    loginError.value = p?.status === 401 ? t("wrongToken") : p?.status === 429 ? t("tooMany", { n: p.retryAfter }) : t("noServer");
    door.value = "closed";
  }
}

async function start() {
  denied.value = false;
  door.value = "open";
  startStream();
  void persist(loadCounty);
}

function fromHash() {
  const m = /^#\/(vehicle|locker|coldbox|parcel)\/(.+)$/.exec(location.hash);
  const v = /^#\/(waybill|outbox|exceptions)$/.exec(location.hash);
  if (v) show(v[1] as View);
  if (m) select({ kind: m[1] as Kind, id: decodeURIComponent(m[2]!) } satisfies Pick);
}

async function boot() {
  setLang(lang.value);
  startClock();
  bindKeys();
  render(<App />, document.getElementById("app")!);
  effect(() => { if (denied.value) door.value = "closed"; });
  window.addEventListener("hashchange", fromHash);
  const token = /^#token=([^&]+)$/.exec(location.hash)?.[1];
  if (token) {
    history.replaceState(null, "", location.pathname); // a token must not stay in the address bar or the history
    await enter(decodeURIComponent(token));
    return;
  }
  try {
    if (!(await hasSession())) { door.value = "closed"; return; }
    await start();
    fromHash();
  } catch {
    door.value = "closed";
    loginError.value = t("noServer");
  }
}

void boot();
