// How quickly a visitor's training begins, how fast it goes, and whether the page answers meanwhile.

import { readFile } from 'node:fs/promises';
import { countCalls } from '../peers/calls.js';
import { playAtOnce, reportCalls } from './inside.js';
import { sleep, stepsTaken, withBrowser } from './browser.js';
import { median, quantile, round } from './numbers.js';

const LOADS = 3;
const WATCHED = 10_000;
const KEYS = 60;
/** Steps after which memory is looked at: `--thorough` sees what an hour of a slow machine would show. */
const LIVED = process.env.KLIMB_BENCH_THOROUGH ? [100, 1000, 5000, 10_000] : [100, 300, 600];
/** The rarest evaluations and one chunk of pairs: what is left is training. */
const STEPS_ONLY = { evaluate_every: 1000, pairs: 192 };

/** Milliseconds from navigation to the first step, play being pressed at once: first visit, and once more. */
export const firstStep = (backend) => withBrowser(async (open) => {
  const load = async () => {
    const page = await open({ backend }, playAtOnce);
    await stepsTaken(page, 'Dpo', 1);
    const after = await page.evaluate(() => window.klimbSeen.first.Dpo);
    await page.close();
    return after;
  };
  const cold = await load();
  const warm = [];
  for (let i = 0; i < LOADS; i += 1) warm.push(await load());
  return { cold_ms: round(cold), warm_ms: round(median(warm)) };
});

/** Steps a second of `stage` over some seconds, once it goes. */
async function rate(page, stage) {
  await stepsTaken(page, stage, 3);
  const now = () => page.evaluate((name) => [performance.now(), window.klimbSeen.steps[name]], stage);
  const [began, before] = await now();
  // Whole reports only: on a slow adapter some seconds hold few steps.
  await sleep(WATCHED);
  await stepsTaken(page, stage, before + 1);
  const [ended, after] = await now();
  return round((1000 * (after - before)) / (ended - began), 2);
}

/** A page that trains SFT anew. */
async function openSft(open, backend) {
  const page = await open({ backend });
  for (const button of ['#play', '#retrain']) await page.waitForSelector(`${button}:not([disabled])`);
  await page.click('#retrain');
  await page.click('#play');
  return page;
}

/** Steps a second of DPO and SFT: as the page comes, and with nothing but steps. */
export const speed = (backend) => withBrowser(async (open) => {
  const dpo = async (query) => {
    const page = await open({ backend, ...query }, playAtOnce);
    const steps = await rate(page, 'Dpo');
    await page.close();
    return steps;
  };
  const sft = async () => rate(await openSft(open, backend), 'Sft');
  return {
    dpo_as_it_comes: await dpo({}),
    dpo_steps_only: await dpo(STEPS_ONLY),
    sft: await sft(),
  };
});

/** Whether the page answers while DPO trains: keys that move β until the number shows, the engine's answer, frames. */
export const answers = (backend) => withBrowser(async (open) => {
  const page = await open({ backend }, playAtOnce);
  await stepsTaken(page, 'Dpo', 3);
  await page.evaluate(() => Object.assign(window.klimbSeen, { frames: [], keys: [], acknowledged: [] }));
  await sleep(WATCHED);
  const frames = await page.evaluate(() => window.klimbSeen.frames);
  for (let i = 0; i < KEYS; i += 1) {
    await page.keyboard.press(i % 2 ? 'ArrowLeft' : 'ArrowRight');
    await sleep(100);
  }
  const { keys, acknowledged } = await page.evaluate(() => window.klimbSeen);
  const gaps = frames.slice(1).map((time, i) => time - frames[i]);
  return {
    keys: keys.length,
    key_to_dom_p95_ms: round(quantile(keys, 0.95)),
    key_to_dom_median_ms: round(median(keys)),
    order_to_engine_p95_ms: round(quantile(acknowledged, 0.95)),
    frames_per_second: round((1000 * gaps.length) / (frames.at(-1) - frames[0])),
    longest_frame_ms: round(Math.max(...gaps)),
  };
});

/** Renderer processes of `browser`, resident megabytes in all: WebAssembly's memory, which no heap counts, is in there. */
async function resident(browser) {
  const session = await browser.target().createCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  const sizes = await Promise.all(processInfo.filter(({ type }) => type === 'renderer').map(async ({ id }) => {
    const status = await readFile(`/proc/${id}/status`, 'utf8').catch(() => '');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
  }));
  return round(sizes.reduce((total, size) => total + size, 0) / 1024);
}

/**
 * What page and worker hold after more and more steps: JavaScript heaps and resident memory in megabytes, elements of
 * the document and listeners on them.
 */
export const memory = (backend) => withBrowser(async (open, browser) => {
  const page = await open({ backend, ...STEPS_ONLY }, playAtOnce);
  await stepsTaken(page, 'Dpo', 1);
  const [worker] = page.workers();
  const session = await page.createCDPSession();
  const used = async (client) => {
    await client.send('HeapProfiler.collectGarbage');
    return round((await client.send('Runtime.getHeapUsage')).usedSize / 2 ** 20, 2);
  };
  const after = [];
  for (const steps of LIVED) {
    await stepsTaken(page, 'Dpo', steps);
    const heaps = { page_mb: await used(session), worker_mb: await used(worker.client) };
    const { Nodes: nodes, JSEventListeners: listeners } = await page.metrics();
    after.push({ steps, ...heaps, resident_mb: await resident(browser), nodes, listeners });
  }
  return after;
});

const COUNTED = ['dispatches', 'passes', 'submits', 'writes', 'readbacks', 'bind groups', 'buffers'];

/** Calls of WebGPU a step of `stage`, between two reports that lie some steps apart. */
async function callsPerStep(page, least) {
  const [worker] = page.workers();
  await worker.evaluate(`(${reportCalls})((${countCalls})(...${JSON.stringify(COUNTED)}))`);
  const reports = async () => {
    for (;;) {
      const all = await worker.evaluate(() => self.klimbReports);
      if (all.slice(1).reduce((steps, report) => steps + report.steps, 0) >= least) return all;
      await sleep(200);
    }
  };
  const [first, ...later] = await reports();
  const steps = later.reduce((total, report) => total + report.steps, 0);
  const last = later.at(-1).calls;
  const each = Object.entries(last).map(([name, count]) => [name, round((count - first.calls[name]) / steps, 2)]);
  return { steps, reports: later.length, ...Object.fromEntries(each) };
}

/** What a step of DPO and of SFT asks of WebGPU, the engine's reports included. */
export const calls = () => withBrowser(async (open) => {
  const dpo = await open({ backend: 'gpu', ...STEPS_ONLY }, playAtOnce);
  await stepsTaken(dpo, 'Dpo', 3);
  const counted = { dpo: await callsPerStep(dpo, 20) };
  await dpo.close();
  const sft = await openSft(open, 'gpu');
  await stepsTaken(sft, 'Sft', 3);
  return { ...counted, sft: await callsPerStep(sft, 20) };
});
