// A reset that is taken back, and single keys that can be turned off.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHROMIUM, PATIENT, QUICK, drawn, ready, text, visit } from './harness.js';

const stepped = (page, step) => page.waitForFunction(
  (it) => document.querySelector('#frontier-summary').textContent.includes(`step ${it}:`), PATIENT, step,
);
const steps = (page) => page.$$eval('#frontier-rows tr', (all) => all
  .filter((row) => row.firstChild.textContent === 'DPO')
  .map((row) => row.children[2].textContent));

test('a reset is taken back by button and key, and the run goes on as it was', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.keyboard.press('r');
  await drawn(page);
  assert.equal(await page.$('#undo-notice:not([hidden])'), null, 'no step, no notice');
  for (const step of [1, 2]) {
    await page.click('#step');
    await stepped(page, step);
  }
  const before = [await text(page, '#batch-summary'), await text(page, '#curve-readout'), await text(page, '#state-dpo')];
  for (const undo of [() => page.click('#undo'), () => page.keyboard.press('u')]) {
    await page.keyboard.press('r');
    await page.waitForSelector('#undo-notice:not([hidden])', PATIENT);
    assert.equal(await text(page, '#said'), 'Reset. Undo takes it back, until the next step.');
    assert.match(await text(page, '#undo-notice'), /^Reset\.\s+Undo\s/);
    assert.notEqual(await text(page, '#batch-summary'), before[0]);
    await undo();
    await page.waitForSelector('#undo-notice[hidden]', PATIENT);
    assert.deepEqual([await text(page, '#batch-summary'), await text(page, '#curve-readout'), await text(page, '#state-dpo')], before);
  }
  await page.click('#step');
  await stepped(page, 3);
  assert.deepEqual(await steps(page), ['1', '2', '3']);
  await page.click('#reset');
  await page.waitForSelector('#undo-notice:not([hidden])', PATIENT);
  await page.click('#step');
  await page.waitForSelector('#undo-notice[hidden]', PATIENT);
}, { url: QUICK }));

test('another seed, and another after it, are taken back, and the run goes on as it was', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  for (const step of [1, 2]) {
    await page.click('#step');
    await stepped(page, step);
  }
  const seen = async () => [await text(page, '#batch-summary'), await text(page, '#curve-readout'), await text(page, '#state-dpo'),
    await page.$eval('#seed', (field) => field.value), [...new URL(page.url()).searchParams].sort().join(' ')];
  const before = await seen();
  for (const seed of ['7', '8']) {
    await page.$eval('#seed', (field, value) => {
      field.value = value;
      field.dispatchEvent(new Event('change', { bubbles: true }));
    }, seed);
    await page.waitForFunction((it) => document.querySelector('#state-dpo').textContent !== it, PATIENT, before[2]);
    await page.waitForSelector('#undo-notice:not([hidden])', PATIENT);
    assert.match(await text(page, '#undo-notice'), /^Started over\.\s+Undo\s/);
    assert.match(new URL(page.url()).search, new RegExp(`seed=${seed}`));
  }
  await page.click('#undo');
  await page.waitForSelector('#undo-notice[hidden]', PATIENT);
  await page.waitForFunction((it) => document.querySelector('#state-dpo').textContent === it, PATIENT, before[2]);
  assert.deepEqual(await seen(), before);
  await page.click('#step');
  await stepped(page, 3);
  assert.deepEqual(await steps(page), ['1', '2', '3']);
}, { url: QUICK }));

test('single keys can be turned off, and that is remembered', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  const playing = () => text(page, '#play');
  await page.click('#help');
  await page.click('#single-keys');
  await page.keyboard.press('Escape');
  await page.evaluate(() => document.activeElement.blur());
  for (const again of [false, true]) {
    if (again) {
      await page.reload();
      await ready(page);
    }
    for (const key of ['Space', '.', 'r', 't', '?', '2']) await page.keyboard.press(key);
    assert.equal(await playing(), 'Play');
    assert.equal(await page.$('#keys[open]'), null);
    assert.equal(await page.$('#tour:not([hidden])'), null);
    assert.equal(await page.$$eval('#pairs li', (all) => all.length), 0);
  }
  const beta = await text(page, '#beta-value');
  await page.keyboard.press('ArrowRight');
  assert.notEqual(await text(page, '#beta-value'), beta, 'an arrow is no letter');
  await page.click('#help');
  assert.equal(await page.$eval('#single-keys', (box) => box.checked), false);
  await page.click('#single-keys');
  await page.keyboard.press('Escape');
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('.');
  await stepped(page, 1);
}, { url: QUICK }));
