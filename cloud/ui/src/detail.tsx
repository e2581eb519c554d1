// The right side: what is known of the thing that was chosen, each value with its age.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { get } from "./api";
import { ageOf, motionOf, now } from "./clock";
import { ago, clockTime, duration, name, t, word, type Key } from "./i18n";
import { ColdShape, VehicleShape } from "./icons";
import { rangeText, speedText, tempText } from "./list";
import { LockerDetail } from "./locker";
import { ParcelDetail } from "./parcel";
import { coldboxes, gateways, lockers, picked, placeName, select, vehicles, zone } from "./store";
import type { ColdBox, List, Sample, Vehicle } from "./types";

export function Detail() {
  const p = picked.value;
  if (!p) return null;
  let body: ComponentChildren = <Missing />;
  if (p.kind === "vehicle") { const v = vehicles.value.get(p.id); if (v) body = <VehicleDetail v={v} key={v.id} />; }
  if (p.kind === "coldbox") { const c = coldboxes.value.get(p.id); if (c) body = <ColdDetail c={c} key={c.id} />; }
  if (p.kind === "locker") { const l = lockers.value.get(p.id); if (l) body = <LockerDetail l={l} key={l.id} />; }
  if (p.kind === "parcel") body = <ParcelDetail id={p.id} key={p.id} />;
  return <section class="detail" aria-label={t("detail")}>{body}</section>;
}

const Missing = () => <><Head icon={null} title={picked.value?.id} sub={t("notFound")} /></>;

export function Head({ icon, title, sub, tone }: { icon: ComponentChildren; title: ComponentChildren; sub: ComponentChildren; tone?: string }) {
  return (
    <header class={"head " + (tone ?? "")}>
      {icon}
      <div><h2>{title}</h2><p>{sub}</p></div>
      <button class="icon close" aria-label={t("close")} title={t("close") + " (Esc)"} onClick={() => select(null)}>✕</button>
    </header>
  );
}

export function Fact({ label, children, title }: { label: string; children: ComponentChildren; title?: string }) {
  return <div class="fact" title={title}><dt>{label}</dt><dd>{children}</dd></div>;
}

function Board({ id }: { id: string | undefined }) {
  const g = id ? gateways.value.get(id) : undefined;
  if (!id) return <>–</>;
  const age = g?.last_frame ? ageOf(g.last_frame, now.value) : undefined;
  return <><span class={"dot " + (age !== undefined && age <= 90 ? "on" : "off")} />{id}<small> {age === undefined ? t("never") : ago(age)}</small></>;
}

function VehicleDetail({ v }: { v: Vehicle }) {
  const at = now.value, m = motionOf(v.position, at), p = v.position;
  const aboard = useSignal<string[] | null>(null);
  useEffect(() => { get<Vehicle>("/vehicles/" + v.id).then((x) => { aboard.value = x.waybills ?? []; }, () => {}); }, [v.id, v.aboard, Math.floor(at / 30_000)]);
  const cold = v.cold_box ? coldboxes.value.get(v.cold_box) : undefined;
  const kinds: Record<string, Key> = { postal_van: "postal_van", carrier_van: "carrier_van", rural_bus: "rural_bus", freight: "freight" };
  return (
    <>
      <Head tone={m} icon={<VehicleShape motion={m} size={34} heading={p?.value.heading_deg} />} title={v.plate}
        sub={<>{name(v.name)}{kinds[v.kind] && <> · {t(kinds[v.kind]!)}</>} · <b class={"state " + m}>{t(m)}</b>{p && m !== "moving" && <> {duration(ageOf(p.at, at))}</>}</>} />
      <dl class="facts">
        <Fact label={t("speed")}><b class="big">{m === "moving" || m === "stopped" ? speedText(p?.value.speed_mps) : "–"}</b></Fact>
        <Fact label={t("updated")} title={p && clockTime(p.at, at, zone.value)}><b class={"big " + (m === "stale" || m === "offline" ? "old" : "")}>{p ? ago(ageOf(p.at, at)) : t("never")}</b></Fact>
        <Fact label={t("atSite")}>{v.site ? name(placeName("site/" + v.site)) : t("onRoad")}</Fact>
        <Fact label={t("timeQuality")}>{p ? word("tq_", p.tq) : "–"}</Fact>
        <Fact label={t("position")}><span class="mono">{p ? `${p.value.lat.toFixed(5)}, ${p.value.lon.toFixed(5)}` : "–"}</span></Fact>
        <Fact label={`${t("heading")} · ${t("satellites")}`}>{p?.value.heading_deg === undefined ? "–" : Math.round(p.value.heading_deg) + "°"} · {p?.value.satellites ?? "–"}</Fact>
        <Fact label={t("gateway")}><Board id={v.gateway} /></Fact>
        <Fact label={t("altitude")}>{p?.value.altitude_m === undefined ? "–" : Math.round(p.value.altitude_m) + " m"}</Fact>
      </dl>
      {cold && <section class="card"><h3><ColdShape out={cold.out} size={16} /> {name(cold.name)}<button class="link" onClick={() => select({ kind: "coldbox", id: cold.id })}>→</button></h3><Thermometer c={cold} /></section>}
      <section class="card">
        <h3>{t("aboard")} <span class="count">{v.aboard}</span></h3>
        <div class="chips">{(aboard.value ?? []).slice(0, 60).map((w) => <button key={w} class="chip mono" onClick={() => select({ kind: "parcel", id: w })}>{w}</button>)}
          {aboard.value && aboard.value.length > 60 && <span class="soft">{t("more_of", { n: aboard.value.length })}</span>}</div>
      </section>
    </>
  );
}

