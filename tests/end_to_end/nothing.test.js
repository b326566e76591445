// A browser that answers with nothing where it should give something, as some do that were made to hide who visits: the page
// says what is missing and goes on, and nothing is thrown.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHROMIUM, PATIENT, QUICK, drawn, has, ready, text, visit } from './harness.js';
import { hosted } from './server.js';

/** Opens the page anew after `broken(given)` was done to the browser, and lets `use` look at it. */
async function broken(page, how, given, use) {
  const { identifier } = await page.evaluateOnNewDocument(how, given);
  await page.reload({ waitUntil: 'load' });
  await ready(page);
  await use();
  await page.removeScriptToEvaluateOnNewDocument(identifier);
}

/** Lets a method answer with a value of JSON, or with nothing. */
const answering = ([owner, name, value]) => {
  const object = owner.split('.').reduce((it, part) => it[part], window);
  const own = object[name];
  object[name] = () => value;
  window.mend = () => { object[name] = own; };
};

/** One more step of DPO, to its point. */
async function step(page, number) {
  await page.$eval('#step', (button) => button.click());
  await has(page, '#frontier-summary', `step ${number}:`);
}

/** What is said in the places of charts. */
const instead = (page) => page.$$eval('[id$=-undrawn]:not([hidden])', (all) => all.map(({ id, textContent }) => `${id}: ${textContent}`));
const isQuiet = (page) => page.$eval('#failure', (it) => it.hidden);
/** Whether anything is drawn in the middle of the frontier. */
const isDrawn = (page) => page.$eval('#frontier', (canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return data.some((value) => value > 0);
});

test('a store that gives nothing is one that keeps nothing, and that is said', () => visit(CHROMIUM, async (page) => {
  const all = [
    ['IDBFactory.prototype', 'open'], ['IDBFactory.prototype', 'open', null], ['IDBDatabase.prototype', 'transaction'],
    ['IDBTransaction.prototype', 'objectStore'], ['IDBObjectStore.prototype', 'getAllKeys'], ['IDBObjectStore.prototype', 'put'],
    ['IDBKeyRange', 'bound'],
  ];
  for (const given of all) {
    await broken(page, answering, given, async () => {
      await step(page, 1);
      await has(page, '#kept-summary', 'This browser keeps no runs between visits (its IndexedDB does not answer as it should). Everything else works.');
      assert.ok(await isQuiet(page), given.join(' '));
    });
  }
}, { url: QUICK }));

test('a store that never answers is spoken of', () => visit(CHROMIUM, async (page) => {
  const never = () => {
    const [{ open }, { setTimeout }] = [IDBFactory.prototype, window];
    window.setTimeout = (work, milliseconds) => setTimeout(work, milliseconds / 20); // a long time is soon over
    IDBFactory.prototype.open = function mute() {
      const request = open.call(this, 'another');
      Object.defineProperty(request, 'onsuccess', { set() {} });
      return request;
    };
  };
  await broken(page, never, null, async () => {
    await has(page, '#kept-summary', 'The browser’s store does not answer: runs are not kept until it does.');
    await step(page, 1);
  });
}, { url: QUICK }));

test('where no chart can be drawn, that is said in its place, and its numbers are in the table', () => visit(CHROMIUM, async (page) => {
  const places = ['frontier', 'curve-loss', 'curve-kl', 'curve-reward', 'curve-also'];
  for (const value of [null, undefined]) {
    await broken(page, answering, ['HTMLCanvasElement.prototype', 'getContext', value], async () => {
      await step(page, 1);
      const why = 'This browser does not draw the chart (it gives no canvas to draw on). All of its points are in the table below.';
      assert.deepEqual(await instead(page), places.map((id) => `${id}-undrawn: ${why}`));
      assert.ok(await page.$eval('#frontier-undrawn', (it) => it.getBoundingClientRect().height > 0));
      assert.ok(await page.$eval('#recorded-figure', (it) => !it.hidden), 'the recorded figure stays');
      assert.ok(await page.$$eval('#frontier-rows tr', (all) => all.some((row) => row.textContent.startsWith('DPO'))));
      assert.ok(await isQuiet(page));
      // A picture without pixels needs no canvas, and one with pixels says what it lacks.
      await page.evaluate(() => {
        const { createObjectURL } = URL;
        URL.createObjectURL = (blob) => { window.saved = blob; return createObjectURL.call(URL, blob); };
        document.querySelector('#export-svg').click();
      });
      await page.waitForFunction(() => window.saved, PATIENT);
      assert.match(await page.evaluate(() => window.saved.text()), /^<svg.*<text/s);
      await page.$eval('#export-png', (button) => button.click());
      await has(page, '#failure', 'The browser could not make the picture. Save it as SVG instead.');
      await page.evaluate(() => { window.mend(); });
      await page.click('#theme');
      await page.waitForFunction(() => document.querySelector('#recorded-figure').hidden, PATIENT);
      assert.deepEqual(await instead(page), []);
      assert.ok(await isDrawn(page));
    });
  }
}, { url: QUICK }));

