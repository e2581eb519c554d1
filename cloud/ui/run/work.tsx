// What is done with parcels, one scan after another.
import { signal, useSignal } from "@preact/signals";
import { acts, kit, manifest, me, note, run, setMe } from "./store";
import { cargoOf, latest, Said, waybillOf, type Feedback } from "./cargo";
import { Deposit } from "./deposit";
import { small } from "./photo";
import { Scan } from "./scan";
import { name, t, type Key } from "./words";
import type { Container, Kind } from "./types";

const kinds: { kind: Kind; mark: string }[] = [
  { kind: "load", mark: "⇧" }, { kind: "unload", mark: "⇩" }, { kind: "deposit", mark: "▤" }, { kind: "to_door", mark: "⌂" }, { kind: "hand_over", mark: "☑" },
  { kind: "refuse", mark: "✕" }, { kind: "pack", mark: "⊞" }, { kind: "unpack", mark: "⊟" }, { kind: "count", mark: "#" },
];
const kind = signal<Kind>("load");

export function Work() {
  return (
    <>
      <Where />
      <div class="kinds" role="tablist">
        {kinds.map((k) => <button key={k.kind} role="tab" aria-selected={kind.value === k.kind} onClick={() => { kind.value = k.kind; }}><i aria-hidden="true">{k.mark}</i>{t(k.kind as Key)}</button>)}
      </div>
      {kind.value === "deposit" ? <Deposit /> : kind.value === "refuse" ? <Refuse /> : kind.value === "count" ? <Count /> : kind.value === "pack" || kind.value === "unpack" ? <Bag kind={kind.value} key={kind.value} /> : <Moves kind={kind.value} key={kind.value} />}
    </>
  );
}

/** Where somebody is: the stop of the run, or the outlet. */
function Where() {
  const stops = run.value?.stops.map((s) => s.site) ?? kit.value?.sites.map((s) => s.id) ?? [];
  const site = (id: string) => name(kit.value?.sites.find((s) => s.id === id)?.name) || id;
  return (
    <label class="field">{t("stop")}
      <select id="stop" value={me.value?.site ?? ""} onChange={(e) => { void setMe({ ...me.value!, site: e.currentTarget.value }); }}>
        {[...new Set([...(me.value?.site ? [me.value.site] : []), ...stops])].map((s) => <option key={s} value={s}>{site(s)}</option>)}
      </select>
    </label>
  );
}

const siteName = (id: string | undefined) => name(kit.value?.sites.find((s) => s.id === id)?.name) || id || "";

/** Load, unload, out to the door, hand over: a scan is the act. */
function Moves({ kind }: { kind: Kind }) {
  const said = useSignal<Feedback | undefined>(undefined);
  const take = async (code: string) => {
    const w = waybillOf(code);
    if (!w) { said.value = { good: false, text: t("notWaybill", { v: code.slice(0, 40) }) }; return; }
    const c = cargoOf(manifest.value, w);
    if (kind === "load" && c?.hold) { said.value = { good: false, text: `${w}: ${t("held")}` }; return; }
    if (kind === "load" && !run.value?.vehicle) { said.value = { good: false, text: t("noVehicle") }; return; }
    const fresh = await note(kind, { of: w, ...(kind === "load" || (kind === "to_door" && run.value?.vehicle) ? { vehicle: run.value!.vehicle } : {}) });
    const warn = manifest.value && !c ? t("unknownParcel") : kind === "to_door" && c?.plan !== "home" ? t("notHome") : kind === "unload" && c?.plan === "home" ? t("goesHome") : kind === "unload" && c?.site && c.site !== me.value?.site ? t("otherStop", { s: siteName(c.site) }) : undefined;
    said.value = { good: true, text: `${w} ${t(fresh ? "noted" : "twice")}`, ...(warn ? { warn } : {}) };
    navigator.vibrate?.(warn ? [60, 60, 60] : 40);
  };
  const mine = (manifest.value?.items ?? []).filter((c) => (kind === "load" || c.site === me.value?.site) && (kind !== "to_door" || c.plan === "home"));
  const goal = kind === "load" ? "loaded" : kind === "unload" ? "at_outlet" : kind === "to_door" ? "out_for_delivery" : "signed_for";
  const done = mine.filter((c) => (latest(acts.value, c.waybill)?.stage ?? c.stage) === goal).length;
  return (
    <>
      <p class="tally"><b>{done}</b> / {mine.length}</p>
      <Scan take={(c) => void take(c)} />
      <Said said={said.value} />
    </>
  );
}

const lastBag = { id: "" };

function Bag({ kind }: { kind: "pack" | "unpack" }) {
  const bags = kit.value?.containers ?? [];
  const bag = useSignal(lastBag.id);
  const said = useSignal<Feedback | undefined>(undefined);
  const find = (code: string): Container | undefined => bags.find((b) => b.id === code.toLowerCase() || (b.code !== undefined && b.code === code));
  const take = async (code: string) => {
    const b = find(code.trim());
    if (b) { bag.value = lastBag.id = b.id; said.value = { good: true, text: `${t("bag")} ${b.id}` }; return; }
    const w = waybillOf(code);
    if (!bag.value || !w) { said.value = { good: false, text: t(bag.value ? "notWaybill" : "noBag", { v: code.slice(0, 40) }) }; return; }
    const fresh = await note(kind, { of: w, container: bag.value });
    said.value = { good: true, text: `${w} · ${bag.value} · ${t(fresh ? "noted" : "twice")}` };
  };
  return (
    <>
      <label class="field">{t("bag")}
        <select id="bag" value={bag.value} onChange={(e) => { bag.value = lastBag.id = e.currentTarget.value; }}>
          <option value="">–</option>
          {bags.map((b) => <option key={b.id} value={b.id}>{b.id}{b.code ? ` · ${b.code}` : ""}</option>)}
        </select>
      </label>
      <Scan take={(c) => void take(c)} label={bag.value ? t("scan") : t("chooseBag")} />
      <Said said={said.value} />
    </>
  );
}