/** Now against the limits: the bar is the range, the mark is the value. */
function Thermometer({ c }: { c: ColdBox }) {
  const v = c.climate?.value.temperature_c, pad = (c.max_c - c.min_c) * 0.6;
  const low = c.min_c - pad, high = c.max_c + pad;
  const x = (n: number) => Math.min(100, Math.max(0, ((n - low) / (high - low)) * 100));
  return (
    <div class="thermo">
      <b class={"big " + (c.out ? "hot" : "")}>{tempText(v)}</b>
      <div class="scale" aria-hidden="true">
        <span class="ok" style={{ left: x(c.min_c) + "%", right: 100 - x(c.max_c) + "%" }} />
        {v !== undefined && <span class={"mark" + (c.out ? " hot" : "")} style={{ left: x(v) + "%" }} />}
        <small style={{ left: x(c.min_c) + "%" }}>{c.min_c}</small><small style={{ left: x(c.max_c) + "%" }}>{c.max_c} ℃</small>
      </div>
      <span class={"verdict " + (c.out ? "hot" : "")}>{c.climate ? <>{c.out ? t("out") : t("within")}<small>{ago(ageOf(c.climate.at, now.value))}</small></> : t("noData")}</span>
    </div>
  );
}

function ColdDetail({ c }: { c: ColdBox }) {
  const samples = useSignal<Sample[] | null>(null);
  const stamp = c.climate ? Math.floor(Date.parse(c.climate.at) / 30_000) : 0;
  useEffect(() => { get<List<Sample>>(`/coldboxes/${c.id}/climate`).then((l) => { samples.value = l.items; }, () => {}); }, [c.id, stamp]);
  const q = c.climate?.value.quality;
  return (
    <>
      <Head tone={c.out ? "alarm" : ""} icon={<ColdShape out={c.out} size={32} />} title={name(c.name)}
        sub={<>{c.vehicle ? <button class="link" onClick={() => select({ kind: "vehicle", id: c.vehicle! })}>{vehicles.value.get(c.vehicle)?.plate ?? c.vehicle}</button> : name(placeName("site/" + c.site))}
          {c.out && c.out_from && <b class="hot"> · {t("outFor", { t: duration(ageOf(c.out_from, now.value)) })}</b>}</>} />
      <section class="card"><Thermometer c={c} /></section>
      <dl class="facts">
        <Fact label={t("humidity")}>{c.climate?.value.humidity_pct === undefined ? "–" : c.climate.value.humidity_pct.toFixed(0) + " %"}</Fact>
        <Fact label={t("range")}>{rangeText(c)}</Fact>
        <Fact label={t("updated")}>{c.climate ? ago(ageOf(c.climate.at, now.value)) : t("never")}</Fact>
        <Fact label={t("timeQuality")}>{c.climate ? word("tq_", c.climate.tq) : "–"}</Fact>
        {q && q !== "ok" && <Fact label={t("fault")}><span class="hot">{q}</span></Fact>}
      </dl>
      <section class="card"><h3>{t("temperature")} · {t("last30")}</h3>{samples.value && <Curve c={c} samples={samples.value} />}</section>
    </>
  );
}

/** The last half hour: limits as a band, a line per stretch without a hole. */
function Curve({ c, samples }: { c: ColdBox; samples: Sample[] }) {
  const W = 336, H = 132, left = 30, bottom = 18;
  const at = now.value, from = at - 30 * 60_000;
  const pts = samples.filter((s) => s.temperature_c !== undefined).map((s) => ({ x: Date.parse(s.at), y: s.temperature_c! })).filter((p) => p.x >= from);
  if (pts.length === 0) return <p class="nothing">{t("noData")}</p>;
  const ys = pts.map((p) => p.y), low = Math.min(c.min_c, ...ys) - 1, high = Math.max(c.max_c, ...ys) + 1;
  const X = (ms: number) => left + ((ms - from) / (at - from)) * (W - left - 4);
  const Y = (v: number) => 4 + (1 - (v - low) / (high - low)) * (H - bottom - 4);
  let d = "";
  pts.forEach((p, i) => { const hole = i === 0 || p.x - pts[i - 1]!.x > 180_000; d += `${hole ? "M" : "L"}${X(p.x).toFixed(1)} ${Y(p.y).toFixed(1)}`; });
  const last = pts[pts.length - 1]!;
  return (
    <svg class="curve" viewBox={`0 0 ${W} ${H}`} role="img" aria-label={`${t("temperature")}: ${tempText(Math.min(...ys))} … ${tempText(Math.max(...ys))}`}>
      <rect x={left} y={Y(c.max_c)} width={W - left - 4} height={Math.max(0, Y(c.min_c) - Y(c.max_c))} class="band" />
      {[c.max_c, c.min_c].map((v) => <g key={v}><line x1={left} x2={W - 4} y1={Y(v)} y2={Y(v)} class="limit" /><text x={left - 4} y={Y(v) + 3.5} text-anchor="end">{v}</text></g>)}
      {[30, 20, 10, 0].map((mins) => <text key={mins} x={X(at - mins * 60_000)} y={H - 4} text-anchor={mins === 0 ? "end" : mins === 30 ? "start" : "middle"}>{clockTime(new Date(at - mins * 60_000).toISOString(), at, zone.value).slice(-8, -3)}</text>)}
      <path d={d} class="line" />
      <circle cx={X(last.x)} cy={Y(last.y)} r="3" class={c.out ? "hot" : ""} />
    </svg>
  );
}
