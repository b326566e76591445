// The boundary between JavaScript and the page's module: whatever a browser lacks, refuses or throws, the page says so and
// goes on; and a module that breaks down is made anew while the engine trains.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BROWSERS, CHROMIUM, PATIENT, QUICK, drawn, has, ready, text, visit } from './harness.js';

/** What the guard tells the console of. */
const GUARDED = /^console: |^uncaught: /;

const rows = (page, method) => page.$$eval('#frontier-rows tr', (all, name) => all
  .map((row) => [...row.children].map((cell) => cell.textContent))
  .filter(([its]) => its.startsWith(name))
  .map((cells) => Number(cells[2])), method);

/** One more step of DPO, to its point: the engine is there, and the page hears and draws. */
async function step(page, number) {
  await page.$eval('#step', (button) => button.click());
  await page.waitForFunction((it) => document.querySelector('#frontier-summary').textContent.includes(`step ${it}:`), PATIENT, number);
}

test('a link that cannot be copied is shown to be copied by hand, and the page lives', () => visit(CHROMIUM, async (page) => {
  const selected = () => page.evaluate(() => {
    const { activeElement: { id, value, selectionStart, selectionEnd } } = document;
    return [id, value.slice(selectionStart, selectionEnd)];
  });
  const byHand = async () => {
    await page.waitForSelector('#by-hand:not([hidden])', PATIENT);
    const [id, link] = await selected();
    assert.equal(id, 'by-hand-link');
    assert.equal(link, await page.evaluate(() => location.href));
    assert.equal(await text(page, '#share'), 'Copy link');
    await page.click('#by-hand-close');
    await page.waitForSelector('#by-hand[hidden]');
  };
  await ready(page);
  assert.equal(await page.evaluate(() => navigator.clipboard), undefined);
  await page.click('#share');
  await byHand();
  await step(page, 1);
  const clipboard = (how) => page.evaluate((it) => {
    const writeText = {
      throws: () => { throw new DOMException('not now', 'NotAllowedError'); },
      rejects: () => Promise.reject(new DOMException('not allowed', 'NotAllowedError')),
      resolves: () => new Promise((resolve) => { window.allow = resolve; }),
    }[it];
    Object.defineProperty(navigator, 'clipboard', { configurable: true, value: { writeText } });
  }, how);
  for (const how of ['throws', 'rejects']) {
    await clipboard(how);
    await page.click('#share');
    await byHand();
    await page.$eval('#receipts', (details) => { details.open = true; });
    await page.$eval('#receipt-copy', (button) => button.click());
    await has(page, '#receipt-said', 'to be copied by hand');
    const [id, receipt] = await selected();
    assert.equal(id, 'receipt-text');
    assert.equal(JSON.parse(receipt).receipt, 2);
  }
  await clipboard('resolves');
  await page.click('#share');
  await drawn(page);
  assert.equal(await text(page, '#share'), 'Copy link', 'nothing is copied yet');
  await page.evaluate(() => window.allow());
  await has(page, '#share', 'Copied');
  assert.equal(await page.$('#by-hand:not([hidden])'), null);
  await step(page, 2);
}, {
  url: QUICK,
  prepare: (page) => page.evaluateOnNewDocument(() => {
    Object.defineProperty(Navigator.prototype, 'clipboard', { configurable: true, get: () => undefined });
  }),
}));

test('whatever a browser’s interface throws, the next step is taken and drawn', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await has(page, '#recorded-summary', 'could not');
  let taken = 0;
  /** Lets a function throw while `use` is done, and then takes a step. */
  const throwing = async (owner, name, use) => {
    await page.evaluate((where, what) => {
      const object = where.split('.').reduce((it, part) => it[part], window);
      const own = Object.getOwnPropertyDescriptor(object, what);
      const thrower = () => { throw new DOMException(`${what} is refused`, 'SecurityError'); };
      const replaced = own.get ? { get: thrower } : { value: thrower, writable: true };
      Object.defineProperty(object, what, { ...replaced, configurable: true });
      window.mend = () => Object.defineProperty(object, what, own);
    }, owner, name);
    await use();
    await page.evaluate(() => new Promise((resolve) => { setTimeout(resolve, 100); }));
    await page.evaluate(() => { window.mend(); });
    // A page that could not be made anew meanwhile is tried again.
    await page.evaluate(() => new Promise((resolve) => { setTimeout(resolve, 250); }));
    await page.evaluate(() => {
      document.querySelector('#keys').close();
      if (document.querySelector('#theme').textContent === '') throw new Error('nothing is drawn');
    });
    taken += 1;
    try {
      await step(page, taken);
    } catch (error) {
      throw new Error(`no step after ${owner}.${name}: ${error.message}`);
    }
    assert.equal(await page.$('#broken:not([hidden])'), null);
  };
  const click = (selector) => () => page.$eval(selector, (element) => element.click());
  const change = (selector, value) => () => page.$eval(selector, (field, its) => {
    field.value = its;
    for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, { bubbles: true }));
  }, value);
  const key = (its) => () => page.keyboard.press(its);
  const redraw = () => page.evaluate(() => dispatchEvent(new Event('resize')));

  await throwing('Storage.prototype', 'setItem', click('#theme'));
  await throwing('window', 'localStorage', click('#theme'));
  await throwing('window', 'sessionStorage', change('#beta', 60));
  await throwing('History.prototype', 'replaceState', change('#beta', 40));
  await throwing('window', 'matchMedia', click('#theme'));
  await throwing('URL', 'createObjectURL', click('#export-json'));
  assert.match(await text(page, '#failure-sentence'), /^The browser did not save klimb.*\.json \(createObjectURL is refused\)\.$/);
  await throwing('HTMLCanvasElement.prototype', 'getContext', click('#theme'));
  await throwing('CanvasRenderingContext2D.prototype', 'measureText', click('#theme'));
  await throwing('CanvasRenderingContext2D.prototype', 'fillText', click('#theme'));
  await throwing('HTMLCanvasElement.prototype', 'toBlob', click('#export-png'));
  await throwing('HTMLDialogElement.prototype', 'showModal', key('?'));
  await throwing('HTMLElement.prototype', 'focus', key('2'));
  await throwing('IDBFactory.prototype', 'open', async () => { taken += 1; await step(page, taken); });
  assert.equal(await page.$eval('#failure-sentence', (it) => it.textContent.includes('made anew')), false, 'all of these are caught');
  // These are bare calls; the guard catches what comes out of the module, which is made anew.
  await throwing('Date.prototype', 'toISOString', click('#export-csv'));
  await has(page, '#failure-sentence', 'made anew');
  await throwing('Element.prototype', 'scrollIntoView', key('3'));
  await throwing('Node.prototype', 'textContent', click('#theme'));
  assert.deepEqual(await rows(page, 'DPO'), Array.from({ length: taken }, (_, at) => at + 1), 'each point once');
  // Without its way to the engine nothing can be ordered; with it, all goes on.
  await throwing('Worker.prototype', 'postMessage', click('#step'));
}, {
  url: QUICK,
  expected: GUARDED,
  prepare: (page) => page.evaluateOnNewDocument(() => {
    const { fetch } = window;
    window.fetch = (address, ...rest) => {
      if (String(address).includes('recorded')) throw new TypeError('fetch is refused');
      return fetch(address, ...rest);
    };
  }),
}));

