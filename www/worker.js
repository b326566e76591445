// The engine's thread: hands every message to src/engine/worker.rs once the module is there.
import init, { Worker } from "../pkg/klimb.js";

const worker = init().then(() => new Worker());
self.onmessage = async (message) => (await worker).receive(message.data);
