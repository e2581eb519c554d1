// The phone's own memory: acts that wait for a link, and the last that the server told. One database for all tabs.
import type { Act, Kept } from "./types";

let opened: Promise<IDBDatabase> | undefined;

function open(): Promise<IDBDatabase> {
  return (opened ??= new Promise((resolve, reject) => {
    const r = indexedDB.open("yizhan-run", 1);
    r.onupgradeneeded = () => {
      const acts = r.result.createObjectStore("acts", { keyPath: "id" });
      acts.createIndex("state", "state");
      acts.createIndex("of", "of");
      r.result.createObjectStore("kept");
    };
    r.onsuccess = () => resolve(r.result);
    r.onerror = () => { opened = undefined; reject(r.error ?? new Error("no database")); };
  }));
}

const done = <T>(r: IDBRequest<T>) => new Promise<T>((resolve, reject) => { r.onsuccess = () => resolve(r.result); r.onerror = () => reject(r.error); });
const ended = (t: IDBTransaction) => new Promise<void>((resolve, reject) => { t.oncomplete = () => resolve(); t.onabort = () => reject(t.error); });

export async function keep(key: string, value: unknown): Promise<void> {
  const t = (await open()).transaction("kept", "readwrite");
  t.objectStore("kept").put(value, key);
  await ended(t);
}

export async function kept<T>(key: string): Promise<T | undefined> {
  return done((await open()).transaction("kept").objectStore("kept").get(key)) as Promise<T | undefined>;
}

export async function allActs(): Promise<Kept[]> {
  const all = (await done((await open()).transaction("acts").objectStore("acts").getAll())) as Kept[];
  return all.sort((a, b) => b.seq - a.seq);
}

const long = 12 * 3600_000;

/** Where an act leads: two acts that lead the same way, with nothing of the same parcel between, are one. */
const aim = (a: Act) => JSON.stringify([a.kind, a.vehicle, a.kind === "unload" ? a.site : "", a.container, a.locker, a.cell]);

/** Puts an act into the queue; false where the last that was noted of its parcel is the same. Tabs take turns. */
export async function enqueue(a: Act): Promise<boolean> {
  const t = (await open()).transaction("acts", "readwrite", { durability: "strict" });
  const store = t.objectStore("acts");
  let last: Kept | undefined;
  if (a.of && a.kind !== "count") {
    const before = (await done(store.index("of").getAll(a.of))) as Kept[];
    last = before.filter((b) => b.state !== "refused").sort((x, y) => y.seq - x.seq)[0];
  }
  const twice = last !== undefined && aim(last) === aim(a) && Math.abs(Date.parse(a.at) - Date.parse(last.at)) < long;
  if (!twice) store.add({ ...a, state: "queued", seq: Math.max(Date.now(), (last?.seq ?? 0) + 1) } satisfies Kept);
  await ended(t);
  return !twice;
}

export async function queued(): Promise<Kept[]> {
  const all = (await done((await open()).transaction("acts").objectStore("acts").index("state").getAll("queued"))) as Kept[];
  return all.sort((a, b) => a.seq - b.seq);
}

/** Notes what the server said of acts; photos that it has are dropped. */
export async function settle(verdicts: { id: string; status: string; field?: string; reason?: string }[]): Promise<void> {
  const t = (await open()).transaction("acts", "readwrite");
  const store = t.objectStore("acts");
  for (const v of verdicts) {
    const a = (await done(store.get(v.id))) as Kept | undefined;
    if (!a) continue;
    if (v.status === "refused") store.put({ ...a, state: "refused", why: [v.field, v.reason].filter(Boolean).join(": ") });
    else store.put({ ...a, state: "done", photo: undefined });
  }
  await ended(t);
}

/** Forgets what was done two days ago and is at the server; what waits or was refused stays. */
export async function forget(before: number): Promise<void> {
  const t = (await open()).transaction("acts", "readwrite");
  const store = t.objectStore("acts");
  for (const a of (await done(store.index("state").getAll("done"))) as Kept[]) if (a.seq < before) store.delete(a.id);
  await ended(t);
}

/** Takes a refused act off the list: somebody has read it. */
export async function drop(id: string): Promise<void> {
  const t = (await open()).transaction("acts", "readwrite");
  t.objectStore("acts").delete(id);
  await ended(t);
}
