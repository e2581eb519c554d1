// The left side: four lists and one search. The list is the truth for keyboards and screen readers; the
// map is another view of the same choice.
import { useComputed, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { ageOf, motionOf, now, online } from "./clock";
import { clockTime, duration, name, t, word } from "./i18n";
import { ColdShape, LockerShape, ParcelShape, VehicleShape } from "./icons";
import { coldboxes, findParcels, loaded, lockers, parcels, parcelsNext, picked, placeName, query, select, tab, vehicles, zone } from "./store";
import type { ColdBox, Kind, Locker, Parcel, Vehicle } from "./types";

export const tabs: { kind: Kind; label: "vehicles" | "lockers" | "coldboxes" | "parcels" }[] = [
  { kind: "vehicle", label: "vehicles" }, { kind: "locker", label: "lockers" }, { kind: "coldbox", label: "coldboxes" }, { kind: "parcel", label: "parcels" },
];

const matches = (q: string, ...fields: (string | undefined)[]) => fields.some((f) => f?.toLowerCase().includes(q));

/** Ids of the rows that are shown, in order: the keyboard walks along them. */
export function shownIDs(): string[] {
  const q = query.value.trim().toLowerCase();
  switch (tab.value) {
    case "vehicle": return shownVehicles(q).map((v) => v.id);
    case "locker": return shownLockers(q).map((l) => l.id);
    case "coldbox": return shownColdboxes(q).map((c) => c.id);
    case "parcel": return parcels.value.map((p) => p.waybill);
  }
}

const sorted = <T extends { id: string }>(m: ReadonlyMap<string, T>) => [...m.values()].sort((a, b) => a.id.localeCompare(b.id));
const shownVehicles = (q: string) => sorted(vehicles.value).filter((v) => !q || matches(q, v.id, v.plate, v.plate.replace("·", ""), v.name.zh, v.name.en));
const shownLockers = (q: string) => sorted(lockers.value).filter((l) => !q || matches(q, l.id, l.name.zh, l.name.en, l.village.zh, l.village.en));
const shownColdboxes = (q: string) => sorted(coldboxes.value).sort((a, b) => Number(b.out) - Number(a.out)).filter((c) => !q || matches(q, c.id, c.name.zh, c.name.en, c.vehicle, c.site));

/** Shows the list that has what is searched for, when the one that is open has nothing. */
export function showHits() {
  if (!query.value.trim() || shownIDs().length > 0) return;
  const open = tab.value;
  for (const { kind } of tabs) {
    tab.value = kind;
    if (shownIDs().length > 0) return;
  }
  tab.value = open;
}

export function Sidebar() {
  const q = query.value.trim().toLowerCase();
  const counts: Record<Kind, number | string> = {
    vehicle: shownVehicles(q).length, locker: shownLockers(q).length, coldbox: shownColdboxes(q).length,
    parcel: parcels.value.length + (parcelsNext.value ? "+" : ""),
  };
  const outs = useComputed(() => [...coldboxes.value.values()].filter((c) => c.out).length);
  return (
    <nav class="side" aria-label={t("list")}>
      <div class="tabs" role="tablist">
        {tabs.map(({ kind, label }) => (
          <button key={kind} id={"tab-" + kind} role="tab" aria-selected={tab.value === kind} aria-controls="rows" tabIndex={tab.value === kind ? 0 : -1} onClick={() => { tab.value = kind; }}>
            {t(label)} <span class="count">{counts[kind]}</span>{kind === "coldbox" && outs.value > 0 && <span class="badge" title={t("out")}>▲{outs.value}</span>}
          </button>
        ))}
      </div>
      <Rows />
    </nav>
  );
}

function Rows() {
  const box = useRef<HTMLDivElement>(null);
  const chosen = picked.value?.kind === tab.value ? picked.value.id : "";
  useEffect(() => { box.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" }); }, [chosen]);
  useSignalEffect(() => { void tab.value; if (box.current) box.current.scrollTop = 0; });
  const q = query.value.trim().toLowerCase();
  let rows: ComponentChildren[];
  switch (tab.value) {
    case "vehicle": rows = shownVehicles(q).map((v) => <VehicleRow key={v.id} v={v} />); break;
    case "locker": rows = shownLockers(q).map((l) => <LockerRow key={l.id} l={l} />); break;
    case "coldbox": rows = shownColdboxes(q).map((c) => <ColdRow key={c.id} c={c} />); break;
    case "parcel": rows = parcels.value.map((p) => <ParcelRow key={p.waybill} p={p} />); break;
  }
  return (
    <div class="rows" id="rows" role="listbox" aria-labelledby={"tab-" + tab.value} aria-activedescendant={chosen ? "row-" + chosen : undefined} tabIndex={0} ref={box}>
      {rows}
      {rows.length === 0 && (loaded.value ? <p class="nothing">{t(tab.value === "parcel" ? "noParcels" : "none")}</p> : [0, 1, 2, 3, 4].map((i) => <div key={i} class="row skeleton" />))}
      {tab.value === "parcel" && parcelsNext.value && <button class="more" onClick={() => void findParcels(true)}>{t("more")}</button>}
    </div>
  );
}

function Row({ kind, id, icon, title, sub, right, tone, children }: { kind: Kind; id: string; icon: ComponentChildren; title: ComponentChildren; sub: ComponentChildren; right?: ComponentChildren; tone?: string; children?: ComponentChildren }) {
  const on = picked.value?.kind === kind && picked.value.id === id;
  return (
    <div class={"row" + (tone ? " " + tone : "")} id={"row-" + id} data-id={id} role="option" aria-selected={on} onClick={() => select({ kind, id })}>
      <span class="row-icon">{icon}</span>
      <span class="row-main"><span class="row-title">{title}</span><span class="row-sub">{sub}</span>{children}</span>
      {right && <span class="row-right">{right}</span>}
    </div>
  );
}

export const speedText = (mps: number | undefined) => (mps === undefined ? "–" : Math.round(mps * 3.6) + " km/h");
export const tempText = (c: number | undefined) => (c === undefined ? "–" : (c < 0 ? "−" : "") + Math.abs(c).toFixed(1) + " ℃");

export const rangeText = (c: { min_c: number; max_c: number }) => `${c.min_c} ~ ${c.max_c} ℃`.replaceAll("-", "−");

function VehicleRow({ v }: { v: Vehicle }) {
  const at = now.value, m = motionOf(v.position, at);
  const cold = v.cold_box ? coldboxes.value.get(v.cold_box) : undefined;
  const where = v.site ? name(placeName("site/" + v.site)) : "";
  return (
    <Row kind="vehicle" id={v.id} icon={<VehicleShape motion={m} heading={v.position?.value.heading_deg} />}
      title={<><b class="plate">{v.plate}</b> <span class="soft">{name(v.name)}</span></>}
      sub={<><span class={"state " + m}>{t(m)}</span>{m === "moving" && <> · {speedText(v.position?.value.speed_mps)}</>}{where && <> · {where}</>}<span class="aboard" title={t("aboard")}> · ▣ {v.aboard}</span>
        {cold?.climate && <span class={cold.out ? "hot" : ""} title={t("temperature")}> · {tempText(cold.climate.value.temperature_c)}</span>}</>}
      right={v.position ? <span title={clockTime(v.position.at, at, zone.value)}>{duration(ageOf(v.position.at, at))}</span> : "–"} />
  );
}

function LockerRow({ l }: { l: Locker }) {
  const at = now.value, on = online(l.last, at);
  const used = l.cells.filter((c) => c.state === "occupied" || c.state === "overdue").length;
  const odd = l.cells.filter((c) => c.state === "door_open" || c.state === "fault").length;
  return (
    <Row kind="locker" id={l.id} icon={<LockerShape online={on} />} title={<b>{name(l.name)}</b>}
      sub={<>{on ? t("online") : <span class="state offline">{t("offline")}</span>} · {t("used")} {used}/{l.cells.length}{odd > 0 && <span class="hot"> · {t("door_open")} {odd}</span>}</>}
      right={on ? undefined : l.last && !l.last.startsWith("0001") ? duration(ageOf(l.last, at)) : "–"}>
      <span class="pips" aria-hidden="true">{l.cells.map((c) => <i key={c.cell} class={c.state} />)}</span>
    </Row>
  );
}

function ColdRow({ c }: { c: ColdBox }) {
  const at = now.value;
  const where = c.vehicle ? vehicles.value.get(c.vehicle)?.plate : name(placeName("site/" + c.site));
  const age = c.climate ? ageOf(c.climate.at, at) : undefined;
  return (
    <Row kind="coldbox" id={c.id} icon={<ColdShape out={c.out} />} title={<b>{name(c.name)}</b>}
      sub={<>{where} · {rangeText(c)}{c.out && c.out_from && <span class="hot"> · {t("outFor", { t: duration(ageOf(c.out_from, at)) })}</span>}</>}
      right={<><b class={"temp" + (c.out ? " hot" : "") + (age !== undefined && age > 600 ? " old" : "")}>{tempText(c.climate?.value.temperature_c)}</b><small>{age === undefined ? t("noData") : duration(age)}</small></>} />
  );
}

const ended = new Set(["picked_up", "signed_for", "completed", "returned", "lost_closed"]);

function ParcelRow({ p }: { p: Parcel }) {
  return (
    <Row kind="parcel" id={p.waybill} icon={<ParcelShape done={ended.has(p.stage)} />} title={<span class="mono">{p.waybill}</span>}
      sub={<><span class={"stage " + p.stage}>{word("", p.stage)}</span> · {name(placeName(p.place ?? "site/" + p.site))}{p.cell ? " " + t("cell", { n: p.cell }) : ""}{p.inferred && <em> · {t("inferred")}</em>}</>}
      right={<span title={clockTime(p.since, now.value, zone.value)}>{duration(ageOf(p.since, now.value))}</span>} />
  );
}

