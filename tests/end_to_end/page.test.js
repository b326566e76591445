// What a student does: load, play, step, move β, reset, on a desk and on a phone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BROWSERS, drawn, ready, text, visit } from './harness.js';

const PATIENT = { timeout: 60_000 };
const PHONE = { width: 390, height: 844, isMobile: true, hasTouch: true };

const rows = (page) => page.$$eval('#frontier-rows tr', (all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
const points = (page, count) => page.waitForFunction(
  (least) => [...document.querySelectorAll('#frontier-rows th')].filter((cell) => cell.textContent === 'DPO').length >= least,
  PATIENT,
  count,
);
const colours = (page, id) => page.$eval(id, (canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return new Set(Array.from({ length: data.length / 4 }, (_, i) => data.slice(4 * i, 4 * i + 3).join())).size;
});

for (const name of Object.keys(BROWSERS)) {
  test(`${name}: play lands a trained point on the frontier`, () => visit(name, async (page) => {
    await ready(page);
    assert.match(await text(page, 'h1'), /You decide how hard it is pushed to please/);
    assert.match(await text(page, '#badge'), /Runs on the CPU: .+\. .*parameters/);
    assert.equal(await text(page, '#state-sft'), 'done, recorded');
    await page.click('#play');
    assert.equal(await text(page, '#play'), 'Pause');
    await points(page, 1);
    const [, beta, step, kl, reward, , samples] = (await rows(page)).find(([method]) => method === 'DPO');
    assert.equal(beta, 'β 0.50');
    assert.ok(Number(step) >= 1 && parseFloat(kl) > 0 && parseFloat(reward) > 0, `${step} ${kl} ${reward}`);
    assert.ok(Number(samples) >= 512, samples);
    assert.ok(await colours(page, '#frontier') > 3, 'the chart is blank');
    await page.click('#play');
    await page.waitForFunction(() => document.querySelector('#play').textContent === 'Play');
  }));
}

const CHROMIUM = 'Chromium without WebGPU';
const FIREFOX = 'Firefox without WebGPU';

test('the GPU, chosen by hand, lands a point and is called emulated', () => visit('Chromium with WebGPU', async (page) => {
  await ready(page);
  assert.match(await text(page, '#badge'), /Runs on the CPU: the graphics adapter is emulated/);
  await page.select('#backend', 'gpu');
  await page.waitForFunction(() => document.querySelector('#badge').textContent.includes('on the GPU'), PATIENT);
  assert.match(await text(page, '#badge'), /Runs on the GPU \(.*swiftshader.*\): you chose it\. The adapter is emulated in software/);
  assert.match(await page.evaluate(() => location.search), /backend=gpu/);
  await page.click('#step');
  await points(page, 1);
  assert.match(await text(page, '#batch-summary'), /^Step 1: .* mean loss 0\.693 nats/);
  assert.equal(await page.$('#failure:not([hidden])'), null);
}, { url: `${process.env.KLIMB_URL}?evaluation_samples=64` }));

test('the wide model is fetched when it is wanted', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  const badge = await text(page, '#badge');
  const parameters = (words) => Number(words.match(/([\d\s]+) parameters/)[1].replace(/\s/g, ''));
  await page.select('#width', '64');
  await page.waitForFunction((old) => !document.querySelector('#badge').textContent.includes(old), PATIENT, badge);
  assert.ok(parameters(await text(page, '#badge')) > 3 * parameters(badge));
  assert.match(await page.evaluate(() => location.search), /width=64/);
  await page.click('#step');
  await page.waitForSelector('#pairs li', PATIENT);
  assert.match(await text(page, '#batch-summary'), /^Step 1: .* mean loss 0\.693 nats/);
}, { url: `${process.env.KLIMB_URL}?evaluation_samples=64&batch_size=16` }));

test('a step shows its batch, and the first loss is ln 2', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#step');
  await page.waitForSelector('#pairs li', PATIENT);
  assert.match(await text(page, '#batch-summary'), /^Step 1: .* mean loss 0\.693 nats/);
  assert.equal(await text(page, '#live-loss'), '0.693');
  assert.ok(await page.$('#pairs meter'));
}));

