// A parcel: how far it is, and every piece of evidence for that: who saw it, how well, and whose clock.
import { base } from "./api";
import { ageOf, now } from "./clock";
import { ago, clockTime, name, t, word, type Key } from "./i18n";
import { ParcelShape } from "./icons";
import { Fact, Head } from "./detail";
import { about, placeName, select, timeline, zone } from "./store";
import type { Evidence, Kind, Stage, Timeline } from "./types";

const ends: Stage[] = ["picked_up", "signed_for", "completed", "returned", "lost_closed"];

/** The way of a parcel in seven steps: through a locker or to the door, to the end that it has. */
function wayOf(p: Timeline): Stage[] {
  const home = p.wish === "home" || p.stage === "out_for_delivery" || p.evidence.some((e) => e.stage === "out_for_delivery");
  return ["created", "at_warehouse", "loaded", "in_transit", "at_outlet", home ? "out_for_delivery" : "in_locker", ends.includes(p.stage) ? p.stage : home ? "signed_for" : "picked_up"];
}

export function ParcelDetail({ id }: { id: string }) {
  const p = timeline.value;
  if (p === "missing") return <Head icon={null} title={<span class="mono">{id}</span>} sub={t("notFound")} />;
  if (!p) return <Head icon={null} title={<span class="mono">{id}</span>} sub={t("loading")} />;
  const way = wayOf(p);
  const at = way.indexOf(p.stage === "sorted" ? "at_warehouse" : p.stage);
  const rows = [...p.evidence].reverse();
  const handling: Record<string, Key> = { ambient: "ambient", chilled: "chilled", frozen: "frozen", fragile: "fragile" };
  return (
    <>
      <Head icon={<ParcelShape done={at >= way.length - 1} size={32} />} title={<span class="mono">{p.waybill}</span>}
        sub={<><b class={"stage " + p.stage}>{word("", p.stage)}</b>{p.place && <> · <Place place={p.place} cell={p.cell} /></>} · {ago(ageOf(p.since, now.value))}{p.inferred && <em> · {t("inferred")}</em>}</>} />
      <ol class="way" aria-label={t("timeline")}>
        {way.map((s, i) => <li key={s} class={i < at ? "past" : i === at ? "here" : ""} aria-current={i === at ? "step" : undefined}><i /><span>{word("", s)}</span></li>)}
      </ol>
      <dl class="facts">
        <Fact label={t("destination")}>{name(placeName("site/" + p.site))}{p.locker && <small> {name(placeName("locker/" + p.locker))}</small>}</Fact>
        <Fact label={t("handling")}>{handling[p.handling ?? ""] ? t(handling[p.handling!]!) : "–"}</Fact>
        <Fact label={t("size")}>{p.size ? word("size_", p.size) : "–"}</Fact>
        <Fact label={t("consent")}>{word("w_", p.consent ?? "unknown")}{p.wish && <small> {word("wish_", p.wish)}</small>}{p.hold && <b class="hot"> {t("held")}</b>}</Fact>
        <div class="fact wide"><dt>{t("tag")}</dt><dd class="mono small">{p.epc || "–"}</dd></div>
      </dl>
      <p class="papers">
        <a href={`${base}/parcels/${encodeURIComponent(p.waybill)}/label.pdf`} target="_blank" rel="noreferrer">{t("label")} ↗</a>
        <a href={`${base}/epcis/events?EQ_bizTransaction_bol=${encodeURIComponent(`${about.value?.ids ?? ""}/waybill/${p.waybill}`)}`} target="_blank" rel="noreferrer">{t("epcis")} ↗</a>
      </p>
      {p.exceptions && p.exceptions.length > 0 && (
        <ul class="troubles" aria-label={t("exceptions")}>
          {p.exceptions.map((x) => <li key={x.id} class={x.ended ? "over" : ""}><b class={x.ended ? "" : "hot"}>{word("x_", x.class)}</b> {word("c_", x.cause)} <small class="soft">{clockTime(x.discovered, now.value, zone.value)}</small></li>)}
        </ul>
      )}
      <section class="card">
        <h3>{t("timeline")} <small class="soft">{t("evidence", { n: p.evidence.length })}</small></h3>
        {rows.length === 0 ? <p class="nothing">{t("noEvidence")}</p> : <ol class="evidence">{rows.map((e) => <Row e={e} key={e.id} />)}</ol>}
      </section>
    </>
  );
}

