// The nouns of the API, as its OpenAPI document says.

export type Quality = "gnss" | "ntp" | "cloud" | "rtc" | "retro" | "unknown";
export interface Live<T> { value: T; at: string; age_s: number; tq: Quality }
export interface Text { zh: string; en: string }
export interface Position { lat: number; lon: number; speed_mps?: number; heading_deg?: number; altitude_m?: number; fix?: string; satellites?: number }
export type Motion = "moving" | "stopped" | "stale" | "offline";

export interface Vehicle {
  id: string; plate: string; kind: string; name: Text; gateway?: string; position?: Live<Position>; motion: Motion;
  site?: string; cold_box?: string; aboard: number; waybills?: string[]; version: number;
}
export type CellState = "empty" | "occupied" | "overdue" | "reserved" | "door_open" | "fault" | "unknown";
export interface Cell { cell: number; size: string; state: CellState; since?: string; waybill?: string }
export interface Locker {
  id: string; name: Text; site: string; village: Text; place: { lat: number; lon: number }; gateway?: string; device?: string;
  online: boolean; cells: Cell[]; last?: string; version: number;
}
export interface Climate { temperature_c?: number; humidity_pct?: number; quality?: string }
export interface ColdBox {
  id: string; name: Text; site?: string; vehicle?: string; min_c: number; max_c: number; climate?: Live<Climate>;
  out: boolean; out_from?: string; version: number;
}
export type Stage = "created" | "at_warehouse" | "sorted" | "loaded" | "in_transit" | "at_outlet" | "in_locker" | "out_for_delivery"
  | "picked_up" | "signed_for" | "completed" | "returned" | "lost_closed";
export interface Parcel {
  waybill: string; epc?: string; site: string; locker?: string; handling?: string; stage: Stage; since: string; place?: string;
  cell?: number; inferred?: boolean; open_exceptions?: number; consent?: string; wish?: string; size?: string; hold?: boolean; direction?: string; version: number;
}
export type Confidence = "confirmed" | "inferred" | "contradicted";
export interface Witness { kind: string; id: string; at: string; tq: Quality; device?: string; place?: string; reads?: number; rssi_dbm?: number; disagree?: boolean }
export interface Exception {
  id: string; class: string; cause: string; object: string; source: string; detail?: string; discovered: string; ended?: string; version: number;
}
export interface Notice {
  id: string; waybill: string; event: string; status: string; reason?: string; to?: string; text?: string; link?: string; created: string; changed: string;
  about: { locker?: string; cell?: number };
  tries?: { channel: string; at: string; outcome?: string }[];
}
export interface Evidence {
  id: string; at: string; tq: Quality; te_ms?: number; earliest?: string; latest?: string; step: string; stage?: Stage; place?: string; cell?: number; device?: string;
  antenna?: number; reads?: number; rssi_dbm?: number; via?: string;
  confidence?: Confidence; witnesses?: Witness[]; flag?: string; actor?: string; reason?: string;
}
export interface Timeline extends Parcel { evidence: Evidence[]; exceptions?: Exception[] }
export interface Gateway {
  id: string; site?: string; vehicle?: string; online: boolean; last_frame?: string; software?: string; epochs: number;
  committed: number; backlog: number; version: number;
}
export interface Command {
  id: string; device: string; action: string; args?: Record<string, string>; created: string; sent?: string;
  outcome?: "done" | "refused" | "unknown"; detail?: string; answered?: string; door?: DoorStep[]; version: number;
}
export interface DoorStep { step: string; cell: number; at: string; tq: Quality; te_ms?: number; waited_s?: number }
export interface About { county: Text; note: Text; timezone: string; ids: string; demo: boolean; speed: number; version: string; time: string }
export interface Sample { at: string; temperature_c?: number; humidity_pct?: number }
export interface List<T> { items: T[]; next: string }
export interface Feature {
  type: "Feature"; id?: string; properties: Record<string, unknown>;
  geometry: { type: string; coordinates: unknown } | null;
}
export type Kind = "vehicle" | "locker" | "coldbox" | "parcel";
export interface Pick { kind: Kind; id: string }
export type View = "" | "waybill" | "outbox" | "exceptions";
