// The engine's thread: hands every message to src/engine/worker.rs once the module is there.
import init, { Worker } from "../pkg/klimb.js";

const worker = init().then(() => new Worker());
// Whoever made this worker is told of an error, but not of a promise that nobody awaits.
self.addEventListener("unhandledrejection", ({ reason }) => { throw reason; });
self.onmessage = async (message) => (await worker).receive(message.data);
