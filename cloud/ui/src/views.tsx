// What lies over the map when it is asked for: a form for a waybill, what recipients were told, and what is not as it should be.
import { useSignal, type Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { get, patch, post, Problem } from "./api";
import { ageOf, now } from "./clock";
import { ago, name, t, word, type Key } from "./i18n";
import { about, exceptions, features, findExceptions, placeName, select, show, view } from "./store";
import type { Exception, Kind, List, Notice, Parcel, View } from "./types";

const views: { id: Exclude<View, "">; label: Key }[] = [{ id: "waybill", label: "newWaybill" }, { id: "outbox", label: "outbox" }, { id: "exceptions", label: "exceptions" }];

export function ViewTabs() {
  const open = exceptions.value?.length ?? 0;
  return (
    <nav class="views">
      {views.map((v) => (
        <button key={v.id} aria-pressed={view.value === v.id} onClick={() => show(view.value === v.id ? "" : v.id)}>
          {t(v.label)}{v.id === "exceptions" && open > 0 && <span class="badge">▲{open >= 200 ? "200+" : open}</span>}
        </button>
      ))}
    </nav>
  );
}

export function Views() {
  switch (view.value) {
    case "waybill": return <WaybillForm />;
    case "outbox": return <Outbox />;
    case "exceptions": return <Exceptions />;
    default: return null;
  }
}

function Pane({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="view" aria-label={title}>
      <header><h2>{title}</h2><button class="icon close" aria-label={t("close")} title={t("close") + " (Esc)"} onClick={() => show("")}>✕</button></header>
      {children}
    </section>
  );
}

const WaybillChip = ({ id }: { id: string }) => <button class="chip mono" onClick={() => select({ kind: "parcel", id })}>{id}</button>;

const outlets = () => features.value.filter((f) => f.properties.kind === "site" && f.properties.site_kind !== "warehouse" && f.properties.id !== "wh").map((f) => String(f.properties.id));

const fresh = () => "YZ" + new Date().toISOString().slice(2, 10).replaceAll("-", "") + String(Math.floor(Math.random() * 10_000)).padStart(4, "0");

interface Announced { items: Parcel[]; refused: { field?: string; reason: string }[] }

function WaybillForm() {
  const f = useSignal({ waybill: fresh(), site: "", size: "s", consent: "yes", name: "王小明", phone: "19912345678", village: "青石村" });
  const done = useSignal<Parcel | null>(null);
  const error = useSignal("");
  const busy = useSignal(false);
  const set = (k: keyof typeof f.value) => (e: { currentTarget: HTMLInputElement | HTMLSelectElement }) => { f.value = { ...f.value, [k]: e.currentTarget.value }; };

  async function send() {
    busy.value = true;
    error.value = "";
    done.value = null;
    const v = f.value;
    try {
      const a = await post<Announced>("/waybills", {
        waybill: v.waybill.trim().toUpperCase(), ...(v.site ? { site: v.site } : {}), size: v.size, consent: v.consent,
        recipient: { name: v.name, phone: v.phone, village: v.village },
      });
      done.value = a.items[0] ?? null;
      f.value = { ...v, waybill: fresh() };
    } catch (e) {
      error.value = e instanceof Problem ? e.message.replace(/^body(\[0\])?\./, "") : t("noServer");
    }
    busy.value = false;
  }

  const field = (k: keyof typeof f.value, label: Key, more: object = {}) => <label>{t(label)}<input value={f.value[k]} onInput={set(k)} required {...more} /></label>;
  const p = done.value;
  return (
    <Pane title={t("newWaybill")}>
      <form class="form" onSubmit={(e) => { e.preventDefault(); void send(); }}>
        {field("waybill", "w_number", { class: "mono", pattern: "[A-Za-z0-9\\-]{6,32}" })}
        {field("village", "w_village")}
        <label>{t("w_site")}
          <select value={f.value.site} onChange={set("site")}><option value="">{t("w_byAddress")}</option>{outlets().map((id) => <option key={id} value={id}>{name(placeName("site/" + id))}</option>)}</select>
        </label>
        {field("name", "w_name")}
        {field("phone", "w_phone", { inputMode: "tel" })}
        <label>{t("w_size")}<select value={f.value.size} onChange={set("size")}>{["s", "m", "l"].map((s) => <option key={s} value={s}>{word("size_", s)}</option>)}</select></label>
        <label>{t("w_consent")}<select value={f.value.consent} onChange={set("consent")}>{["yes", "no", "unknown"].map((c) => <option key={c} value={c}>{word("w_", c)}</option>)}</select></label>
        <button class="primary" disabled={busy.value}>{t("w_send")}</button>
      </form>
      <div class="said" aria-live="polite">
        {error.value && <p class="hot">{error.value}</p>}
        {p && <p>✓ {t("w_done")} <WaybillChip id={p.waybill} /> {p.site ? t("w_matched", { site: name(placeName("site/" + p.site)) }) : <span class="hot">{t("w_unmatched")}</span>}</p>}
        <p class="soft">{t("w_help")}</p>
      </div>
    </Pane>
  );
}

/** Asks every few seconds while the page is looked at; again asks at once. */
function useAsked<T>(path: string, each = 3000): [value: Signal<T | null>, again: () => void] {
  const value = useSignal<T | null>(null);
  const again = () => { get<T>(path).then((x) => { value.value = x; }, () => {}); };
  useEffect(() => {
    again();
    const timer = setInterval(() => { if (!document.hidden) again(); }, each);
    return () => clearInterval(timer);
  }, [path]);
  return [value, again];
}

function Outbox() {
  const [list] = useAsked<List<Notice>>("/notices?limit=100");
  const demo = about.value?.demo;
  return (
    <Pane title={t("outbox")}>
      <p class="hint">{t(demo ? "o_help" : "o_masked")}</p>
      {list.value?.items.length === 0 && <p class="nothing">{t("o_none")}</p>}
      <ol class="letters">{list.value?.items.map((n) => <Letter n={n} key={n.id} />)}</ol>
    </Pane>
  );
}

function Letter({ n }: { n: Notice }) {
  const code = about.value?.demo && n.about.locker && n.about.cell ? /(?:取件码|[Cc]ode )(\d{6})/.exec(n.text ?? "")?.[1] : undefined;
  const last = n.tries?.[n.tries.length - 1];
  return (
    <li class={"letter " + n.status}>
      <p class="top-line"><b>{word("ne_", n.event)}</b> <span class="soft">{t("o_to")} {n.to || "–"}</span> <span class={"status " + n.status}>{word("ns_", n.status)}{last && <small> {last.channel}</small>}</span>
        <time class="soft" dateTime={n.created}>{ago(ageOf(n.created, now.value))}</time></p>
      <p class="text">{n.text}</p>
      {code && <p class="type"><span class="soft">{t("o_type")}</span> <code>bin/firmware-sim key {n.about.locker} {n.about.cell} {code}</code></p>}
      <p class="links"><WaybillChip id={n.waybill} />{n.link && <a href={n.link} target="_blank" rel="noreferrer">{t("o_page")} ↗</a>}</p>
    </li>
  );
}

function Exceptions() {
  const [list, again] = useAsked<List<Exception>>("/exceptions?limit=100", 5000);
  const all = [...(list.value?.items ?? [])].sort((a, b) => Number(Boolean(a.ended)) - Number(Boolean(b.ended)));
  const changed = () => { again(); void findExceptions().catch(() => {}); };
  return (
    <Pane title={t("exceptions")}>
      {list.value && all.every((x) => x.ended) && <p class="nothing">{t("x_none")}</p>}
      <ol class="letters">{all.map((x) => <Wrong x={x} changed={changed} key={x.id} />)}</ol>
    </Pane>
  );
}

function Wrong({ x, changed }: { x: Exception; changed: () => void }) {
  const [kind, id = ""] = x.object.split("/");
  return (
    <li class={"letter wrong " + x.class + (x.ended ? " over" : "")}>
      <p class="top-line"><b class="class">{word("x_", x.class)}</b> <span>{word("c_", x.cause)}</span> <time class="soft" dateTime={x.discovered}>{t("x_since")} {ago(ageOf(x.discovered, now.value))}{x.ended && <> · {t("x_over")} {ago(ageOf(x.ended, now.value))}</>}</time></p>
      {x.detail && <p class="soft">{x.detail}</p>}
      <p class="links">{kind === "parcel" ? <WaybillChip id={id} /> : kind === "locker" || kind === "coldbox" || kind === "vehicle"
        ? <button class="chip" onClick={() => select({ kind: kind as Kind, id })}>{name(placeName(x.object))}</button> : <span class="chip mono">{x.object}</span>}
        {!x.ended && x.cause === "unmatched_address" && <Redirect waybill={id} changed={changed} />}
        {!x.ended && x.id.startsWith("r-") && <button class="end" onClick={() => void post(`/exceptions/${x.id}/end`, {}).then(changed, () => {})}>{t("x_end")}</button>}</p>
    </li>
  );
}

/** Says where a parcel goes whose address told nothing. */
function Redirect({ waybill, changed }: { waybill: string; changed: () => void }) {
  const error = useSignal("");
  return (
    <label class="fix">{t("x_fix")} <select value="" onChange={(e) => {
      const site = e.currentTarget.value;
      if (site) patch("/waybills/" + waybill, { site }).then(changed, (e2) => { error.value = String((e2 as Error).message); });
    }}><option value="">…</option>{outlets().map((s) => <option key={s} value={s}>{name(placeName("site/" + s))}</option>)}</select>{error.value && <span class="hot">{error.value}</span>}</label>
  );
}
