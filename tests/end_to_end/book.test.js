// The book opens as it is served, under the page's policy and its own, without a script, with and without a network, in both
// themes, at a desk and on a phone.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { CHROMIUM, PATIENT, URL_AT_ROOT, URL_BELOW, ready, visit } from './harness.js';
import { hosted } from './server.js';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const DESK = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844, isMobile: true, hasTouch: true };

/** Every chapter's address, by the table of contents of the one that is open. */
const chapters = (page) => page.$$eval('.contents a', (links) => links.map(({ href }) => href));

test('every chapter opens without a complaint, a script or a request elsewhere', () => visit(CHROMIUM, async (page) => {
  await page.goto(`${URL_AT_ROOT}book/index.html`, { waitUntil: 'load' });
  const all = await chapters(page);
  assert.ok(all.length > 30, all.join(' '));
  for (const address of all) {
    await page.goto(address, { waitUntil: 'load' });
    const { title, scripts, current, pictures } = await page.evaluate(() => ({
      title: document.querySelector('h1').textContent,
      scripts: document.scripts.length,
      current: document.querySelector('.contents [aria-current]')?.href,
      pictures: [...document.images].filter(({ naturalWidth }) => naturalWidth === 0).map(({ src }) => src),
    }));
    assert.ok(title.length > 0, address);
    assert.equal(scripts, 0, address);
    assert.equal(current, address);
    assert.deepEqual(pictures, [], address);
  }
}, { url: `${URL_BELOW}book/index.html` }));

for (const [name, viewport, colorScheme] of [['at a desk, light', DESK, 'light'], ['on a phone, dark', PHONE, 'dark']]) {
  test(`axe finds nothing in the book, and nothing is wider than the screen, ${name}`, () => visit(CHROMIUM, async (page) => {
    for (const chapter of ['index', 'guide/settings', 'guide/command_line', 'explain/optimum', 'develop/map', 'develop/one_step', 'decisions/book', 'glossary']) {
      await page.goto(`${URL_AT_ROOT}book/${chapter}.html`, { waitUntil: 'load' });
      await page.evaluate(AXE);
      const found = await page.evaluate(async (rules) => {
        const { violations } = await window.axe.run(document, { runOnly: rules });
        return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
      }, RULES);
      assert.deepEqual(found, [], chapter);
      const [wide, width] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
      assert.ok(wide <= width, `${chapter} is ${wide} wide on a screen of ${width}`);
    }
  }, { url: `${URL_AT_ROOT}book/index.html`, viewport, colorScheme }));
}

for (const hasCleanAddresses of [false, true]) {
  test(`after a visit to the page the book opens without a host${hasCleanAddresses ? ' that leaves out .html' : ''}`, () => hosted((host) => visit(CHROMIUM, async (page) => {
    await ready(page);
    assert.equal(await page.$eval('footer a', ({ href }) => href), `${host.url}book/index.html`);
    await page.waitForFunction(() => navigator.serviceWorker.controller?.state === 'activated', PATIENT);
    await host.stop();
    for (const [address, heading] of [['book/index.html', 'About this book'], ['book/', 'About this book'], ['book/develop/map.html', 'A map of the code']]) {
      await page.goto(host.url + address, { waitUntil: 'load' });
      assert.equal(await page.$eval('h1', (it) => it.textContent.trim()), heading, address);
      assert.notEqual(await page.$eval('body', (it) => getComputedStyle(it).display), 'inline', address);
      assert.ok(await page.evaluate(() => [...document.styleSheets].length === 1 && [...document.images].every(({ naturalWidth }) => naturalWidth > 0)), address);
    }
  }, { url: host.url, expected: /request failed|ERR_CONNECTION_REFUSED/ }), { hasCleanAddresses }));
}
