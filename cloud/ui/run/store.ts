// What the page knows, and how it gets to the server and from there. Nothing here waits for a link.
import { computed, signal } from "@preact/signals";
import { get, hasSession, post, Problem } from "../src/api";
import { allActs, enqueue, forget, keep, kept, queued, settle } from "./db";
import type { Act, Kept, Kind, Kit, Manifest, Me } from "./types";

export const kit = signal<Kit | undefined>(undefined);
export const manifest = signal<Manifest | undefined>(undefined);
export const me = signal<Me | undefined>(undefined);
export const acts = signal<Kept[]>([]);
export const waiting = computed(() => acts.value.filter((a) => a.state === "queued").length);
export const refused = computed(() => acts.value.filter((a) => a.state === "refused").length);
export const link = signal<"asking" | "on" | "off" | "closed">("asking"); // closed: the session ended
export const syncing = signal(false);
export const lastSync = signal(0); // ms, of this phone's clock
export const now = signal(Date.now());
let skew = 0; // ms that the server's clock is ahead

const tabs = "BroadcastChannel" in window ? new BroadcastChannel("yizhan-run") : undefined;
const once = Math.random();

/** The server's time, as far as this phone knows it. */
export const serverNow = () => Date.now() + skew;

function setClock(server: string, asked: number) {
  const ms = Date.parse(server) - (asked + Date.now()) / 2;
  skew = Math.abs(ms) < 1000 ? 0 : Math.round(ms);
  void keep("skew", skew);
}

export const run = computed(() => kit.value?.runs.find((r) => r.id === me.value?.run && r.day === me.value?.day) ?? (manifest.value?.run.id === me.value?.run ? manifest.value?.run : undefined));

async function reload() {
  acts.value = await allActs();
  me.value = await kept<Me>("me");
  lastSync.value = (await kept<number>("synced")) ?? 0;
}

/** Reads what is kept, then asks the server. */
export async function start(): Promise<void> {
  skew = (await kept<number>("skew")) ?? 0;
  kit.value = await kept<Kit>("kit");
  manifest.value = await kept<Manifest>("manifest");
  await forget(Date.now() - 2 * 86400_000);
  await reload();
  tabs?.addEventListener("message", () => { void reload(); });
  window.addEventListener("online", () => { void refresh(); });
  window.addEventListener("offline", () => { link.value = "off"; });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) void refresh(); });
  setInterval(() => { now.value = Date.now(); }, 1000);
  setInterval(() => { void (waiting.value > 0 || link.value === "off" ? sync() : undefined); }, 5_000);
  setInterval(() => { if (!document.hidden) void refresh(); }, 60_000);
  await refresh();
}

/** A failed question tells how the link is. */
function judge(e: unknown) {
  if (e instanceof Problem) {
    if (e.status === 401) link.value = "closed";
    else link.value = "on";
  } else link.value = "off";
}

export async function refresh(): Promise<void> {
  await sync();
  try {
    const asked = Date.now();
    const k = await get<Kit>("/run/kit");
    setClock(k.time, asked);
    kit.value = k;
    link.value = "on";
    await keep("kit", k);
    await refreshManifest();
  } catch (e) { judge(e); }
}

export async function refreshManifest(): Promise<void> {
  const m = me.value;
  if (!m?.run) return;
  try {
    const got = await get<Manifest>(`/runs/${encodeURIComponent(m.run)}/manifest?day=${m.day}`);
    manifest.value = got;
    await keep("manifest", got);
  } catch (e) { judge(e); }
}

/** Notes that something was done. It is the phone's from then on, until the server has it. False: it was noted before. */
export async function note(kind: Kind, fields: Partial<Act>): Promise<boolean> {
  const m = me.value;
  const a: Act = {
    id: crypto.randomUUID?.() ?? uuid(), kind, actor: m?.badge ?? "unknown", at: new Date(serverNow()).toISOString(), ...(m?.run ? { run: m.run, day: m.day } : {}), ...(m?.site ? { site: m.site } : {}), ...fields,
  };
  const fresh = await enqueue(a);
  if (fresh) {
    await reload();
    tabs?.postMessage(once);
    void sync();
  }
  return fresh;
}

/** Random version 4 (RFC 9562, section 5.4), where the page didn't come by https. */
export function uuid(): string {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6]! & 0x0f) | 0x40;
  b[8] = (b[8]! & 0x3f) | 0x80;
  const h = [...b].map((x) => x.toString(16).padStart(2, "0")).join("");
  return [h.slice(0, 8), h.slice(8, 12), h.slice(12, 16), h.slice(16, 20), h.slice(20)].join("-");
}

const atOnce = 100, bytes = 3 << 20;

/** Sends what waits, oldest first. One tab does; the others see what came of it. */
export async function sync(): Promise<void> {
  if (syncing.value) return;
  const work = async () => {
    syncing.value = true;
    try { await send(); } catch (e) { judge(e); } finally { syncing.value = false; }
    await reload();
  };
  if (!navigator.locks) return work();
  await navigator.locks.request("yizhan-run-sync", { ifAvailable: true }, async (lock) => { if (lock) await work(); });
}

type Verdict = { id: string; status: string; field?: string; reason?: string };

/** Sends acts and notes what became of each. What the server can't read at all is found one by one, so that it holds up nothing else. */
async function tell(batch: Kept[]): Promise<void> {
  const asked = Date.now();
  try {
    const got = await post<{ items: Verdict[]; time: string }>("/run/acts", { acts: batch.map(({ state: _s, why: _w, seq: _q, ...a }) => a) });
    setClock(got.time, asked);
    await settle(got.items);
  } catch (e) {
    if (!(e instanceof Problem) || ![400, 413, 422].includes(e.status)) throw e;
    if (batch.length === 1) await settle([{ id: batch[0]!.id, status: "refused", reason: e.message }]);
    else for (const a of batch) await tell([a]);
  }
}

async function send(): Promise<void> {
  for (;;) {
    const all = await queued();
    if (all.length === 0) {
      if (link.value !== "on" && (await hasSession())) link.value = "on";
      return;
    }
    let size = 0;
    const batch = all.slice(0, atOnce).filter((a, i) => (size += 300 + (a.photo?.length ?? 0)) < bytes || i === 0);
    await tell(batch);
    lastSync.value = Date.now();
    await keep("synced", lastSync.value);
    link.value = "on";
    tabs?.postMessage(once);
  }
}

export async function setMe(m: Me | undefined): Promise<void> {
  me.value = m;
  await keep("me", m);
  manifest.value = undefined;
  tabs?.postMessage(once);
  await refreshManifest();
}
