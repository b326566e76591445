// The engine's thread: hands every message to src/engine/worker once the module is there, which is the first one.
import init, { Worker } from "../pkg/klimb.js";

let take;
const module = new Promise((resolve) => { take = resolve; });
const worker = module.then((module_or_path) => init({ module_or_path })).then(() => new Worker());
// Whoever made this worker is told of an error, but not of a promise that nobody awaits.
self.addEventListener("unhandledrejection", ({ reason }) => { throw reason; });
self.onmessage = async ({ data }) => {
  if (data instanceof WebAssembly.Module) take(data);
  else (await worker).receive(data);
};
