// What the store holds when two tabs write to it, when it is full, and when another build has been there.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { CHROMIUM, PATIENT, QUICK, drawn, has, ready, text, visit } from './harness.js';

/** The first form of the store, as a build before today's wrote it. */
const DUMP = new URL('../data/compatible/store.json', import.meta.url);

/** Everything in the store, one visit after another, with what does not hang together in it. */
const sets = (page) => page.evaluate(() => new Promise((resolve, reject) => {
  const opened = indexedDB.open('klimb');
  opened.onerror = () => reject(opened.error);
  opened.onsuccess = () => {
    const visits = {};
    const store = opened.result.transaction('parts').objectStore('parts');
    store.openCursor().onsuccess = ({ target: { result: cursor } }) => {
      if (!cursor) return;
      const [, visit, kind, number] = cursor.key;
      visits[visit] ??= { head: [], entry: [], policy: [], rows: [], discarded: [] };
      visits[visit][kind][number] = cursor.value;
      cursor.continue();
    };
    store.transaction.oncomplete = () => {
      opened.result.close();
      resolve(Object.entries(visits).map(([visit, { head: [head], entry: [entry], policy, rows }]) => {
        const { points, earlier_runs: before } = JSON.parse(entry.page);
        const wrong = [];
        if (head.when !== entry.when) wrong.push('head and entry are of two saves');
        if (Object.keys(policy).length !== entry.moments.length) wrong.push('there are policies that no point has');
        if (Object.keys(rows).length !== entry.stretches.length) wrong.push('there are rows that no run has');
        for (const { slot, moment: { run, step } } of entry.moments) {
          const { point } = policy[slot].point;
          const its = points.find((it) => it.run === run + before && it.point.step === step && it.point.method === point.method);
          if (JSON.stringify(its?.point) !== JSON.stringify(point)) wrong.push(`step ${step} has the policy of another point`);
        }
        return { visit, when: head.when, wrong, points: points.filter(({ point }) => point.method === 'dpo').map(({ point }) => point) };
      }).sort((one, other) => other.when - one.when));
    };
  };
}));

