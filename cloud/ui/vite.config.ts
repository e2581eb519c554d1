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

export default defineConfig({
  plugins: [compressed()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: dist,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  server: { proxy: { "/api": "http://127.0.0.1:8080", "/session": "http://127.0.0.1:8080" } },
});
