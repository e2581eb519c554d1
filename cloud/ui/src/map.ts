// The map behind a small face: setVehicles, setLockers, setTrail, select, fit, onPick. Vehicles have a layer
// of their own that is never decluttered, for a vehicle must not vanish behind a name; their labels have another.
import "ol/ol.css";
import { Feature, Map as OLMap, View } from "ol";
import { ScaleLine } from "ol/control";
import { boundingExtent, getCenter, isEmpty } from "ol/extent";
import LineString from "ol/geom/LineString";
import Point from "ol/geom/Point";
import { defaults as interactions } from "ol/interaction/defaults";
import VectorLayer from "ol/layer/Vector";
import { fromLonLat } from "ol/proj";
import VectorSource from "ol/source/Vector";
import { Fill, Icon, Stroke, Style, Text } from "ol/style";
import CircleStyle from "ol/style/Circle";
import { basemap, font } from "./basemap";
import { dark as darkPalette, dataURI, light as lightPalette, lockerShape, vehicleShape, warehouseShape } from "./symbols";
import type { Feature as JSONFeature, Motion, Pick } from "./types";

export interface VehicleDot { id: string; label: string; note: string; lon: number; lat: number; heading: number; motion: Motion; alarm: boolean }
export interface LockerDot { id: string; label: string; lon: number; lat: number; online: boolean; free: number }
export interface TrailPoint { lon: number; lat: number; at: number }
export interface Theme { dark: boolean; lang: "zh" | "en" }

const glide = 900; // ms from one fix to the next
const narrow = () => window.innerWidth < 760;

export class CountyMap {
  private map: OLMap;
  private vehicles = new VectorSource<Feature<Point>>();
  private labels = new VectorSource<Feature<Point>>();
  private places = new VectorSource<Feature<Point>>();
  private trail = new VectorSource();
  private theme: Theme = { dark: false, lang: "zh" };
  private picked: Pick | null = null;
  private features: JSONFeature[] = [];
  private grounds: number = 0;
  private fitted = false;
  private moving = new Map<string, { from: number[]; to: number[]; start: number }>();
  private icons = new Map<string, Icon>();
  private still = matchMedia("(prefers-reduced-motion: reduce)");

  constructor(el: HTMLElement, onPick: (p: Pick | null) => void) {
    const top = [
      new VectorLayer({ source: this.trail, style: (f) => this.trailStyle(f as Feature), zIndex: 10 }),
      new VectorLayer({ source: this.places, style: (f, res) => this.placeStyle(f as Feature, res), zIndex: 20 }),
      new VectorLayer({ source: this.vehicles, style: (f) => this.vehicleStyle(f as Feature), zIndex: 40, updateWhileAnimating: true, updateWhileInteracting: true }),
      new VectorLayer({ source: this.labels, style: (f, res) => this.labelStyle(f as Feature, res), zIndex: 30, declutter: "labels", updateWhileAnimating: true, updateWhileInteracting: true }),
    ];
    this.map = new OLMap({
      target: el, layers: top, controls: [new ScaleLine({ minWidth: 70 })], interactions: interactions({ altShiftDragRotate: false, pinchRotate: false }),
      view: new View({ center: fromLonLat([103.24, 30.52]), zoom: 11, minZoom: 8, maxZoom: 17, enableRotation: false }),
    });
    this.map.on("click", (e) => onPick(this.at(e.pixel)));
    this.map.on("pointermove", (e) => { if (!e.dragging) el.style.cursor = this.at(e.pixel) ? "pointer" : ""; });
    new ResizeObserver(() => { this.map.updateSize(); if (!this.fitted) this.fit(); }).observe(el);
  }

  setGround(features: JSONFeature[], theme: Theme) {
    this.features = features;
    this.setTheme(theme);
    this.places.addFeatures(features.filter((f) => f.properties.kind === "site" && f.properties.site === "warehouse").map((f) => {
      const p = new Feature(new Point(fromLonLat((f.geometry!.coordinates as number[]))));
      p.setId("site/" + String(f.properties.id));
      p.setProperties({ what: "warehouse", zh: f.properties.name_zh, en: f.properties.name_en });
      return p;
    }));
    this.fit();
  }

  setTheme(theme: Theme) {
    this.theme = theme;
    this.icons.clear();
    const { layers, outside, bounds } = basemap(this.features, theme.dark, theme.lang);
    const all = this.map.getLayers();
    for (let i = 0; i < this.grounds; i++) all.removeAt(0);
    layers.forEach((l, i) => all.insertAt(i, l));
    this.grounds = layers.length;
    this.bounds = bounds ?? [];
    this.map.getTargetElement()!.style.backgroundColor = outside;
    for (const s of [this.vehicles, this.labels, this.places, this.trail]) s.changed();
  }
  private bounds: number[] = [];