/** Waits until `holds(sets)`. */
async function until(page, holds, what) {
  let all;
  for (let tries = 0; tries < 200; tries += 1) {
    all = await sets(page);
    if (holds(all)) return all;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  throw new Error(`the store never had ${what}: ${JSON.stringify(all)}`);
}

/** One step, with its point, and waits until that is kept. */
async function step(page, number, setting) {
  await page.bringToFront();
  await page.click('#step');
  return until(page, (all) => all.some(({ points }) => {
    const last = points.at(-1);
    return last?.step === number && (setting === undefined || last.setting === setting);
  }), `step ${number}`);
}

async function open(page, url) {
  await page.bringToFront();
  await page.goto(url, { waitUntil: 'load' });
  await ready(page);
}

const rows = (page) => page.$$eval('#frontier-rows tr', (all) => all.map((row) => row.textContent).filter((row) => row.startsWith('DPO')));

/** What the policy behind the first point writes. */
async function written(page) {
  await page.focus('#frontier');
  await page.keyboard.press('End');
  for (let at = 0; at < 5 && !(await text(page, '#frontier-summary')).includes('step 1:'); at += 1) {
    await page.keyboard.press('ArrowLeft');
    await drawn(page);
  }
  await page.keyboard.press('Enter');
  await page.waitForSelector('#opened-list .sample', PATIENT);
  assert.match(await text(page, '#opened-title'), /step 1$/);
  return page.$$eval('#opened-list .sample', (all) => all.map((it) => it.textContent));
}

test('what one tab resumes is not discarded by another while the engine is built', () => visit(CHROMIUM, async (one) => {
  await ready(one);
  await step(one, 1);
  await step(one, 2);
  // While held, the engine hears nothing, so that it is not ready for as long as the other tab takes.
  await one.evaluateOnNewDocument(() => {
    const { postMessage } = Worker.prototype;
    const held = [];
    Worker.prototype.postMessage = function (...given) {
      if (window.isHeld) held.push([this, given]);
      else postMessage.apply(this, given);
    };
    window.letGo = () => {
      window.isHeld = false;
      for (const [worker, given] of held) postMessage.apply(worker, given);
    };
  });
  await open(one, QUICK);
  await has(one, '#kept-summary', 'Resume the run of');
  const [{ visit: former }] = await sets(one);
  const other = await one.browser().newPage();
  await open(other, QUICK);
  await has(other, '#kept-summary', 'Resume the run of');
  assert.equal(await text(other, '#kept-discard'), 'Discard', 'its page is closed');
  await one.bringToFront();
  await one.evaluate(() => { window.isHeld = true; });
  await one.click('#kept-resume');
  await one.waitForFunction(async (wanted) => (await navigator.locks.query()).held.some(({ name }) => name.endsWith(wanted)), PATIENT, former);
  await other.bringToFront();
  await other.click('#kept-discard');
  await has(other, '#kept-summary', 'Another tab is resuming the run that was offered.');
  assert.deepEqual((await sets(other)).map(({ visit: its }) => its), [former], 'it is there, and offered to nobody else');
  await one.bringToFront();
  await one.evaluate(() => window.letGo());
  await has(one, '#state-dpo', 'step 2');
  const [{ points, wrong }] = await until(one, (all) => all.length === 1 && all[0].visit !== former, 'the resumed run in its place');
  assert.deepEqual([points.length, wrong], [2, []]);
  const held = await one.evaluate(async () => (await navigator.locks.query()).held.map(({ name }) => name));
  assert.ok(!held.some((name) => name.endsWith(former)), held.join());
}, { url: QUICK }));

test('a run that is resumed beside another tab has its own policies, and each tab is offered its own', () => visit(CHROMIUM, async (one) => {
  await one.setViewport({ width: 1440, height: 900 });
  await ready(one);
  await step(one, 1);
  await step(one, 2);
  const before = await written(one);
  const other = await one.browser().newPage();
  // The page in another language is in the same folder, and keeps beside this one.
  await open(other, `${process.env.KLIMB_URL}de.html?evaluation_samples=64&batch_size=16&seed=4&beta=0.7&learning_rate=0.05`);
  await has(other, '#kept-summary', 'in einem anderen Tab offen');
  await other.click('#kept-discard');
  await other.waitForSelector('#kept[hidden]');
  await other.click('#step');
  await until(one, (all) => all.length === 2, 'a second visit');
  await step(one, 3);
  const table = await rows(one);
  await one.bringToFront();
  await one.reload({ waitUntil: 'load' });
  await ready(one);
  await has(one, '#kept-summary', '(DPO, 3 steps)?');
  assert.match(await text(one, '#kept-summary'), /^Resume the run of/);
  await one.click('#kept-resume');
  await has(one, '#state-dpo', 'step 3');
  await drawn(one);
  assert.deepEqual(await rows(one), table);
  assert.deepEqual(await written(one), before);
  const all = await step(one, 4);
  assert.deepEqual(all.map(({ wrong, points }) => [wrong, points.map((point) => point.step)]), [[[], [1, 2, 3, 4]], [[], [1]]]);
}, { url: `${QUICK}&beta=0.05` }));

test('twenty random turns of two tabs leave each run whole', () => visit(CHROMIUM, async (page) => {
  // A small generator (Park and Miller 1988), so that a turn that fails can be repeated.
  let state = 26;
  const below = (count) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % count;
  };
  const settings = [0.11, 0.22];
  const tabs = [page, await page.browser().newPage()];
  const urls = settings.map((beta) => `${process.env.KLIMB_URL}?evaluation_samples=64&batch_size=16&seed=3&beta=${beta}`);
  await open(tabs[0], urls[0]);
  await open(tabs[1], urls[1]);
  const [steps, saved, counts] = [[0, 0], [null, null], {}];
  for (let turn = 0; turn < 20; turn += 1) {
    const at = below(2);
    const tab = tabs[at];
    const does = ['step', 'step', 'reload', 'resume', 'discard', 'both'][below(6)];
    counts[does] = (counts[does] ?? 0) + 1;
    await tab.bringToFront();
    if (does === 'both') {
      // Both save at once: neither waits for the other.
      const steppers = tabs.map((it) => it.evaluate(() => document.querySelector('#step').click()));
      await Promise.all(steppers);
      for (const its of [0, 1]) {
        steps[its] += 1;
        await tabs[its].bringToFront();
        await tabs[its].waitForFunction((it) => document.querySelector('#frontier-summary').textContent.includes(`step ${it}:`), PATIENT, steps[its]);
        saved[its] = steps[its];
      }
      await until(page, (all) => settings.every((setting, its) => all.some(({ points }) => points.at(-1)?.step === steps[its] && points.at(-1).setting === setting)), 'both');
    } else if (does === 'step') {
      steps[at] += 1;
      await step(tab, steps[at], settings[at]);
      saved[at] = steps[at];
    } else {
      await open(tab, urls[at]);
      steps[at] = 0;
      if (saved[at] !== null) {
        await has(tab, '#kept-summary', 'Resume');
        // A tab is offered its own run, as its last save left it.
        assert.match(await text(tab, '#kept-summary'), new RegExp(`^Resume the run of .*DPO, ${saved[at]} step`));
      }
      if (does !== 'reload' && saved[at] !== null) {
        await tab.click(does === 'resume' ? '#kept-resume' : '#kept-discard');
        if (does === 'resume') {
          await has(tab, '#state-dpo', `step ${saved[at]}`);
          steps[at] = saved[at];
          assert.match(await tab.evaluate(() => location.search), new RegExp(`beta=${settings[at]}`));
        } else {
          // The next reload offers what else is left, which may be the other's.
          saved[at] = null;
          await drawn(tab);
        }
      }
    }
    const all = await sets(page);
    for (const { visit: its, wrong, points } of all) {
      assert.deepEqual(wrong, [], `turn ${turn}, ${does}, visit ${its}`);
      assert.equal(new Set(points.map((point) => point.setting)).size, 1, 'no visit has points of both tabs');
    }
  }
  console.log(`twenty turns of two tabs: ${JSON.stringify(counts)}`);
}));

