// What only JavaScript has: the workers, the listeners, the animation frame, and a guard around the page's module.
// Everything else is in src/page/.
import init, { Page } from "../pkg/klimb.js";

// The page, but while another is made in its place.
let page;

// What www/boot.js fetched and compiled, for every instance there will be.
const { module, broke, waiting } = window.boot;
const engine = (ended) => {
  const name = `engine ${Math.random()}`;
  const thread = window.boot.employ(name);
  // A worker that ends by itself causes no event, but the lock that it has taken is free then.
  thread.addEventListener("message", (event) => {
    if (event.data !== "locked") return;
    event.stopImmediatePropagation();
    navigator.locks?.request(name, ended)?.catch(() => {});
  });
  module.then((it) => thread.postMessage(it), () => {}); // that it failed is told by www/boot.js
  return thread;
};
// It may fail before there is a page to tell.
let begin;
const begun = new Promise((resolve) => { begin = resolve; });
// One that has died is followed by another, which the page brings to where it was.
let worker;
const employ = () => {
  const own = worker = engine(() => died("the worker has ended"));
  const died = (reason) => begun.then(() => {
    own.terminate();
    if (own !== worker || (page && !call("broken", reason))) return wake();
    employ();
    tell("rebuild");
  });
  own.onmessage = (message) => begun.then(() => tell("receive", message.data));
  own.onmessageerror = () => died("a message could not be read");
  own.onerror = (error) => died(error.message || "the worker could not be loaded");
};
employ();
// Further ones, for runs beside the first one's.
const helpers = new Set();
const spawn = (number) => {
  const helper = engine(() => helpers.delete(helper) && tell("lost", number));
  helper.onmessage = (message) => tell("heard", number, message.data);
  helper.onerror = helper.onmessageerror = () => tell("lost", number);
  helpers.add(helper);
  return helper;
};

// The one way into the module. What comes out of it as an exception, a panic or what a browser threw on the way, leaves
// what was borrowed borrowed, and its memory in doubt: that instance is never called again.
const call = (what, ...given) => {
  try {
    return page?.[what](...given);
  } catch (trouble) {
    makeAnew(trouble);
  }
};
// A frame is asked for when something has happened, and only then.
let asked = 0;
const wake = () => {
  asked ||= requestAnimationFrame(() => { asked = 0; if (call("frame")) wake(); });
};
const tell = (what, ...given) => { call(what, ...given); wake(); };

// What www/boot.js has heard is taken up as soon as there is a page for it: the first, or one in another's place.
const take = window.boot.take = () => { while (page && waiting.length) waiting.shift()(tell, load); };

const post = (order) => worker.postMessage(order);
// Another instance, from the address, the store and what the engine tells once more; training goes on meanwhile. The glue
// holds the instance that it made, so each has a copy of its own. Where it breaks down again and again, that is said.
const MOST = 8; // in a minute
let made = [];
const makeAnew = async (trouble) => {
  console.error(trouble);
  page = undefined;
  for (const helper of helpers) helper.terminate();
  helpers.clear();
  made = [...made.filter((at) => Date.now() - at < 60_000), Date.now()];
  try {
    if (made.length > MOST) throw trouble;
    const glue = await import(`../pkg/klimb.js?${Date.now()}`);
    await glue.default({ module_or_path: module });
    page = new glue.Page(post, spawn, wake, words, String(trouble?.message ?? trouble));
  } catch {
    if (made.length > MOST) {
      document.querySelector("#broken").hidden = false;
      broke(trouble); // where the page never got as far as to speak, nothing else may say that it starts
    } else setTimeout(makeAnew, 100, trouble); // what it stumbled over may be over by then
    return;
  }
  tell("start");
  take();
};
// What breaks down between two calls, in a promise: by a panic, or by what a browser threw through the module.
const isOurs = (trouble) => trouble instanceof WebAssembly.RuntimeError || /^panicked at /.test(trouble?.message)
  || /wasm-function|\[wasm code\]/.test(trouble?.stack);
addEventListener("error", ({ error }) => page && isOurs(error) && makeAnew(error));
addEventListener("unhandledrejection", ({ reason }) => page && isOurs(reason) && makeAnew(reason));

// A page in another language than English brings its texts along; without them it speaks English.
const { lang } = document.documentElement;
const texts = async () => (await (await fetch(new URL(`languages/${lang}.json`, import.meta.url))).json()) ?? {};
const [words] = await Promise.all([lang === "en" ? {} : texts().catch(() => ({})), init({ module_or_path: module })]);
page = new Page(post, spawn, wake, words);

for (const kind of ["pointermove", "pointerout"]) {
  document.addEventListener(kind, (event) => tell("input", event));
}
// The page itself moves the focus too, and takes up no event while it is at work.
document.addEventListener("focusin", (event) => queueMicrotask(() => tell("input", event)));
// What is larger than any file of ours is told by its size, and not read. Of a folder the browser says why it cannot be.
const LARGEST = 2 ** 26;
const read = (file) => (file.size > LARGEST ? file.size
  : file.arrayBuffer().then((bytes) => new Uint8Array(bytes), (error) => error.message));
const load = (files) => Promise.all(files.map(read))
  .then((contents) => { waiting.push(() => tell("load", files.map(({ name }) => name), contents)); take(); });
const chooser = document.querySelector("#load-sft");
chooser.addEventListener("change", () => {
  load([...chooser.files]);
  chooser.value = ""; // so that the same file can be chosen again
});
document.addEventListener("visibilitychange", () => tell("turned", document.hidden));

// Charts are drawn anew for another theme, another size of theirs, and a screen of another resolution, on which neither
// the window nor a canvas need have another size.
const redraw = () => tell("redraw");
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
const sizes = new ResizeObserver(redraw);
for (const canvas of document.querySelectorAll("canvas")) {
  sizes.observe(canvas);
  canvas.addEventListener("contextrestored", redraw); // where a browser took the pixels away
}
const watchResolution = () => matchMedia(`(resolution: ${devicePixelRatio}dppx)`)
  .addEventListener("change", () => { redraw(); watchResolution(); }, { once: true });
watchResolution();
// Not every change of screen is told of.
let resolution = devicePixelRatio;
setInterval(() => resolution !== (resolution = devicePixelRatio) && redraw(), 1000);

tell("start");
take();
begin();
