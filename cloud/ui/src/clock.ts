// Time as the server tells it: every age on the page counts from one clock, and an age that stopped
// being fed keeps growing.
import { signal } from "@preact/signals";
import type { Live, Motion, Position } from "./types";

/** Milliseconds that the server's clock is ahead of this browser's. */
export const skew = signal(0);
/** The server's time now, renewed every second. */
export const now = signal(Date.now());

export const serverNow = () => Date.now() + skew.value;

export function startClock() {
  setInterval(() => { now.value = serverNow(); }, 1000);
}

/** Called with the server's time and when it was asked; half the way there and back is taken off. */
export function setClock(server: string, asked: number, answered: number) {
  const ms = Date.parse(server) - (asked + answered) / 2;
  skew.value = Math.abs(ms) < 250 ? 0 : ms;
  now.value = serverNow();
}

export const ageOf = (at: string, t: number) => Math.max(0, Math.floor((t - Date.parse(at)) / 1000));

/** The same rule as the server's: a vehicle doesn't stay "moving" because nobody says otherwise. */
export function motionOf(p: Live<Position> | undefined, t: number): Motion {
  if (!p) return "offline";
  const age = ageOf(p.at, t);
  const fast = (p.value.speed_mps ?? 0) > 3 / 3.6;
  if (age > 20 * 60) return "offline";
  if (age > 10 * 60 || (fast && age > 60)) return "stale";
  return fast ? "moving" : "stopped";
}

/** A gateway is quiet after 90 s, as the server says. */
export const online = (last: string | undefined, t: number) => !!last && !last.startsWith("0001-") && ageOf(last, t) <= 90;
