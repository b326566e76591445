// Sweep workers make runs of a sweep beside the engine's own, on a machine that has processors for them. What comes
// of it is what comes without them, and nobody is left behind.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawn, text, visit } from './harness.js';

const CHROMIUM = 'Chromium without WebGPU';
const PATIENT = { timeout: 180_000 };
const DESK = { width: 1440, height: 900 };
/** Four points a run, of few samples and few pairs. */
const SMALL = { url: `${process.env.KLIMB_URL}?evaluation_samples=64&batch_size=8&pairs=960&evaluate_every=50`, viewport: DESK };
/** Two sweep workers. */
const HELPED = { ...SMALL, processors: 4 };
/** For the eyes of whoever changes the looks: KLIMB_SHOTS names a folder. */
const shot = async (page, name) => {
  if (process.env.KLIMB_SHOTS) await page.screenshot({ path: `${process.env.KLIMB_SHOTS}/${name}.png` });
};

const says = (page, pattern) => page.waitForFunction(
  (source) => new RegExp(source).test(document.querySelector('#sweep-words').textContent), PATIENT, pattern.source,
);
/** The table's points of DPO, in the order of β and steps: sweep workers bring theirs when they are there. */
const rows = async (page) => (await page.$$eval('#frontier-rows tr', (all) => all
  .map(({ cells }) => [...cells].map((cell) => cell.textContent.replace(/^β /, ''))).filter(([method]) => method === 'DPO')))
  .sort(([, a, at], [, b, bt]) => b - a || at - bt);
const names = (page) => page.$$eval('#run-list [type=text]', (all) => all.map((field) => field.value));

/** Begins a sweep. */
async function sweep(page) {
  await page.waitForFunction(() => !document.querySelector('#sweep').disabled, PATIENT);
  await page.click('#sweep');
}

