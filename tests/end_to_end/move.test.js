// The engine is moved to another backend: what it has goes along, it can be taken back, and where the other is not there, the
// one that is rests and says so.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHROMIUM, PATIENT, QUICK, has, ready, text, visit } from './harness.js';

const PAIRS = ['plot', 'music', 'acting'].map((it) => `{"prompt": "the ${it}", "chosen": "was superb .", "rejected": "was dull ."}`).join('\n');
const dpo = (page, state) => page.waitForFunction((it) => document.querySelector('#state-dpo').textContent.includes(it), PATIENT, state);
const drop = (page, name, content) => page.evaluate((itsName, text) => {
  const data = new DataTransfer();
  data.items.add(new File([text], itsName));
  document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
}, name, content);

test('pairs, points and their policies go along to another backend, and the move is taken back', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await drop(page, 'mine.jsonl', PAIRS);
  await has(page, '#state-pairs', '3');
  for (const step of [1, 2]) {
    await page.click('#step');
    await dpo(page, `step ${step}`);
    await has(page, '#frontier-summary', `step ${step}:`);
  }
  const loss = await text(page, '#batch-summary');
  await page.select('#backend', 'cpu');
  await has(page, '#badge', 'you chose it');
  await page.waitForSelector('#undo-notice:not([hidden])', PATIENT);
  assert.match(await text(page, '#undo-notice'), /^The engine was built again where you chose, as it was at its last point\. Press Play to go on\./);
  assert.match(await text(page, '#state-pairs'), /3/, 'her pairs are there');
  await dpo(page, 'step 2');
  await page.focus('#frontier');
  for (const key of ['ArrowRight', 'ArrowLeft', 'Enter']) await page.keyboard.press(key);
  await page.waitForSelector('#opened-list .sample', PATIENT);
  assert.equal(await page.$('#failure:not([hidden])'), null, 'the policy behind a point is there');
  await page.click('#undo');
  await page.waitForFunction(() => !document.querySelector('#badge').textContent.includes('you chose it'), PATIENT);
  assert.equal(await text(page, '#batch-summary'), loss);
  assert.equal(await page.$eval('#backend', (it) => it.value), 'auto');
  await page.click('#step');
  await dpo(page, 'step 3');
  assert.match(await text(page, '#frontier-rows'), /DPO, loaded pairs/);
}, { url: `${QUICK}&evaluate_every=1` }));

test('a backend that is not there leaves the engine as it is, at rest, and the choice where it was', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#play');
  await page.waitForFunction(() => /step [1-9]/.test(document.querySelector('#state-dpo').textContent), PATIENT);
  await page.select('#backend', 'gpu');
  await has(page, '#failure', 'The GPU cannot be used');
  assert.equal(await text(page, '#play'), 'Play');
  assert.equal(await page.$eval('#backend', (it) => it.value), 'auto', 'what runs is chosen');
  assert.doesNotMatch(page.url(), /backend=gpu/);
  const at = async () => Number((await text(page, '#state-dpo')).match(/step (\d+)/)[1]);
  const step = await at();
  assert.ok(step > 0, 'nothing starts over');
  await page.click('#step');
  await page.waitForFunction((it) => document.querySelector('#state-dpo').textContent.includes(`step ${it}`), PATIENT, step + 1);
}, { url: QUICK, expected: /GPU|adapter/ }));
