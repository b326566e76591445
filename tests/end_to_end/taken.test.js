// What is said of files that are handed over: each that is taken in is told of where everybody sees and hears it, also when
// nothing is otherwise for it.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { CHROMIUM, PATIENT, URL_AT_ROOT, drawn, has, ready, text, visit } from './harness.js';

const COMPATIBLE = new URL('../data/compatible/', import.meta.url);
const MODEL = new URL('../../www/assets/sft.safetensors', import.meta.url);

const content = async (name) => [...await readFile(new URL(name, COMPATIBLE))];

/** Drops files, each a name with its bytes, or a text where there is none. */
const drop = (page, files) => page.evaluate((all) => {
  const dataTransfer = new DataTransfer();
  for (const [name, bytes] of all) dataTransfer.items.add(new File([Uint8Array.from(bytes)], name));
  if (all.length === 0) dataTransfer.setData('text/plain', 'a text');
  document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
}, files);

/** The sentence about what was taken in, once it begins like this; it is seen, and announced. */
async function told(page, beginning) {
  await page.waitForFunction(
    (wanted) => document.querySelector('#taken-sentence').textContent.startsWith(wanted), PATIENT, beginning,
  );
  const sentence = await text(page, '#taken-sentence');
  assert.ok(await page.$eval('#taken', (it) => it.getClientRects().length > 0), 'it is seen');
  return sentence;
}

test('every file that is taken in is told of, also when nothing is otherwise for it', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  const receipt = await content('receipt-2.txt');
  await drop(page, [['ada.txt', receipt]]);
  assert.match(
    await told(page, '“ada.txt” is taken in: a receipt'),
    /\(runs: \d+; settings: seed 3, β 0\.2, batch size 8, .*\)\. Its runs stand in the chart as dots\.$/,
  );
  assert.equal(await text(page, '#said'), await text(page, '#taken-sentence'), 'it is announced');
  await drop(page, [['ada.txt', receipt]]);
  await told(page, '“ada.txt” changes nothing: its receipts are in the chart already.');

  const numbers = await content('run-2.json');
  await drop(page, [['friday.json', numbers]]);
  assert.match(await told(page, '“friday.json” is taken in: exported numbers'), /\(runs: \d+; points: \d+; settings: seed 4, β 0\.3, batch size 8, /);
  await drop(page, [['friday.json', numbers]]);
  await told(page, '“friday.json” changes nothing');
  assert.equal(await text(page, '#said'), await text(page, '#taken-sentence'));

  const [pairs, model] = [await content('pairs.jsonl'), [...await readFile(MODEL)]];
  for (const [name, bytes, first, again] of [
    ['mine.jsonl', pairs, ' is taken in: preference pairs (20).', ' holds the preference pairs that were there already (20).'],
    ['sft.safetensors', model, ' holds the model that was there already: SFT, step ', ' holds the model that was there already: SFT, step '],
  ]) {
    await drop(page, [[name, bytes]]);
    await told(page, `“${name}”${first}`);
    await page.click('#taken-dismiss');
    await page.waitForSelector('#taken[hidden]');
    await drop(page, [[name, bytes]]);
    await told(page, `“${name}”${again}`);
  }

  // Together with what is refused, by the button.
  await page.click('#files summary');
  const chooser = await page.$('#load-sft');
  await chooser.uploadFile(
    ...['receipt.txt', 'sweep/run.json', 'sweep/frontier.csv'].map((name) => new URL(name, COMPATIBLE).pathname),
  );
  await told(page, '“receipt.txt” is taken in: a receipt');
  await has(page, '#failure-sentence', 'run.json describes a run of the native program');
  await has(page, '#failure-sentence', 'frontier.csv is a table for other programs');
  await has(page, '#failure-remedy', 'What else was chosen with it has been taken up.');

  await drop(page, []);
  await has(page, '#failure-sentence', 'Nothing that was dropped here is a file.');
  await page.waitForSelector('#taken[hidden]');
}));

test('the German page tells of files in German, and of labels that another language has named', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  const numbers = JSON.parse(await readFile(new URL('run-2.json', COMPATIBLE)));
  const named = numbers.runs.find(({ method }) => method === 'dpo');
  named.pairs = 'my labels, 20 % flipped';
  named.name = null;
  await drop(page, [['friday.json', [...new TextEncoder().encode(JSON.stringify(numbers, null, 1))]]]);
  assert.match(await told(page, '„friday.json“ ist übernommen: exportierte Zahlen'), /Einstellungen: Seed 4, β 0,3, /);
  await page.focus('#frontier');
  const seen = [];
  for (let at = 0; at < 40 && !/vertauscht/.test(seen.at(-1)); at += 1) {
    await page.keyboard.press('ArrowLeft');
    await drawn(page);
    seen.push(await text(page, '#frontier-summary'));
  }
  assert.match(seen.at(-1), /meine Labels, 20 % vertauscht, aus friday\.json/, seen.join('\n'));
}, { url: `${URL_AT_ROOT}de.html` }));
