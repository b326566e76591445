// A run outlives its page: it is offered at the next visit, goes on or is forgotten, and nothing broken is trusted.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BROWSERS, CHROMIUM, PATIENT, QUICK, drawn, has, ready, text, visit } from './harness.js';

const points = (page) => page.$$eval('#frontier-rows th', (all) => all.filter((cell) => cell.textContent === 'DPO').length);

/** What the browser keeps: the step of the newest visit's last point, or null; `harm` damages it. */
const kept = (page, harm) => page.evaluate((harm) => new Promise((resolve, reject) => {
  const opened = indexedDB.open('klimb');
  opened.onerror = () => reject(opened.error);
  opened.onsuccess = () => {
    const store = opened.result.transaction('parts', 'readwrite').objectStore('parts');
    const range = IDBKeyRange.bound([location.pathname], [location.pathname, []]);
    let newest = null;
    store.openCursor(range).onsuccess = ({ target: { result: cursor } }) => {
      if (cursor) {
        if (cursor.key[2] === 'head' && !(newest?.when > cursor.value.when)) newest = { key: cursor.key, when: cursor.value.when };
        cursor.continue();
      } else if (newest) {
        const key = [newest.key[0], newest.key[1], 'entry', 0];
        store.get(key).onsuccess = ({ target: { result: entry } }) => {
          newest.step = JSON.parse(entry.page).points.at(-1).point.step;
          if (harm === 'page') store.put({ ...entry, page: entry.page.slice(0, 100) }, key);
          if (harm === 'model') {
            const { checkpoint } = entry.engine.policies.find(({ stage }) => stage === 'Dpo');
            checkpoint[Math.floor(checkpoint.length / 2)] ^= 1;
            store.put(entry, key);
          }
        };
      }
    };
    store.transaction.oncomplete = () => {
      opened.result.close();
      resolve(newest?.step ?? null);
    };
  };
}), harm);

const isKept = async (page, step) => {
  for (let tries = 0; tries < 200; tries += 1) {
    if (await kept(page) === step) return;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  throw new Error(`no entry of step ${step} was ever kept`);
};

/** Two steps of DPO, each with its point. */
async function train(page) {
  await ready(page);
  assert.equal(await page.$('#kept:not([hidden])'), null);
  await page.click('#step');
  await page.waitForFunction(() => document.querySelector('#frontier-summary').textContent.includes('step 1:'), PATIENT);
  await page.click('#step');
  await page.waitForFunction(() => document.querySelector('#frontier-summary').textContent.includes('step 2:'), PATIENT);
  await isKept(page, 2);
}

const again = async (page, url = process.env.KLIMB_URL) => {
  await page.goto(url, { waitUntil: 'load' });
  await ready(page);
};

for (const name of Object.keys(BROWSERS)) {
  test(`${name}: a run is resumed where it was`, () => visit(name, async (page) => {
    await train(page);
    const before = await page.$$eval('#frontier-rows tr', (all) => all.map((row) => row.textContent).filter((row) => row.startsWith('DPO')));
    await again(page);
    await has(page, '#kept-summary', 'Resume the run of ');
    assert.match(await text(page, '#kept-summary'), /^Resume the run of \d\d:\d\d \(DPO, 2 steps\)\?$/);
    assert.equal(await points(page), 0);
    await page.click('#kept-resume');
    await has(page, '#state-dpo', 'step 2');
    await drawn(page);
    assert.deepEqual(await page.$$eval('#frontier-rows tr', (all) => all.map((row) => row.textContent).filter((row) => row.startsWith('DPO'))), before);
    assert.match(await text(page, '#frontier-summary'), /^Newest: DPO, β 0\.50, step 2:/);
    assert.equal(await page.$('#kept:not([hidden])'), null);
    assert.match(await page.evaluate(() => location.search), /seed=3/);
    await page.click('#step');
    await has(page, '#batch-summary', 'Step 3: 16 pairs');
    // The policy is not the reference any more: its first loss would be ln 2.
    assert.doesNotMatch(await text(page, '#batch-summary'), /mean loss 0\.693/);
    await page.waitForFunction(() => document.querySelector('#frontier-summary').textContent.includes('step 3:'), PATIENT);
    assert.equal(await points(page), 3);
    assert.equal(await page.$('#failure:not([hidden])'), null);
  }, { url: QUICK }));
}

test('while one entry waits to be written the next is made only when it would be too late', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.evaluate(() => new Promise((resolve) => {
    const { stringify } = JSON;
    window.made = 0;
    JSON.stringify = (...given) => {
      const text = stringify(...given);
      window.made += Number(text?.includes('"earlier_runs"') ?? 0);
      return text;
    };
    // A transaction that goes on lets no other one write.
    const opened = indexedDB.open('klimb');
    opened.onsuccess = () => {
      const store = opened.result.transaction('parts', 'readwrite').objectStore('parts');
      const goOn = () => {
        if (window.isFree) opened.result.close();
        else store.get(['nothing']).onsuccess = goOn;
      };
      goOn();
      resolve();
    };
  }));
  const made = () => page.evaluate(() => window.made);
  const oneMore = (before) => page.waitForFunction((wanted) => window.made === wanted, PATIENT, before + 1);
  const steps = async () => Number((await text(page, '#state-dpo')).match(/step (\d+)/)?.[1] ?? 0);
  const step = async () => {
    const next = await steps() + 1;
    await page.click('#step');
    await has(page, '#frontier-summary', `step ${next}:`);
    return next;
  };
  await step();
  await oneMore(0);
  await page.click('#play');
  await page.waitForFunction(() => document.querySelectorAll('#frontier-rows tr').length > 6, PATIENT);
  assert.equal(await made(), 1);
  // An order may put the engine aside: what waits is made before it is taken up.
  await page.click('#play');
  await page.waitForFunction(() => document.querySelector('#play').textContent === 'Play', PATIENT);
  await ready(page);
  await step();
  let before = await made();
  await page.click('#reset');
  await page.waitForSelector('#undo-notice:not([hidden])', PATIENT);
  await oneMore(before);
  await page.click('#undo');
  await page.waitForSelector('#undo-notice[hidden]', PATIENT);
  const last = await step();
  before = await made();
  // A page out of sight may be closed without another word.
  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { value: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await oneMore(before);
  await page.evaluate(() => { window.isFree = true; });
  await isKept(page, last);
}, { url: QUICK }));