test('what is thrown through the module in a promise makes the page anew, too', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.evaluate(() => {
    Object.defineProperty(navigator, 'clipboard', { value: { writeText: () => Promise.resolve() } });
    // The browser's own getter of something else throws here. Of what a function of this test threw, nothing would be told.
    const { get } = Object.getOwnPropertyDescriptor(Document.prototype, 'title');
    Object.defineProperty(document.querySelector('#share'), 'textContent', { get });
  });
  await page.click('#share');
  await has(page, '#failure-sentence', 'made anew; training was not interrupted (Illegal invocation)');
  await step(page, 1);
}, { url: QUICK, expected: GUARDED }));

test('without a second worker a sweep is made by the first', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.evaluate(() => { window.Worker = class { constructor() { throw new DOMException('no worker', 'SecurityError'); } }; });
  await page.click('#sweep');
  await page.waitForFunction(() => [...document.querySelectorAll('#frontier-rows th')].some((cell) => cell.textContent === 'DPO'), PATIENT);
  await page.click('#sweep');
  await page.waitForFunction(() => document.querySelector('#sweep').textContent === 'Sweep β', PATIENT);
  await page.click('#step');
  await has(page, '#batch-summary', 'Step 1:');
}, { url: `${QUICK}&evaluate_every=5`, processors: 8 }));

for (const name of Object.keys(BROWSERS)) {
  test(`${name}: a page that panics is made anew, and training goes on`, () => visit(name, async (page) => {
    await ready(page);
    await step(page, 1);
    await page.click('#play');
    await page.waitForFunction(() => document.querySelectorAll('#frontier-rows tr').length > 3, PATIENT);
    // An element is missing once: a panic by its name.
    await page.evaluate(() => {
      const { getElementById } = Document.prototype;
      Document.prototype.getElementById = function once(id) {
        if (id !== 'curve-readout') return getElementById.call(this, id);
        Document.prototype.getElementById = getElementById;
        return null;
      };
    });
    await has(page, '#failure-sentence', 'The page met a fault of its own and was made anew; training was not interrupted (panicked at ');
    assert.match(await text(page, '#failure-sentence'), /index\.html has no #curve-readout/);
    await has(page, '#play', 'Pause');
    const before = (await rows(page, 'DPO')).length;
    await page.waitForFunction((least) => document.querySelectorAll('#frontier-rows tr').length > least, PATIENT, before + 3);
    await page.click('#play');
    await has(page, '#play', 'Play');
    const steps = await rows(page, 'DPO');
    assert.deepEqual(steps, [...new Set(steps)].sort((one, other) => one - other), 'each point once');
    assert.equal(steps[0], 1);
    assert.equal((await rows(page, 'SFT')).length, 1);
    await page.waitForFunction(() => Number(/step (\d+)/.exec(document.querySelector('#state-dpo').textContent)[1]) > 0, PATIENT);
    await page.focus('#curve-loss');
    await page.keyboard.press('Home');
    assert.match(await text(page, '#curve-readout'), /^Step 1 · loss, nats: 0\.69/, 'the rows are there from the first on');
    assert.equal(await page.$('#kept:not([hidden])'), null, 'its own run is not offered');
    assert.equal(await page.$$eval('#knobs .setting', (all) => new Set(all.map(({ id }) => id)).size === all.length), true);
  }, { url: `${process.env.KLIMB_URL}?evaluation_samples=64&batch_size=8&seed=3&evaluate_every=4`, expected: GUARDED }));
}

test('a page that panics again and again says so, and stops', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.evaluate(() => document.querySelector('#curve-readout').remove());
  await page.click('#step');
  await page.waitForSelector('#broken:not([hidden])', PATIENT);
}, { url: QUICK, expected: GUARDED }));
