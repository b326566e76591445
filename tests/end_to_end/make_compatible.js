// Writes what `tests/data/compatible/README.md` tells of: the files of one visit to the page of a given build, its
// address and what the browser keeps of it. Once written, they stay as they are; this is here to say how they came about.
//
//   KLIMB_URL=http://localhost:8080/ KLIMB_CHROMIUM=/usr/bin/chromium node make_compatible.js FOLDER

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { downloaded, inFolder } from './downloads.js';

const PATIENT = { timeout: 120_000 };
const QUERY = '?seed=3&beta=0.2&batch_size=8&pairs=960&label_smoothing=0.05&evaluate_every=130&evaluation_samples=64'
  + '&rollout_size=16&ppo_epochs=1&evaluate_rollouts=1&hide=questions&type=large';
/** Another visit's, whose store has one policy alone: a policy is most of the file. */
const SMALL = '?seed=4&beta=0.3&batch_size=8&evaluate_every=130&evaluation_samples=64';
const DATA = new URL('../data/compatible/', import.meta.url);
const to = process.argv[2];

/** A person's visit: a step of DPO, twenty labels and a run on them, a round of PPO-GT, names. */
async function visit(page, files) {
  const until = (condition, ...values) => page.waitForFunction(condition, PATIENT, ...values);
  const stands = (words) => until((wanted) => document.querySelector('#frontier-summary').textContent.includes(wanted), words);
  await page.goto(process.env.KLIMB_URL + QUERY, { waitUntil: 'load' });
  await until(() => !document.querySelector('#play').disabled);
  await page.click('#step');
  await stands('step 1:');
  await page.focus('#annotator-begin');
  await page.keyboard.press('Enter');
  for (let label = 1; label <= 20; label += 1) {
    await page.waitForSelector('#annotator-pair:not([hidden])', PATIENT);
    await page.keyboard.press(label % 3 ? 'a' : 'b');
    await until((wanted) => document.querySelector('#annotator-count').textContent.startsWith(wanted), `${label} of`);
  }
  await page.focus('#annotator-train');
  await page.keyboard.press('Enter');
  await stands('my labels, step 130:');
  await page.click('#play');
  await until(() => document.querySelector('#play').textContent === 'Play');
  await page.$eval('#runs', (details) => { details.open = true; });
  await page.evaluate(() => {
    const fields = [...document.querySelectorAll('#run-list [type=text]')];
    const mine = fields.find((field) => field.value.includes('my labels'));
    mine.value = 'Ada’s run, α & “β”';
    mine.dispatchEvent(new Event('change', { bubbles: true }));
    document.querySelector('#run-list [type=checkbox]').click();
  });
  // The names are kept with the next point.
  await page.click('#step-ppo-gt');
  await stands('PPO-GT');
  await page.$$eval('details', (all) => all.forEach((it) => { it.open = true; }));
  const saved = async (button, name) => {
    await page.$eval(button, (it) => it.click());
    return downloaded(join(files, name));
  };
  await writeFile(join(to, 'run.json'), await saved('#export-json', 'klimb-run-seed-3.json'));
  await writeFile(join(to, 'run.csv'), await saved('#export-csv', 'klimb-run-seed-3.csv'));
  await writeFile(join(to, 'pairs.jsonl'), await saved('#save-pairs', 'klimb-pairs.jsonl'));
  await page.click('#receipt-copy');
  await writeFile(join(to, 'receipt.txt'), `${await page.$eval('#receipt-text', (field) => field.value)}\n`);
}

/** A person's visit to a later build: the same twenty pairs dropped in, a name for the reference, 130 steps of DPO. */
async function small(page) {
  const pairs = await readFile(new URL('pairs.jsonl', DATA), 'utf8');
  await page.goto(process.env.KLIMB_URL + SMALL, { waitUntil: 'load' });
  await page.waitForFunction(() => !document.querySelector('#play').disabled, PATIENT);
  await page.evaluate((lines) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([lines], 'pairs.jsonl'));
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
  }, pairs);
  await page.waitForFunction(() => document.querySelector('#state-pairs').textContent.includes('loaded'), PATIENT);
  await page.$eval('#runs', (details) => { details.open = true; });
  await page.waitForSelector('#run-list [type=text]', PATIENT);
  await page.$eval('#run-list [type=text]', (field) => {
    field.value = 'before, α & “β”';
    field.dispatchEvent(new Event('change', { bubbles: true }));
  });
  await page.click('#play');
  await page.waitForFunction(() => document.querySelector('#frontier-summary').textContent.includes('step 130:'), PATIENT);
  await page.click('#play');
  await page.waitForFunction(() => document.querySelector('#play').textContent === 'Play', PATIENT);
}

