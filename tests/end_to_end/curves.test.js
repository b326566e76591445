// The charts over the steps: a crosshair over all of them, what it reads, smoothing, the log scale and the fourth chart.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawn, text, visit } from './harness.js';

const CHROMIUM = 'Chromium without WebGPU';
const PATIENT = { timeout: 60_000 };
const PHONE = { width: 390, height: 844, isMobile: true, hasTouch: true };
const STEPS = 12;

/** Trains until the charts have something to show, and stops. */
async function trained(page) {
  await page.waitForFunction(() => !document.querySelector('#play').disabled, PATIENT);
  await page.click('#play');
  await page.waitForFunction((least) => {
    const [, step] = document.querySelector('#curve-readout').textContent.match(/step (\d+) ·/) ?? [];
    return Number(step) >= least;
  }, PATIENT, STEPS);
  await page.click('#play');
  await page.waitForFunction(() => document.querySelector('#play').textContent === 'Play', PATIENT);
  // What was under way when Pause was pressed is reported within moments.
  await new Promise((resolve) => { setTimeout(resolve, 1000); });
}

const picture = (page, id) => page.$eval(`#curve-${id}`, (canvas) => canvas.toDataURL());
const readout = (page) => text(page, '#curve-readout');
const press = async (page, ...keys) => {
  for (const key of keys) await page.keyboard.press(key);
  await drawn(page);
};

test('mouse and keys point every chart at the same step and read the same values', () => visit(CHROMIUM, async (page) => {
  await page.waitForFunction(() => !document.querySelector('#play').disabled, PATIENT);
  assert.equal(await readout(page), 'No step yet. Press Play.');
  await trained(page);
  const newest = await readout(page);
  assert.match(newest, /^Newest: step \d+ · loss, nats: 0\.\d{4} · .*gold reward: .*gradient norm: /);
  const before = await Promise.all(['loss', 'kl', 'reward', 'also'].map((id) => picture(page, id)));
  await page.focus('#curve-kl');
  await press(page, 'Home', 'ArrowRight', 'ArrowRight', 'ArrowRight');
  const byKeys = await readout(page);
  const step = Number(byKeys.match(/^Step (\d+) ·/)[1]);
  assert.ok(step >= 3 && step <= 4, byKeys);
  assert.equal(await text(page, '#said'), byKeys);
  const pointed = await Promise.all(['loss', 'also'].map((id) => picture(page, id)));
  assert.ok(pointed[0] !== before[0] && pointed[1] !== before[3], 'there is a line on every chart');
  await press(page, 'Escape');
  assert.equal(await readout(page), newest);
  // The pointer finds the same step on another chart: somewhere along its axis the line reads the same.
  const canvas = await page.$('#curve-loss');
  await canvas.scrollIntoView();
  const box = await canvas.boundingBox();
  const readings = [];
  for (let x = 45; x < box.width - 14; x += 4) {
    await page.mouse.move(box.x + x, box.y + box.height / 2);
    readings.push(await readout(page));
  }
  assert.ok(readings.includes(byKeys), `${byKeys} is not among\n${readings.join('\n')}`);
  await page.mouse.move(0, 0);
  assert.equal(await readout(page), newest);
}));

test('the curves stand in a table while it is open', () => visit(CHROMIUM, async (page) => {
  await trained(page);
  const cells = () => page.$$eval('#curve-rows tr', (rows) => rows.map(({ cells: of }) => [...of].map(({ textContent }) => textContent)));
  assert.deepEqual(await cells(), [], 'closed, it costs nothing');
  await page.focus('#curve-summary');
  await press(page, 'Enter');
  const heads = await page.$$eval('#curve-heads th', (all) => all.map(({ textContent }) => textContent));
  assert.deepEqual([heads[0], heads[1], heads.at(-1)], ['step', 'loss, nats', 'gradient norm']);
  const [step, loss] = (await cells()).at(-1);
  await page.focus('#curve-loss');
  await press(page, 'End');
  while (!(await readout(page)).startsWith(`Step ${step} ·`)) await press(page, 'ArrowLeft');
  assert.ok((await readout(page)).includes(`loss, nats: ${loss}`), `${loss} is not in ${await readout(page)}`);
}));

test('smoothing, the log scale and another metric change what is drawn', () => visit(CHROMIUM, async (page) => {
  await trained(page);
  const [loss, also] = [await picture(page, 'loss'), await picture(page, 'also')];
  await page.focus('#smoothing');
  await press(page, 'ArrowRight', 'ArrowRight', 'ArrowRight', 'ArrowRight');
  assert.equal(await text(page, '#smoothing-value'), '0.20');
  const smooth = await picture(page, 'loss');
  assert.notEqual(smooth, loss);
  assert.match(await readout(page), /\(smoothed /);
  assert.equal(await text(page, '#beta-value'), '0.50', 'the arrows are the slider’s own');
  await page.click('#logarithmic');
  await drawn(page);
  assert.notEqual(await picture(page, 'loss'), smooth);
  assert.notEqual(await picture(page, 'also'), also);
  await page.select('#also', 'rewards/margins');
  assert.match(await text(page, '#caption-also'), /margin|chosen/i);
  assert.match(await readout(page), /margin/i);
}));

test('a finger on a phone leaves the crosshair to be read', () => visit(CHROMIUM, async (page) => {
  await trained(page);
  const canvas = await page.$('#curve-loss');
  await canvas.scrollIntoView();
  await canvas.tap();
  const reading = await readout(page);
  assert.match(reading, /^Step \d+ ·/);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
}, { viewport: PHONE }));
