// Runs one library in a page of its own: the first steps for their losses, then as many as fit into some seconds.

import { SIZES, batches, initial } from './problem.js';

const LOSSES = 4;
const FEWEST = 3;
const SECONDS = 8;

/** Measures what `open` of a library gives, as the address says, and leaves the outcome where the driver looks for it. */
export async function measure(open) {
  const query = new URLSearchParams(location.search);
  const [size, backend] = [SIZES[query.get('size')], query.get('backend')];
  try {
    const step = await open({ size, backend, parameters: initial(size), batches: batches(size) });
    const losses = [await step(0)];
    const firstStep = performance.now();
    while (losses.length < LOSSES) losses.push(await step(losses.length));
    const times = [];
    const end = performance.now() + 1000 * SECONDS;
    while (times.length < FEWEST || performance.now() < end) {
      const start = performance.now();
      await step(LOSSES + times.length);
      times.push(performance.now() - start);
    }
    window.outcome = { losses, times, first_step_ms: firstStep };
  } catch (error) {
    window.outcome = { error: String(error.stack ?? error) };
  }
}