/** Resolves when there are so many workers, the engine's among them. */
async function workers(page, count) {
  for (let left = 400; page.workers().length !== count; left -= 1) {
    assert.ok(left > 0, `${page.workers().length} workers, not ${count}`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

/** The points of a whole sweep. */
async function swept(page) {
  await says(page, /^Trains DPO again/);
  assert.equal(await text(page, '#play'), 'Play');
  await workers(page, 1);
  return rows(page);
}

/** The same sweep by one engine. */
const alone = async () => {
  let points;
  await visit(CHROMIUM, async (page) => {
    await sweep(page);
    await says(page, /^Run 2 of 5/);
    assert.equal(page.workers().length, 1, 'two processors are for page and engine');
    points = await swept(page);
  }, SMALL);
  return points;
};

test('sweep workers make the same points, of all β, and are gone with the sweep', async () => {
  const expected = await alone();
  assert.equal(expected.length, 20);
  await visit(CHROMIUM, async (page) => {
    await sweep(page);
    await says(page, /^Runs 1, 2 and 3 of 5: DPO at β 5\.00 · 1\.00 · 0\.30, about .* left\.$/);
    await workers(page, 3);
    await shot(page, 'sweep-workers');
    const [engine, ...helping] = page.workers();
    const its = (worker) => worker.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname));
    const module = (await its(engine)).filter((path) => path.includes('/pkg/')).sort();
    for (const worker of helping) {
      // What a worker has begun to fetch is listed once it is there.
      while ((await its(worker)).length < module.length) await new Promise((resolve) => { setTimeout(resolve, 50); });
      assert.deepEqual((await its(worker)).sort(), module, 'the module alone, and no model');
    }
    // One that is done has the next run, while the others go on.
    await says(page, /4/);
    assert.deepEqual(await swept(page), expected);
    assert.deepEqual(await names(page), ['SFT', 'DPO, β 5.00', 'DPO, β 1.00', 'DPO, β 0.30', 'DPO, β 0.10', 'DPO, β 0.050']);
    // The policy behind a sweep worker's point is there like any other.
    await page.focus('#frontier');
    await page.keyboard.press('ArrowRight');
    for (let i = 0; i < 12; i += 1) await page.keyboard.press('ArrowLeft');
    assert.match(await text(page, '#frontier-summary'), /^DPO, β 1\.00, step 200:/);
    await page.keyboard.press('Enter');
    await page.waitForSelector('#opened-list .sample', PATIENT);
    await shot(page, 'sweep-workers-done');
    assert.equal(await page.$('#failure:not([hidden])'), null);
  }, HELPED);
});

test('Firefox: sweep workers make runs beside the engine there too', () => visit('Firefox without WebGPU', async (page) => {
  await sweep(page);
  await says(page, /^Runs 1, 2 and 3 of 5: DPO at β 5\.00 · 1\.00 · 0\.30, about .* left\.$/);
  await says(page, /^Trains DPO again/);
  assert.equal((await rows(page)).length, 20);
  assert.equal(await page.$('#failure:not([hidden])'), null);
}, HELPED));

test('sweep workers rest with the sweep, and none is left when it is cancelled or its engine built anew', () => visit(CHROMIUM, async (page) => {
  await sweep(page);
  await workers(page, 3);
  await says(page, /^Runs 1, 2 and 3 of 5.* left\.$/);
  await page.click('#play');
  await says(page, /^Runs 1, 2 and 3 of 5.*paused; Play goes on\.$/);
  const stands = async () => {
    // What was on its way when they were told is there after a while.
    await new Promise((resolve) => { setTimeout(resolve, 1500); });
    await drawn(page);
    return [await page.$eval('#sweep-progress', (bar) => bar.value), (await rows(page)).length];
  };
  const before = await stands();
  assert.deepEqual(await stands(), before);
  await page.click('#play');
  await page.waitForFunction((value) => document.querySelector('#sweep-progress').value > value, PATIENT, before[0]);
  await page.click('#sweep');
  await says(page, /^Trains DPO again/);
  await workers(page, 1);

  await page.click('#sweep');
  await workers(page, 3);
  await page.click('#dice');
  await workers(page, 1);
  await says(page, /^Trains DPO again/);
  assert.equal(await page.$('#failure:not([hidden])'), null);
}, HELPED));

test('a run whose sweep worker fails is made all the same, and no point stands twice', async () => {
  const expected = await alone();
  await visit(CHROMIUM, async (page) => {
    await sweep(page);
    await page.waitForFunction(() => [...document.querySelectorAll('#frontier-rows tr')]
      .some(({ cells }) => cells[0].textContent === 'DPO' && cells[1].textContent === 'β 1.00'), PATIENT);
    await page.workers()[1].evaluate(() => { setTimeout(() => { throw new Error('a sweep worker fails'); }); });
    await workers(page, 2);
    assert.deepEqual(await swept(page), expected);
    assert.equal(await page.$('#failure:not([hidden])'), null);
  }, { ...HELPED, expected: /a sweep worker fails/ });
});

test('where no other worker can begin, the engine makes every run itself', () => visit(CHROMIUM, async (page) => {
  await sweep(page);
  await says(page, /^Run 2 of 5/);
  assert.equal((await swept(page)).length, 20);
  assert.equal(await page.$('#failure:not([hidden])'), null);
}, {
  ...HELPED,
  expected: /missing\.js/,
  prepare: (page) => page.evaluateOnNewDocument(() => {
    const Original = Worker;
    let made = 0;
    window.Worker = class extends Original {
      constructor(address, options) {
        made += 1;
        super(made > 1 ? new URL('missing.js', address) : address, options);
      }
    };
  }),
}));

test('a phone of eight processors has four sweep workers, and nothing is wider than its screen', () => visit(CHROMIUM, async (page) => {
  await sweep(page);
  await workers(page, 5);
  await says(page, /^Runs 1, 2, 3, 4 and 5 of 5: DPO at β 5\.00 · 1\.00 · 0\.30 · 0\.10 · 0\.050, about .* left\.$/);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 390, `${wide} pixels`);
  await page.$eval('.sweep', (it) => it.scrollIntoView({ block: 'center', behavior: 'instant' }));
  await shot(page, 'sweep-workers-phone');
  await page.click('#sweep');
  await workers(page, 1);
}, { ...HELPED, processors: 8, viewport: { width: 390, height: 844, isMobile: true, hasTouch: true } }));