/** Two runs of one step, of which the second has a name. */
async function exported(page, files) {
  await page.goto(process.env.KLIMB_URL + SMALL, { waitUntil: 'load' });
  await page.waitForFunction(() => !document.querySelector('#play').disabled, PATIENT);
  const stepped = (run) => page.waitForFunction(
    (count) => [...document.querySelectorAll('#frontier-rows tr')].filter((row) => row.textContent.startsWith('DPO')).length === count,
    PATIENT,
    run,
  );
  await page.click('#step');
  await stepped(1);
  await page.click('#reset');
  await page.click('#step');
  await stepped(2);
  await page.$eval('#runs', (details) => { details.open = true; });
  await page.waitForFunction(() => document.querySelectorAll('#run-list [type=text]').length === 3, PATIENT);
  await page.evaluate(() => {
    const field = [...document.querySelectorAll('#run-list [type=text]')].at(-1);
    field.value = 'once more, α & “β”';
    field.dispatchEvent(new Event('change', { bubbles: true }));
  });
  await page.$eval('#export-json', (button) => button.click());
  await writeFile(join(to, 'run-2.json'), await downloaded(join(files, 'klimb-run-seed-4.json')));
}

/** What stands in another dump already is not written once more. */
async function shortened({ bytes, ...store }) {
  const former = JSON.parse(await readFile(new URL('store.json', DATA), 'utf8')).bytes;
  const short = (text) => (former.includes(text) ? { file: 'store.json', number: former.indexOf(text) } : text);
  return { ...store, bytes: bytes.map(short) };
}

/** A visit that leaves something in every other storage: a case of the clinic that is on, the tour's place, a theme. */
async function others(page) {
  await page.goto(process.env.KLIMB_URL, { waitUntil: 'load' });
  await page.waitForFunction(() => !document.querySelector('#play').disabled, PATIENT);
  await page.click('#theme');
  await page.click('#tour-open');
  await page.keyboard.press('ArrowRight');
  await page.$eval('#tour-close', (button) => button.click());
  await page.$eval('#cases button', (button) => button.click());
  await page.waitForFunction(() => Object.keys(sessionStorage).some((name) => name.startsWith('klimb-lent')), PATIENT);
}

/** Everything in the store and in the two storages. Bytes are numbered and stand once, in base64; a map is its entries. */
const dump = (page) => page.evaluate(async () => {
  const result = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const bytes = [];
  const plain = (value) => {
    if (value instanceof Uint8Array) {
      const base64 = btoa(value.reduce((text, byte) => text + String.fromCharCode(byte), ''));
      if (!bytes.includes(base64)) bytes.push(base64);
      return { bytes: bytes.indexOf(base64) };
    }
    if (value instanceof Map) return { map: [...value].map(plain) };
    if (Array.isArray(value)) return value.map(plain);
    if (typeof value === 'bigint') return { bigint: `${value}` };
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([key, its]) => [key, plain(its)]));
  };
  const database = await result(indexedDB.open('klimb'));
  const name = database.objectStoreNames.contains('parts') ? 'parts' : 'runs';
  const store = database.transaction(name).objectStore(name);
  const [keys, values] = [await result(store.getAllKeys()), await result(store.getAll())];
  database.close();
  return {
    database: 'klimb',
    version: database.version,
    store: name,
    entries: keys.map((key, index) => ({ key, value: plain(values[index]) })),
    bytes,
    session_storage: { ...sessionStorage },
    local_storage: { ...localStorage },
  };
});

await mkdir(to, { recursive: true });
await inFolder(async (files) => {
  const browser = await puppeteer.launch({
    headless: true,
    executablePath: process.env.KLIMB_CHROMIUM,
    args: ['--no-sandbox', '--disable-blink-features=WebGPU'],
  });
  try {
    const rest = () => new Promise((resolve) => { setTimeout(resolve, 2000); }); // until the store has come to rest
    const opened = async (context) => {
      const page = await context.newPage();
      const { id } = context;
      const saving = { behavior: 'allow', downloadPath: files, ...(id && { browserContextId: id }) };
      await (await page.createCDPSession()).send('Browser.setDownloadBehavior', saving);
      return page;
    };
    const apart = await opened(await browser.createBrowserContext());
    await small(apart);
    await rest();
    const { session_storage: _, local_storage: __, ...store } = await dump(apart);
    await exported(apart, files);
    await writeFile(join(to, `store-${store.version}.json`), `${JSON.stringify(await shortened(store), null, 1)}\n`);
    const page = await opened(browser.defaultBrowserContext());
    await visit(page, files);
    await rest();
    const { session_storage: labels } = await dump(page);
    await page.evaluate(() => sessionStorage.clear());
    await others(page);
    const { session_storage: lent, local_storage: local } = await dump(page);
    const storages = { session: { ...labels, ...lent }, local };
    await writeFile(join(to, 'storages.json'), `${JSON.stringify(storages, null, 1)}\n`);
  } finally {
    await browser.close();
  }
});