  setVehicles(list: VehicleDot[]) {
    const seen = new Set<string>();
    for (const v of list) {
      seen.add(v.id);
      const to = fromLonLat([v.lon, v.lat]);
      let f = this.vehicles.getFeatureById(v.id) as Feature<Point> | null;
      let l = this.labels.getFeatureById(v.id) as Feature<Point> | null;
      if (!f || !l) {
        const point = new Point(to);
        f = new Feature(point); f.setId(v.id); this.vehicles.addFeature(f);
        l = new Feature(point); l.setId(v.id); this.labels.addFeature(l);
      }
      const old = f.get("dot") as VehicleDot | undefined;
      if (old && JSON.stringify(old) === JSON.stringify(v)) continue;
      f.set("dot", v); l.set("dot", v);
      const from = f.getGeometry()!.getCoordinates();
      if (from[0] !== to[0] || from[1] !== to[1]) this.glideTo(v.id, from, to);
    }
    for (const f of this.vehicles.getFeatures()) if (!seen.has(String(f.getId()))) this.vehicles.removeFeature(f);
    for (const f of this.labels.getFeatures()) if (!seen.has(String(f.getId()))) this.labels.removeFeature(f);
  }

  setLockers(list: LockerDot[]) {
    for (const l of list) {
      let f = this.places.getFeatureById("locker/" + l.id) as Feature<Point> | null;
      if (!f) { f = new Feature(new Point(fromLonLat([l.lon, l.lat]))); f.setId("locker/" + l.id); this.places.addFeature(f); }
      f.setProperties({ what: "locker", dot: l });
    }
  }

  /** The trail of the last half hour; it fades with age and has a gap where fixes are missing. */
  setTrail(points: TrailPoint[], now: number) {
    this.trail.clear();
    const parts = points.slice(1).map((p, i) => {
      const q = points[i]!;
      const f = new Feature(new LineString([fromLonLat([q.lon, q.lat]), fromLonLat([p.lon, p.lat])]));
      f.setProperties({ age: Math.min(1, (now - p.at) / 1.8e6), gap: p.at - q.at > 120_000 || Math.hypot(p.lon - q.lon, p.lat - q.lat) > 0.03 }); // nobody saw it drive there
      return f;
    });
    this.trail.addFeatures(parts);
  }

  select(p: Pick | null, follow: boolean) {
    if (p?.kind === this.picked?.kind && p?.id === this.picked?.id) return;
    this.picked = p;
    for (const s of [this.vehicles, this.labels, this.places]) s.changed();
    const f = p?.kind === "vehicle" ? this.vehicles.getFeatureById(p.id) : p?.kind === "locker" ? this.places.getFeatureById("locker/" + p.id) : null;
    if (!f || !follow) return;
    const view = this.map.getView(), at = (f.getGeometry() as Point).getCoordinates();
    view.animate({ center: at, zoom: Math.max(view.getZoom() ?? 12, 12.6), duration: this.still.matches ? 0 : 350 });
  }

  fit() {
    const size = this.map.getSize();
    if (!size || !size[0] || !size[1] || this.bounds.length === 0 || isEmpty(this.bounds)) return;
    const first = !this.fitted;
    this.fitted = true;
    const view = this.map.getView();
    const pad = narrow() ? 10 : 34;
    view.fit(this.bounds, { padding: [pad, pad, pad + 18, pad], duration: first || this.still.matches ? 0 : 350 });
  }

  zoom(by: number) {
    const view = this.map.getView();
    view.animate({ zoom: (view.getZoom() ?? 11) + by, duration: this.still.matches ? 0 : 180 });
  }

  pan(dx: number, dy: number) {
    const view = this.map.getView(), c = view.getCenter() ?? getCenter(this.bounds), r = view.getResolution() ?? 40;
    view.animate({ center: [c[0]! + dx * r, c[1]! + dy * r], duration: this.still.matches ? 0 : 120 });
  }

  /** Where a vehicle is drawn, in pixels; tests look at it. */
  pixel(id: string): number[] | null {
    const f = this.vehicles.getFeatureById(id) as Feature<Point> | null;
    return f ? this.map.getPixelFromCoordinate(f.getGeometry()!.getCoordinates()) : null;
  }

  private at(pixel: number[]): Pick | null {
    let best: Pick | null = null;
    this.map.forEachFeatureAtPixel(pixel, (f) => {
      const id = String((f as Feature).getId() ?? "");
      if ((f as Feature).get("what") === "locker") best ??= { kind: "locker", id: id.slice(7) };
      else if (this.vehicles.getFeatureById(id)) { best = { kind: "vehicle", id }; return true; }
      return undefined;
    }, { hitTolerance: narrow() ? 14 : 6, layerFilter: (l) => (l.getZIndex() ?? 0) >= 20 });
    return best;
  }

