// Keeps the page for when there is no network. `cargo xtask build` puts this file beside index.html and, in front of it,
// VERSION, a hash of everything shipped, and FILES, which those are. The network is asked first, so that a new build is
// seen at once and never mixed with an old one; the cache answers where the network does not.
const OURS = `klimb ${registration.scope} `; // a host may have several pages of Klimb
const CACHE = OURS + VERSION;

const keep = async () => {
  const cache = await caches.open(CACHE);
  for (const file of FILES) {
    const answer = await fetch(new Request(file, { cache: "no-cache", priority: "low" }));
    if (!answer.ok) throw new Error(`${file}: ${answer.status}`);
    // A host that leaves out `.html` answers from another address, and no browser shows an answer that was redirected as
    // a page: what is kept is a copy that was not.
    await cache.put(file, answer.redirected ? new Response(answer.body, answer) : answer);
  }
};
const forgetOthers = async () => {
  const others = (await caches.keys()).filter((name) => name.startsWith(OURS) && name !== CACHE);
  await Promise.all(others.map((name) => caches.delete(name)));
  await clients.claim();
};
const kept = async (request, trouble) => {
  const cache = await caches.open(CACHE);
  // A page may be asked for by more names than it has been kept by: without `.html`, or as that of its folder.
  const path = new URL(request.url).pathname;
  const names = request.mode === "navigate" ? [request, `${path}.html`, `${path}index.html`, "./"] : [request];
  const found = await Promise.all(names.map((name) => cache.match(name, { ignoreSearch: true })));
  const answer = found.find(Boolean);
  if (!answer) throw trouble;
  return answer;
};

self.addEventListener("install", (event) => {
  skipWaiting();
  event.waitUntil(keep());
});
self.addEventListener("activate", (event) => event.waitUntil(forgetOthers()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(registration.scope)) return;
  event.respondWith(fetch(request).catch((trouble) => kept(request, trouble)));
});
