// What breaks in the middle: the graphics device goes, the engine's worker dies. Whenever it happens, every point that was
// measured stays, the page says what happened and what to do, and training goes on. Five of each, at moments that a seed
// names; KLIMB_FAULTS asks for more, KLIMB_SEED for others.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PATIENT, drawn, ready, text, visit } from './harness.js';

const TIMES = Number(process.env.KLIMB_FAULTS ?? 5);
const SEED = Number(process.env.KLIMB_SEED ?? 1);
const QUICK = 'evaluation_samples=64&batch_size=8&pairs=192&evaluate_every=2&width=32';
const WITH_GPU = { url: `${process.env.KLIMB_URL}?${QUICK}&backend=gpu`, expected: /destroyed|Device|GPU|WebGPU/i };
/** After so many the page is opened anew: it keeps every point, and drawing thousands takes its time. */
const A_VISIT = 10;
const KILLED = 'killed by a test';
const WITHOUT = { url: `${process.env.KLIMB_URL}?${QUICK}`, expected: new RegExp(KILLED) };

/** Numbers below 1, the same for the same seed (mulberry32). */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The rows of the table of points, without what may be drawn anew. */
const rows = (page) => page.$$eval('#frontier-rows tr', (all) => all.map(({ cells }) => [...cells].map((cell) => cell.textContent).join(' | ')));
const isOfDpo = (row) => row.startsWith('DPO');

/** Plays until so many points more are there. */
async function trained(page, more) {
  await drawn(page);
  const before = (await rows(page)).filter(isOfDpo).length;
  if (await text(page, '#play') === 'Play') await page.click('#play');
  await page.waitForFunction(
    (count) => [...document.querySelectorAll('#frontier-rows tr')].filter((row) => row.textContent.startsWith('DPO')).length >= count,
    PATIENT,
    before + more,
  );
}

/** The numbers of times that each visit is harmed. */
const visits = () => Array.from({ length: Math.ceil(TIMES / A_VISIT) }, (_, done) => Math.min(A_VISIT, TIMES - done * A_VISIT));

/** Lets `harm` happen at some moment of training, and insists on what is right after it. */
async function survived(page, moment, harm, told) {
  await trained(page, 1);
  await new Promise((resolve) => { setTimeout(resolve, moment * 1500); });
  // What was said of the fault before must not be taken for what is said of this one.
  await page.$eval('#failure', (it) => { if (!it.hidden) it.querySelector('#failure-dismiss').click(); });
  await page.waitForSelector('#failure', { ...PATIENT, hidden: true });
  const before = (await rows(page)).filter(isOfDpo);
  await harm();
  await page.waitForSelector('#failure', { ...PATIENT, visible: true });
  await page.waitForFunction((words) => document.querySelector('#failure-sentence').textContent.includes(words), PATIENT, told);
  await ready(page);
  assert.match(await text(page, '#failure-remedy'), /Press Play/, 'it says what to do');
  const after = (await rows(page)).filter(isOfDpo);
  // A point that came meanwhile may stand there too, and what stood there stands there still.
  const times = (all, row) => all.filter((other) => other === row).length;
  for (const row of before) {
    assert.ok(times(after, row) >= times(before, row), `a point is lost: ${row}\n${after.join('\n')}`);
  }
  await trained(page, 1);
}

test(`${TIMES} times the graphics device goes at some moment`, async () => {
  const next = random(SEED);
  for (const times of visits()) await visit('Chromium with WebGPU', async (page) => {
    // A worker that has just begun may not know the interface yet, and one of the page before the reload may be gone.
    const watch = async (worker) => {
      for (const end = Date.now() + PATIENT.timeout; Date.now() < end && page.workers().includes(worker);) {
        const isWatched = await worker.evaluate(() => {
          if (typeof GPUAdapter === 'undefined') return false;
          const request = GPUAdapter.prototype.requestDevice;
          GPUAdapter.prototype.requestDevice = async function requestDevice(...options) {
            self.klimbDevice = await request.apply(this, options);
            return self.klimbDevice;
          };
          return true;
        }).catch(() => false);
        if (isWatched) return;
      }
    };
    const opened = [];
    page.on('workercreated', (worker) => opened.push(watch(worker)));
    await page.reload();
    await Promise.all(opened);
    await ready(page);
    const runsOn = async (backend, badge) => {
      await page.select('#backend', backend);
      await page.waitForFunction((words) => document.querySelector('#badge').textContent.includes(words), PATIENT, badge);
      await ready(page);
    };
    // A device that was asked for before the worker was watched is not known: another is asked for then.
    const isKnown = () => page.workers()[0].evaluate(() => Boolean(self.klimbDevice));
    for (let time = 0; time < times; time += 1) {
      for (let tries = 0; tries < 20 && !await isKnown(); tries += 1) {
        await runsOn('cpu', 'Runs on the CPU');
        await runsOn('gpu', 'Runs on the GPU');
      }
      assert.match(await text(page, '#badge'), /Runs on the GPU/, 'it computes on the graphics device');
      await survived(page, next(), () => page.workers()[0].evaluate(() => self.klimbDevice.destroy()), 'The graphics device was lost; DPO is back at step');
      assert.match(await text(page, '#badge'), /CPU/);
      assert.equal(await page.$eval('#backend', (it) => it.value), 'cpu', 'what runs is chosen');
      const before = (await rows(page)).filter(isOfDpo);
      await runsOn('gpu', 'Runs on the GPU');
      // Another device costs no point, and nothing starts over.
      assert.match(await text(page, '#state-dpo'), /step [1-9]/);
      assert.deepEqual((await rows(page)).filter(isOfDpo).slice(0, before.length), before);
    }
    // Where nothing trains no read fails: the device itself tells, and nothing has to be pressed to learn of it.
    await trained(page, 1);
    if (await text(page, '#play') === 'Pause') await page.click('#play');
    await page.waitForFunction(() => document.querySelector('#play').textContent === 'Play' && document.querySelector('#work').hidden, PATIENT);
    await page.$eval('#failure', (it) => { if (!it.hidden) it.querySelector('#failure-dismiss').click(); });
    await page.waitForSelector('#failure', { ...PATIENT, hidden: true });
    await new Promise((resolve) => { setTimeout(resolve, 500); });
    const before = (await rows(page)).filter(isOfDpo);
    await page.workers()[0].evaluate(() => self.klimbDevice.destroy());
    await page.waitForFunction(() => document.querySelector('#failure-sentence').textContent.includes('The graphics device was lost; DPO is back at step'), { timeout: 20_000 });
    await page.waitForFunction(() => /Runs on the CPU/.test(document.querySelector('#badge').textContent), PATIENT);
    assert.deepEqual((await rows(page)).filter(isOfDpo).slice(0, before.length), before);
    await trained(page, 1);
  }, WITH_GPU);
});

test(`${TIMES} times the engine's worker dies at some moment`, async () => {
  const next = random(SEED + 1);
  for (const times of visits()) await visit('Chromium without WebGPU', async (page) => {
    await ready(page);
    for (let time = 0; time < times; time += 1) {
      const die = () => page.workers().at(-1).evaluate((words) => {
        setTimeout(() => {
          setTimeout(() => self.close());
          throw new Error(words);
        });
      }, KILLED);
      await survived(page, next(), die, KILLED);
    }
    // One that ends without an error is missed by the lock that it held.
    await survived(page, next(), () => page.workers().at(-1).evaluate(() => self.close()), 'the worker has ended');
    assert.equal(page.workers().length, 1, 'the dead are gone');
  }, WITHOUT);
});