test('a browser that does not tell how wide a text is has its charts drawn all the same', () => visit(CHROMIUM, async (page) => {
  for (const value of [undefined, null, {}, { width: null }]) {
    await broken(page, answering, ['CanvasRenderingContext2D.prototype', 'measureText', value], async () => {
      await step(page, 1);
      assert.deepEqual(await instead(page), []);
      assert.ok(await isDrawn(page));
      assert.ok(await isQuiet(page));
    });
  }
}, { url: QUICK }));

test('a chart without room says so, and is drawn when it has room or its pixels were lost', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await step(page, 1);
  await page.evaluate(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync('#frontier { width: 1px; height: 1px; }');
    document.adoptedStyleSheets = [sheet];
  });
  await has(page, 'main', 'There is no room to draw the chart here. All of its points are in the table below.');
  assert.ok(await isQuiet(page));
  await step(page, 2);
  assert.ok(await isQuiet(page));
  await page.evaluate(() => { document.adoptedStyleSheets = []; });
  await page.waitForFunction(() => document.querySelector('#frontier-undrawn').hidden, PATIENT);
  assert.ok(await isDrawn(page));
  await page.$eval('#frontier', (canvas) => {
    canvas.width += 0; // which takes away all that is drawn
    canvas.dispatchEvent(new Event('contextrestored'));
  });
  await drawn(page);
  assert.ok(await isDrawn(page));
}, { url: QUICK }));

test('recorded runs that a browser gives no answer for are spoken of', () => visit(CHROMIUM, async (page) => {
  const none = (answer) => {
    const { fetch } = window;
    window.fetch = (address, ...rest) => {
      if (!String(address).includes('recorded')) return fetch(address, ...rest);
      return answer ? Promise.resolve(null) : undefined;
    };
  };
  for (const given of [0, 1]) {
    await broken(page, none, given, async () => {
      await has(page, '#recorded-summary', 'The recorded runs could not be read (paper/frontier.csv: the browser gave no answer); your own are drawn all the same.');
      await step(page, 1);
      assert.ok(await isQuiet(page), await text(page, '#failure'));
    });
  }
}, { url: QUICK }));

test('a graphics adapter that never answers is taken for none', async () => {
  const never = (what) => `{ const own = setTimeout; self.setTimeout = (work, milliseconds) => own(work, milliseconds / 20); }
    ${what} = () => new Promise(() => {});\n`;
  let broken = 'GPU.prototype.requestAdapter';
  const answers = async (file, bytes, answer) => {
    if (file !== 'worker.js') return false;
    answer.writeHead(200, { 'content-type': 'text/javascript' });
    answer.end(never(broken) + bytes);
    return true;
  };
  await hosted((host) => visit('Chromium with WebGPU', async (page) => {
    await ready(page);
    assert.match(await text(page, '#badge'), /^Runs on the CPU: this browser offers no graphics adapter\./);
    broken = 'GPUAdapter.prototype.requestDevice';
    await page.goto(`${host.url}?backend=gpu`);
    await has(page, '#failure-sentence', 'gave no device: it does not answer.');
    await page.select('#backend', 'cpu');
    await ready(page);
    assert.match(await text(page, '#badge'), /^Runs on the CPU: you chose it\./);
  }, { url: host.url }), { answers });
});
