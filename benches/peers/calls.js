// Counts a page's calls of WebGPU from outside of the library that makes them.

/** Wraps the prototypes that such calls go through. The numbers grow from then on. */
export function countCalls() {
  const calls = {};
  const count = (owner, method, name) => {
    const original = owner.prototype[method];
    calls[name] = 0;
    owner.prototype[method] = function counted(...options) {
      calls[name] += 1;
      return original.apply(this, options);
    };
  };
  count(GPUComputePassEncoder, 'dispatchWorkgroups', 'dispatches');
  count(GPUCommandEncoder, 'beginComputePass', 'passes');
  count(GPUQueue, 'submit', 'submits');
  count(GPUBuffer, 'mapAsync', 'readbacks');
  return calls;
}
