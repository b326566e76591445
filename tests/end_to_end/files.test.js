// Files in and out, settings, and an engine that fails: nothing is lost, and one sentence says what happened.

import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { downloaded, inFolder } from './downloads.js';
import { ready, text, visit } from './harness.js';

const CHROMIUM = 'Chromium without WebGPU';
const PATIENT = { timeout: 60_000 };
const SFT = new URL('../../www/assets/sft.safetensors', import.meta.url);

const failure = (page, words) => page.waitForFunction(
  (wanted) => document.querySelector('#failure:not([hidden])')?.textContent.includes(wanted),
  PATIENT,
  words,
);
const summary = (page, words) => page.waitForFunction(
  (wanted) => document.querySelector('#batch-summary').textContent.startsWith(wanted),
  PATIENT,
  words,
);

/** The engine's thread, which may come to puppeteer's notice later than to the page's. */
const engine = async (page) => page.workers()[0] ?? new Promise((resolve) => { page.once('workercreated', resolve); });

test('broken and foreign files are refused by name, and nothing is lost', () => inFolder((folder) => visit(CHROMIUM, async (page) => {
  const whole = await readFile(SFT);
  await writeFile(join(folder, 'cut.safetensors'), whole.subarray(0, whole.length / 2));
  await writeFile(join(folder, 'poem.txt'), 'the acting in this film');
  await ready(page);
  await page.click('#step');
  await summary(page, 'Step 1:');
  await page.click('#files summary');
  const chooser = await page.$('#load-sft');
  await chooser.uploadFile(join(folder, 'cut.safetensors'));
  await failure(page, `${Math.floor(whole.length / 2)} bytes`);
  assert.match(await text(page, '#failure-sentence'), /^That could not be used: cut\.safetensors is refused \(the checkpoint has \d+ bytes, not .*\)\.$/);
  await chooser.uploadFile(join(folder, 'poem.txt'));
  await failure(page, 'poem.txt holds neither a model nor pairs');
  assert.match(await text(page, '#failure-remedy'), /Nothing was replaced/);
  await page.click('#step');
  await summary(page, 'Step 2:');
  await page.click('#play');
  await page.waitForFunction(() => document.querySelector('#state-dpo').textContent.includes('10'), PATIENT);
})));

test('the SFT model is saved byte for byte, and a saved policy becomes the reference', () => inFolder((folder) => visit(CHROMIUM, async (page) => {
  const browser = await page.createCDPSession();
  await browser.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: folder });
  await ready(page);
  await page.click('#files summary');
  await page.click('#save-sft');
  assert.deepEqual(await downloaded(join(folder, 'klimb-sft.safetensors')), await readFile(SFT));
  await page.click('#step');
  await summary(page, 'Step 1:');
  await page.click('#save-dpo');
  const policy = await downloaded(join(folder, 'klimb-dpo.safetensors'));
  assert.equal(policy.length > 100_000, true);
  // Dropped on the page, as a person drops a file.
  await page.evaluate((bytes) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([Uint8Array.from(bytes)], 'policy.safetensors'));
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
  }, [...policy]);
  await summary(page, 'Press Step');
  await page.click('#step');
  await summary(page, 'Step 1:');
  assert.match(await text(page, '#batch-summary'), /mean loss 0\.693/);
  assert.equal(await page.$('#failure:not([hidden])'), null);
  // Another seed starts over with the models that are there.
  await rm(join(folder, 'klimb-sft.safetensors'));
  await page.$eval('#seed', (field) => {
    field.value = '2';
    field.dispatchEvent(new Event('change', { bubbles: true }));
  });
  await summary(page, 'Press Step');
  await page.click('#save-sft');
  assert.deepEqual(await downloaded(join(folder, 'klimb-sft.safetensors')), policy);
})));

test('a person\'s pairs are dropped, trained on, saved again, and given up for generated ones', () => inFolder((folder) => visit(CHROMIUM, async (page) => {
  const browser = await page.createCDPSession();
  await browser.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: folder });
  const line = (prompt) => `{"prompt":"${prompt}","chosen":"was superb .","rejected":"was dull ."}\n`;
  const pairs = line('the plot') + line('the music');
  const state = (words) => page.waitForFunction(
    (wanted) => document.querySelector('#state-pairs').textContent === wanted,
    PATIENT,
    words,
  );
  await ready(page);
  await page.click('#files summary');
  const chooser = await page.$('#load-sft');
  await writeFile(join(folder, 'broken.jsonl'), `${pairs}{"prompt": 1}\n`);
  await chooser.uploadFile(join(folder, 'broken.jsonl'));
  await failure(page, 'line 3');
  await page.click('#failure-dismiss');
  await page.evaluate((text) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([text], 'mine.jsonl'));
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
  }, pairs);
  await state('loaded, 2 pairs');
  await page.click('#step');
  await summary(page, 'Step 1:');
  assert.match(await text(page, '#batch-summary'), /mean loss 0\.693/);
  await page.click('#save-pairs');
  assert.equal((await downloaded(join(folder, 'klimb-pairs.jsonl'))).toString(), pairs);
  await page.click('#generate-pairs');
  await state('ready');
  assert.equal(await page.$('#failure:not([hidden])'), null);
})));