test('a full store fails one save, a page that was there before is read, and a newer one is left alone', () => visit(CHROMIUM, async (page) => {
  const dump = JSON.parse(await readFile(DUMP, 'utf8'));
  // What a build before today's kept is put there before today's is opened.
  await page.evaluate((dump) => new Promise((resolve, reject) => {
    const bytes = dump.bytes.map((text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
    const undumped = (value) => {
      if (Array.isArray(value)) return value.map(undumped);
      if (value === null || typeof value !== 'object') return value;
      if ('bytes' in value) return bytes[value.bytes];
      if ('bigint' in value) return BigInt(value.bigint);
      if ('map' in value) return new Map(value.map.map(([name, its]) => [name, undumped(its)]));
      return Object.fromEntries(Object.entries(value).map(([name, its]) => [name, undumped(its)]));
    };
    const gone = indexedDB.deleteDatabase(dump.database);
    gone.onerror = () => reject(gone.error);
    gone.onsuccess = () => {
      const opened = indexedDB.open(dump.database, dump.version);
      opened.onerror = () => reject(opened.error);
      opened.onupgradeneeded = () => opened.result.createObjectStore(dump.store);
      opened.onsuccess = () => {
        const store = opened.result.transaction(dump.store, 'readwrite').objectStore(dump.store);
        for (const { key, value } of dump.entries) store.put(undumped(value), key);
        store.transaction.oncomplete = () => {
          opened.result.close();
          resolve();
        };
      };
    };
  }), dump);
  await page.evaluateOnNewDocument(() => {
    const { put } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.put = function (...given) {
      if (window.isFull) throw new DOMException('no room', 'QuotaExceededError');
      return put.apply(this, given);
    };
  });
  await open(page, QUICK);
  await has(page, '#kept-summary', 'Resume the run of ');
  assert.match(await text(page, '#kept-summary'), /\(PPO-GT, 4 steps\)\?$/);
  assert.deepEqual((await sets(page)).map(({ visit: its, wrong, points }) => [its.startsWith('first-'), wrong, points.length]), [[true, [], 2]]);
  await page.click('#kept-resume');
  await has(page, '#state-dpo', 'step 130');
  assert.equal(await page.$('#failure:not([hidden])'), null);
  await open(page, QUICK);
  await has(page, '#kept-summary', 'PPO-GT, 4 steps');
  await page.click('#kept-discard');
  await page.waitForSelector('#kept[hidden]');

  await step(page, 1);
  await page.evaluate(() => { window.isFull = true; });
  await page.click('#step');
  await has(page, '#kept-summary', 'The newest point could not be kept (the browser’s store is full). What was kept before stands');
  assert.deepEqual((await sets(page)).map(({ wrong, points }) => [wrong, points.map((point) => point.step)]), [[[], [1]]]);
  await page.evaluate(() => { window.isFull = false; });
  await step(page, 3);
  await page.waitForSelector('#kept[hidden]');
  assert.deepEqual((await sets(page)).map(({ wrong, points }) => [wrong, points.map((point) => point.step)]), [[[], [1, 2, 3]]]);

  await page.evaluate(() => new Promise((resolve, reject) => {
    const opened = indexedDB.open('klimb', 9);
    opened.onerror = () => reject(opened.error);
    opened.onsuccess = () => {
      opened.result.close();
      resolve();
    };
  }));
  await page.click('#step');
  await has(page, '#kept-summary', 'A newer version of this page has changed what this browser keeps');
  assert.deepEqual((await sets(page)).map(({ wrong, points }) => [wrong, points.length]), [[[], 3]]);
  await page.click('#step');
  await page.waitForFunction(() => document.querySelector('#frontier-summary').textContent.includes('step 5:'), PATIENT);
  // A page that is left while it opens the store would hold up whoever deletes it; the style sheet alone opens none.
}, { url: new URL('www/style.css', process.env.KLIMB_URL).href, expected: /favicon|404/ })); // nor has it an icon of its own
