// For a room: addresses that hide and enlarge, keys that go from part to part, and receipts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { URL_AT_ROOT, drawn, ready, text, visit } from './harness.js';

const CHROMIUM = 'Chromium without WebGPU';
const PATIENT = { timeout: 60_000 };

test('an address hides, enlarges, keeps that in mind, and names what it cannot do', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  assert.ok(await page.$('.annotator[hidden]'));
  assert.ok(await page.$('#files[hidden]'));
  assert.ok(await page.$('#inside:not([hidden])'));
  assert.equal(await page.$eval('html', (root) => getComputedStyle(root).fontSize), '22px');
  assert.match(await text(page, '#failure-sentence'), /hide: “<b>bogus” is none of setup, /);
  assert.match(await text(page, '#failure-sentence'), /; beta: 9 is outside 0\.01 to 5\.$/, 'all that is wrong, and nothing that others added');
  assert.equal(await page.$eval('#seed', (field) => field.value), '5');
  await page.click('#dice');
  await drawn(page);
  assert.match(
    await page.evaluate(() => location.search + location.hash),
    /^\?seed=\d+&flip_probability=0\.2&hide=files,annotator&type=large$/,
    'what a browser took for the fragment is in the query',
  );
}, { url: `${URL_AT_ROOT}?SEED%3D%2535&amp;hide=Files%252Cannotator,%3Cb%3Ebogus&type=large&beta=9&fbclid=IwAR0&utm_source=mail&#38;flip_probability=0.2` }));

test('keys go from part to part', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  for (const [key, selector] of [['7', '#curves'], ['2', '#chart'], ['9', '#clinic']]) {
    await page.keyboard.press(key);
    await page.waitForFunction((it) => {
      const { top } = document.querySelector(it).getBoundingClientRect();
      return top >= -5 && top < window.innerHeight;
    }, PATIENT, selector);
  }
}));

test('a receipt is copied, handed on and shown; what is none is refused', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#play');
  await page.waitForFunction(() => document.querySelector('#frontier-rows').rows.length > 2, PATIENT);
  await page.click('#play');
  await page.$eval('#receipts', (details) => { details.open = true; });
  await page.click('#receipt-copy');
  const line = await page.$eval('#receipt-text', (field) => field.value);
  const receipt = JSON.parse(line);
  assert.equal(receipt.receipt, 2);
  assert.equal(receipt.points.length, 1);
  assert.deepEqual(receipt.runs.map(({ method, settings }) => [method, settings]), [['dpo', '']]);
  assert.match(receipt.program, /^klimb \d/);
  await page.reload({ waitUntil: 'load' });
  await ready(page);
  await page.waitForFunction(() => document.querySelector('#beta-target').textContent.includes('π*'), PATIENT);
  await page.$eval('#receipts', (details) => { details.open = true; });
  const show = async (written) => {
    await page.$eval('#receipt-text', (field, value) => { field.value = value; }, written);
    await page.click('#receipt-show');
    return text(page, '#receipt-said');
  };
  assert.match(await show(`${line}\n{"receipt":`), /^Nothing was shown: line 2 is no receipt/);
  assert.equal(await show(line), 'In the chart now: 1 runs of others.');
  await page.focus('#frontier');
  await page.keyboard.press('ArrowLeft');
  await drawn(page);
  assert.match(await text(page, '#frontier-summary'), /receipt 1/);
}));