test('a resumed run has its pairs’ name and hers, and its earlier points still open', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.evaluate(() => {
    const line = (prompt) => `{"prompt":"${prompt}","chosen":"was superb .","rejected":"was dull ."}\n`;
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([line('the plot') + line('the music')], 'mine.jsonl'));
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
  });
  await has(page, '#state-pairs', 'loaded, 2 pairs');
  const called = () => page.$$eval('#run-list [type=text]', (all) => all.map((field) => field.value));
  for (const step of [1, 2, 3]) {
    await page.click('#step');
    await page.waitForFunction((it) => document.querySelector('#frontier-summary').textContent.includes(`step ${it}:`), PATIENT, step);
  }
  await page.$eval('#runs', (details) => { details.open = true; });
  assert.equal((await called()).at(-1), 'DPO, β 0.50, loaded pairs');
  const field = (await page.$$('#run-list [type=text]')).at(-1);
  await field.focus();
  await field.evaluate((it) => it.select());
  await page.keyboard.type('two pairs');
  await page.keyboard.press('Tab');
  await page.click('#step');
  await page.waitForFunction(() => document.querySelector('#frontier-summary').textContent.includes('step 4:'), PATIENT);
  await isKept(page, 4);
  await again(page);
  await page.click('#kept-resume');
  await has(page, '#frontier-summary', 'Newest: DPO, β 0.50, loaded pairs, step 4');
  await page.$eval('#runs', (details) => { details.open = true; });
  await drawn(page);
  assert.equal((await called()).at(-1), 'two pairs');
  await page.focus('#frontier');
  await page.keyboard.press('ArrowRight');
  for (let i = 0; i < 3; i += 1) await page.keyboard.press('ArrowLeft');
  assert.match(await text(page, '#frontier-summary'), /^two pairs, step 1:/);
  await page.keyboard.press('Enter');
  await page.waitForSelector('#opened-list .sample', PATIENT);
  assert.equal(await text(page, '#opened-title'), 'two pairs, step 1');
  await page.click('#go-on');
  await page.waitForFunction(() => document.querySelectorAll('#run-list li').length === 3, PATIENT);
  assert.match((await called()).at(-1), /^DPO, β 0\.50, loaded pairs/);
  assert.equal(await page.$('#failure:not([hidden])'), null);
}, { url: QUICK, viewport: { width: 1440, height: 900 } }));

