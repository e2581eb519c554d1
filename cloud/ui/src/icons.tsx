// Shapes beside words in the lists: the same drawings as on the map.
import { dark, light, lockerShape, vehicleShape } from "./symbols";
import { signal } from "@preact/signals";
import type { Motion } from "./types";

const scheme = matchMedia("(prefers-color-scheme: dark)");
export const isDark = signal(scheme.matches);
scheme.addEventListener("change", (e) => { isDark.value = e.matches; });

const palette = () => (isDark.value ? dark : light);

/** The strings drawn here are constants of this program, never data. */
const Draw = ({ inner, size, turn = 0 }: { inner: string; size: number; turn?: number }) => (
  <svg class="shape" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" style={turn ? { transform: `rotate(${turn}deg)` } : undefined} dangerouslySetInnerHTML={{ __html: inner }} />
);

export const VehicleShape = ({ motion, size = 20, heading = 0 }: { motion: Motion; size?: number; heading?: number }) => (
  <Draw inner={vehicleShape(motion, palette())} size={size} turn={motion === "moving" ? heading : 0} />
);
export const LockerShape = ({ online, size = 20 }: { online: boolean; size?: number }) => <Draw inner={lockerShape(online, palette())} size={size} />;
export const ColdShape = ({ out, size = 20 }: { out: boolean; size?: number }) => (
  <Draw size={size} inner={out ? `<path d="M16 3 30 28H2Z" fill="${palette().critical}"/><path d="M16 12v8M16 23v2.4" stroke="${palette().halo}" stroke-width="3" stroke-linecap="round"/>`
    : `<g stroke="${palette().stopped}" stroke-width="2.6" stroke-linecap="round"><path d="M16 4v24M5.6 10l20.8 12M26.4 10 5.6 22"/></g>`} />
);
export const ParcelShape = ({ done, size = 20 }: { done: boolean; size?: number }) => (
  <Draw size={size} inner={`<path d="M4 10 16 4l12 6v13l-12 6L4 23Z" fill="${done ? "none" : palette().accent}" stroke="${palette().accent}" stroke-width="2" stroke-linejoin="round"/><path d="M4 10l12 6 12-6M16 16v13" fill="none" stroke="${done ? palette().accent : palette().halo}" stroke-width="2"/>`} />
);
