// Inside a step: SFT token by token, where the probability went, and tokens as the way to their numbers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawn, ready, text, visit } from './harness.js';

const CHROMIUM = 'Chromium without WebGPU';
const FIREFOX = 'Firefox without WebGPU';
const PATIENT = { timeout: 60_000 };
const SMALL = { url: `${process.env.KLIMB_URL}?evaluation_samples=64&pairs=384&batch_size=32&rollout_size=32&learning_rate=0.003` };
const PHONE = { ...SMALL, viewport: { width: 360, height: 740, isMobile: true, hasTouch: true } };

const number = (words) => Number(words.replaceAll('−', '-').replace(/[^\d.-]/g, ''));
const numbers = (words) => [...words.matchAll(/[+−]?\d+(?:\.\d+)?/g)].map(([it]) => Number(it.replace('−', '-')));
const begins = (page, selector, words) => page.waitForFunction(
  (its, start) => document.querySelector(its).textContent.startsWith(start), PATIENT, selector, words,
);
const chosen = (page) => page.$$eval('[data-token][aria-current]', (all) => all.map((it) => it.dataset.token));
const focused = (page) => page.evaluate(() => document.activeElement.dataset.token);
const line = (page, list, item = 0) => text(page, `#${list} li:nth-child(${item + 1}) .token-line`);
const close = (found, expected, tolerance, what) => assert.ok(Math.abs(found - expected) <= tolerance, `${what}: ${found}, and not ${expected}`);

async function dpo(page, step) {
  await page.click('#step-dpo');
  await begins(page, '#batch-summary', `Step ${step}:`);
}

test('a step of SFT shows its loss in numbers, and what it did to each token', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#stage-sft');
  assert.equal(await text(page, '#inside-title'), 'Inside a step of SFT');
  await page.click('#step');
  await begins(page, '#sft-summary', 'Step 1: 128 reviews');
  const [count, logprob, loss] = (await Promise.all(['tokens', 'logprob', 'loss'].map((it) => text(page, `#live-sft-${it}`)))).map(number);
  close(loss, -logprob / count, 1e-3, 'the loss');
  const [, before, after] = (await text(page, '#sft-summary')).match(/Mean loss ([\d.]+) nats a token before the update, ([\d.]+) on the same/);
  close(Number(before), loss, 1e-9, 'the loss');
  assert.ok(Number(after) < loss, `${after} ${loss}`);
  assert.equal(await page.$$eval('#reviews li', (all) => all.length), 4);

  await page.focus('#reviews [data-token="0-0-0"]');
  const first = await line(page, 'reviews');
  await page.keyboard.press('ArrowRight');
  assert.deepEqual([await focused(page), await chosen(page)], ['0-0-1', ['0-0-1']]);
  const second = await line(page, 'reviews');
  assert.notEqual(second, first);
  const [, was, is, delta] = second.match(/log π ([−\d.]+), a probability of [\d.]+ %; after the update log π ([−\d.]+), [\d.]+ %: Δ ([+−\d.]+) nats/);
  close(number(delta), number(is) - number(was), 0.0016, 'Δ');
  assert.equal(await text(page, '#reviews [data-token="0-0-1"] small'), delta);
  await page.keyboard.press('End');
  assert.match(await text(page, '#reviews [aria-current]'), /^<end>/);
  await page.keyboard.press('Home');
  assert.equal(await focused(page), '0-0-0');

  await page.keyboard.press('.');
  await begins(page, '#sft-summary', 'Step 2: ');
  assert.equal(await focused(page), '0-0-0', 'another batch, the same place');
  assert.notEqual(await line(page, 'reviews'), first);
  await page.click('#retrain');
  await page.waitForFunction(() => document.querySelectorAll('#reviews li').length === 0, PATIENT);
}, SMALL));