  private glideTo(id: string, from: number[], to: number[]) {
    const far = boundingExtent([from, to]);
    if (this.still.matches || document.hidden || far[2]! - far[0]! > 5000 || far[3]! - far[1]! > 5000) {
      this.moving.delete(id);
      this.place(id, to);
      return;
    }
    if (this.moving.size === 0) requestAnimationFrame((t) => this.step(t));
    this.moving.set(id, { from, to, start: performance.now() });
  }

  private step(t: number) {
    for (const [id, m] of this.moving) {
      const k = Math.min(1, Math.max(0, (t - m.start) / glide));
      this.place(id, [m.from[0]! + (m.to[0]! - m.from[0]!) * k, m.from[1]! + (m.to[1]! - m.from[1]!) * k]);
      if (k >= 1) this.moving.delete(id);
    }
    if (this.moving.size > 0) requestAnimationFrame((x) => this.step(x));
  }

  private place(id: string, at: number[]) {
    for (const s of [this.vehicles, this.labels]) (s.getFeatureById(id) as Feature<Point> | null)?.getGeometry()!.setCoordinates(at);
  }

  private get palette() { return this.theme.dark ? darkPalette : lightPalette; }

  private icon(key: string, inner: string, size: number): Icon {
    let i = this.icons.get(key);
    if (!i) { i = new Icon({ src: dataURI(inner, size), rotateWithView: true }); this.icons.set(key, i); }
    return i;
  }

  private isPicked = (kind: Pick["kind"], id: string) => this.picked?.kind === kind && this.picked.id === id;

  private ring(): Style {
    return new Style({ image: new CircleStyle({ radius: 21, fill: new Fill({ color: this.palette.accent + "2e" }), stroke: new Stroke({ color: this.palette.accent, width: 2.2 }) }) });
  }

  private vehicleStyle(f: Feature): Style[] {
    const d = f.get("dot") as VehicleDot | undefined;
    if (!d) return [];
    const turned = d.motion === "moving" || d.motion === "stale";
    const image = this.icon(d.motion + (turned ? Math.round(d.heading / 3) : ""), vehicleShape(d.motion, this.palette), 31);
    if (turned) image.setRotation((Math.round(d.heading / 3) * 3 * Math.PI) / 180);
    const out = [new Style({ image })];
    if (this.isPicked("vehicle", d.id)) out.unshift(this.ring());
    if (d.alarm) out.push(new Style({ image: this.icon("alarm", `<path d="M16 4 29 27H3Z" fill="${this.palette.critical}" stroke="${this.palette.halo}" stroke-width="2.5"/>`, 15), geometry: shifted(f, 11, 11, this.map) }));
    return out;
  }

  private labelStyle(f: Feature, res: number): Style | undefined {
    const d = f.get("dot") as VehicleDot | undefined;
    if (!d) return undefined;
    const p = this.palette;
    const label = res > 110 && !this.isPicked("vehicle", d.id) ? (d.label.split("·")[1] ?? d.label) : d.label; // from afar the number will do
    return new Style({
      zIndex: this.isPicked("vehicle", d.id) ? 2 : 1,
      text: new Text({
        text: d.note ? `${label}\n${d.note}` : label, font: `600 12px ${font}`, offsetY: (this.isPicked("vehicle", d.id) ? 34 : 27) + (d.note ? 5 : 0), padding: [2, 4, 1, 4],
        fill: new Fill({ color: d.motion === "stale" || d.motion === "offline" ? p[d.motion] : p.ink }), backgroundFill: new Fill({ color: this.theme.dark ? "rgba(20,24,27,.82)" : "rgba(255,255,255,.86)" }),
      }),
    });
  }

  private placeStyle(f: Feature, res: number): Style[] {
    const p = this.palette, d = f.get("dot") as LockerDot | undefined;
    const text = (label: string, dy: number) => (res > 60 ? undefined : new Text({ text: label, font: `600 11.5px ${font}`, offsetY: dy, fill: new Fill({ color: p.accent }), stroke: new Stroke({ color: p.halo, width: 3 }) }));
    if (!d) return [new Style({ image: this.icon("wh", warehouseShape(p), 30), text: text(String(f.get(this.theme.lang)), 22) })];
    const out = [new Style({ image: this.icon("lk" + d.online, lockerShape(d.online, p), 20), text: text(d.label, 18) })];
    if (this.isPicked("locker", d.id)) out.unshift(this.ring());
    return out;
  }

  private trailStyle(f: Feature): Style {
    const fade = Math.round(235 - 190 * Number(f.get("age"))).toString(16).padStart(2, "0");
    return new Style({ stroke: new Stroke({ color: this.palette.stopped + fade, width: 4, lineCap: "round", lineDash: f.get("gap") ? [2, 8] : undefined }) });
  }
}

function shifted(f: Feature, dx: number, dy: number, map: OLMap): Point {
  const c = (f.getGeometry() as Point).getCoordinates(), r = map.getView().getResolution() ?? 1;
  return new Point([c[0]! + dx * r, c[1]! + dy * r]);
}
