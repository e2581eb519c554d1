// The live stream, read with fetch and not EventSource: heartbeats are seen, so a dead link is noticed
// after two of them, and an ended session is told from a lost network.
import { base } from "./api";

export interface Sink {
  event(kind: string, data: string): void;
  alive(): void; // anything came, a heartbeat too
  up(): void;
  down(): void;
  denied(): void;
}

const quiet = 35_000; // two heartbeats and a little

export function openStream(sink: Sink): () => void {
  let lastID = "";
  let ended = false;
  let abort = new AbortController();
  let pause = 500;
  let hurry: (x?: unknown) => void = () => {};

  async function once() {
    abort = new AbortController();
    let watch = setTimeout(() => abort.abort(), quiet);
    try {
      const r = await fetch(base + "/stream", { signal: abort.signal, cache: "no-store", credentials: "same-origin", headers: lastID ? { "Last-Event-ID": lastID } : {} });
      if (r.status === 401) { ended = true; sink.denied(); return; }
      if (!r.ok || !r.body) throw new Error(String(r.status));
      sink.up();
      pause = 500;
      const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
      const parse = parser((id, kind, data) => { if (id) lastID = id; if (data) sink.event(kind, data); });
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(watch);
        watch = setTimeout(() => abort.abort(), quiet);
        sink.alive();
        parse(value);
      }
    } finally {
      clearTimeout(watch);
    }
  }

  async function run() {
    while (!ended) {
      try { await once(); } catch { /* told below */ }
      if (ended) return;
      sink.down();
      await new Promise((r) => { hurry = r; setTimeout(r, pause * (0.75 + Math.random() / 2)); });
      pause = Math.min(pause * 2, 8000);
    }
  }
  // The browser knows of a pulled plug long before two heartbeats are missed.
  window.addEventListener("offline", () => abort.abort());
  window.addEventListener("online", () => { pause = 500; hurry(); });
  void run();
  return () => { ended = true; abort.abort(); };
}

/** Splits the bytes of a stream into events (HTML Living Standard, section 9.2.6). */
export function parser(emit: (id: string, kind: string, data: string) => void): (chunk: string) => void {
  let rest = "", id = "", kind = "message", data: string[] = [];
  return (chunk) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line === "") {
        if (data.length > 0 || id) emit(id, kind, data.join("\n"));
        id = ""; kind = "message"; data = [];
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "id") id = value;
      else if (field === "event") kind = value;
      else if (field === "data") data.push(value);
    }
  };
}
