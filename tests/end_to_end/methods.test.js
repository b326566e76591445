// The methods to compare with: each is clicked, stepped, and lands in the table.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawn, ready, text, visit } from './harness.js';

const CHROMIUM = 'Chromium without WebGPU';
const PATIENT = { timeout: 60_000 };
const SMALL = { url: `${process.env.KLIMB_URL}?evaluation_samples=64&pairs=384&batch_size=32` };

const row = (page, method) => page.waitForFunction(
  (wanted) => [...document.querySelectorAll('#frontier-rows tr')]
    .map((it) => [...it.cells].map((cell) => cell.textContent)).find(([first]) => first === wanted),
  PATIENT,
  method,
).then((handle) => handle.jsonValue());
const pressed = (page, id) => page.$eval(`#${id}`, (button) => button.getAttribute('aria-pressed'));

for (const [id, name, setting, loss] of [
  ['unlikelihood', 'unlikelihood', 'α 0.10', /= −?\d+\.\d\d nats$/],
  ['preferred-ft', 'Preferred-FT', 'chosen', /= \d+\.\d\d nats, over \d+ tokens$/],
]) {
  test(`${name}: a step shows its pairs, makes a point and can be saved`, () => visit(CHROMIUM, async (page) => {
    await ready(page);
    await page.click(`#stage-${id}`);
    await drawn(page);
    assert.equal(await pressed(page, `stage-${id}`), 'true');
    await page.click('#step');
    await page.waitForSelector('#likelihood-pairs li', PATIENT);
    assert.match(await text(page, '#inside-title'), new RegExp(name, 'i'));
    assert.match(await text(page, '#likelihood-summary'), /^Step 1: 32 pairs, mean loss/);
    assert.match(await text(page, '#live-likelihood-words'), loss);
    assert.equal(await page.$('#inside-dpo:not([hidden])'), null);
    const [, shown, step] = await row(page, name);
    assert.deepEqual([shown, step], [setting, '1']);
    assert.equal(await page.$eval(`#save-${id}`, (button) => button.disabled), false);
    await page.click('#play');
    await page.waitForFunction((it) => /^training, step/.test(document.querySelector(`#state-${it}`).textContent), PATIENT, id);
    await page.click('#reset');
    await page.waitForFunction(() => document.querySelectorAll('#likelihood-pairs li').length === 0, PATIENT);
  }, SMALL));
}

test('α is a knob of unlikelihood alone, and pairs by the policy are DPO’s', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#settings summary');
  await drawn(page);
  assert.equal(await page.$('#setting-unlikelihood_alpha:not([hidden])'), null, 'DPO has no α');
  await page.select('#knob-online_pairs', 'on');
  await page.click('#step');
  await row(page, 'DPO');
  assert.equal(await text(page, '#state-pairs'), 'ready', 'the reference has written none');
  assert.match(await page.evaluate(() => location.search), /online_pairs=on/);
  await page.click('#stage-unlikelihood');
  await drawn(page);
  assert.equal(await page.$('#setting-online_pairs:not([hidden])'), null, 'unlikelihood takes the reference’s pairs');
  await page.$eval('#knob-unlikelihood_alpha', (field) => {
    field.value = '0.5';
    field.dispatchEvent(new Event('change', { bubbles: true }));
  });
  await page.click('#step');
  const [, alpha] = await row(page, 'unlikelihood');
  assert.equal(alpha, 'α 0.50');
}, SMALL));

test('Best-of-N draws, measures every N beside its bound, and is done', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#stage-best-of-n');
  await page.click('#play');
  await page.waitForFunction(() => /^done, 2 points/.test(document.querySelector('#state-best-of-n').textContent), PATIENT);
  const [, n, , , reward] = await row(page, 'Best-of-N');
  assert.equal(n, 'N 2');
  assert.ok(parseFloat(reward) > 0.5, reward);
  const bounds = await page.$$eval('#best-of-n-rows tr', (all) => all.map((it) => it.cells[3].textContent));
  assert.deepEqual(bounds, ['0.193', '0.636']);
  assert.equal(await page.$eval('#step-best-of-n', (button) => button.disabled), true);
}, { url: `${SMALL.url}&largest_n=4&best_of_n_completions=64` }));

test('a reference that the page does not ship is named, and what was there goes on', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.select('#breadth', 'clean');
  await page.waitForSelector('#failure:not([hidden])', PATIENT);
  assert.match(await text(page, '#failure-sentence'), /no models of width 64 for text with 0 % noise/);
  assert.match(await text(page, '#failure-remedy'), /3 %/);
  assert.equal(await page.$eval('#breadth', (it) => it.value), 'default');
  await page.click('#step');
  await page.waitForSelector('#pairs li', PATIENT);
  assert.doesNotMatch(await page.evaluate(() => location.search), /breadth/);
}, { url: `${SMALL.url}&width=64`, expected: /404|-64-noise-0\./ }));

test('another breadth is another reference with a recorded optimum of its own', () => visit(CHROMIUM, async (page) => {
  const asked = [];
  page.on('request', (request) => {
    const [, name] = request.url().match(/\/(\w+-noise-10)\.\w+$/) ?? [];
    if (name) asked.push(name);
  });
  const references = (least) => page.waitForFunction(
    (count) => [...document.querySelectorAll('#frontier-rows th')].filter((cell) => cell.textContent === 'SFT').length >= count,
    PATIENT,
    least,
  );
  await ready(page);
  await references(1);
  await page.select('#breadth', 'broad');
  await references(2);
  assert.deepEqual(asked, ['base-noise-10', 'sft-noise-10', 'optimum-noise-10']);
  assert.match(await text(page, '#beta-target'), /recorded once/, 'the optimum is this reference’s');
  assert.match(await page.evaluate(() => location.search), /breadth=broad/);
  await page.click('#step');
  await page.waitForSelector('#pairs li', PATIENT);
  assert.equal(await page.$('#failure:not([hidden])'), null);
}, SMALL));
