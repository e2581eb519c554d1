// The county's terrain, water, roads and names, drawn from GeoJSON: no tiles, no glyph server.
import { Feature } from "ol";
import GeoJSON from "ol/format/GeoJSON";
import VectorLayer from "ol/layer/Vector";
import VectorImageLayer from "ol/layer/VectorImage";
import VectorSource from "ol/source/Vector";
import { Fill, Stroke, Style, Text } from "ol/style";
import CircleStyle from "ol/style/Circle";
import type { FeatureLike } from "ol/Feature";
import type { Feature as JSONFeature } from "./types";

export const font = '"PingFang SC","Microsoft YaHei","Noto Sans CJK SC","WenQuanYi Micro Hei",system-ui,sans-serif';

interface Ground { outside: string; land: string; bands: string[]; water: string; waterText: string; road: string; casing: string; border: string; text: string; soft: string; halo: string; dot: string }

const lightGround: Ground = {
  outside: "#eceee8", land: "#e7eedb", bands: ["#e2e9d1", "#dfe4c8", "#dedec2", "#ddd8bd", "#dad1b7", "#d7cab2", "#d4c4ae"],
  water: "#8fbfd6", waterText: "#3d7391", road: "#fffdf6", casing: "#b9b39c", border: "#8a8f7c", text: "#2b362f", soft: "#5d6a60", halo: "rgba(250,250,244,.88)", dot: "#7d877c",
};
const darkGround: Ground = {
  outside: "#101417", land: "#1a221f", bands: ["#1d2622", "#212a24", "#262e26", "#2c3228", "#32362b", "#393a2f", "#403f33"],
  water: "#2c566b", waterText: "#7fb0c6", road: "#5b6259", casing: "#161b19", border: "#5c675d", text: "#dbe3dc", soft: "#98a69b", halo: "rgba(16,20,23,.85)", dot: "#77837a",
};

export function basemap(features: JSONFeature[], dark: boolean, lang: "zh" | "en") {
  const g = dark ? darkGround : lightGround;
  const all = new GeoJSON().readFeatures({ type: "FeatureCollection", features }, { featureProjection: "EPSG:3857" }) as Feature[];
  const order: Record<string, number> = { boundary: 0, terrain: 1, river: 2, road: 3 };
  const ground = all.filter((f) => String(f.get("kind")) in order);
  const names = all.filter((f) => f.get("kind") === "village" || f.get("kind") === "township");
  const label = (f: FeatureLike) => String(f.get("name_" + lang) ?? f.get("name_zh") ?? "");

  const groundLayer = new VectorImageLayer({
    source: new VectorSource({ features: ground }),
    imageRatio: 1.4,
    renderOrder: (a, b) => rank(a) - rank(b),
    style: (f, res) => groundStyle(f, res, g),
  });
  const rank = (f: FeatureLike) => {
    const kind = String(f.get("kind"));
    return (order[kind] ?? 9) * 100 + (kind === "terrain" ? Number(f.get("band")) : kind === "road" ? 10 - roadWeight(f) : 0);
  };
  const border = new VectorLayer({
    source: new VectorSource({ features: ground.filter((f) => f.get("kind") === "boundary") }),
    style: new Style({ stroke: new Stroke({ color: g.border, width: 1.4, lineDash: [7, 4, 1.5, 4] }) }),
  });
  const rivers = new VectorLayer({
    source: new VectorSource({ features: ground.filter((f) => f.get("kind") === "river") }),
    declutter: "ground",
    style: (f, res) => (Number(f.get("order")) > 2 && res > 40 ? undefined : new Style({
      text: new Text({ text: label(f), placement: "line", font: `italic 11.5px ${font}`, fill: new Fill({ color: g.waterText }), stroke: new Stroke({ color: g.halo, width: 2.5 }), maxAngle: 0.9, repeat: 700 }),
    })),
  });
  const nameLayer = new VectorLayer({ source: new VectorSource({ features: names }), declutter: "ground", style: (f, res) => nameStyle(f, res, g, label(f)) });
  return { layers: [groundLayer, border, rivers, nameLayer], outside: g.outside, bounds: border.getSource()!.getExtent() };
}

const roadWeight = (f: FeatureLike) => ({ main: 3, township: 2, lane: 1 })[String(f.get("class"))] ?? 1;

function groundStyle(f: FeatureLike, res: number, g: Ground): Style[] | Style | undefined {
  switch (f.get("kind")) {
    case "boundary":
      return new Style({ fill: new Fill({ color: g.land }) });
    case "terrain":
      return new Style({ fill: new Fill({ color: g.bands[Math.min(g.bands.length, Number(f.get("band"))) - 1] ?? g.land }) });
    case "river": {
      const w = ([0, 4.2, 2.6, 1.5][Number(f.get("order"))] ?? 1.5) * zoomed(res);
      return new Style({ stroke: new Stroke({ color: g.water, width: w, lineCap: "round", lineJoin: "round" }) });
    }
    case "road": {
      const weight = roadWeight(f);
      if (weight === 1 && res > 75) return undefined;
      const w = [0, 1.1, 2.1, 3.4][weight]! * zoomed(res);
      return [
        new Style({ stroke: new Stroke({ color: g.casing, width: w + 1.3, lineCap: "round", lineJoin: "round" }), zIndex: weight }),
        new Style({ stroke: new Stroke({ color: g.road, width: w, lineCap: "round", lineJoin: "round" }), zIndex: weight + 5 }),
      ];
    }
  }
  return undefined;
}

const zoomed = (res: number) => Math.min(2.6, Math.max(0.75, Math.sqrt(45 / res)));

function nameStyle(f: FeatureLike, res: number, g: Ground, text: string): Style | undefined {
  const town = f.get("kind") === "township";
  if (!town && res > 34) return res > 62 ? undefined : new Style({ image: new CircleStyle({ radius: 1.5, fill: new Fill({ color: g.dot }), declutterMode: "none" }) });
  const seat = Boolean(f.get("seat"));
  return new Style({
    zIndex: seat ? 3 : town ? 2 : 1,
    image: new CircleStyle({
      radius: seat ? 4.2 : town ? 3 : 1.9, declutterMode: "none",
      fill: new Fill({ color: town ? g.halo : g.dot }), stroke: town ? new Stroke({ color: g.text, width: seat ? 2.2 : 1.5 }) : undefined,
    }),
    text: new Text({
      text, offsetY: town ? -13 : -9, font: `${seat ? "700 14px" : town ? "600 12.5px" : "11px"} ${font}`,
      fill: new Fill({ color: town ? g.text : g.soft }), stroke: new Stroke({ color: g.halo, width: 3.2 }),
    }),
  });
}