for (const [name, step, list] of [['DPO', dpo, 'pairs'], ['unlikelihood', async (page, number) => {
  await page.click('#step-unlikelihood');
  await begins(page, '#likelihood-summary', `Step ${number}:`);
}, 'likelihood-pairs']]) {
  test(`${name}: the shares of chosen, rejected and everything else are all there is`, () => visit(CHROMIUM, async (page) => {
    await ready(page);
    assert.equal(await page.$('#mass:not([hidden])'), null, 'no step, no shares');
    for (const number of [1, 2, 3]) await step(page, number);
    await drawn(page);
    const rows = await page.$$eval('#mass tbody tr', (all) => all.map((row) => [...row.cells].slice(1).map((cell) => cell.textContent)));
    const [winners, losers, rest, winner] = rows.map((row) => row.map(number));
    const digit = 10 ** -(rows[0][0].match(/\.(\d+)/)[1].length);
    for (const moment of [0, 1, 2]) {
      close(winners[moment] + losers[moment] + rest[moment], 100, 2 * digit, `moment ${moment}`);
      assert.ok(winners[moment] > 0 && losers[moment] > 0);
    }
    for (const change of [3, 4]) close(winners[change] + losers[change] + rest[change], 0, 2 * digit, `change ${change}`);
    for (const [row, tolerance] of [[winners, digit], [winner, 0.001]]) {
      close(row[3], row[2] - row[1], 1.01 * tolerance, 'by the step');
      close(row[4], row[2] - row[0], 1.01 * tolerance, 'since the reference');
    }
    assert.notEqual(winner[3], 0, 'a step does something');
    // The bars say the same as the table.
    for (const [moment, id] of ['reference', 'before', 'after'].entries()) {
      const [wide, narrow] = await page.$eval(`#mass-bar-${id}`, (bar) => ['.chosen', '.rejected'].map((part) => bar.querySelector(part).getBoundingClientRect().width));
      close(wide / (wide + narrow), winners[moment] / (winners[moment] + losers[moment]), 0.02, id);
    }
    assert.match(await text(page, '#mass-verdict'), /^Of this batch’s 32 pairs, the step made the chosen completion rarer in \d+;/);
    // Each pair says the same of its own.
    const sides = await page.$$eval(`#${list} .side .numeric`, (all) => all.map((it) => it.textContent));
    assert.equal(sides.length, 8);
    assert.ok(sides.every((side) => /log π −\d+\.\d\d → −\d+\.\d\d/.test(side)), `${sides}`);
  }, SMALL));
}

test('a token of a pair says its numbers: by mouse, by key, and after another step', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await dpo(page, 1);
  await dpo(page, 2);
  const beta = await text(page, '#beta-value');
  await page.click('#pairs [data-token="1-1-2"]');
  const told = await line(page, 'pairs', 1);
  const [logprob, reference, ratio, share, reward, after, delta] = numbers(told.replace(/^.*?”/, ''));
  close(ratio, logprob - reference, 0.0016, 'the log-ratio');
  close(delta, after - logprob, 0.0016, 'Δ');
  close(share, number(beta) * ratio, 0.001, 'its share');
  assert.ok((await page.$eval('#pairs li:nth-child(2) .side:nth-of-type(2) .numeric', (it) => it.textContent)).replace('−', '-').includes(`r̂ ${reward > 0 ? '+' : ''}${reward.toFixed(3)}`));
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowUp');
  assert.deepEqual([await focused(page), await chosen(page)], ['1-1-0', ['1-1-0']]);
  await page.keyboard.press('ArrowLeft');
  assert.equal(await focused(page), '1-1-0', 'it is the first');
  // Another pair: its line speaks, the other one's is empty again.
  await page.click('#pairs [data-token="0-0-0"]');
  assert.equal(await line(page, 'pairs', 1), '');
  const first = await line(page, 'pairs');
  await page.keyboard.press('.');
  await begins(page, '#batch-summary', 'Step 3:');
  await drawn(page);
  assert.deepEqual([await focused(page), await chosen(page)], ['0-0-0', ['0-0-0']]);
  assert.notEqual(await line(page, 'pairs'), first);
  assert.equal(await text(page, '#beta-value'), beta, 'arrows within a completion leave β alone');
  // A completion is one stop of the Tab key.
  await page.keyboard.press('Tab');
  assert.equal(await focused(page), '0-1-0');
  assert.equal(await page.$eval('#pairs .token-line', (it) => it.ariaLive), 'polite');
}, SMALL));

