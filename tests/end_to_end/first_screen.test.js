// What stands on the first screen, before anybody scrolls: on a phone sentence, Play and chart, with the set-up folded
// away; at a desk chart, β and the guess that is asked for.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawn, ready, text, visit } from './harness.js';

const PATIENT = { timeout: 60_000 };
const CHROMIUM = 'Chromium without WebGPU';
const FIREFOX = 'Firefox without WebGPU';
const PHONE = { width: 390, height: 844 };
const DESK = { width: 1440, height: 900 };

const asked = async (page) => {
  await page.waitForFunction(() => document.querySelector('#beta-target').textContent.includes('π*'), PATIENT);
  await page.focus('#beta');
  await page.keyboard.press('ArrowLeft');
  await page.waitForSelector('#guess:not([hidden])', PATIENT);
};
/** Asserts that each part has room and lies between the window's edges. */
const onScreen = async (page, selectors) => {
  await page.evaluate(() => scrollTo({ top: 0, behavior: 'instant' }));
  await drawn(page);
  const places = await page.evaluate((all) => all.map((selector) => {
    const { top, bottom, height } = document.querySelector(selector).getBoundingClientRect();
    return { selector, top, bottom, fits: height > 0 && top >= 0 && bottom <= innerHeight };
  }), selectors);
  assert.deepEqual(places.filter(({ fits }) => !fits), []);
};
const isShown = (page) => page.$eval('#setup', (setup) => setup.getBoundingClientRect().height > 0);
const focused = (page) => page.evaluate(() => document.activeElement.id);

for (const name of [CHROMIUM, FIREFOX]) {
  test(`${name}: a phone begins with sentence, Play and chart, and unfolds the set-up`, () => visit(name, async (page) => {
    await ready(page);
    await onScreen(page, ['h1', '#play', '#frontier', '#setup-open']);
    assert.equal(await isShown(page), false);
    const room = await page.$eval('.bar', (bar) => bar.getBoundingClientRect().height);
    assert.ok(room < 844 / 6, `the bar takes ${room} pixels`);
    await page.focus('#setup-open');
    await page.keyboard.press('Enter');
    assert.equal(await isShown(page), true);
    assert.equal(await page.$eval('.bar', (bar) => bar.getBoundingClientRect().height), room, 'nothing moves for it');
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'seed', 'the keys go on into it');
    const theme = await text(page, '#theme');
    await page.click('#theme');
    assert.notEqual(await text(page, '#theme'), theme);
    await page.keyboard.press('Escape');
    assert.equal(await isShown(page), false);
  }, { viewport: PHONE }));

  test(`${name}: a desk has chart, β and the guess on its first screen, and the set-up in its bar`, () => visit(name, async (page) => {
    await ready(page);
    await asked(page);
    await onScreen(page, ['h1', '#play', '#frontier', '#beta', '#guess', '#guess-skip', '#setup', '#seed', '#help']);
    assert.equal(await page.$eval('#setup-open', (button) => button.getBoundingClientRect().height), 0);
  }, { viewport: DESK }));
}

test('the button of the set-up says whether it is unfolded, and is not there where a lecturer hides it', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  const expanded = async () => {
    const tree = await page.accessibility.snapshot({ root: await page.$('#setup-open') });
    return [tree.role, tree.name, tree.expanded ?? false];
  };
  assert.deepEqual(await expanded(), ['button', 'Set-up', false]);
  await page.click('#setup-open');
  assert.deepEqual(await expanded(), ['button', 'Set-up', true]);
  await page.goto(`${process.env.KLIMB_URL}?hide=setup`, { waitUntil: 'load' });
  await ready(page);
  assert.equal(await page.$eval('#setup-open', (button) => button.getBoundingClientRect().height), 0);
}, { viewport: PHONE }));
