// What the page knows: the lists as they were fetched, and every change since.
import { batch, computed, signal } from "@preact/signals";
import { get, Problem } from "./api";
import { serverNow, setClock } from "./clock";
import { openStream } from "./stream";
import type { About, ColdBox, Command, Exception, Feature, Gateway, Kind, List, Locker, Parcel, Pick, Timeline, Vehicle, View } from "./types";

export type Link = "connecting" | "live" | "reconnecting";

export const about = signal<About | null>(null);
export const features = signal<Feature[]>([]);
export const vehicles = signal<ReadonlyMap<string, Vehicle>>(new Map());
export const lockers = signal<ReadonlyMap<string, Locker>>(new Map());
export const coldboxes = signal<ReadonlyMap<string, ColdBox>>(new Map());
export const gateways = signal<ReadonlyMap<string, Gateway>>(new Map());
export const orders = signal<ReadonlyMap<string, Command>>(new Map()); // to open cells: those that somebody looked at or that changed since
export const parcels = signal<Parcel[]>([]); // those that match the search, the newest change first
export const parcelsNext = signal("");
export const link = signal<Link>("connecting");
export const lastByte = signal(0); // server time of the last sign of life
export const gap = signal<{ from: number; to: number } | null>(null); // of the last interruption
export const denied = signal(false);
export const loaded = signal(false);
export const query = signal("");
export const tab = signal<Kind>("vehicle");
export const picked = signal<Pick | null>(null);
export const view = signal<View>(""); // what lies over the map
export const exceptions = signal<Exception[] | null>(null); // those that are open, the newest first; null: not known yet
export const timeline = signal<Timeline | "missing" | null>(null);

export const zone = computed(() => about.value?.timezone || "Asia/Shanghai");

/** What a place such as site/wh is called: both names, or its id. */
export function placeName(place: string | undefined): { zh: string; en: string } | undefined {
  if (!place) return undefined;
  const [kind, id = ""] = place.split("/");
  if (kind === "vehicle") { const v = vehicles.value.get(id); if (v) return { zh: `${v.name.zh} ${v.plate}`, en: `${v.name.en} ${v.plate}` }; }
  if (kind === "locker") { const l = lockers.value.get(id); if (l) return l.name; }
  if (kind === "coldbox") { const c = coldboxes.value.get(id); if (c) return c.name; }
  if (kind === "site") {
    const f = features.value.find((x) => x.properties.kind === "site" && x.properties.id === id);
    if (f) return { zh: String(f.properties.name_zh), en: String(f.properties.name_en) };
  }
  return { zh: place, en: place };
}

/** Asks again until it is answered; an ended session ends it too. */
export async function persist(ask: () => Promise<void>) {
  for (let pause = 1000; ; pause = Math.min(pause * 2, 15_000)) {
    try {
      return await ask();
    } catch (e) {
      if (e instanceof Problem && e.status === 401) { denied.value = true; return; }
      await new Promise((r) => setTimeout(r, pause));
    }
  }
}

const byID = <T extends { id: string }>(l: List<T>) => new Map(l.items.map((x) => [x.id, x]));

/** Fetches the lists. Changes that came while it was under way are kept by their version. */
export async function refresh() {
  const [v, l, c, g] = await Promise.all([
    get<List<Vehicle>>("/vehicles"), get<List<Locker>>("/lockers"), get<List<ColdBox>>("/coldboxes"), get<List<Gateway>>("/gateways"),
  ]);
  batch(() => {
    vehicles.value = newer(byID(v), vehicles.value);
    lockers.value = newer(byID(l), lockers.value);
    coldboxes.value = newer(byID(c), coldboxes.value);
    gateways.value = newer(byID(g), gateways.value);
    loaded.value = true;
  });
  await Promise.all([findParcels(), findExceptions()]);
  if (picked.value?.kind === "parcel") void fetchTimeline();
}

function newer<T extends { version: number }>(fresh: Map<string, T>, old: ReadonlyMap<string, T>) {
  for (const [id, x] of fresh) {
    const o = old.get(id);
    if (o && o.version > x.version) fresh.set(id, o);
  }
  return fresh;
}

export async function loadCounty() {
  const asked = Date.now();
  const [a, map] = await Promise.all([get<About>("/about").then((x) => { setClock(x.time, asked, Date.now()); return x; }), get<{ features: Feature[] }>("/map")]);
  batch(() => { about.value = a; features.value = map.features; });
}

export const checkClock = async () => {
  const asked = Date.now();
  const a = await get<About>("/about");
  setClock(a.time, asked, Date.now());
};

let parcelAsk = new AbortController();

let found: Promise<void> = Promise.resolve();

/** Fetches parcels for the search; the answer to an older question is dropped, and whoever asked it waits for the newer one's. */
export const findParcels = (more = false): Promise<void> => (found = askParcels(more));