test('β moves the optimum’s marker at once, without a step', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.waitForFunction(() => document.querySelector('#beta-target').textContent.includes('π*'), PATIENT);
  const before = await text(page, '#beta-target');
  await page.$eval('#beta', (slider) => {
    slider.value = '10';
    slider.dispatchEvent(new Event('input', { bubbles: true }));
  });
  // The first time, the student is asked for a guess before she sees the answer.
  await page.waitForSelector('#guess:not([hidden])', PATIENT);
  assert.equal(await text(page, '#beta-target'), '');
  await page.click('#guess-skip');
  await page.waitForFunction((old) => !['', old].includes(document.querySelector('#beta-target').textContent), PATIENT, before);
  assert.equal(await text(page, '#beta-value'), '0.019');
  assert.equal(await page.evaluate(() => location.search), '', 'β was sent before it was released');
  await page.$eval('#beta', (slider) => slider.dispatchEvent(new Event('change', { bubbles: true })));
  assert.match(await page.evaluate(() => location.search), /beta=0\.0186/);
  assert.equal(await text(page, '#state-dpo'), 'ready');
}));

for (const name of [CHROMIUM, FIREFOX]) {
  test(`${name}: a guess is placed before the answer is shown, by a click or by numbers, and is asked for once`, () => visit(name, async (page) => {
    await ready(page);
    await page.waitForFunction(() => document.querySelector('#beta-target').textContent.includes('π*'), PATIENT);
    await page.focus('#beta');
    await page.keyboard.press('ArrowLeft');
    await page.waitForSelector('#guess:not([hidden])', PATIENT);
    assert.match(await text(page, '#guess-question'), /^Guess first: β goes from 0\.50 to 0\.47/);
    await page.focus('#guess-kl');
    await page.keyboard.type('3.25');
    await page.focus('#guess-reward');
    await page.keyboard.type('1.5');
    await page.keyboard.press('Enter');
    assert.match(await text(page, '#guess-error'), /lies between 0 and 1/);
    await page.$eval('#guess-reward', (field) => { field.value = ''; });
    await page.focus('#guess-reward');
    await page.keyboard.type('0.9');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#guess[hidden]', PATIENT);
    assert.match(await text(page, '#guess-answer'), /^You said 3\.\d nats and 0\.90\. It is at .* off by .* A looser leash/);
    assert.match(await text(page, '#beta-target'), /π\*/);
    await page.focus('#beta');
    await page.keyboard.press('ArrowLeft');
    await drawn(page);
    assert.equal(await text(page, '#guess-answer'), '', 'the answer was to another β');
    await page.reload({ waitUntil: 'load' });
    await ready(page);
    await page.waitForFunction(() => document.querySelector('#beta-target').textContent.includes('π*'), PATIENT);
    await page.focus('#beta');
    await page.keyboard.press('ArrowLeft');
    await drawn(page);
    assert.ok(await page.$('#guess[hidden]'), 'it was asked for on an earlier visit');
    await page.evaluate(() => localStorage.clear());
    await page.reload({ waitUntil: 'load' });
    await ready(page);
    await page.waitForFunction(() => document.querySelector('#beta-target').textContent.includes('π*'), PATIENT);
    await page.focus('#beta');
    await page.keyboard.press('ArrowLeft');
    await page.waitForSelector('#guess:not([hidden])', PATIENT);
    await page.click('#frontier');
    await page.waitForFunction(() => document.querySelector('#guess-answer').textContent.startsWith('You said'), PATIENT);
  }));
}

test('samples are tinted by what training did to a word, and written at another temperature', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.waitForSelector('#sample-list .sample', PATIENT);
  await page.click('#play');
  await points(page, 2);
  await page.click('#play');
  await drawn(page);
  const of = (method, what) => page.$$eval(`#sample-list .completion:has([data-method=${method}]) .word`, (words, name) => words.map((word) => word[name]), what);
  await page.select('#tint', 'ratio');
  await drawn(page);
  assert.ok(await page.$('#tinted-by-sentiment[hidden]'));
  const sft = await of('sft', 'title');
  assert.ok(sft.length > 0 && sft.every((title) => /log π\/π_ref [+−]?0\.00$/.test(title)), 'the reference is where it was');
  const dpo = await of('dpo', 'title');
  assert.ok(dpo.some((title) => !/[+−]?0\.00$/.test(title)), 'DPO has moved no word');
  const before = await of('sft', 'textContent');
  await page.select('#reading', '0');
  await page.waitForFunction((old) => [...document.querySelectorAll('#sample-list .completion:has([data-method=sft]) .word')].map((word) => word.textContent).join() !== old, PATIENT, before.join());
}));

