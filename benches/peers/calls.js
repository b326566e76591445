// Counts calls of WebGPU from outside of whatever makes them. The benchmarks of the page send this into a worker as text,
// so it stands alone.

/** Wraps the prototypes that calls of those names go through. The numbers grow from then on. */
export function countCalls(...names) {
  const calls = {};
  const through = {
    dispatches: [GPUComputePassEncoder, 'dispatchWorkgroups'],
    passes: [GPUCommandEncoder, 'beginComputePass'],
    submits: [GPUQueue, 'submit'],
    writes: [GPUQueue, 'writeBuffer'],
    readbacks: [GPUBuffer, 'mapAsync'],
    'bind groups': [GPUDevice, 'createBindGroup'],
    buffers: [GPUDevice, 'createBuffer'],
  };
  for (const name of names) {
    const [{ prototype }, method] = through[name];
    const original = prototype[method];
    calls[name] = 0;
    prototype[method] = function counted(...options) {
      calls[name] += 1;
      return original.apply(this, options);
    };
  }
  return calls;
}
