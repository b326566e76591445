// Measures the served page and writes what it found as JSON. `cargo xtask bench page` builds and serves the page and
// says by the environment where it is (KLIMB_URL, KLIMB_DIST), which browser there is (KLIMB_CHROMIUM) and where the
// numbers go (KLIMB_BENCH_JSON). Nothing is asserted.

import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import { withBrowser } from './browser.js';
import { bytes } from './bytes.js';
import { answers, calls, firstStep, memory, speed } from './training.js';

const SUBJECTS = {
  bytes,
  'first step, cpu': () => firstStep('cpu'),
  'first step, gpu': () => firstStep('gpu'),
  'steps a second, cpu': () => speed('cpu'),
  'steps a second, gpu': () => speed('gpu'),
  'answers while training, cpu': () => answers('cpu'),
  'answers while training, gpu': () => answers('gpu'),
  'heap, cpu': () => memory('cpu'),
  'WebGPU calls a step': calls,
};

const adapter = (open) => open({ backend: 'cpu' }).then((page) => page.evaluate(async () => {
  const info = (await navigator.gpu?.requestAdapter())?.info;
  return info && [info.vendor, info.architecture, info.description].filter(Boolean).join(', ');
}));

const machine = await withBrowser(async (open, browser) => ({
  browser: await browser.version(),
  adapter: await adapter(open),
  processors: os.availableParallelism(),
}));
const report = { date: new Date().toISOString().slice(0, 10), machine, results: [] };
for (const [subject, measure] of Object.entries(SUBJECTS)) {
  if (process.argv.length > 2 && !process.argv.slice(2).some((word) => subject.includes(word))) continue;
  const load = Number(os.loadavg()[0].toFixed(2));
  const numbers = await measure();
  report.results.push({ subject, load, numbers });
  // At once, so that a failure costs nothing that was measured before.
  await writeFile(process.env.KLIMB_BENCH_JSON, `${JSON.stringify(report, null, 2)}\n`);
  console.log(subject, numbers);
}