async function askParcels(more: boolean): Promise<void> {
  parcelAsk.abort();
  parcelAsk = new AbortController();
  const p = new URLSearchParams({ limit: "60" });
  const q = query.value.trim();
  if (q) p.set("q", q.toUpperCase().startsWith("URN:") ? q : q.toUpperCase());
  if (more) p.set("after", parcelsNext.value);
  try {
    const l = await get<List<Parcel>>("/parcels?" + p, parcelAsk.signal);
    batch(() => {
      parcels.value = more ? [...parcels.value, ...l.items] : l.items;
      parcelsNext.value = l.next;
    });
  } catch (e) {
    if (!(e instanceof DOMException)) throw e;
    await found;
  }
}

/** Fetches what is not as it should be. */
export async function findExceptions() {
  exceptions.value = (await get<List<Exception>>("/exceptions?open=true&limit=200")).items;
}

export async function fetchTimeline() {
  const id = picked.value?.id;
  if (picked.value?.kind !== "parcel" || !id) return;
  try {
    const t = await get<Timeline>("/parcels/" + encodeURIComponent(id));
    if (picked.value?.id === id) timeline.value = t;
  } catch (e) {
    if (e instanceof Problem && (e.status === 404 || e.status === 422) && picked.value?.id === id) timeline.value = "missing";
  }
}

const narrow = matchMedia("(max-width: 759px)");

export function show(v: View) {
  batch(() => {
    view.value = v;
    if (v && narrow.matches) picked.value = null;
  });
  history.replaceState(null, "", v ? "#/" + v : location.pathname);
}

export function select(p: Pick | null) {
  if (p && narrow.matches) view.value = ""; // there is room for one
  if (p?.kind === picked.value?.kind && p?.id === picked.value?.id) return;
  batch(() => {
    picked.value = p;
    timeline.value = null;
    if (p) tab.value = p.kind;
  });
  history.replaceState(null, "", p ? `#/${p.kind}/${encodeURIComponent(p.id)}` : location.pathname);
  void fetchTimeline();
}

// Changes are gathered until the next frame is drawn: a burst is one render.
let waiting: [string, string][] = [];
let timelineTimer = 0;
let exceptionTimer = 0;

function take(kind: string, data: string) {
  if (kind === "reset") { void persist(refresh); return; }
  if (waiting.length === 0) setTimeout(drain, 50);
  waiting.push([kind, data]);
}

function drain() {
  const events = waiting;
  waiting = [];
  batch(() => {
    const sets = { vehicle: vehicles, locker: lockers, coldbox: coldboxes, gateway: gateways } as const;
    const changed: Record<string, Map<string, unknown>> = {};
    for (const [kind, data] of events) {
      const x = JSON.parse(data) as { id: string; version: number };
      if (kind === "command") { takeOrder(x as unknown as Command); continue; }
      if (kind === "parcel") { takeParcel(x as unknown as Parcel); continue; }
      if (!(kind in sets)) continue;
      const m = (changed[kind] ??= new Map<string, unknown>(sets[kind as keyof typeof sets].value as ReadonlyMap<string, unknown>));
      const old = m.get(x.id) as { version: number; waybills?: string[] } | undefined;
      if (old && old.version > x.version) continue;
      m.set(x.id, x);
    }
    for (const kind in changed) (sets[kind as keyof typeof sets] as { value: unknown }).value = changed[kind];
  });
}

const keptOrders = 200;

/** Takes an order as it is now; what was known of it before may be newer. */
export function takeOrder(c: Command) {
  const old = orders.value.get(c.id);
  if (old && (old.version > c.version || old.version === c.version && old.outcome && !c.outcome)) return;
  const rest = [...orders.value].filter(([id]) => id !== c.id);
  orders.value = new Map([...rest.slice(-keptOrders + 1), [c.id, c]]);
}

function takeParcel(p: Parcel) {
  const i = parcels.value.findIndex((x) => x.waybill === p.waybill);
  const old = parcels.value[i];
  if (old && old.version > p.version) return;
  if ((old?.open_exceptions ?? 0) !== (p.open_exceptions ?? 0) || !old && p.open_exceptions) {
    clearTimeout(exceptionTimer);
    exceptionTimer = window.setTimeout(() => void findExceptions().catch(() => {}), 1000);
  }
  if (query.value.trim() === "") parcels.value = [p, ...parcels.value.filter((x) => x.waybill !== p.waybill)].slice(0, 300);
  else if (i >= 0) parcels.value = parcels.value.map((x) => (x.waybill === p.waybill ? p : x));
  if (picked.value?.kind === "parcel" && picked.value.id === p.waybill) {
    clearTimeout(timelineTimer);
    timelineTimer = window.setTimeout(() => void fetchTimeline(), 300);
  }
}

export function startStream() {
  openStream({
    event: take,
    alive() { lastByte.value = serverNow(); },
    up() {
      if (link.value === "reconnecting") gap.value = { from: lastByte.value, to: serverNow() };
      link.value = "live";
      lastByte.value = serverNow();
      void checkClock().catch(() => {});
    },
    down() { link.value = link.value === "connecting" ? "connecting" : "reconnecting"; },
    denied() { denied.value = true; },
  });
}