function Place({ place, cell }: { place: string; cell?: number }) {
  const [kind, id = ""] = place.split("/");
  const text = <>{name(placeName(place))}{cell ? " " + t("cell", { n: cell }) : ""}</>;
  return kind === "vehicle" || kind === "locker" ? <button class="link" onClick={() => select({ kind: kind as Kind, id })}>{text}</button> : text;
}

function Row({ e }: { e: Evidence }) {
  const person = e.step === "scanned" || e.step === "created" || Boolean(e.actor);
  return (
    <li class={(e.stage ? "turn " : "") + (e.via ? "inferred" : "")}>
      <i class="knot" aria-hidden="true" />
      <p class="what"><b>{word("ev_", e.step) === e.step ? word("", e.step) : word("ev_", e.step)}</b> {e.place && <Place place={e.place} cell={e.cell} />}{e.stage && <span class={"stage " + e.stage}>{word("", e.stage)}</span>}</p>
      <p class="who">
        <time dateTime={e.at} title={e.at}>{e.earliest && e.latest && (e.te_ms ?? 0) >= 1000 ? t("between", { a: clockTime(e.earliest, now.value, zone.value), b: clockTime(e.latest, now.value, zone.value) }) : clockTime(e.at, now.value, zone.value)}</time>
        <span class={"tq " + e.tq} title={word("tq_", e.tq)}>{word("tq_", e.tq)}</span>
        {e.device && <span class="mono" title={t("gateway")}>{person ? "☺ " : "⌁ "}{e.device}</span>}
        {e.antenna ? <span>{t("antenna", { n: e.antenna })}</span> : null}
        {(e.reads || e.rssi_dbm !== undefined) && <span>{e.reads ? t("reads", { n: e.reads }) : ""} {e.rssi_dbm !== undefined && <Bars dbm={e.rssi_dbm} />}</span>}
        {e.via && <em>{t("via", { v: e.via })}</em>}
        {e.confidence && <span class={"conf " + e.confidence}>{word("", e.confidence)}</span>}
        {e.flag && <span class="hot">{word("", e.flag)}</span>}
      </p>
      {e.reason && <p class="who">“{e.step === "turned_away" ? word("", e.reason) : e.reason}”</p>}
      {e.witnesses && e.witnesses.length > 0 && (
        <p class="seen-by" aria-label={t("witnesses")}>
          {e.witnesses.map((w) => <span key={w.id + w.kind} class={w.disagree ? "disagree" : ""} title={[w.device, word("tq_", w.tq), w.reads ? t("reads", { n: w.reads }) : "", w.rssi_dbm !== undefined ? w.rssi_dbm.toFixed(0) + " dBm" : ""].filter(Boolean).join(" · ")}>
            {w.disagree ? "✗ " : "✓ "}{word("wk_", w.kind)} <time dateTime={w.at}>{clockTime(w.at, now.value, zone.value)}</time></span>)}
        </p>
      )}
    </li>
  );
}

/** Signal strength of the strongest read: four bars from −75 to −45 dBm. */
function Bars({ dbm }: { dbm: number }) {
  const n = Math.min(4, Math.max(1, Math.ceil((dbm + 75) / 7.5)));
  return <span class="bars" title={dbm.toFixed(0) + " dBm"}>{[1, 2, 3, 4].map((i) => <i key={i} class={i <= n ? "on" : ""} style={{ height: 2 + i * 2 + "px" }} />)}<small>{dbm.toFixed(0)} dBm</small></span>;
}
