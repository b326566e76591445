// What only JavaScript has: the workers, the listeners and the animation frame. Everything else is in src/page/.
import init, { Page } from "../pkg/klimb.js";

const engine = () => new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const worker = engine();
// Another one, for runs beside the first one's.
const hire = (number) => {
  const hand = engine();
  hand.onmessage = (message) => page.heard(number, message.data);
  hand.onerror = hand.onmessageerror = () => page.lost(number);
  return hand;
};

// A page in another language than English brings its texts along; without them it speaks English.
const { lang } = document.documentElement;
const texts = async () => (await fetch(new URL(`languages/${lang}.json`, import.meta.url))).json();
const [words] = await Promise.all([lang === "en" ? {} : texts().catch(() => ({})), init()]);
const page = new Page((order) => worker.postMessage(order), hire, words);
worker.onmessage = (message) => page.receive(message.data);
worker.onmessageerror = () => page.broken("a message could not be read");
// The first message says that the engine is there: only then are the files kept for a visit without a network. Where a
// browser forbids that, the page is as it was.
const keep = () => navigator.serviceWorker?.register(new URL("../service-worker.js", import.meta.url)).catch(() => {});
worker.addEventListener("message", keep, { once: true });
worker.onerror = (error) => page.broken(error.message ?? "the worker could not be loaded");

for (const kind of ["click", "input", "change", "submit", "keydown", "pointermove", "pointerout"]) {
  document.addEventListener(kind, (event) => page.input(event));
}
// The page itself moves the focus too, and takes up no event while it is at work.
document.addEventListener("focusin", (event) => queueMicrotask(() => page.input(event)));
// A checkpoint is far smaller: of a huge file, the beginning is enough to refuse it.
const LARGEST = 2 ** 26;
const load = (chosen) => chosen?.slice(0, LARGEST).arrayBuffer()
  .then((bytes) => page.load(chosen.name, new Uint8Array(bytes)), (error) => page.unreadable(error.message));
const chooser = document.querySelector("#load-sft");
chooser.addEventListener("change", () => {
  load(chooser.files[0]);
  chooser.value = ""; // so that the same file can be chosen again
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  load(event.dataTransfer.files[0]);
});
addEventListener("resize", () => page.redraw());
document.addEventListener("visibilitychange", () => page.turned(document.hidden));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => page.redraw());

const draw = () => {
  page.frame();
  requestAnimationFrame(draw);
};
requestAnimationFrame(draw);

page.start();
