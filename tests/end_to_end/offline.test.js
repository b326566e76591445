// After one visit the page needs no network, and a new build takes the old one's place.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { BROWSERS, ready, text, visit } from './harness.js';
import { hosted } from './server.js';

const PATIENT = { timeout: 60_000 };
const CHROMIUM = 'Chromium without WebGPU';

/** Resolves when the files are kept and the page is in the service worker's hands. */
const kept = (page) => page.waitForFunction(() => navigator.serviceWorker.controller?.state === 'activated', PATIENT);
const caches = (page) => page.evaluate(() => globalThis.caches.keys());

// Firefox looks at a stopped host as at a failed request even where the service worker answers in its place.
const expected = /request failed|ERR_CONNECTION_REFUSED|NS_ERROR_CONNECTION_REFUSED/;

for (const name of Object.keys(BROWSERS)) {
  test(`${name}: without its host the page reloads and takes a step`, () => hosted((host) => visit(name, async (page) => {
    await ready(page);
    await kept(page);
    await host.stop();
    await page.goto(`${host.url}?batch_size=8`, { waitUntil: 'load' });
    await ready(page);
    assert.equal(await text(page, '#failure-sentence'), '');
    await page.click('#step');
    await page.waitForFunction(() => document.querySelector('#batch-summary').textContent.startsWith('Step 1: 8 pairs'), PATIENT);
    // Nothing asked for them yet.
    await page.select('#breadth', 'broad');
    await page.waitForFunction(() => document.querySelector('#batch-summary').textContent.startsWith('Press Step'), PATIENT);
    assert.equal(await text(page, '#failure-sentence'), '');
    await page.waitForFunction(() => document.querySelector('#recorded-summary').textContent.startsWith('Pale'), PATIENT);
  }, { url: host.url, expected })));
}

test('a new build is seen at once and kept in the old one’s place', () => hosted((host) => visit(CHROMIUM, async (page) => {
  await ready(page);
  await kept(page);
  const [old, ...others] = await caches(page);
  assert.deepEqual(others, []);
  const change = async (file, from, to) => {
    const path = join(host.folder, file);
    const before = await readFile(path, 'utf8');
    assert.ok(before.includes(from), file);
    await writeFile(path, before.replace(from, to));
  };
  await change('index.html', '<p class="name">Klimb', '<p class="name">Klimb again');
  await change('service-worker.js', /VERSION = "\w+"/.exec(await readFile(join(host.folder, 'service-worker.js'), 'utf8'))[0], 'VERSION = "another"');
  await page.reload();
  assert.equal(await text(page, '.name'), 'Klimb again');
  await page.waitForFunction(async (its) => !(await globalThis.caches.keys()).includes(its), PATIENT, old);
  assert.match((await caches(page)).join(), /^klimb http:.*\/below\/ another$/);
  await host.stop();
  await page.reload();
  assert.equal(await text(page, '.name'), 'Klimb again');
  await ready(page);
}, { url: host.url, expected })));

for (const name of [CHROMIUM, 'Firefox without WebGPU']) {
  test(`${name}: without a host that leaves out .html, the German page is still German`, () => hosted((host) => visit(name, async (page) => {
    await ready(page);
    await kept(page);
    await page.waitForNetworkIdle({ idleTime: 300 });
    await host.stop();
    for (const address of ['de', 'de.html', 'de?seed=3']) {
      await page.goto(host.url + address, { waitUntil: 'load' });
      assert.equal(await page.$eval('html', (root) => root.lang), 'de', address);
      await ready(page);
      // What is recorded is fetched last, and Firefox calls it an error to leave meanwhile.
      await page.waitForNetworkIdle({ idleTime: 300 });
    }
    await page.goto(`${host.url}index.html`, { waitUntil: 'load' });
    assert.equal(await page.$eval('html', (root) => root.lang), 'en');
    await ready(page);
    await page.waitForNetworkIdle({ idleTime: 300 });
  }, { url: `${host.url}de`, expected }), { hasCleanAddresses: true }));
}
