// A parcel into a cell. With a link: a free cell that fits opens, and its door tells. Without one the locker decides.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { get, post, Problem } from "../src/api";
import { kit, link, manifest, me, note, refresh, uuid } from "./store";
import { name, t, word, type Key } from "./words";
import { Scan } from "./scan";
import { cargoOf, Said, type Feedback, waybillOf } from "./cargo";
import type { Cargo, Locker } from "./types";

type Order = { id: string; outcome?: string; detail?: string; sent?: string };
type Offer = { cell: number; size: string; command: Order };
/** asked, sent, open, shut (with something inside), empty, refused, unknown. */
type Door = "asked" | "sent" | "pulse" | "open" | "shut" | "empty" | "refused" | "unknown";

const chosen = { locker: "" };

export function Deposit() {
  const lockers = (kit.value?.lockers ?? []).filter((l) => !me.value?.site || l.site === me.value.site || !kit.value!.lockers.some((x) => x.site === me.value!.site));
  const locker = useSignal(lockers.some((l) => l.id === chosen.locker) ? chosen.locker : (lockers[0]?.id ?? ""));
  const waybill = useSignal("");
  const said = useSignal<Feedback | undefined>(undefined);
  const l = kit.value?.lockers.find((x) => x.id === locker.value);
  const take = (code: string) => {
    const w = waybillOf(code);
    if (!w) { said.value = { good: false, text: t("notWaybill", { v: code.slice(0, 40) }) }; return; }
    said.value = undefined;
    waybill.value = w;
  };
  const put = async (cell: number) => {
    const fresh = await note("deposit", { of: waybill.value, locker: locker.value, cell, ...(l ? { site: l.site } : {}) });
    said.value = { good: true, text: `${waybill.value} · ${t("cellIs", { n: cell })} · ${t(fresh ? "noted" : "twice")}` };
    waybill.value = "";
  };
  return (
    <>
      <label class="field">{t("locker")}
        <select id="locker" value={locker.value} onChange={(e) => { locker.value = chosen.locker = e.currentTarget.value; }}>
          {lockers.map((x) => <option key={x.id} value={x.id}>{name(x.name)}</option>)}
        </select>
      </label>
      {l && <p class="soft">{link.value === "on" ? (l.online ? t("free", { n: l.cells.filter((c) => c.state === "empty").length }) : t("lockerOff")) : t("offline")}</p>}
      {!waybill.value && <Scan take={take} />}
      <Said said={said.value} />
      {waybill.value && l && (link.value === "on" && l.online
        ? <Offered key={waybill.value} waybill={waybill.value} locker={l} put={put} stop={() => { waybill.value = ""; }} />
        : <Alone waybill={waybill.value} put={put} stop={() => { waybill.value = ""; }} />)}
    </>
  );
}

/** What speaks against a locker, by the list. */
function against(c: Cargo | undefined): string | undefined {
  if (!c) return undefined; // the locker or the server knows
  if (c.hold) return t("held");
  if (c.consent === "no") return t("noConsent");
  if (c.consent !== "yes") return t("consentUnknown");
  if (c.handling === "chilled" || c.handling === "frozen") return t("cold");
  return undefined;
}

function Alone({ waybill, put, stop }: { waybill: string; put: (cell: number) => Promise<void>; stop: () => void }) {
  const cell = useSignal(0);
  const c = cargoOf(manifest.value, waybill), no = against(c);
  return (
    <section class="card alone">
      {no ? <p class="bad" role="alert">{no}</p> : (
        <>
          <p>{t("decides")}</p>
          <p class="big mono">{waybill}</p>
          <label class="field">{t("whichCell")}
            <input id="cell" type="number" inputMode="numeric" min={1} max={1024} onInput={(e) => { cell.value = Math.trunc(Number(e.currentTarget.value)) || 0; }} />
          </label>
          <button class="primary wide" disabled={cell.value < 1 || cell.value > 1024} onClick={() => void put(cell.value)}>{t("putInCell", { n: cell.value || "–" })}</button>
        </>
      )}
      <button class="wide" onClick={stop}>{t("give_up")}</button>
    </section>
  );
}

