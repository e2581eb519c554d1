// A locker as it stands in the village: its cells in columns, each with its state as shape, colour and word;
// and the order to open one, with what became of it and what its door did.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { get, post } from "./api";
import { ageOf, now, online } from "./clock";
import { Order } from "./door";
import { ago, clockTime, duration, name, t, type Key } from "./i18n";
import { LockerShape } from "./icons";
import { Fact, Head } from "./detail";
import { gateways, orders, placeName, select, takeOrder, zone } from "./store";
import type { Cell, CellState, Command, List, Locker } from "./types";

const units: Record<string, number> = { s: 2, m: 3, l: 4.4 };

/** Cells in columns of about one height, numbered downwards, as cabinets are built. */
function stack(cells: Cell[]): Cell[][] {
  const size = (c: Cell) => units[c.size] ?? 2;
  const n = cells.length > 12 ? 4 : 3, height = cells.reduce((h, c) => h + size(c), 0) / n;
  const columns: Cell[][] = [];
  let filled = 0;
  for (const c of cells) {
    const i = Math.min(n - 1, Math.floor((filled + size(c) / 2) / height));
    (columns[i] ??= []).push(c);
    filled += size(c);
  }
  return columns;
}

const marks: Record<CellState, string> = { empty: "", occupied: "▣", overdue: "◷", reserved: "◇", door_open: "◨", fault: "!", unknown: "?" };
const words: Record<CellState, Key> = { empty: "empty", occupied: "occupied", overdue: "overdue", reserved: "reserved", door_open: "door_open", fault: "cellFault", unknown: "unknown" };

export function LockerDetail({ l }: { l: Locker }) {
  const chosen = useSignal(0);
  const at = now.value, on = online(l.last, at);
  const grid = useRef<HTMLDivElement>(null);
  const cell = l.cells.find((c) => c.cell === chosen.value);
  const columns = stack(l.cells);
  const walk = (e: KeyboardEvent) => {
    const from = chosen.value || Number((e.target as HTMLElement).dataset.cell);
    const x = columns.findIndex((col) => col.some((c) => c.cell === from)), y = columns[x]?.findIndex((c) => c.cell === from) ?? 0;
    const side = (col: Cell[] | undefined) => col?.[Math.min(y, col.length - 1)]?.cell;
    const by: Record<string, number | undefined> = { ArrowUp: from - 1, ArrowDown: from + 1, ArrowLeft: side(columns[x - 1]), ArrowRight: side(columns[x + 1]) };
    const to = by[e.key];
    if (to === undefined || to < 1 || to > l.cells.length) return;
    e.preventDefault();
    e.stopPropagation();
    chosen.value = to;
    grid.current?.querySelector<HTMLElement>(`[data-cell="${to}"]`)?.focus();
  };
  const g = l.gateway ? gateways.value.get(l.gateway) : undefined;
  return (
    <>
      <Head icon={<LockerShape online={on} size={34} />} tone={on ? "" : "offline"} title={name(l.name)}
        sub={<>{name(placeName("site/" + l.site))} · <b class={on ? "state moving" : "state offline"}>{t(on ? "online" : "offline")}</b>{!on && l.last && !l.last.startsWith("0001") && <> {duration(ageOf(l.last, at))}</>}</>} />
      <section class="card">
        <h3>{t("cells")} <span class="count">{l.cells.filter((c) => c.state === "occupied" || c.state === "overdue").length}/{l.cells.length}</span><small class="soft right">{t("sizes")}</small></h3>
        <div class={"cabinet" + (on ? "" : " silent")} ref={grid} onKeyDown={walk} role="group" aria-label={t("cells")}>
          {columns.map((col, i) => (
            <div class="column" key={i}>
              {col.map((c) => (
                <button key={c.cell} data-cell={c.cell} class={`cell ${c.size} ${c.state}`} aria-pressed={chosen.value === c.cell}
                  aria-label={`${t("cell", { n: c.cell })}, ${on ? "" : t("offline") + ", "}${t(words[c.state])}`} title={`${t("cell", { n: c.cell })} · ${on ? "" : t("offline") + " · "}${t(words[c.state])}`} onClick={() => { chosen.value = chosen.value === c.cell ? 0 : c.cell; }}>
                  <span>{String(c.cell).padStart(2, "0")}</span><i>{marks[c.state]}</i>
                </button>
              ))}
            </div>
          ))}
        </div>
        <p class="legend">{(["empty", "reserved", "occupied", "overdue", "door_open", "fault", "unknown"] as CellState[]).map((s) => <span key={s}><i class={"cell swatch " + s}>{marks[s]}</i>{t(words[s])}</span>)}{!on && <span><i class="cell swatch unknown silent" />{t("offline")}</span>}</p>
      </section>
      {cell ? <CellCard l={l} c={cell} key={cell.cell} /> : (
        <dl class="facts">
          <Fact label={t("gateway")}>{l.gateway ?? "–"}{g?.last_frame && <small> {ago(ageOf(g.last_frame, at))}</small>}</Fact>
          <Fact label={t("free")}><b>{l.cells.filter((c) => c.state === "empty").length}</b></Fact>
        </dl>
      )}
    </>
  );
}

