// What a visitor sees before anything has run: the recorded figure, in whose place the chart comes without a jolt.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import puppeteer from 'puppeteer-core';
import { BROWSERS, URL_AT_ROOT, drawn, text, visit } from './harness.js';

const PATIENT = { timeout: 60_000 };
const CHROMIUM = 'Chromium without WebGPU';
const DESK = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };

const figure = (page) => page.$eval('#recorded-figure img', (image) => {
  const { width, height } = image.getBoundingClientRect();
  return { width, height, natural: image.naturalWidth, source: image.currentSrc.split('/').at(-1), words: image.alt };
});

for (const [scheme, viewport, source] of [['light', DESK, 'light-wide.svg'], ['dark', PHONE, 'dark-narrow.svg']]) {
  test(`without JavaScript the recorded figure is there, ${source}`, async () => {
    const browser = await puppeteer.launch({ headless: true, ...BROWSERS[CHROMIUM] });
    try {
      const page = await browser.newPage();
      await page.setJavaScriptEnabled(false);
      await page.setViewport(viewport);
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      await page.goto(URL_AT_ROOT, { waitUntil: 'load' });
      const seen = await figure(page);
      assert.equal(seen.source, source);
      assert.ok(seen.natural > 0 && seen.width > 300 && seen.height > 300, JSON.stringify(seen));
      assert.match(seen.words, /^Recorded runs/);
      assert.ok(await page.$eval('noscript', (words) => words.getBoundingClientRect().height > 0));
      const paper = await page.$eval('html', (root) => getComputedStyle(root).backgroundColor);
      assert.equal(paper, scheme === 'dark' ? 'rgb(20, 22, 26)' : 'rgb(255, 253, 249)');
    } finally {
      await browser.close();
    }
  });
}

for (const [name, viewport] of [['a desk', DESK], ['a phone', PHONE]]) {
  test(`the chart takes the figure’s place and nothing moves, on ${name}`, () => visit(CHROMIUM, async (page) => {
    await page.waitForFunction(() => !document.querySelector('#play').disabled, PATIENT);
    await page.waitForSelector('#recorded-figure[hidden]', PATIENT);
    await page.waitForFunction(() => document.querySelector('#beta-target').textContent.includes('π*'), PATIENT);
    assert.match(await text(page, '#recorded-summary'), /^Pale/);
    await drawn(page);
    const shifts = await page.evaluate(() => new Promise((resolve) => {
      new PerformanceObserver((list) => resolve(list.getEntries().map(({ value, sources }) => ({
        value,
        moved: sources.map(({ node, previousRect, currentRect }) => `${node?.nodeName}#${node?.id} ${previousRect.top}→${currentRect.top}`),
      })))).observe({ type: 'layout-shift', buffered: true });
      setTimeout(() => resolve([]), 1000);
    }));
    const sum = shifts.reduce((sum, { value }) => sum + value, 0);
    assert.ok(sum < 0.02, `${sum} ${JSON.stringify(shifts)}`);
  }, { viewport }));
}