test('a token of an episode takes the formula, and says how its numbers hang together', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#step-ppo-gt');
  await page.waitForSelector('#episodes table', PATIENT);
  assert.match(await text(page, '#live-which'), /went farthest$/);
  const last = await page.$$eval('#episodes li:first-child tbody tr', (all) => all.length - 1);
  await page.tap(`#episodes [data-token="0-0-${last}"]`);
  assert.equal(await text(page, '#live-which'), 'The token that you chose');
  const cells = await page.$eval('#episodes tr:has([aria-current])', (row) => [...row.cells].map((cell) => cell.textContent));
  assert.equal(await text(page, '#live-word'), `“${cells[0]}”`);
  assert.deepEqual([await text(page, '#live-ratio'), await text(page, '#live-advantage')], [cells[5], cells[4]]);
  const told = await line(page, 'episodes');
  assert.match(told, /^“<end>”: −β·log π\/π_ref = −0\.50 × \([+−]?[\d.]+\) = [+−]?[\d.]+, and the score [+−]?[\d.]+: reward [+−]?[\d.]+\. Return [+−]?[\d.]+ against a value of/);
  assert.match(told, cells[7] === 'clipped' ? /the clip holds it/ : /not clipped/);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 360, `the page is ${wide} pixels wide`);
}, PHONE));

test('a phone shows SFT and the shares without scrolling sideways', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await dpo(page, 1);
  await page.tap('#pairs [data-token="0-1-0"]');
  assert.match(await line(page, 'pairs'), /log-ratio/);
  const widths = [await page.evaluate(() => document.documentElement.scrollWidth)];
  await page.click('#step-sft');
  await begins(page, '#sft-summary', 'Step 1:');
  await drawn(page);
  assert.equal(await page.$('#mass:not([hidden])'), null, 'SFT has no pairs');
  widths.push(await page.evaluate(() => document.documentElement.scrollWidth));
  assert.ok(widths.every((wide) => wide <= 360), `the page is ${widths} pixels wide`);
}, PHONE));

for (const [name, file, width] of [[CHROMIUM, '', 360], [CHROMIUM, 'de.html', 360], [FIREFOX, 'de.html', 360], [CHROMIUM, '', 1440]]) {
  test(`${name}, ${file || 'index.html'}: at ${width} px no formula is wider than the page`, () => visit(name, async (page) => {
    await ready(page);
    for (const [step, numbers] of [['#step-dpo', '#live-formula'], ['#step-reward-model', '#live-score'], ['#step-ppo-gt', '#live-token']]) {
      await page.$eval(step, (button) => button.click());
      await page.waitForSelector(`${numbers}:not([hidden])`, PATIENT);
      await drawn(page);
      const formula = await page.waitForSelector(`.formula:has(${numbers})`);
      const [inside, room] = await formula.evaluate((it) => [it.scrollWidth, it.clientWidth]);
      assert.ok(inside <= room, `${numbers} is ${inside} pixels wide in ${room}`);
      const starts = await page.$$eval(`${numbers} math > *`, (parts) => parts.map((part) => part.getBoundingClientRect().left));
      const isBroken = starts.some((start, index) => start < starts[index - 1]);
      // Of the formulas one alone is longer than a phone is wide in every font.
      if (width === 1440 || numbers === '#live-formula') assert.equal(isBroken, width < 1440, `${numbers} has parts at ${starts}`);
    }
  }, { url: SMALL.url.replace('?', `${file}?`), viewport: { width, height: 740 } }));
}
