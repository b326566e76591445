// What becomes of the store where pages of several versions share it, of what earlier builds left under names without a
// folder, and in a private window.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BROWSERS, CHROMIUM, PATIENT, QUICK, URL_AT_ROOT, URL_BELOW, drawn, has, ready, text, visit } from './harness.js';

const NEWER = 'A newer version of this page has changed what this browser keeps';
/** A document of the same origin that opens no store. */
const ASIDE = new URL('www/style.css', URL_AT_ROOT).href;

const stepped = (page, step) => has(page, '#frontier-summary', `step ${step}:`);

/** Opens the database and leaves it open, with or without asking for a version; resolves with the version it then has. */
const open = (page, version) => page.evaluate((wanted) => new Promise((resolve, reject) => {
  const request = indexedDB.open('klimb', wanted);
  request.onerror = () => reject(request.error);
  request.onupgradeneeded = () => {
    const { result } = request;
    if (!result.objectStoreNames.contains('runs')) result.createObjectStore('runs').put('of another page', '/elsewhere/');
  };
  request.onsuccess = () => {
    window.held = request.result;
    resolve(window.held.version);
  };
}), version);

const close = (page) => page.evaluate(() => window.held.close());

/** Everything in the store: its keys, and the values as text. */
const all = async (page) => {
  await open(page);
  const found = await page.evaluate(() => Promise.all([...window.held.objectStoreNames].map((name) => new Promise((resolve) => {
    const store = window.held.transaction(name).objectStore(name);
    const [keys, values] = [store.getAllKeys(), store.getAll()];
    store.transaction.oncomplete = () => resolve([name, JSON.stringify(keys.result), JSON.stringify(values.result)]);
  }))));
  await close(page);
  return found;
};

test('a page lets go of the store when a newer one wants to change it, says so, and destroys nothing', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  // While held, a transaction of the page goes on and on, and keeps its connection open.
  await page.evaluate(() => {
    const { put, get } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.put = function (...given) {
      const store = this;
      const goOn = () => {
        if (window.isHeld) get.call(store, ['nothing']).onsuccess = goOn;
      };
      if (window.isHeld) {
        window.isWriting = true;
        goOn();
      }
      return put.apply(store, given);
    };
    const closing = IDBDatabase.prototype.close;
    IDBDatabase.prototype.close = function () {
      if (window.isHeld && window.isWriting) window.hasLetGo = true;
      return closing.call(this);
    };
    window.isHeld = true;
  });
  await page.click('#step');
  await stepped(page, 1);
  await page.waitForFunction(() => window.isWriting, PATIENT);
  const other = await page.browser().newPage();
  await other.goto(ASIDE);
  const opened = open(other, 9);
  await page.bringToFront();
  await page.waitForFunction(() => window.hasLetGo, PATIENT);
  await has(page, '#kept-summary', NEWER);
  await page.evaluate(() => { window.isHeld = false; });
  assert.equal(await opened, 9, 'the newer one need not wait any longer than for what was under way');
  await close(other);
  const before = await all(other);
  assert.match(before.flat().join(), /"entry"/, 'what was being written then is there');
  await page.bringToFront();
  await page.click('#step');
  await stepped(page, 2);
  await has(page, '#kept-summary', NEWER);
  // A page that comes later says the same.
  await page.reload({ waitUntil: 'load' });
  await ready(page);
  await has(page, '#kept-summary', NEWER);
  await page.click('#step');
  await stepped(page, 1);
  await drawn(page);
  assert.deepEqual(await all(other), before);
}, { url: QUICK, expected: /favicon|404/ }));

test('a store that another tab holds on to is spoken of, and kept in once it is let go', () => visit(CHROMIUM, async (page) => {
  const other = await page.browser().newPage();
  await other.goto(ASIDE);
  assert.equal(await open(other, 1), 1);
  await page.bringToFront();
  await page.goto(QUICK, { waitUntil: 'load' });
  await ready(page);
  await has(page, '#kept-summary', 'Another tab with this page holds on to what the browser keeps. Close it');
  await page.click('#step');
  await stepped(page, 1);
  await close(other);
  await page.waitForSelector('#kept[hidden]', PATIENT);
  const kept = await all(other);
  assert.deepEqual(kept.find(([name]) => name === 'runs'), ['runs', '["/elsewhere/"]', '["of another page"]']);
  assert.match(kept.find(([name]) => name === 'parts')[1], /"entry"/);
}, { url: ASIDE, expected: /favicon|404/ }));

test('names without a folder are taken over once, and two folders do not mix', () => visit(CHROMIUM, async (page) => {
  await page.evaluate(() => {
    localStorage.setItem('klimb-theme', 'dark');
    localStorage.setItem('klimb-single-keys', 'off');
    sessionStorage.setItem('klimb-tour', '2');
  });
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  const keys = () => page.$eval('#single-keys', (box) => box.checked);
  const names = () => page.evaluate(() => [...Object.keys(localStorage), ...Object.keys(sessionStorage)].sort());
  const visited = async (url) => {
    await page.goto(url, { waitUntil: 'load' });
    await ready(page);
    await drawn(page);
  };
  const { pathname } = new URL(URL_AT_ROOT);
  const own = ['klimb-single-keys', 'klimb-theme', 'klimb-tour'].map((name) => `${name} ${pathname}`);
  await visited(URL_AT_ROOT);
  const first = [await theme(), await keys(), await text(page, '#tour-open')];
  assert.deepEqual(first.slice(0, 2), ['dark', false]);
  assert.match(first[2], /3/, 'the tour is where it was left');
  assert.deepEqual(await names(), own);
  await visited(URL_BELOW);
  assert.deepEqual([await theme(), await keys()], ['light', true]);
  assert.notEqual(await text(page, '#tour-open'), first[2]);
  await page.click('#theme');
  await page.click('#theme');
  await visited(URL_AT_ROOT);
  assert.deepEqual([await theme(), await keys(), await text(page, '#tour-open')], first);
}, { url: ASIDE, expected: /favicon|404/, colorScheme: 'light' }));

for (const name of Object.keys(BROWSERS).filter((it) => it.includes('without'))) {
  test(`${name}, private: a run is kept as long as the window, or the page says that it is not`, () => visit(name, async (page) => {
    await ready(page);
    await page.click('#step');
    await stepped(page, 1);
    await page.click('#step');
    await stepped(page, 2);
    // Whether the newest point is in the store is seen by the next page alone.
    const words = () => page.evaluate(() => (document.querySelector('#kept').hidden ? '' : document.querySelector('#kept-summary').textContent));
    for (let tries = 0; !/Resume the run of|keeps no runs/.test(await words()); tries += 1) {
      assert.ok(tries < 20, 'it neither keeps nor says that it does not');
      await new Promise((resolve) => { setTimeout(resolve, 250); });
      await page.reload({ waitUntil: 'load' });
      await ready(page);
      await drawn(page);
    }
    if ((await words()).includes('Resume')) {
      await page.click('#kept-resume');
      await has(page, '#state-dpo', 'step 2');
    }
    await page.click('#step');
    await has(page, '#batch-summary', 'Step ');
    assert.equal(await page.$('#failure:not([hidden])'), null);
  }, { url: QUICK, isPrivate: true }));
}
