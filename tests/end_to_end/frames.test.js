// When the page draws: at rest no frame is asked for, and a chart follows its size and its screen's resolution.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { visit } from './harness.js';

const POLLING = { timeout: 60_000, polling: 100 };
const CHROMIUM = 'Chromium without WebGPU';
const QUICK = `${process.env.KLIMB_URL}?evaluation_samples=64&batch_size=16&seed=3`;

const rest = (page, milliseconds) => page.evaluate((its) => new Promise((resolve) => { setTimeout(resolve, its); }), milliseconds);
const frames = (page) => page.evaluate(() => window.klimbFrames);
const stepped = (page, step) => page.waitForFunction(
  (it) => document.querySelector('#frontier-summary').textContent.includes(`step ${it}:`), POLLING, step,
);

const count = (page) => page.evaluateOnNewDocument(() => {
  const { requestAnimationFrame } = window;
  window.klimbFrames = 0;
  window.requestAnimationFrame = (callback) => {
    window.klimbFrames += 1;
    return requestAnimationFrame(callback);
  };
  window.klimbRevoked = [];
  window.klimbLate = [];
  const { setTimeout } = window;
  window.setTimeout = (callback, delay, ...rest) => {
    if (delay >= 10_000) window.klimbLate.push(callback);
    return setTimeout(callback, delay, ...rest);
  };
  const { revokeObjectURL } = URL;
  URL.revokeObjectURL = (address) => {
    window.klimbRevoked.push(address);
    revokeObjectURL.call(URL, address);
  };
});

test('at rest no frame is asked for, and everything that happens is drawn', () => visit(CHROMIUM, async (page) => {
  await page.waitForFunction(() => !document.querySelector('#play').disabled, POLLING);
  await page.click('#step');
  await stepped(page, 1);
  await page.waitForFunction(() => document.querySelectorAll('#recorded-rows tr').length > 0, POLLING);
  // What had been under way comes to rest: the samples of the optimum, the store.
  for (let before = -1; before !== await frames(page);) {
    before = await frames(page);
    await rest(page, 1000);
  }
  const before = await frames(page);
  await rest(page, 2000);
  assert.equal(await frames(page), before);
  await page.click('#step');
  await stepped(page, 2);
}, { url: QUICK, prepare: count }));

test('a chart has as many pixels as its place and its screen, whichever of them changes', () => visit(CHROMIUM, async (page) => {
  await page.waitForFunction(() => !document.querySelector('#play').disabled, POLLING);
  const fits = () => page.waitForFunction(() => ['frontier', 'curve-kl'].every((id) => {
    const { width, height, clientWidth, clientHeight } = document.getElementById(id);
    const due = (size) => Math.round(size * Math.max(1, devicePixelRatio));
    return clientWidth > 0 && width === due(clientWidth) && height === due(clientHeight);
  }), POLLING);
  await fits();
  const session = await page.createCDPSession();
  for (const deviceScaleFactor of [2, 1.5]) {
    // The window keeps its size: nothing tells of a resize.
    await session.send('Emulation.setDeviceMetricsOverride', { width: 1000, height: 800, deviceScaleFactor, mobile: false });
    assert.equal(await page.evaluate(() => devicePixelRatio), deviceScaleFactor);
    await fits();
  }
  const before = await page.$eval('#curve-kl', ({ width }) => width);
  await page.$eval('#curve-kl', (canvas) => { canvas.style.width = '50%'; });
  await fits();
  assert.ok(await page.$eval('#curve-kl', ({ width }) => width) < before);
}, { viewport: { width: 1000, height: 800 } }));

test('the data of a download is let go later', () => visit(CHROMIUM, async (page) => {
  await page.waitForFunction(() => !document.querySelector('#play').disabled, POLLING);
  await page.evaluate(() => {
    window.klimbClicked = [];
    HTMLAnchorElement.prototype.click = function clicked() { window.klimbClicked.push(this.href); };
  });
  const offered = (all) => page.waitForFunction((its) => window.klimbClicked.length === its, POLLING, all);
  await page.$eval('#export-json', (button) => button.click());
  await offered(1);
  await page.$eval('#export-png', (button) => button.click());
  await offered(2);
  assert.deepEqual(await page.evaluate(() => window.klimbRevoked), []);
  const [clicked, revoked] = await page.evaluate(() => {
    window.klimbLate.forEach((callback) => callback());
    return [window.klimbClicked, window.klimbRevoked];
  });
  assert.deepEqual(revoked, clicked);
}, { prepare: count }));
