// The sweep over β: five runs with one press, each with its trail, while everything else can be used.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawn, text, visit } from './harness.js';

const CHROMIUM = 'Chromium without WebGPU';
const FIREFOX = 'Firefox without WebGPU';
const PATIENT = { timeout: 180_000 };
/** A point a run, of few samples and few pairs: the shape of a sweep, in seconds. */
const SMALL = { url: `${process.env.KLIMB_URL}?evaluation_samples=64&batch_size=8&pairs=960&evaluate_every=200&beta=0.4` };
/** For the eyes of whoever changes the looks: KLIMB_SHOTS names a folder. */
const shot = async (page, name) => {
  if (process.env.KLIMB_SHOTS) await page.screenshot({ path: `${process.env.KLIMB_SHOTS}/${name}.png` });
};

const ready = (page) => page.waitForFunction(() => !document.querySelector('#sweep').disabled, PATIENT);
const says = (page, pattern) => page.waitForFunction(
  (source) => new RegExp(source).test(document.querySelector('#sweep-words').textContent), PATIENT, pattern.source,
);
const rows = (page) => page.$$eval('#frontier-rows tr', (all) => all
  .map(({ cells }) => [...cells].map((cell) => cell.textContent.replace(/^β /, ''))).filter(([method]) => method === 'DPO'));
const names = (page) => page.$$eval('#run-list [type=text]', (all) => all.map((field) => field.value));
const search = (page) => page.evaluate(() => location.search);

for (const name of [CHROMIUM, FIREFOX]) {
  test(`${name}: one press trains at five β, and β is afterwards where it was`, () => visit(name, async (page) => {
    await ready(page);
    const before = await search(page);
    assert.match(await text(page, '#sweep-words'), /^Trains DPO from the reference at β 5\.00 · 1\.00 · 0\.30 · 0\.10 · 0\.050, 200 steps each/);
    await page.focus('#sweep');
    await page.keyboard.press('Enter');
    await says(page, /^Run 1 of 5: DPO at β 5\.00/);
    assert.equal(await text(page, '#play'), 'Pause');
    await says(page, /^Run 2 of 5: DPO at β 1\.00/);
    assert.ok(await page.$('#sweep-progress:not([hidden])'));
    assert.ok(await page.$eval('#sweep-progress', (bar) => bar.value) >= 0.2);
    assert.equal(await text(page, '#beta-value'), '0.40', 'the slider is hers');
    await says(page, /^Trains DPO again/);
    assert.equal(await text(page, '#play'), 'Play');
    const swept = await rows(page);
    assert.deepEqual(swept.map(([, beta, step]) => `${beta} ${step}`), ['5.00', '1.00', '0.30', '0.10', '0.050'].map((beta) => `${beta} 200`));
    const kl = swept.map((row) => parseFloat(row[3]));
    assert.ok(kl.at(-1) > kl[0], `a longer leash goes further: ${kl}`);
    assert.deepEqual(await names(page), ['SFT', 'DPO, β 5.00', 'DPO, β 1.00', 'DPO, β 0.30', 'DPO, β 0.10', 'DPO, β 0.050']);
    assert.deepEqual([await search(page), await text(page, '#beta-value')], [before, '0.40']);
    await shot(page, 'swept');
    await page.click('#play');
    await page.waitForFunction(() => document.querySelector('#frontier-summary').textContent.startsWith('Newest: DPO, β 0.40, step 200'), PATIENT);
    assert.equal(await page.$('#failure:not([hidden])'), null);
  }, { ...SMALL, viewport: { width: 1440, height: 900 } }));
}

test('a sweep is paused, resumed, left for another stage and cancelled, and every control answers meanwhile', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#sweep');
  await says(page, /^Run 2 of 5/);
  // The page answers at the next frame, whatever the engine is at; of three, the quickest is the page's and not the machine's.
  const answers = [];
  for (const wanted of ['Play', 'Pause', 'Play']) {
    answers.push(await page.evaluate(async (label) => {
      const [button, began] = [document.querySelector('#play'), performance.now()];
      button.click();
      while (button.textContent !== label) await new Promise(requestAnimationFrame);
      return performance.now() - began;
    }, wanted));
  }
  assert.ok(Math.min(...answers) < 100, `${answers} ms`);
  await says(page, /paused; Play goes on\.$/);
  await page.click('#stage-ppo-gt');
  await says(page, /waits until DPO is in focus again\.$/);
  await page.click('#stage-dpo');
  await page.click('#play');
  await says(page, /^Run 3 of 5/);
  await page.$eval('#beta', (slider) => {
    slider.value = '90';
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    slider.dispatchEvent(new Event('change', { bubbles: true }));
  });
  assert.equal(await text(page, '#sweep'), 'Cancel the sweep');
  await page.click('#sweep');
  await says(page, /^Trains DPO again/);
  await drawn(page);
  assert.ok(await page.$('#sweep-progress[hidden]'));
  assert.equal(await text(page, '#sweep'), 'Sweep β');
  assert.equal(await text(page, '#play'), 'Play');
  assert.equal(await text(page, '#beta-value'), '2.69', 'the β she chose meanwhile');
  assert.deepEqual((await rows(page)).map(([, beta]) => beta), ['5.00', '1.00']);
  await page.click('#stage-sft');
  await says(page, /^β holds DPO, PPO and PPO-GT/);
  assert.ok(await page.$('#sweep[disabled]'));
  assert.equal(await page.$('#failure:not([hidden])'), null);
}, { ...SMALL, viewport: { width: 1440, height: 900 } }));

test('a phone sweeps too, and nothing is wider than the screen', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.tap('#sweep');
  await says(page, /^Run 1 of 5.*left\.$/);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 390, `${wide} pixels`);
  await page.$eval('.sweep', (sweep) => sweep.scrollIntoView({ block: 'center', behavior: 'instant' }));
  await shot(page, 'sweep-phone');
  await page.tap('#sweep');
  await says(page, /^Trains DPO again/);
}, { url: SMALL.url.replace('evaluate_every=200', 'evaluate_every=20'), viewport: { width: 390, height: 844, isMobile: true, hasTouch: true } }));