for (const name of [CHROMIUM, FIREFOX]) {
  test(`${name}: a point opens with what its policy wrote, and a fork is a run of its own`, () => visit(name, async (page) => {
    await ready(page);
    await page.click('#play');
    await points(page, 3);
    await page.click('#play');
    await page.focus('#frontier');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#opened-list .sample', PATIENT);
    const title = await text(page, '#opened-title');
    assert.match(title, /^DPO, β 0\.50, step \d+$/);
    const runs = () => page.$$eval('#run-list [type=text]', (names) => names.map((name) => name.value));
    assert.deepEqual(await runs(), ['SFT', 'DPO, β 0.50']);
    await page.$eval('#beta', (slider) => {
      slider.value = '90';
      slider.dispatchEvent(new Event('input', { bubbles: true }));
    });
    await drawn(page);
    assert.match(await text(page, '#fork'), /^Fork at β 2\.69/);
    await page.click('#fork');
    await page.waitForFunction(() => document.querySelectorAll('#run-list li').length === 3, PATIENT);
    await page.click('#play');
    assert.match((await runs())[2], /^DPO, β 2\.69/);
    await page.$eval('#runs', (details) => { details.open = true; });
    const fields = await page.$$('#run-list [type=text]');
    await fields[1].focus();
    await fields[1].evaluate((field) => field.select());
    await page.keyboard.type('mine');
    await page.keyboard.press('Tab');
    await drawn(page);
    assert.match(await text(page, '#opened-title'), /^mine, step/);
    const pixels = () => page.$eval('#frontier', (canvas) => canvas.toDataURL());
    const before = await pixels();
    // Not by the pointer, for which the list would have to have come to rest.
    await page.$$eval('#run-list [type=checkbox]', (boxes) => boxes[1].click());
    await drawn(page);
    assert.notEqual(await pixels(), before, 'a hidden run is still drawn');
    await page.$$eval('#run-list button', (buttons) => buttons[1].click());
    await drawn(page);
    assert.equal((await runs()).length, 2);
    assert.ok(await page.$('#opened[hidden]'), 'its point is closed');
  }));
}

test('reset starts the same run over', () => visit(CHROMIUM, async (page) => {
  const stepped = async () => {
    await page.waitForFunction(() => document.querySelector('#live-formula:not([hidden])'), PATIENT);
    return [await text(page, '#batch-summary'), await text(page, '#pairs')];
  };
  await ready(page);
  await page.click('#step');
  const first = await stepped();
  await page.click('#reset');
  await page.waitForFunction(() => document.querySelector('#live-formula[hidden]'), PATIENT);
  await page.click('#step');
  assert.deepEqual(await stepped(), first);
}));

test('keys play, step and reset; the pipeline takes the focus', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.keyboard.press('.');
  await page.waitForSelector('#pairs li', PATIENT);
  await page.keyboard.press('Space');
  await page.waitForFunction(() => document.querySelector('#play').textContent === 'Pause');
  await page.keyboard.press('Space');
  await page.keyboard.press('r');
  await page.waitForFunction(() => document.querySelectorAll('#pairs li').length === 0, PATIENT);
  await page.keyboard.press('?');
  await drawn(page);
  assert.ok(await page.$('#keys[open]'));
  await page.keyboard.press('Escape');
  await page.click('#stage-sft');
  await drawn(page);
  assert.equal(await page.$eval('#stage-sft', (button) => button.getAttribute('aria-pressed')), 'true');
}));

test('a click is answered at the next frame while it trains', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.click('#play');
  await points(page, 1);
  const labels = [];
  for (let i = 0; i < 4; i += 1) {
    await page.$eval('#play', (button) => button.click());
    labels.push(await text(page, '#play'));
  }
  assert.deepEqual(labels, ['Play', 'Pause', 'Play', 'Pause']);
}));

test('a bad address is named, and the default used', () => visit(CHROMIUM, async (page) => {
  await page.waitForSelector('#failure:not([hidden])');
  assert.match(await text(page, '#failure-sentence'), /beta/);
  assert.equal(await text(page, '#beta-value'), '0.50');
  await ready(page);
  assert.match(await text(page, '#failure:not([hidden])'), /beta/, 'the engine is there, and it still stands');
}, { url: `${process.env.KLIMB_URL}?beta=900` }));

for (const colorScheme of ['light', 'dark']) {
  test(`a phone in the ${colorScheme} shows everything without scrolling sideways`, () => visit(CHROMIUM, async (page) => {
    await ready(page);
    await page.click('#step');
    await page.waitForSelector('#pairs li', PATIENT);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= PHONE.width, `the page is ${wide} pixels wide`);
    const theme = await page.evaluate(() => document.documentElement.dataset.theme);
    assert.equal(theme, colorScheme);
  }, { viewport: PHONE, colorScheme }));
}

test('every control has a name', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  const nameless = await page.$$eval('button, input, select, canvas, progress', (all) => all
    .filter((it) => !(it.textContent.trim() || it.labels?.length || it.ariaLabel || it.getAttribute('aria-labelledby')))
    .map((it) => it.outerHTML));
  assert.deepEqual(nameless, []);
}));
