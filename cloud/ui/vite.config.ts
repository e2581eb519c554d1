import { createHash } from "node:crypto";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Plugin } from "vite";

const dist = new URL("../internal/web/dist", import.meta.url).pathname;

// The server compresses nothing while somebody waits: what a browser takes stands beside each file.
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    closeBundle() {
      for (const e of readdirSync(dist, { recursive: true, withFileTypes: true })) {
        if (!e.isFile() || !/\.(js|css|html|svg)$/.test(e.name)) continue;
        const file = join(e.parentPath, e.name);
        const text = readFileSync(file);
        writeFileSync(file + ".gz", gzipSync(text, { level: 9 }));
        writeFileSync(file + ".br", brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: text.length } }));
      }
      writeFileSync(join(dist, ".gitkeep"), ""); // the folder is in git, so that Go can embed it before a build
    },
  };
}

// The courier's page works without a link: its worker keeps the files that this finds, under a version that is their digest.
function kept(): Plugin {
  return {
    name: "kept",
    apply: "build",
    generateBundle(_, bundle) {
      const files = new Set<string>();
      const add = (name: string) => {
        const chunk = bundle[name];
        if (files.has(name) || chunk?.type !== "chunk") return;
        files.add(name);
        for (const css of chunk.viteMetadata?.importedCss ?? []) files.add(css);
        for (const next of [...chunk.imports, ...chunk.dynamicImports]) add(next);
      };
      for (const c of Object.values(bundle)) if (c.type === "chunk" && c.isEntry && c.name === "run") add(c.fileName);
      const names = [...files].sort();
      const fixed = ["run/index.html", "public/icon.svg", "public/run/manifest.webmanifest", "run/sw.js"].map((f) => readFileSync(new URL(f, import.meta.url)));
      const digest = createHash("sha256").update(names.join("\n")); // each name bears its content's hash
      for (const f of fixed) digest.update(f);
      const all = ["/run/", "/icon.svg", "/run/manifest.webmanifest", ...names.map((n) => "/" + n)];
      const source = fixed[3]!.toString().replace('["__FILES__"]', JSON.stringify(all)).replace("__VERSION__", digest.digest("hex").slice(0, 16));
      this.emitFile({ type: "asset", fileName: "run/sw.js", source });
    },
  };
}

export default defineConfig({
  plugins: [kept(), compressed()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: dist,
    emptyOutDir: true,
    rolldownOptions: { input: { main: "index.html", run: "run/index.html" } },
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  server: { proxy: { "/api": "http://127.0.0.1:8080", "/session": "http://127.0.0.1:8080" } },
});
