// The other road: a reward model and what reinforcement learning makes of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawn, ready, text, visit } from './harness.js';

const CHROMIUM = 'Chromium without WebGPU';
const PATIENT = { timeout: 60_000 };
const SMALL = {
  url: `${process.env.KLIMB_URL}?evaluation_samples=64&rollout_size=32&evaluate_rollouts=1&pairs=384&reward_model_pairs=384`,
};

const point = (page, method) => page.waitForFunction(
  (wanted) => [...document.querySelectorAll('#frontier-rows th')].some((cell) => cell.textContent === wanted),
  PATIENT,
  method,
);
const row = (page, method) => page.$$eval(
  '#frontier-rows tr',
  (all, wanted) => all.map((it) => [...it.cells].map((cell) => cell.textContent)).find(([first]) => first === wanted),
  method,
);

test('a step of the reward model shows pairs with their scores', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#stage-reward-model');
  await page.click('#step');
  await page.waitForSelector('#scored-pairs li', PATIENT);
  assert.equal(await text(page, '#inside-title'), 'Inside a step of the reward model');
  assert.match(await text(page, '#scored-summary'), /^Step 1: 64 pairs, mean loss 0\.\d{3} nats/);
  assert.match(await text(page, '#live-score-loss'), /^\d\.\d{3}$/);
  await page.click('#step');
  await page.waitForFunction(() => document.querySelector('#scored-summary').textContent.startsWith('Step 2'), PATIENT);
  const sides = await page.$$eval('#scored-pairs .side .numeric', (all) => all.map((side) => side.textContent));
  assert.ok(sides.length >= 2 && sides.every((side) => /^score [+−]?\d+\.\d\d +gold \d\.\d\d$/.test(side)), `${sides}`);
  await drawn(page);
  assert.equal(await page.$('#inside-dpo:not([hidden])'), null);
}, SMALL));

test('PPO with the gold reward plays to a point, and a step shows its tokens', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#stage-ppo-gt');
  await drawn(page);
  assert.equal(await page.$eval('#stage-ppo-gt', (button) => button.ariaPressed), 'true');
  await page.click('#settings summary');
  await drawn(page);
  assert.ok(await page.$('#setting-rollout_size:not([hidden])'));
  assert.equal(await page.$('#setting-batch_size:not([hidden])'), null, 'DPO’s batch size is no knob of PPO');
  await page.click('#play');
  await point(page, 'PPO-GT');
  await page.click('#play');
  await page.waitForFunction(() => document.querySelector('#play').textContent === 'Play', PATIENT);
  const [, beta, step, kl] = await row(page, 'PPO-GT');
  assert.equal(beta, 'β 0.50');
  assert.ok(Number(step) >= 16 && parseFloat(kl) > 0, `${step} ${kl}`);
  await page.click('#step-ppo-gt');
  await page.waitForSelector('#episodes table', PATIENT);
  assert.match(await text(page, '#round-summary'), /^Round \d+: 32 completions, judged by the gold reward/);
  const heads = await page.$$eval('#episodes li:first-child thead th', (all) => all.map((head) => head.textContent));
  assert.deepEqual(heads.slice(0, 6), ['token', 'log π/π_ref', 'reward', 'value', 'Â', 'ρ']);
  assert.match(await text(page, '#live-ratio'), /^\d\.\d{3}$/);
}, SMALL));

test('PPO trains its reward model first, can be paused there, and goes on to a point', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#stage-ppo');
  await page.click('#play');
  await page.waitForFunction(() => /^training/.test(document.querySelector('#state-reward-model').textContent), PATIENT);
  await page.click('#play');
  await page.waitForFunction(() => document.querySelector('#state-ppo').textContent === 'ready', PATIENT);
  await page.click('#play');
  await point(page, 'PPO');
  assert.match(await text(page, '#state-reward-model'), /^done, \d+ steps here$/);
}, SMALL));

test('a phone shows the tokens of a round without scrolling sideways', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#step-ppo-gt');
  await page.waitForSelector('#episodes table', PATIENT);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 390, `the page is ${wide} pixels wide`);
}, { ...SMALL, viewport: { width: 390, height: 844, isMobile: true, hasTouch: true } }));
