// The tour and the clinic: every stop's button really does something, the place is kept, and a failure fails.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawn, ready, text, visit } from './harness.js';

const CHROMIUM = 'Chromium without WebGPU';
const FIREFOX = 'Firefox without WebGPU';
const PATIENT = { timeout: 90_000 };
const PHONE = { width: 390, height: 844, isMobile: true, hasTouch: true };
const SMALL = {
  url: `${process.env.KLIMB_URL}?evaluation_samples=64&rollout_size=32&evaluate_rollouts=1&pairs=960&reward_model_pairs=384`,
};

const count = (page, selector) => page.$$eval(selector, (all) => all.length);
const shows = (page, selector, pattern) => page.waitForFunction(
  (it, source) => new RegExp(source).test(document.querySelector(it).textContent), PATIENT, selector, pattern.source,
);
const grows = (page, selector, before) => page.waitForFunction(
  (it, least) => document.querySelectorAll(it).length > least, PATIENT, selector, before,
);

/** What each stop's button must bring about, once it is pressed. */
const OUTCOMES = [
  (page) => grows(page, '#typed-list .model', 5),
  (page) => page.waitForFunction(
    () => [...document.querySelectorAll('#win-rate-rows tr')].some((row) => row.cells[4].textContent === 'here'), PATIENT,
  ),
  (page) => shows(page, '#state-pairs', /\d pairs/),
  (page) => shows(page, '#state-reward-model', /^done, \d+ steps here$/),
  async (page) => {
    await grows(page, '#episodes table', 0);
    assert.match(await text(page, '#round-summary'), /^Round 1: 32 completions/);
  },
  async (page) => {
    await page.waitForFunction(() => /beta=0\.03/.test(location.search), PATIENT);
    await shows(page, '#frontier-rows', /PPO[^β]*β 0\.03/);
  },
  async (page) => {
    await shows(page, '#beta-value', /^0\.20/);
    assert.match(await text(page, '#beta-target'), /π\*/);
  },
  (page) => grows(page, '#pairs li', 0),
  async (page) => {
    await page.waitForFunction(() => Number(document.querySelector('#state-dpo').textContent.match(/step (\d+)/)?.[1]) >= 51, PATIENT);
    await shows(page, '#play', /^Play$/);
  },
];

/** What a button brings about far down in its part, by the stop's number from 0: it is in sight then, if the part's beginning is not. */
const FAR_DOWN = { 0: '#typed-list', 1: '#win-rate-chart', 5: '#curve-loss' };

const place = (page) => text(page, '#tour-place');
const marked = (page) => page.$$eval('.marked', (all) => all.map((it) => it.id));
const focused = (page) => page.evaluate(() => document.activeElement.id);

test('nine stops, each with a button that does something real', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  assert.match(await text(page, '#tour-open'), /^Take the tour: nine short stops$/);
  await page.click('#tour-open');
  const parts = [];
  for (const [index, happened] of OUTCOMES.entries()) {
    assert.equal(await place(page), `Stop ${index + 1} of 9`);
    assert.equal(await focused(page), 'tour-title');
    assert.ok((await text(page, '#tour-text')).length > 150 && (await text(page, '#tour-title')).length > 3);
    assert.equal(await text(page, '#tour-then'), '');
    parts.push(...await marked(page));
    await page.click('#tour-act');
    await happened(page);
    assert.match(await text(page, '#tour-then'), /\.$/);
    const top = await page.$eval(FAR_DOWN[index] ?? '.marked', (it) => it.getBoundingClientRect().top / innerHeight);
    assert.ok(top > -0.05 && top < 0.7, `what stop ${index + 1} speaks of begins ${top} windows down`);
    await page.click('#tour-next');
    await drawn(page);
  }
  assert.equal(parts.length, 9, `one part is marked at each stop: ${parts}`);
  assert.ok(await page.$('#tour[hidden]'), 'after the last stop the tour ends');
  assert.deepEqual(await marked(page), []);
  assert.equal(await focused(page), 'tour-open');
  assert.doesNotMatch(await page.evaluate(() => location.search), /reward_model_epochs/, 'the stop about hacking gave the settings back');
  assert.equal(await text(page, '#beta-value'), '0.50', 'and the one about β its β');
  assert.equal(await page.$('#failure:not([hidden])'), null);
}, SMALL));