test('a long run comes back from its first step on, and nothing of it stays once it is discarded', () => visit(CHROMIUM, async (page) => {
  const first = async () => {
    await page.focus('#curve-kl');
    await page.keyboard.press('Home');
    return text(page, '#curve-readout');
  };
  const kinds = () => page.evaluate(() => new Promise((resolve, reject) => {
    const opened = indexedDB.open('klimb');
    opened.onerror = () => reject(opened.error);
    opened.onsuccess = () => {
      const all = opened.result.transaction('parts').objectStore('parts').getAllKeys();
      all.onsuccess = () => {
        opened.result.close();
        resolve(all.result.map(([, , kind]) => kind));
      };
    };
  }));
  await ready(page);
  await page.click('#play');
  await page.waitForFunction(() => document.querySelector('#frontier-summary').textContent.includes('step 150:'), PATIENT);
  await page.click('#play');
  // What was under way when Pause was pressed may have come as far as another point.
  const last = await page.waitForFunction(() => {
    const [steps, point] = ['#state-dpo', '#frontier-summary'].map((id) => Number(/step (\d+)/.exec(document.querySelector(id).textContent)[1]));
    return document.querySelector('#play').textContent === 'Play' && point === steps - steps % 150 && point;
  }, PATIENT);
  const step = await last.jsonValue();
  await isKept(page, step);
  const before = await first();
  assert.match(before, /^Step 1 · loss, nats: 0\.69/);
  assert.equal((await kinds()).filter((kind) => kind === 'rows').length, Math.floor(step / 128), 'rows lie beside the run');
  await again(page);
  await page.click('#kept-resume');
  await has(page, '#state-dpo', `step ${step}`);
  assert.equal(await first(), before);
  await page.keyboard.press('End');
  assert.match(await text(page, '#curve-readout'), new RegExp(`^Step ${step} ·`));
  await again(page);
  await page.click('#kept-discard');
  await isKept(page, null);
  assert.deepEqual(await kinds(), []);
}, { url: `${process.env.KLIMB_URL}?evaluation_samples=64&batch_size=8&pairs=960&seed=3&evaluate_every=150` }));

test('a discarded run is forgotten', () => visit(CHROMIUM, async (page) => {
  await train(page);
  await again(page);
  await has(page, '#kept-summary', 'Resume the run of ');
  await page.click('#kept-discard');
  await page.waitForSelector('#kept[hidden]');
  await isKept(page, null);
  await again(page);
  await drawn(page);
  assert.equal(await page.$('#kept:not([hidden])'), null);
  assert.equal(await points(page), 0);
}, { url: QUICK }));

test('a broken entry is refused in words and removed', () => visit(CHROMIUM, async (page) => {
  await train(page);
  await kept(page, 'page');
  await again(page);
  await has(page, '#failure-sentence', 'The kept run cannot be used: ');
  assert.match(await text(page, '#failure-remedy'), /removed/);
  await isKept(page, null);
  await page.click('#step');
  await has(page, '#batch-summary', 'Step 1:');
}, { url: QUICK }));

test('a kept model with a flipped bit is refused in words and removed', () => visit(CHROMIUM, async (page) => {
  await train(page);
  await kept(page, 'model');
  await again(page);
  await has(page, '#kept-summary', 'Resume the run of ');
  await page.click('#kept-resume');
  await has(page, '#failure-sentence', 'The kept run cannot be used: ');
  assert.equal(await points(page), 0);
  await isKept(page, null);
  await page.click('#step');
  await has(page, '#batch-summary', 'Step 1:');
}, { url: QUICK }));

test('a browser that keeps nothing says so once, and everything else works', () => visit(CHROMIUM, async (page) => {
  await page.evaluateOnNewDocument(() => {
    const get = () => { throw new DOMException('storage is switched off', 'SecurityError'); };
    Object.defineProperty(window, 'indexedDB', { get });
  });
  await again(page, QUICK);
  await has(page, '#kept-summary', 'This browser keeps no runs between visits (storage is switched off). Everything else works.');
  await page.click('#kept-discard');
  await page.waitForSelector('#kept[hidden]');
  await page.click('#step');
  await page.waitForFunction(() => document.querySelector('#frontier-summary').textContent.includes('step 1:'), PATIENT);
  assert.equal(await page.$('#kept:not([hidden])'), null);
  assert.equal(await page.$('#failure:not([hidden])'), null);
}));
