// Runs one library in a page of its own: first to see that it computes what the others do, then for as long as told.

import { countCalls } from './calls.js';
import { SIZES, batches, initial, prompts } from './problem.js';

const LOSSES = 4;

/** The work that is compared: its first results, for the comparison, and how it is done once more. */
const WORKS = {
  async step(library, problem) {
    const step = await library.step(problem);
    const first = [await step(0)];
    const firstTime = performance.now();
    while (first.length < LOSSES) first.push(await step(first.length));
    return { first, firstTime, again: (i) => step(LOSSES + i) };
  },
  async rollout(library, problem) {
    const rollout = await library.rollout(problem);
    const first = [...await rollout(0, 0)];
    const firstTime = performance.now();
    await rollout(0, 1);
    return { first, firstTime, again: (i) => rollout(1 + i, 1) };
  },
};

/** Lays `begin` and `round` where the driver calls them; `library` has a `step` and a `rollout`. */
export function offer(library) {
  const calls = countCalls('dispatches', 'passes', 'submits', 'readbacks');
  let again;
  let done = 0;
  /** Opens a subject. Its first results are losses before each of four steps, or the likeliest tokens of a rollout. */
  window.begin = async ({ work, size: name, backend }) => {
    const size = SIZES[name];
    const parameters = initial(size);
    const problem = { size, backend, parameters, batches: batches(size), prompts: prompts(size) };
    const { first, firstTime, again: repeat } = await WORKS[work](library, problem);
    again = repeat;
    return { first, firstTime };
  };
  /** Repeats it for some seconds, at least once: milliseconds of each, and the calls of WebGPU that each made. */
  window.round = async (seconds) => {
    const times = [];
    const before = { ...calls };
    const end = performance.now() + 1000 * seconds;
    while (times.length < 1 || performance.now() < end) {
      const start = performance.now();
      await again(done);
      times.push(performance.now() - start);
      done += 1;
    }
    const each = Object.entries(calls).map(([name, count]) => [name, (count - before[name]) / times.length]);
    return { times, calls: Object.fromEntries(each) };
  };
}