function CellCard({ l, c }: { l: Locker; c: Cell }) {
  const asking = useSignal(false);
  const error = useSignal("");
  const busy = useSignal(false);
  const alive = useRef(true);
  useEffect(() => () => { alive.current = false; }, []);
  useEffect(() => { // the stream tells of orders that change while it is heard
    if (l.device) void get<List<Command>>("/commands?device=" + encodeURIComponent(l.device)).then((all) => all.items.forEach(takeOrder)).catch(() => {});
  }, [l.device, l.version]);
  const command = [...orders.value.values()].filter((x) => x.device === l.device && x.action === "open_cell" && x.args?.cell === String(c.cell))
    .reduce<Command | undefined>((last, x) => (last && last.created >= x.created ? last : x), undefined);

  async function open() {
    asking.value = false;
    busy.value = true;
    error.value = "";
    const id = "web-" + crypto.getRandomValues(new Uint32Array(3)).join("-"); // asked again after a lost answer, it is the same order
    try {
      takeOrder(await post<Command>("/commands", { id, device: l.device, action: "open_cell", args: { cell: String(c.cell) } }));
      while (alive.current && !orders.value.get(id)?.outcome) { // what the stream tells is there sooner; silence is told by none
        await new Promise((r) => setTimeout(r, 1000));
        await get<Command>("/commands/" + id).then(takeOrder).catch(() => {});
      }
    } catch (e) {
      error.value = `${t("orderFailed")}: ${(e as Error).message}`;
    }
    busy.value = false;
  }

  return (
    <section class="card cellcard" aria-live="polite">
      <h3>{t("cell", { n: c.cell })} · {t(words[c.state])}{c.since && <small class="soft"> {t("since")} {clockTime(c.since, now.value, zone.value)}</small>}</h3>
      {c.waybill && <p>{t("inside")} <button class="chip mono" onClick={() => select({ kind: "parcel", id: c.waybill! })}>{c.waybill}</button></p>}
      {!asking.value && <button class="primary" disabled={busy.value || !l.device} onClick={() => { asking.value = true; }}>{t("open")}</button>}
      {asking.value && (
        <div class="ask" role="alertdialog" aria-label={t("open")}>
          <p>{t("openAsk", { name: name(l.name), n: c.cell })}</p>
          <button class="primary danger" ref={(b) => b?.focus()} onClick={() => void open()}>{t("confirm")}</button>
          <button onClick={() => { asking.value = false; }}>{t("cancel")}</button>
        </div>
      )}
      {error.value && <p class="hot">{error.value}</p>}
      {command && <Order c={command} />}
    </section>
  );
}
