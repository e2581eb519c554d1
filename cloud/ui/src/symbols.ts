// The symbols of the map and the lists: one drawing each, so that both say the same. Every state is
// a shape and a colour and, beside it, a word.
import type { Motion } from "./types";

export interface Palette { moving: string; stopped: string; stale: string; offline: string; critical: string; halo: string; ink: string; accent: string }

export const light: Palette = { moving: "#1A7F37", stopped: "#0969DA", stale: "#9A6700", offline: "#57606A", critical: "#CF222E", halo: "#ffffff", ink: "#1f2a24", accent: "#0f5b4c" };
export const dark: Palette = { moving: "#4AC26B", stopped: "#58A6FF", stale: "#D4A72C", offline: "#8B949E", critical: "#FF7B72", halo: "#14181b", ink: "#e6ebe7", accent: "#57c7ad" };

/** Drawn in a box of 32, pointing north. */
export function vehicleShape(m: Motion, p: Palette): string {
  const c = p[m];
  switch (m) {
    case "moving":
      return `<path d="M16 3 27 28 16 22.5 5 28Z" fill="${c}" stroke="${p.halo}" stroke-width="2.4" stroke-linejoin="round"/>`;
    case "stopped":
      return `<rect x="7" y="7" width="18" height="18" rx="3.5" fill="${c}" stroke="${p.halo}" stroke-width="2.4"/>`;
    case "stale":
      return `<circle cx="16" cy="16" r="14" fill="none" stroke="${c}" stroke-width="1.8" stroke-dasharray="3.4 3"/>` +
        `<path d="M16 7 23.5 24 16 20.2 8.5 24Z" fill="${p.halo}" stroke="${c}" stroke-width="2.2" stroke-linejoin="round"/>`;
    case "offline":
      return `<circle cx="16" cy="16" r="9.5" fill="${p.halo}" stroke="${c}" stroke-width="2.6"/><path d="M9 23 23 9" stroke="${c}" stroke-width="2.6"/>`;
  }
}

/** A cabinet: what stands in a village. Hollow when its gateway is silent. */
export function lockerShape(online: boolean, p: Palette): string {
  const c = online ? p.accent : p.offline;
  const fill = online ? c : p.halo, line = online ? p.halo : c;
  return `<rect x="5" y="6" width="22" height="20" rx="3" fill="${fill}" stroke="${line}" stroke-width="2"/>` +
    `<path d="M12.3 6.5v19M19.7 6.5v19M5.5 16h21" stroke="${online ? p.halo : c}" stroke-width="1.7"/>`;
}

export function warehouseShape(p: Palette): string {
  return `<path d="M16 3 30 12v17H2V12Z" fill="${p.ink}" stroke="${p.halo}" stroke-width="2" stroke-linejoin="round"/>` +
    `<path d="M8 29V17h16v12M8 21h16M8 25h16" fill="none" stroke="${p.halo}" stroke-width="1.8"/>`;
}

export const svg = (inner: string, size: number) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}" viewBox="0 0 32 32">${inner}</svg>`;

export const dataURI = (inner: string, size: number) => "data:image/svg+xml;utf8," + encodeURIComponent(svg(inner, size));
