// What a page holds on to: however many points, saves and runs there have been, no more listeners, canvases, documents
// and requests to the browser's store than after the first of them, and no element that was taken out of the document.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawn, visit } from './harness.js';

const PATIENT = { timeout: 180_000 };
/** A point and a save a step, in a fraction of a second. */
const QUICK = `${process.env.KLIMB_URL}?evaluate_every=1&evaluation_samples=64&batch_size=8&pairs=960&seed=3`;
/** What belongs to one row of the table or one form control is less, what belongs to every point of a run is far more. */
const FEW_NODES = 100;

const rows = (page) => page.evaluate(() => document.querySelector('#frontier-rows').rows.length);
const saves = (page) => page.evaluate(() => window.klimbSaves);

/** Counts the saves from now on. A browser opens its store for each. */
const countSaves = (page) => page.evaluateOnNewDocument(() => {
  const { open } = IDBFactory.prototype;
  window.klimbSaves = 0;
  IDBFactory.prototype.open = function opened(...given) {
    window.klimbSaves += 1;
    return open.apply(this, given);
  };
});

/** Plays until there are `more` points, and then until all is saved and drawn. */
async function play(page, more) {
  const wanted = (await rows(page)) + more;
  await page.click('#play');
  await page.waitForFunction((least) => document.querySelector('#frontier-rows').rows.length >= least, PATIENT, wanted);
  await page.click('#play');
  await page.waitForFunction(() => document.querySelector('#play').textContent === 'Play', PATIENT);
  await page.evaluate(async () => {
    const before = () => window.klimbSaves;
    for (let seen = -1; seen !== before();) {
      seen = before();
      await new Promise((resolve) => { setTimeout(resolve, 500); });
    }
  });
}

/** Another run: from the reference, at another β. */
async function another(page, beta) {
  await page.$eval('#beta', (slider, value) => {
    slider.value = value;
    for (const kind of ['input', 'change']) slider.dispatchEvent(new Event(kind, { bubbles: true }));
  }, beta);
  await page.evaluate(() => document.querySelector('#guess:not([hidden]) #guess-skip')?.click());
  await page.click('#reset');
}

/** What a person looks at beside the points: charts under the pointer, a step, the studies, a point's policy. */
async function lookAround(page) {
  for (const view of ['.samples', '.inside', '.curves', '.studies', '#frontier']) {
    await page.$eval(view, (element) => element.scrollIntoView({ block: 'start', behavior: 'instant' }));
    await page.mouse.move(500, 300);
    await page.mouse.move(700, 400, { steps: 5 });
    await drawn(page);
  }
  for (const tab of ['win-rate', 'scaling', 'hacking', 'comparison']) {
    await page.$eval(`#tab-${tab}`, (button) => button.click());
    await drawn(page);
  }
  await page.click('#step-dpo');
  await page.waitForFunction(() => document.querySelector('#pairs').children.length > 0, PATIENT);
  await page.focus('#frontier');
  for (const key of ['ArrowLeft', 'ArrowLeft', 'Enter']) await page.keyboard.press(key);
  // What such a function answers with is kept for us: no element may be that.
  await page.waitForFunction(() => document.querySelector('#opened-list .sample') !== null, PATIENT);
  await page.click('#opened-close');
  await drawn(page);
}

/** How many objects of a class live, in the document or not. */
async function living(session, name) {
  const { result } = await session.send('Runtime.evaluate', { expression: `${name}.prototype`, objectGroup: 'counted' });
  const { objects } = await session.send('Runtime.queryObjects', {
    prototypeObjectId: result.objectId, objectGroup: 'counted',
  });
  const { result: count } = await session.send('Runtime.callFunctionOn', {
    objectId: objects.objectId, functionDeclaration: 'function () { return this.length; }', returnByValue: true,
  });
  await session.send('Runtime.releaseObjectGroup', { objectGroup: 'counted' });
  return count.value;
}

/** What the page holds once all that can be collected is: what only an object of wasm's holds goes with the second time. */
async function held(page, session) {
  for (let turn = 0; turn < 3; turn += 1) await session.send('HeapProfiler.collectGarbage');
  const { documents, nodes, jsEventListeners } = await session.send('Memory.getDOMCounters');
  const inDocument = await page.evaluate(() => {
    const walker = document.createTreeWalker(document, NodeFilter.SHOW_ALL);
    let count = 1;
    while (walker.nextNode()) count += 1;
    return count;
  });
  return {
    documents,
    listeners: jsEventListeners,
    outside: nodes - inDocument,
    canvases: await living(session, 'HTMLCanvasElement'),
    requests: await living(session, 'IDBRequest'),
    databases: await living(session, 'IDBDatabase'),
  };
}

test('points, saves, runs and views leave nothing behind', () => visit('Chromium without WebGPU', async (page) => {
  await page.waitForFunction(() => !document.querySelector('#play').disabled, PATIENT);
  const session = await page.createCDPSession();
  /** A run, all views, and the beginning of the next run: at its end the page is as it was at the last one's. */
  const round = async (points, beta) => {
    await play(page, points);
    await lookAround(page);
    await another(page, beta);
    await play(page, 3);
  };
  await round(3, '60');
  const [before, saved] = [await held(page, session), await saves(page)];
  for (const beta of ['30', '80', '45']) await round(15, beta);
  const after = await held(page, session);
  assert.ok(await saves(page) - saved >= 20, `only ${await saves(page) - saved} saves: nothing was tried`);
  for (const kind of ['documents', 'listeners', 'canvases', 'requests', 'databases']) {
    assert.ok(after[kind] <= before[kind], `${kind} grew: ${JSON.stringify({ before, after })}`);
  }
  assert.ok(after.outside - before.outside < FEW_NODES, `removed nodes stay: ${JSON.stringify({ before, after })}`);
}, { url: QUICK, prepare: countSaves, viewport: { width: 1440, height: 900 } }));
