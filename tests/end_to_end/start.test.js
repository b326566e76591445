// Whatever keeps the page from starting is said in a sentence with a remedy, and a slow line says what is fetched and how far.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { BROWSERS, URL_AT_ROOT, visit } from './harness.js';
import { hosted } from './server.js';

const PATIENT = { timeout: 60_000 };
const CHROMIUM = 'Chromium without WebGPU';
const FIREFOX = 'Firefox without WebGPU';

const says = (page, selector, words) => page.waitForFunction((where, wanted) => {
  const element = document.querySelector(where);
  return element && new RegExp(wanted).test(element.textContent) && element.textContent;
}, PATIENT, selector, words.source).then((it) => it.jsonValue()).catch(async (error) => {
  const said = await page.evaluate((where) => (document.querySelector(where) ?? document.querySelector('#badge')).textContent, selector);
  throw new Error(`${selector} says “${said}”, not ${words}`, { cause: error });
});

/** What a browser may lack, and what the page then says instead of starting. */
const LACKING = [
  ['modules', () => { delete HTMLScriptElement.prototype.noModule; }, /knows no JavaScript modules\. A recent Chrome/],
  ['WebAssembly', () => { delete globalThis.WebAssembly; }, /WebAssembly is off in this browser.*Lockdown Mode/],
  ['SIMD', () => { WebAssembly.validate = () => false; }, /no SIMD instructions\. A recent Chrome/],
  ['workers', () => { delete globalThis.Worker; }, /offers no Web Workers\. A recent/],
  ['leave to make workers', () => { globalThis.Worker = class { constructor() { throw new Error('workers are forbidden'); } }; }, /offers no Web Workers: .*workers are forbidden\. Try again, or/],
  ['leave to make workers, without a word', () => { globalThis.Worker = class { constructor() { throw new DOMException('', 'SecurityError'); } }; }, /offers no Web Workers: SecurityError\. Try again, or/],
  ['media queries', () => { globalThis.matchMedia = () => { throw new DOMException('', 'NotSupportedError'); }; }, /cannot start: NotSupportedError\. Try again, or/],
  ['leave to fetch', () => { globalThis.fetch = () => { throw new TypeError('no fetching'); }; }, /could not be loaded \(no fetching\)\. Try again once/],
  ['leave to wait for its turn', () => { globalThis.queueMicrotask = () => { throw new Error('no microtasks'); }; }, /cannot start: .*no microtasks\. Try again, or/],
];
const HTML = { status: 200, contentType: 'text/html', body: '<!doctype html>' };
const MISSING = { status: 404, body: 'none' };
const CUT = { status: 200, contentType: 'application/wasm', body: Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1]) };
/** A file of the page, what comes in its place (a lost connection, where nothing does), where that is told, and how. */
const AMISS = [
  ['klimb_bg.wasm', MISSING, '#badge', /the file pkg\/klimb_bg\.wasm could not be loaded \(404.*\)\. Try again once/],
  ['klimb_bg.wasm', null, '#badge', /the file pkg\/klimb_bg\.wasm could not be loaded \(.*etch.*\)\./],
  ['klimb_bg.wasm', HTML, '#badge', /the file pkg\/klimb_bg\.wasm could not be loaded \(.*magic.*\)\./],
  ['klimb_bg.wasm', CUT, '#badge', /the file pkg\/klimb_bg\.wasm could not be loaded \(.*section.*\)\./],
  ['klimb.js', MISSING, '#badge', /the file pkg\/klimb\.js could not be loaded \(404/],
  ['main.js', MISSING, '#badge', /the file main\.js could not be loaded \(404/],
  ['main.js', null, '#badge', /the file main\.js could not be loaded/],
  ['main.js', HTML, '#badge', /the file main\.js could not be loaded \(content-type text\/html/],
  ['worker.js', MISSING, '#failure', /The engine stopped: the worker could not be loaded\. Reload the page/],
  ['base.safetensors', MISSING, '#failure', /could not be loaded: assets\/base\.safetensors \(404.*\)\. Reload the page/],
  ['sft.safetensors', null, '#failure', /could not be loaded: assets\/sft\.safetensors \([^(]*\)\. Reload the page/],
  ['optimum.json', HTML, '#failure', /The models of the page are damaged, or have not come whole\. Reload the page/],
];

/** The recorded figure is there, nothing claims to be starting, and Play waits. */
async function standsStill(page, what) {
  await page.waitForFunction(() => document.querySelector('#recorded-figure img').naturalWidth > 0, PATIENT);
  const seen = await page.evaluate(() => ({
    figure: document.querySelector('#recorded-figure').getBoundingClientRect().height > 100,
    starts: /Starting|startet …/.test(document.querySelector('#badge').textContent),
    waits: document.querySelector('#play').disabled,
  }));
  assert.deepEqual(seen, { figure: true, starts: false, waits: true }, what);
}
const canTryAgain = (page) => page.evaluate(() => [...document.querySelectorAll('#badge button, #failure-again')]
  .filter((button) => button.getBoundingClientRect().height > 0).length);

async function inOneBrowser(name, use) {
  const browser = await puppeteer.launch({ headless: true, ...BROWSERS[name] });
  try {
    await use(async (prepare, look, url = URL_AT_ROOT) => {
      const page = await browser.newPage();
      await prepare(page);
      await page.goto(url, { waitUntil: 'domcontentloaded' });
      await look(page);
      await page.close();
    });
  } finally {
    await browser.close();
  }
}

/** A host whose answers `amiss(file)` chooses: what comes instead, null for a lost connection, undefined for its own. */
const hostedAmiss = (amiss, use) => hosted((host) => use(host.url), {
  answers: async (file, bytes, answer) => {
    const instead = amiss(file);
    if (instead === undefined) return false;
    if (instead === null) {
      answer.destroy();
    } else {
      answer.writeHead(instead.status, { 'content-type': instead.contentType ?? 'text/plain' });
      answer.end(instead.body);
    }
    return true;
  },
});

for (const name of [CHROMIUM, FIREFOX]) {
  test(`${name}: what a browser lacks is named, with a remedy`, () => inOneBrowser(name, async (open) => {
    for (const [what, take, words] of LACKING) {
      await open((page) => page.evaluateOnNewDocument(take), async (page) => {
        assert.match(await says(page, '#badge [role=alert]', words), /The figure below is recorded\./);
        await standsStill(page, what);
        assert.equal(await canTryAgain(page), words.source.includes('Try again') ? 1 : 0, what);
      });
    }
    const index = pathToFileURL(join(import.meta.dirname, '../../dist/index.html')).href;
    const german = pathToFileURL(join(import.meta.dirname, '../../dist/de.html')).href;
    await open(async () => {}, (page) => says(page, '#badge', /opened as a file.*cargo xtask serve/), index);
    await open(async () => {}, async (page) => {
      await says(page, '#badge', /^Die Engine kann nicht starten: Die Seite wurde als Datei geöffnet.*Aufzeichnung\. $/);
      await standsStill(page, 'a file');
    }, german);
  }));

  test(`${name}: whatever does not come is named, and can be tried again`, () => inOneBrowser(name, async (open) => {
    let [amiss, instead] = [[], MISSING];
    const asIs = async () => {};
    await hostedAmiss((file) => (amiss.includes(file) ? instead : undefined), async (url) => {
      for (const [file, answer, where, words] of AMISS) {
        const what = `${file}: ${answer ? `${answer.status} ${answer.contentType ?? ''}` : 'no answer'}`;
        [amiss, instead] = [[file], answer];
        await open(asIs, async (page) => {
          await says(page, where, words);
          if (where === '#failure') await says(page, '#badge', /^The engine has not started\. What the figure shows is recorded\.$/);
          await standsStill(page, what);
          assert.equal(await canTryAgain(page), 1, what);
          if (file === 'sft.safetensors') {
            // What is recorded is there all the same.
            await page.waitForFunction(() => document.querySelector('#comparison-rows').rows.length > 0, PATIENT);
          }
        }, url);
      }
      // Without its first script the page can say only what is written in it.
      [amiss, instead] = [['klimb_bg.wasm', 'boot.js'], MISSING];
      await open(asIs, async (page) => {
        await page.waitForFunction(() => getComputedStyle(document.querySelector('#unstarted')).visibility === 'visible', PATIENT);
        amiss = [];
        await page.reload();
        await page.waitForFunction(() => !document.querySelector('#play').disabled, PATIENT);
        assert.equal(await page.$('#unstarted'), null);
      }, url);
      for (const file of ['main.js', 'sft.safetensors']) {
        amiss = [file];
        await open(asIs, async (page) => {
          const again = await page.waitForSelector('#badge button, #failure-again:not([hidden])', PATIENT);
          amiss = [];
          await again.click();
          await page.waitForFunction(() => !document.querySelector('#play').disabled, PATIENT);
        }, url);
      }
    });
  }));
}

for (const name of [CHROMIUM, FIREFOX]) {
  test(`${name}: what is pressed, typed or dropped before the page is there is done once it is`, async () => {
    let release;
    const holdBack = async (file) => {
      if (file === 'klimb_bg.wasm') await new Promise((resolve) => { release = resolve; });
      return false;
    };
    await hosted((host) => visit(name, async (page) => {
      // With its first script, which is there once the browser has read the document.
      await page.waitForSelector('#unstarted', { ...PATIENT, hidden: true });
      await page.click('#theme');
      await page.click('#tour-open');
      await page.focus('#prompt');
      await page.keyboard.type('the acting in this film');
      await page.keyboard.press('Enter');
      await page.$eval('#frontier', (chart) => chart.focus());
      await page.keyboard.press('.');
      const isRefused = await page.evaluate(() => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(['no model'], 'early.txt'));
        const all = ['dragover', 'drop'].map((kind) => new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer }));
        all.forEach((event) => document.body.dispatchEvent(event));
        return all.map((event) => event.defaultPrevented);
      });
      assert.deepEqual(isRefused, [true, true], 'the browser opens no file in the place of the page');
      assert.ok(await page.$eval('#play', (it) => it.disabled));
      assert.equal(await page.$eval('#theme', (it) => it.textContent), 'Dark', 'nothing is done yet');
      while (!release) await new Promise((resolve) => { setTimeout(resolve, 20); });
      release();
      await page.waitForFunction(() => !document.querySelector('#play').disabled, PATIENT);
      await says(page, '#theme', /^Light$/);
      await page.waitForSelector('#tour:not([hidden])', PATIENT);
      await says(page, '#typed-list', /the acting in this film/);
      await says(page, '#failure-sentence', /early\.txt/);
      await says(page, '#frontier-summary', /step 1:/);
    }, { url: `${host.url}?evaluation_samples=64&batch_size=16` }), { answers: holdBack });
  });
}

