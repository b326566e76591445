// The engine's thread: hands every message to src/engine/worker once the module is there, which is the first one.
import init, { Worker } from "../pkg/klimb.js";

let take;
const module = new Promise((resolve) => { take = resolve; });
const worker = module.then((module_or_path) => init({ module_or_path })).then(() => new Worker());
// Whoever made this worker is told of an error, but not of a promise that nobody awaits.
self.addEventListener("unhandledrejection", ({ reason }) => { throw reason; });
// Held for as long as this worker lives: whoever made it waits for this lock, to learn of its end.
navigator.locks?.request(self.name, () => new Promise(() => self.postMessage("locked")))?.catch(() => {});
self.onmessage = async ({ data }) => {
  if (data instanceof WebAssembly.Module) take(data);
  else (await worker).receive(data);
};
