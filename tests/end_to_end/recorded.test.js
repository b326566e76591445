// What was recorded: ghosts behind the student's runs, and the experiments in their tabs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawn, ready, text, visit } from './harness.js';

const CHROMIUM = 'Chromium without WebGPU';
const PATIENT = { timeout: 60_000 };

const filled = (page, id) => page.waitForFunction(
  (body) => document.querySelector(body).rows.length > 0, PATIENT, `#${id}`,
);
const heads = (page, id) => page.$$eval(`#${id} th`, (all) => new Set(all.map((cell) => cell.textContent)).size);

test('recorded runs of every method stand behind the student’s, by choice', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await filled(page, 'recorded-rows');
  assert.match(await text(page, '#recorded-summary'), /^Pale: \d+ runs of every method with noisy labels as here, [36] seeds/);
  assert.equal(await heads(page, 'recorded-rows'), 6, 'DPO, PPO, PPO-GT, unlikelihood, Preferred-FT, Best-of-N');
  await page.select('#recorded', 'noise-free');
  assert.match(await text(page, '#recorded-summary'), /noise-free labels as in the paper/);
  assert.equal(await heads(page, 'recorded-rows'), 6);
  const pixels = () => page.$eval('#frontier', (canvas) => canvas.toDataURL());
  const before = await pixels();
  await page.click('#read-off');
  await drawn(page);
  assert.notEqual(await pixels(), before, 'the paper’s curves are drawn');
  await page.select('#recorded', 'none');
  assert.equal(await text(page, '#recorded-summary'), '');
  assert.equal(await page.$eval('#recorded-rows', (body) => body.rows.length), 0);
}));

test('the experiments are tabs that arrow keys walk through', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await filled(page, 'comparison-rows');
  assert.match(await text(page, '#comparison-summary'), /^Recorded with klimb/);
  await page.focus('#tab-comparison');
  for (const [id, summary] of [
    ['win-rate', /^Recorded with klimb .*highest recorded rate/],
    ['scaling', /^The smallest aligned model \(.*\) (beats|loses to|is about as good as) the largest SFT model/],
    ['hacking', /^A reward model of few pairs/],
  ]) {
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction((it) => !document.querySelector(it).hidden, PATIENT, `#view-${id}`);
    assert.equal(await page.evaluate(() => document.activeElement.id), `tab-${id}`);
    assert.match(await text(page, `#${id}-summary`), summary);
    const colours = await page.$eval(`#${id}-chart`, (canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return new Set(Array.from({ length: data.length / 4 }, (_, i) => data.slice(4 * i, 4 * i + 3).join())).size;
    });
    assert.ok(colours > 3, `the chart of ${id} is blank`);
  }
  await page.keyboard.press('ArrowRight');
  await page.waitForFunction(() => !document.querySelector('#view-comparison').hidden, PATIENT);
  const own = await page.$$eval('#own-rows td', (cells) => cells.map((cell) => cell.textContent));
  assert.ok(own.every((cell) => /^no .* run yet$/.test(cell)), own.join());
}));

test('a contest is played here, and can be cancelled', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#tab-win-rate');
  await filled(page, 'win-rate-rows');
  await page.click('#win-rate-run');
  const here = (least) => page.waitForFunction(
    (count) => [...document.querySelectorAll('#win-rate-rows tr')].filter((row) => row.cells[4].textContent === 'here').length >= count,
    PATIENT,
    least,
  );
  await here(5);
  assert.match(await text(page, '#win-rate-summary'), /were played with the models of this page/);
  await page.click('#win-rate-run');
  // A contest may be over before another look: the button is pressed in the frame in which it is there.
  await page.waitForFunction(() => {
    const button = document.querySelector('#win-rate-cancel');
    if (!button.hidden) button.click();
    return !button.hidden;
  }, PATIENT);
  await page.waitForSelector('#win-rate-cancel[hidden]', PATIENT);
}));

test('a recording that is missing is named, and the page goes on', () => visit(CHROMIUM, async (page) => {
  await page.evaluateOnNewDocument(() => {
    const { fetch } = window;
    window.fetch = (address) => (String(address).includes('recorded/paper-noisy')
      ? Promise.reject(new TypeError('it is gone')) : fetch(address));
  });
  await page.reload({ waitUntil: 'load' });
  await ready(page);
  await page.waitForFunction(
    () => document.querySelector('#recorded-summary').textContent.includes('could not be read'), PATIENT,
  );
  await page.click('#step');
  await page.waitForFunction(() => document.querySelectorAll('#pairs li').length > 0, PATIENT);
}));

test('alignment against size is run here while a policy trains, and can be cancelled', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#tab-scaling');
  await filled(page, 'scaling-rows');
  await page.click('#scaling-run');
  await page.waitForSelector('#scaling-cancel:not([hidden])', PATIENT);
  await page.click('#step-dpo');
  await page.waitForFunction(() => /^step 1/.test(document.querySelector('#state-dpo').textContent), PATIENT);
  // The largest models come first, so the first result takes a while.
  await page.waitForFunction(
    () => [...document.querySelectorAll('#scaling-rows tr')].some((row) => row.cells[5].textContent === 'here'),
    { timeout: 240_000 },
  );
  await page.click('#scaling-cancel');
  await page.waitForSelector('#scaling-cancel[hidden]', PATIENT);
  assert.equal(await page.$eval('#scaling-run', (button) => button.disabled), false, 'it can go on from there');
}));