for (const [name, patience] of [[CHROMIUM, true], [FIREFOX, false]]) {
  test(`${name}: a slow line says what is fetched and how far`, async () => {
    const asked = [];
    let release;
    /** Sends half of a file, and the rest when the test has seen what it wants to see. */
    const holdBack = async (file, bytes, answer) => {
      asked.push(file);
      if (!['klimb_bg.wasm', 'base.safetensors'].includes(file)) return false;
      const half = bytes.length >> 1;
      answer.writeHead(200, {
        'content-type': file.endsWith('wasm') ? 'application/wasm' : 'application/octet-stream', 'content-length': bytes.length,
      });
      answer.write(bytes.subarray(0, half));
      await new Promise((resolve) => { release = resolve; });
      answer.end(bytes.subarray(half));
      return true;
    };
    await hosted((host) => visit(name, async (page) => {
      for (const what of ['engine', 'models']) {
        const said = await says(page, '#badge', new RegExp(`^Fetching the ${what}: [1-9]\\d* of \\d+ kB\\.`));
        const [, here, all] = /: (\d+) of (\d+) kB/.exec(said);
        assert.ok(Number(here) > 0 && Number(here) < Number(all), said);
        if (patience) await says(page, '#badge', new RegExp(`^Fetching the ${what}: \\d+ of ${all} kB\\. Nothing new for \\d+ s: `));
        assert.ok(await page.$eval('#play', (it) => it.disabled));
        assert.deepEqual(asked.filter((file) => file.endsWith('.csv')), [], 'what is recorded waits for the engine');
        release();
      }
      await says(page, '#badge', /^Runs on the CPU/);
      await page.waitForFunction(() => !document.querySelector('#play').disabled, PATIENT);
      await page.waitForFunction(() => document.querySelector('#comparison-rows').rows.length > 0, PATIENT);
      const once = ['klimb_bg.wasm', 'base.safetensors', 'sft.safetensors'];
      // The service worker asks for everything once more, afterwards.
      const before = asked.slice(0, asked.includes('service-worker.js') ? asked.indexOf('service-worker.js') : undefined);
      assert.deepEqual(before.filter((file) => once.includes(file)).sort(), [...once].sort());
    }, { url: host.url }), { answers: holdBack });
  });
}
