// Klimb itself, as `wasm-pack` built it from klimb/.

import init, { Shape, Trainer } from '/klimb/klimb_peer.js';

export async function open({ size, backend, parameters, batches }) {
  await init();
  const { vocabulary, length, width, layers, heads, batch } = size;
  const flat = new Float32Array(parameters.reduce((sum, { values }) => sum + values.length, 0));
  let offset = 0;
  for (const { values } of parameters) {
    flat.set(values, offset);
    offset += values.length;
  }
  const trainer = await Trainer.open(backend === 'webgpu', new Shape(vocabulary, length, width, layers, heads, batch), flat);
  return (i) => {
    const { inputs, targets } = batches[i % batches.length];
    return trainer.step(Uint32Array.from(inputs), Uint32Array.from(targets));
  };
}