const reasons: Key[] = ["r_unwanted", "r_damaged", "r_wrong", "r_late", "r_absent"];

function Refuse() {
  const waybill = useSignal(""), reason = useSignal<string>(""), photo = useSignal<{ base64: string; bytes: number } | undefined>(undefined), said = useSignal<Feedback | undefined>(undefined);
  const take = (code: string) => {
    const w = waybillOf(code);
    said.value = w ? undefined : { good: false, text: t("notWaybill", { v: code.slice(0, 40) }) };
    waybill.value = w ?? "";
  };
  const shoot = async (f: File | undefined) => {
    if (!f) return;
    photo.value = await small(f).catch(() => undefined);
    if (!photo.value) said.value = { good: false, text: t("photoBad") };
  };
  const record = async () => {
    const fresh = await note("refuse", { of: waybill.value, reason: reason.value, ...(photo.value ? { photo: photo.value.base64 } : {}) });
    said.value = { good: true, text: `${waybill.value} ${t(fresh ? "noted" : "twice")}` };
    waybill.value = reason.value = "";
    photo.value = undefined;
  };
  if (!waybill.value) return <><Scan take={take} /><Said said={said.value} /></>;
  return (
    <section class="card">
      <p class="big mono">{waybill.value}</p>
      <div class="choices" role="radiogroup" aria-label={t("reason")}>
        {reasons.map((r) => <button key={r} role="radio" aria-checked={reason.value === r.slice(2)} onClick={() => { reason.value = r.slice(2); }}>{t(r)}</button>)}
      </div>
      <label class="field">{t("otherReason")}<input id="reason" maxLength={200} value={reasons.some((r) => r.slice(2) === reason.value) ? "" : reason.value} onInput={(e) => { reason.value = e.currentTarget.value; }} /></label>
      <label class="button wide">◉ {photo.value ? t("photoDone", { n: Math.ceil(photo.value.bytes / 1024) }) : t("photo")}<input type="file" accept="image/*" capture="environment" class="file" onChange={(e) => { void shoot(e.currentTarget.files?.[0]); }} /></label>
      <Said said={said.value} />
      <button class="primary wide" disabled={!reason.value.trim()} onClick={() => void record()}>{t("record")}</button>
      <button class="wide" onClick={() => { waybill.value = ""; }}>{t("give_up")}</button>
    </section>
  );
}

/** How many should change hands here: at a warehouse what was loaded, elsewhere what was taken out and what is aboard for this stop. */
function dueHere(): number | undefined {
  const { run: id, day, site } = me.value!;
  if (!id) return undefined;
  const mine = acts.value.filter((a) => a.run === id && a.day === day && a.state !== "refused" && a.of);
  const due = new Set<string>();
  if (kit.value?.sites.find((s) => s.id === site)?.kind === "warehouse") {
    for (const a of mine) if (latest(acts.value, a.of!)?.kind === "load") due.add(a.of!);
    return due.size;
  }
  for (const a of mine) if ((a.kind === "unload" || a.kind === "deposit") && a.site === site) due.add(a.of!);
  for (const c of manifest.value?.items ?? []) {
    const l = latest(acts.value, c.waybill);
    if (c.site === site && (l ? l.kind === "load" : c.place === "vehicle/" + run.value?.vehicle)) due.add(c.waybill);
  }
  return due.size;
}

/** How many were handed over here, beside how many it should be. */
function Count() {
  const n = useSignal(""), bag = useSignal(""), said = useSignal<Feedback | undefined>(undefined);
  const expected = bag.value ? undefined : dueHere();
  const record = async () => {
    const v = Number(n.value);
    await note("count", { n: v, ...(bag.value ? { of: bag.value } : {}), ...(expected !== undefined ? { expected } : {}) });
    const off = expected === undefined ? 0 : v - expected;
    said.value = { good: off === 0, text: `${v} ${t("noted")}${expected === undefined ? "" : " · " + (off ? t("differs", { n: off }) : t("equal"))}` };
    n.value = "";
  };
  return (
    <section class="card">
      <label class="field">{t("bag")}
        <select id="countbag" value={bag.value} onChange={(e) => { bag.value = e.currentTarget.value; }}><option value="">–</option>{(kit.value?.containers ?? []).map((b) => <option key={b.id} value={b.id}>{b.id}</option>)}</select>
      </label>
      {expected !== undefined && <p class="soft">{t("expected", { n: expected })}</p>}
      <label class="field">{t("counted")}<input id="counted" type="number" inputMode="numeric" min={0} value={n.value} onInput={(e) => { n.value = e.currentTarget.value; }} /></label>
      <button class="primary wide" disabled={!/^\d{1,5}$/.test(n.value)} onClick={() => void record()}>{t("record")}</button>
      <Said said={said.value} />
    </section>
  );
}
