// What only JavaScript has: the workers, the listeners and the animation frame. Everything else is in src/page/.
import init, { Page } from "../pkg/klimb.js";

// What www/boot.js fetched and compiled, for every instance there will be.
const { module } = window.boot;
const engine = () => {
  const thread = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  module.then((it) => thread.postMessage(it), () => {}); // that it failed is told by www/boot.js
  return thread;
};
// It may fail before there is a page to tell.
let begin;
const begun = new Promise((resolve) => { begin = resolve; });
// One that has died is followed by another, which the page brings to where it was.
let worker;
const employ = () => {
  const own = worker = engine();
  const died = (reason) => begun.then(() => {
    own.terminate();
    if (own !== worker || !page.broken(reason)) return;
    employ();
    page.rebuild();
  });
  own.onmessage = (message) => begun.then(() => page.receive(message.data));
  own.onmessageerror = () => died("a message could not be read");
  own.onerror = (error) => died(error.message || "the worker could not be loaded");
};
employ();
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
const [words] = await Promise.all([lang === "en" ? {} : texts().catch(() => ({})), init({ module_or_path: module })]);
const page = new Page((order) => worker.postMessage(order), hire, words);

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
begin();