test('what is inside of a file decides, and of several dropped together each is taken or named', () => visit(CHROMIUM, async (page) => {
  const model = await readFile(SFT);
  await ready(page);
  const drop = (files) => page.evaluate((all) => {
    const dataTransfer = new DataTransfer();
    for (const [name, content, size] of all) {
      const file = new File([Array.isArray(content) ? Uint8Array.from(content) : content], name);
      if (size) Object.defineProperty(File.prototype, 'size', { get() { return this.name === name ? size : 100; }, configurable: true });
      dataTransfer.items.add(file);
    }
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
  }, files);
  const state = (words) => page.waitForFunction((wanted) => document.querySelector('#state-pairs').textContent === wanted, PATIENT, words);
  const pair = (prompt) => ({ prompt, chosen: 'was superb .', rejected: 'was dull .', rejected_truncated: null });
  const said = (role, content) => [{ role, content }];
  const chat = { prompt: said('user', 'the plot'), chosen: said('assistant', 'was superb .'), rejected: said('assistant', 'was dull .') };
  await drop([['pairs.json', `\ufeff[${JSON.stringify(pair('the plot'))},\n${JSON.stringify(chat)},${JSON.stringify(pair('the music'))}]`]]);
  await state('loaded, 3 pairs');
  await drop([
    ['a.jsonl.txt', `${JSON.stringify(pair('the plot'))}\r\n${JSON.stringify(pair('the music'))}\r\n`],
    ['notes.txt', 'a poem'],
    ['model.bin', [...model]],
    ['more.ndjson', JSON.stringify(chat)],
    ['huge.jsonl', 'x', 68157440],
  ]);
  await failure(page, 'notes.txt holds neither a model nor pairs, exported numbers or receipts; more.ndjson has pairs too, and those of a.jsonl.txt came first; huge.jsonl has 65 MiB, and at most 64 are read.');
  await state('loaded, 2 pairs');
  await drop([['twice.jsonl', '{"prompt":"the plot","chosen":"was superb .","rejected":"was dull .","prompt":"the music"}']]);
  await failure(page, '(line 1: `prompt` stands in it twice');
  await state('loaded, 2 pairs');
}));

test('a setting takes effect, stays in the address, and a bad one is named beside its field', () => visit(CHROMIUM, async (page) => {
  const write = async (id, value) => {
    await page.$eval(id, (field, typed) => {
      field.value = typed;
      field.dispatchEvent(new Event('change', { bubbles: true }));
    }, value);
  };
  await ready(page);
  await page.click('#settings summary');
  assert.equal(await page.$eval('#knob-learning_rate', (field) => field.labels[0].textContent), 'learning rate');
  await write('#knob-batch_size', '16');
  assert.equal(await page.evaluate(() => location.search), '?batch_size=16');
  await page.click('#step');
  await summary(page, 'Step 1: 16 pairs');
  await write('#knob-learning_rate', 'fast');
  assert.match(await text(page, '#knob-learning_rate-error'), /^learning_rate: “fast” is not a number\./);
  assert.equal(await page.evaluate(() => location.search), '?batch_size=16');
  await write('#knob-learning_rate', '0.0005');
  assert.equal(await text(page, '#knob-learning_rate-error'), '');
  assert.match(await page.evaluate(() => location.search), /learning_rate=0\.0005/);
  await page.click('#step');
  await summary(page, 'Step 2: 16 pairs');
}));

test('a message that cannot be understood ends in one sentence and its remedy', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await (await engine(page)).evaluate(() => self.postMessage('gibberish'));
  await failure(page, 'do not understand each other');
  assert.match(await text(page, '#failure-remedy'), /Reload the page/);
}));

test('an engine that dies ends in one sentence and its remedy', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await (await engine(page)).evaluate(() => { setTimeout(() => { throw new Error('on purpose'); }); });
  await failure(page, 'The engine stopped: Uncaught Error: on purpose.');
  assert.match(await text(page, '#failure-remedy'), /^It is built again as it was at its last point\./);
}, { expected: /^uncaught: .*on purpose/ }));

test('exported numbers stand in the chart again, with the way to their settings', () => inFolder((folder) => visit(CHROMIUM, async (page) => {
  const browser = await page.createCDPSession();
  await browser.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: folder });
  await ready(page);
  await page.click('#step');
  await page.click('#step');
  await page.waitForFunction(() => document.querySelector('#frontier-summary').textContent.includes('DPO'), PATIENT);
  await page.click('#exports summary');
  await page.click('#export-json');
  const file = join(folder, 'klimb-run-seed-5.json');
  const numbers = JSON.parse(await downloaded(file));
  const runs = new Set(numbers.points.filter(({ point }) => point.method === 'dpo').map(({ run }) => run));
  assert.equal(runs.size, 1);

  await page.goto(process.env.KLIMB_URL);
  await ready(page);
  await page.click('#files summary');
  const chooser = await page.$('#load-sft');
  await chooser.uploadFile(file);
  await page.waitForSelector('#former:not([hidden])', PATIENT);
  assert.match(await text(page, '#former-said'), /^In the chart now: 1 runs with \d+ points\.$/);
  assert.match(await page.$eval('#former-address', ({ href }) => href), /\?seed=5&/);

  await writeFile(join(folder, 'other.json'), '{"points": []}');
  await chooser.uploadFile(join(folder, 'other.json'));
  await failure(page, 'That could not be used: other.json is refused (');
  // Its points are behind all others.
  await page.focus('#frontier');
  await page.keyboard.press('ArrowLeft');
  assert.match(await text(page, '#frontier-summary'), /^DPO, .*from klimb-run-seed-5\.json/);
  await page.click('#former-clear');
  assert.doesNotMatch(await text(page, '#frontier-summary'), /klimb-run/);
}, { url: `${process.env.KLIMB_URL}?seed=5&evaluation_samples=64&batch_size=16&evaluate_every=2` })));