test('what a stop lends is given back over a reload too, and a case of the clinic can still be cured', () => visit(CHROMIUM, async (page) => {
  const search = () => page.evaluate(() => [...new URLSearchParams(location.search)].map((it) => it.join('=')).sort().join('&'));
  const again = async () => {
    await page.reload({ waitUntil: 'load' });
    await ready(page);
  };
  await ready(page);
  const before = await search();
  const at = async (stop) => {
    await page.$eval('#tour-open', (button) => button.click());
    for (let i = 0; i < 9 && !(await place(page)).startsWith(`Stop ${stop} `); i += 1) await page.click('#tour-next');
    await page.click('#tour-act');
  };
  await at(6);
  await page.waitForFunction(() => /reward_model_pairs=48/.test(location.search), PATIENT);
  await again();
  assert.equal(await search(), before);
  assert.equal(await text(page, '#beta-value'), '0.50');
  assert.ok(await page.$('#cure-few-pairs[disabled]'));
  await at(7);
  await page.waitForFunction(() => /beta=0\.2/.test(location.search), PATIENT);
  await again();
  assert.equal(await search(), before);
  await page.$eval('#run-unlikelihood', (button) => button.click());
  await page.waitForFunction(() => /unlikelihood_alpha=1/.test(location.search), PATIENT);
  await again();
  assert.match(await search(), /unlikelihood_alpha=1/, 'what she ran herself goes on');
  assert.match(await text(page, '#clinic-summary'), /^In use now: Unlikelihood/);
  await page.$eval('#cure-unlikelihood', (button) => button.click());
  await page.waitForFunction(() => !/unlikelihood_alpha/.test(location.search), PATIENT);
  assert.equal(await search(), before);
}, SMALL));

for (const name of [CHROMIUM, FIREFOX]) {
  test(`${name}: the tour is walked by keys, kept over a reload, and links the papers`, () => visit(name, async (page) => {
    await ready(page);
    await page.keyboard.press('t');
    assert.equal(await place(page), 'Stop 1 of 9');
    for (let i = 0; i < 3; i += 1) await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowLeft');
    assert.equal(await place(page), 'Stop 3 of 9');
    assert.equal(await text(page, '#said'), 'Stop 3 of 9');
    const beta = await text(page, '#beta-value');
    await page.keyboard.press('Escape');
    assert.ok(await page.$('#tour[hidden]'));
    assert.equal(await text(page, '#beta-value'), beta, 'arrows in the tour leave β alone');
    await page.reload({ waitUntil: 'load' });
    await ready(page);
    assert.match(await text(page, '#tour-open'), /stop 3 of 9/);
    // The browser scrolls back to where the page was left, smoothly, and a click would miss what moves.
    await page.evaluate(() => scrollTo({ top: 0, behavior: 'instant' }));
    await page.$eval('#tour-open', (button) => button.click());
    await page.waitForSelector('#tour:not([hidden])', PATIENT);
    assert.equal(await place(page), 'Stop 3 of 9');
    for (let i = 0; i < 6; i += 1) await page.click('#tour-next');
    await drawn(page);
    const links = await page.$$eval('#tour a', (all) => all.map((link) => link.href));
    assert.deepEqual(links, ['2203.02155', '2305.18290', '2112.00861'].map((paper) => `https://arxiv.org/abs/${paper}`));
  }));
}

for (const [where, viewport] of [['a desk', { width: 1440, height: 900 }], ['a phone', PHONE]]) {
  test(`on ${where} the tour leaves the page in sight and in reach`, () => visit(CHROMIUM, async (page) => {
    await ready(page);
    await page.click('#tour-open');
    for (let index = 0; index < 9; index += 1) {
      await drawn(page);
      const { wide, covered } = await page.evaluate(() => {
        const panel = document.querySelector('#tour').getBoundingClientRect();
        return { wide: document.documentElement.scrollWidth, covered: (panel.width * panel.height) / (innerWidth * innerHeight) };
      });
      assert.ok(wide <= viewport.width, `stop ${index + 1} is ${wide} pixels wide`);
      assert.ok(covered < 0.5, `stop ${index + 1} covers ${covered} of the screen`);
      if (index < 8) await page.click('#tour-next');
    }
    await page.click('#tour-act');
    await page.waitForFunction(() => /step \d/.test(document.querySelector('#state-dpo').textContent), PATIENT);
  }, { ...SMALL, viewport }));
}

for (const name of [CHROMIUM, FIREFOX]) {
  test(`${name}: a case of the clinic fails as it says, and its cure gives the settings back`, () => visit(name, async (page) => {
    await ready(page);
    assert.equal(await count(page, '#cases details'), 9);
    await page.click('#case-learning-rate summary');
    await page.click('#run-learning-rate');
    await page.waitForFunction(() => /learning_rate=0\.03/.test(location.search), PATIENT);
    await page.waitForFunction(
      () => [...document.querySelectorAll('#frontier-rows tr')].some(({ cells }) => cells[0].textContent === 'DPO' && parseFloat(cells[3].textContent) > 20),
      PATIENT,
    );
    await page.click('#cure-learning-rate');
    await page.waitForFunction(() => !/learning_rate/.test(location.search), PATIENT);
    assert.ok(await page.$('#cure-learning-rate[disabled]'));
    assert.equal(await text(page, '#play'), 'Pause', 'it plays again');
  }, { url: `${process.env.KLIMB_URL}?evaluation_samples=64` }));
}