const pause = (ms: number) => new Promise((r) => setTimeout(r, ms));

function Offered({ waybill, locker, put, stop }: { waybill: string; locker: Locker; put: (cell: number) => Promise<void>; stop: () => void }) {
  const offer = useSignal<Offer | undefined>(undefined);
  const door = useSignal<Door>("asked");
  const trouble = useSignal("");
  const busy = useSignal(false);
  const alive = useRef(true);
  useEffect(() => () => { alive.current = false; }, []);
  const c = cargoOf(manifest.value, waybill), no = against(c);

  /** What the door and the lock board say, until it is shut or nothing more comes. */
  async function follow(o: Offer) {
    let opened = false;
    const end = Date.now() + 180_000;
    while (alive.current && offer.value === o && Date.now() < end) {
      await pause(600);
      const order = o.command.outcome ? o.command : await get<Order>("/commands/" + encodeURIComponent(o.command.id)).catch(() => o.command);
      const state = (await get<Locker>("/lockers/" + locker.id).catch(() => undefined))?.cells.find((x) => x.cell === o.cell)?.state;
      if (!alive.current || offer.value !== o) return;
      o.command = order;
      if (state === "door_open") { opened = true; door.value = "open"; } else if (state === "occupied") {
        door.value = "shut";
        await put(o.cell);
        void refresh();
        return;
      } else if (order.outcome === "refused") { door.value = "refused"; return; } else if (order.outcome === "unknown") { door.value = "unknown"; return; } else if (opened && state === "empty") door.value = "empty";
      else if (!opened) door.value = order.outcome === "done" ? "pulse" : order.sent ? "sent" : "asked";
    }
    if (alive.current && offer.value === o && door.value !== "open") door.value = "unknown";
  }

  async function ask() {
    const id = "run-" + uuid();
    busy.value = true;
    trouble.value = "";
    door.value = "asked";
    try {
      for (let n = 0; ; n++) {
        try {
          offer.value = await post<Offer>("/run/deposits", { id, waybill, locker: locker.id });
          break;
        } catch (e) {
          if (e instanceof Problem || n >= 2) throw e; // a lost answer: the same id is the same offer
          await pause(500);
        }
      }
      void follow(offer.value!);
    } catch (e) {
      trouble.value = e instanceof Problem ? e.message : t("noServer");
      if (!(e instanceof Problem)) link.value = "off";
    }
    busy.value = false;
  }

  const o = offer.value;
  const words: Record<Door, Key> = { asked: "d_asked", sent: "d_sent", pulse: "d_pulse", open: "d_open", shut: "d_shut", empty: "d_empty", refused: "d_refused", unknown: "d_unknown" };
  return (
    <section class="card" aria-live="polite">
      <p class="big mono">{waybill}</p>
      <p>{c ? <>{c.size && t(("size_" + c.size) as Key)} {c.handling && c.handling !== "ambient" && word(c.handling)}</> : <span class="warn">{t("unknownParcel")}</span>}</p>
      {no && <p class="bad" role="alert">{no}</p>}
      {trouble.value && <p class="bad" role="alert">{trouble.value}</p>}
      {o && <p class={"door " + door.value}><b>{t("cellIs", { n: o.cell })}</b> {o.size && t(("size_" + o.size) as Key)}<span>{t(words[door.value])}</span>{door.value === "refused" && o.command.detail && <small>{o.command.detail}</small>}</p>}
      {!o && !no && <button class="primary wide" disabled={busy.value} onClick={() => void ask()}>{t("askCell")}</button>}
      {o && ["refused", "empty", "unknown"].includes(door.value) && <button class="primary wide" disabled={busy.value} onClick={() => void ask()}>{t("another")}</button>}
      {o && ["pulse", "open", "unknown"].includes(door.value) && <button class="wide" onClick={() => { const n = o.cell; offer.value = undefined; void put(n); }}>{t("putIn")}</button>}
      <button class="wide" onClick={() => { offer.value = undefined; stop(); }}>{t("give_up")}</button>
    </section>
  );
}
