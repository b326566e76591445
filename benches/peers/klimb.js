// Klimb itself, as `wasm-pack` built it from klimb/.

import init, { Shape, Trainer, Writer } from '/klimb/klimb_peer.js';
import { ROLLOUT, generator } from './problem.js';

async function opened(Model, { size, backend, parameters }, batch) {
  await init();
  const { vocabulary, length, width, layers, heads } = size;
  const flat = new Float32Array(parameters.reduce((sum, { values }) => sum + values.length, 0));
  let offset = 0;
  for (const { values } of parameters) {
    flat.set(values, offset);
    offset += values.length;
  }
  return Model.open(backend === 'webgpu', new Shape(vocabulary, length, width, layers, heads, batch), flat);
}

export async function step({ batches, ...problem }) {
  const trainer = await opened(Trainer, problem, problem.size.batch);
  return (i) => {
    const { inputs, targets } = batches[i % batches.length];
    return trainer.step(Uint32Array.from(inputs), Uint32Array.from(targets));
  };
}

export async function rollout({ prompts, ...problem }) {
  const writer = await opened(Writer, problem, ROLLOUT.batch);
  const tokens = Uint32Array.from(prompts);
  return (seed, temperature) => {
    const coins = Float32Array.from({ length: ROLLOUT.batch * problem.size.length }, generator(seed));
    return writer.rollout(tokens, coins, temperature);
  };
}
