// Parcels of the list as they are now: what the server told, and what was noted here since.
import type { Cargo, Kept, Manifest } from "./types";
import { waybillForm } from "./scan";

export type Feedback = { good: boolean; text: string; warn?: string };

export function Said({ said }: { said: Feedback | undefined }) {
  if (!said) return null;
  return <p class={"said " + (said.good ? "good" : "bad")} role="status"><b aria-hidden="true">{said.good ? "✓" : "✕"}</b> {said.text}{said.warn && <em>{said.warn}</em>}</p>;
}

/** The waybill that a code is, or nothing. */
export function waybillOf(code: string): string | undefined {
  const w = code.trim().toUpperCase();
  return waybillForm.test(w) ? w : undefined;
}

export const cargoOf = (m: Manifest | undefined, waybill: string): Cargo | undefined => m?.items.find((c) => c.waybill === waybill);

const leads: Partial<Record<Kept["kind"], string>> = { load: "loaded", unload: "at_outlet", deposit: "in_locker", to_door: "out_for_delivery", hand_over: "signed_for" };

/** The stage of a parcel by what was noted on this phone and is newer than the list; queued says that it isn't sent yet. */
export function latest(acts: Kept[], waybill: string): { stage: string; queued: boolean; kind: Kept["kind"]; at: string } | undefined {
  const a = acts.find((x) => x.of === waybill && x.state !== "refused" && (leads[x.kind] || x.kind === "refuse")); // the newest first
  return a && { stage: leads[a.kind] ?? "refuse", queued: a.state === "queued", kind: a.kind, at: a.at };
}
