// A student labels pairs herself, by keys alone, and sees what her labels train.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { drawn, text, visit } from './harness.js';

const CHROMIUM = 'Chromium without WebGPU';
const FIREFOX = 'Firefox without WebGPU';
const PATIENT = { timeout: 120_000 };
const SMALL = { url: `${process.env.KLIMB_URL}?evaluation_samples=64&batch_size=16&evaluate_every=2` };
const PHONE = { width: 390, height: 844, isMobile: true, hasTouch: true };

const ready = (page) => page.waitForFunction(() => !document.querySelector('#annotator-begin').disabled, PATIENT);
const pair = (page) => page.waitForSelector('#annotator-pair:not([hidden])', PATIENT);
const shown = async (page) => [await text(page, '#annotator-prompt'), await text(page, '#annotator-a'), await text(page, '#annotator-b')];
const trail = (page, name) => page.waitForFunction(
  (wanted) => [...document.querySelectorAll('#frontier-rows th')].some((cell) => cell.textContent === wanted),
  PATIENT,
  name,
);
/** For the eyes of whoever changes the looks: KLIMB_SHOTS names a folder. */
const shot = async (page, name, selector = '.annotator') => {
  if (!process.env.KLIMB_SHOTS) return;
  const section = await page.$(selector);
  await section.screenshot({ path: `${process.env.KLIMB_SHOTS}/${name}.png` });
};

for (const name of [CHROMIUM, FIREFOX]) {
  test(`${name}: twenty pairs are labelled by keys alone, trained on, flipped, and given up`, () => visit(name, async (page) => {
    await ready(page);
    await page.focus('#annotator-begin');
    await page.keyboard.press('Enter');
    await pair(page);
    assert.equal(await text(page, '#annotator-count'), '0 of 20');
    const first = await shown(page);
    assert.notEqual(first[1], first[2]);
    assert.equal(await text(page, '#annotator-verdict'), '', 'no gold reward before she has chosen');
    assert.doesNotMatch(await text(page, '#annotator-pair'), /reward|\d\.\d/);
    await page.keyboard.press('a');
    assert.match(await text(page, '#annotator-verdict'), /^Your last choice: the oracle .*gold reward \d\.\d\d/);
    await shot(page, 'desk');
    assert.notDeepEqual(await shown(page), first);
    await page.keyboard.press('u');
    assert.deepEqual(await shown(page), first, 'the same pair again');
    assert.equal(await text(page, '#annotator-count'), '0 of 20');
    await page.keyboard.press('s');
    const beta = await text(page, '#beta-value');
    for (let label = 1; label <= 20; label += 1) {
      await page.waitForSelector('#annotator-pair:not([hidden])', PATIENT);
      await page.keyboard.press(label % 3 ? 'ArrowLeft' : 'b');
      assert.equal(await text(page, '#annotator-count'), `${label} of 20`);
    }
    assert.equal(await text(page, '#beta-value'), beta, 'arrows choose here and leave β alone');
    assert.match(await text(page, '#annotator-rest'), /as many as were asked for/);
    assert.match(await text(page, '#annotator-summary'), /labelled 20 pairs.*95 % interval \d+ to \d+ %/);

    await page.focus('#annotator-train');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('#state-pairs').textContent === 'yours, 20 pairs', PATIENT);
    await trail(page, 'DPO, my labels');
    assert.match(await text(page, '#frontier-summary'), /^Newest: DPO, β 0\.50, my labels, step \d+/);
    assert.match(await text(page, '#annotator-training'), /learns from my labels;.*“DPO, β 0\.50, my labels”/);

    await page.focus('#annotator-flips');
    for (let step = 0; step < 4; step += 1) await page.keyboard.press('ArrowRight');
    assert.equal(await text(page, '#annotator-flips-value'), '20 %, 4 of 20');
    await page.focus('#annotator-train');
    await page.keyboard.press('Enter');
    await trail(page, 'DPO, my labels, 20 % flipped');

    await page.focus('#annotator-generated');
    await page.keyboard.press('Enter');
    await trail(page, 'DPO');
    assert.match(await text(page, '#annotator-training'), /generated ones/);
    await shot(page, 'frontier', '.frontier');
    await page.click('#play');
    await page.click('#reset');
    await drawn(page);
    assert.equal(await text(page, '#annotator-count'), '20 of 20', 'labels outlive a reset');
    await page.click('#annotator-outcome summary');
    assert.equal((await page.$$('#annotator-rows tr')).length, 20);
    await shot(page, 'outcome');
    assert.equal(await page.$('#failure:not([hidden])'), null);
  }, { ...SMALL, viewport: { width: 1440, height: 900 } }));
}

test('another reference writes the waiting pairs anew, and the labels are said to be of the earlier one', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#annotator-begin');
  for (const key of ['a', 'b', 'a']) {
    await pair(page);
    await page.focus('#annotator-desk');
    await page.keyboard.press(key);
  }
  const another = async (change) => {
    const before = await shown(page);
    await change();
    await page.waitForFunction(
      (old) => document.querySelector('#annotator-pair:not([hidden])') && ['prompt', 'a', 'b'].some((id, at) => document.querySelector(`#annotator-${id}`).textContent.trim() !== old[at]),
      PATIENT, before,
    );
  };
  assert.doesNotMatch(await text(page, '#annotator-summary'), /earlier model/);
  await another(() => page.select('#breadth', 'broad'));
  await page.waitForFunction(() => /3 of these labels are of completions by an earlier model/.test(document.querySelector('#annotator-summary').textContent), PATIENT);
  const file = await page.$('#load-sft');
  await another(() => file.uploadFile(fileURLToPath(new URL('../../www/assets/sft.safetensors', import.meta.url))));
  await page.waitForFunction(() => !/earlier model/.test(document.querySelector('#annotator-summary').textContent), PATIENT);
  await page.focus('#annotator-desk');
  await page.keyboard.press('b');
  assert.equal(await text(page, '#annotator-count'), '4 of 20');
  assert.equal(await page.$('#failure:not([hidden])'), null);
}, SMALL));

test('on a phone pairs are labelled by touch, and nothing is wider than the screen', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.tap('#annotator-begin');
  await pair(page);
  for (const side of ['a', 'b', 'a']) await page.tap(`#annotator-choose-${side}`);
  await page.tap('#annotator-skip');
  await page.tap('#annotator-undo');
  assert.equal(await text(page, '#annotator-count'), '3 of 20');
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 390, `${width} pixels`);
  await shot(page, 'phone');
  await page.tap('#annotator-train');
  await page.waitForFunction(() => document.querySelector('#state-pairs').textContent === 'yours, 3 pairs', PATIENT);
  await trail(page, 'DPO, my labels');
  await shot(page, 'frontier-phone', '.frontier');
}, { ...SMALL, viewport: PHONE }));

test('labels outlast a reload, and more can be given', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#annotator-begin');
  await pair(page);
  for (const key of ['a', 'b', 's', 'a']) await page.keyboard.press(key);
  assert.equal(await text(page, '#annotator-count'), '3 of 20');
  await page.reload({ waitUntil: 'load' });
  // What has no label yet is written anew by the new engine.
  await ready(page);
  await pair(page);
  assert.equal(await text(page, '#annotator-count'), '3 of 20');
  assert.match(await text(page, '#annotator-summary'), /labelled 3 pairs/);
  assert.doesNotMatch(await text(page, '#annotator-summary'), /earlier model/, 'the same reference wrote them');
  await page.focus('#annotator-desk');
  await page.keyboard.press('b');
  assert.equal(await text(page, '#annotator-count'), '4 of 20');
}, SMALL));
