// The main path in WebKit: the page opens, trains, is kept over a reload, speaks German, and its files arrive whole.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { downloaded } from './downloads.js';
import { ARROW_LEFT, ENTER, visitWebKit } from './webkit.js';

const QUICK = `${process.env.KLIMB_URL}?evaluation_samples=64&batch_size=16&seed=3`;
const SFT = new URL('../../www/assets/sft.safetensors', import.meta.url);

const ready = (page) => page.until(() => !document.querySelector('#play').disabled);
const rows = (page) => page.run(() => [...document.querySelectorAll('#frontier-rows tr')]
  .map((row) => row.textContent).filter((row) => row.startsWith('DPO')));
/** Two steps of DPO, each with its point. */
const train = async (page) => {
  await ready(page);
  for (const step of [1, 2]) {
    await page.click('#step');
    await page.says('#frontier-summary', `step ${step}:`);
  }
};

test('WebKit: a step and training, β, samples, German, and a run that is resumed', () => visitWebKit(QUICK, async (page) => {
  await train(page);
  assert.match(await page.text('#batch-summary'), /^Step 2: 16 pairs, mean loss 0\.\d{3}/);
  assert.ok(await page.until(() => document.querySelectorAll('#sample-list .sample').length));
  await page.click('#play');
  await page.says('#frontier-summary', 'step 10:');
  await page.click('#play');
  await page.until(() => document.querySelector('#play').textContent === 'Play');

  const beta = await page.text('#beta-value');
  await page.press('#beta', ARROW_LEFT);
  await page.until((before) => document.querySelector('#beta-value').textContent !== before, beta);
  await page.until(() => /beta=0\.\d/.test(location.search));

  const before = await rows(page);
  await page.reload();
  await ready(page);
  await page.says('#kept-summary', 'Resume the run of ');
  await page.click('#kept-resume');
  await page.until(() => [...document.querySelectorAll('#frontier-rows tr')].some((row) => row.textContent.startsWith('DPO')));
  // Whatever was not written yet when the page was left is lost: the newest point at most.
  const after = await rows(page);
  assert.deepEqual(after, before.slice(0, after.length));
  assert.ok(after.length >= before.length - 1, `${after.length} of ${before.length} points came back`);

  await page.click('a[hreflang=de]');
  await page.until(() => document.documentElement.lang === 'de' && !document.querySelector('#play').disabled);
  await page.watch();
  assert.match(await page.text('#badge'), /^Läuft auf der CPU/);
}));

test('WebKit: numbers and models are saved whole', () => visitWebKit(QUICK, async (page) => {
  await train(page);
  const saved = async (button, name) => {
    // By keyboard, as by mouse.
    await page.press(button, ENTER);
    return downloaded(join(page.downloads, name));
  };
  await page.press('#exports summary', ENTER);
  const numbers = JSON.parse(await saved('#export-json', 'klimb-run-seed-3.json'));
  assert.deepEqual([numbers.seed, numbers.metrics.dpo.map((row) => row.step)], [3, [1, 2]]);
  const table = (await saved('#export-csv', 'klimb-run-seed-3.csv')).toString();
  assert.ok(table.includes(`metric,dpo,,2,dpo/loss,${numbers.metrics.dpo[1].values['dpo/loss']}\n`), table);
  assert.ok((await saved('#export-svg', 'klimb-frontier-seed-3.svg')).toString().endsWith('</svg>\n'));

  await page.press('#files summary', ENTER);
  assert.deepEqual(await saved('#save-sft', 'klimb-sft.safetensors'), await readFile(SFT));
  const policy = await saved('#save-dpo', 'klimb-dpo.safetensors');
  // A file of safetensors says where its last tensor ends.
  const header = Number(policy.readBigUInt64LE());
  const tensors = Object.entries(JSON.parse(policy.subarray(8, 8 + header))).filter(([name]) => name !== '__metadata__');
  const end = Math.max(...tensors.map(([, { data_offsets: [, last] }]) => last));
  assert.equal(policy.length, 8 + header + end);
  assert.ok(!policy.equals(await readFile(SFT)));
}));
