// Keeps the shell of /run/, so that it opens without a link. What a courier does is kept by the page (db.ts), not here.
// The build puts the files of the page into FILES and their digest into VERSION.
const FILES = ["__FILES__"];
const VERSION = "__VERSION__";
const cacheName = "run-" + VERSION;

self.addEventListener("install", (e) => {
  e.waitUntil(caches.open(cacheName).then((c) => c.addAll(FILES.map((f) => new Request(f, { cache: "reload" })))));
});

// A page that is open keeps the version that it began with: the new one waits until it is asked in.
self.addEventListener("message", (e) => { if (e.data === "now") void self.skipWaiting(); });

self.addEventListener("activate", (e) => {
  e.waitUntil((async () => {
    for (const name of await caches.keys()) if (name.startsWith("run-") && name !== cacheName) await caches.delete(name);
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (e) => {
  const url = new URL(e.request.url);
  if (e.request.method !== "GET" || url.origin !== self.location.origin) return;
  const file = url.pathname === "/run" ? "/run/" : url.pathname;
  if (!FILES.includes(file)) return; // the API's, and everybody else's
  e.respondWith(caches.open(cacheName).then(async (c) => (await c.match(file, { ignoreVary: true })) ?? fetch(e.request)));
});
