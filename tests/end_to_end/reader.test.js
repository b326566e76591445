// The page as a screen reader has it: what the main path is called there, what is said and how often, and that the focus
// is never lost to the page as a whole.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawn, visit } from './harness.js';

const PATIENT = { timeout: 120_000 };
const CHROMIUM = 'Chromium without WebGPU';
const FIREFOX = 'Firefox without WebGPU';

const ready = (page) => page.waitForFunction(
  () => !document.querySelector('#play').disabled && document.querySelector('#beta-target').textContent.includes('π*'),
  PATIENT,
);
const focused = async (page) => {
  await drawn(page);
  return page.evaluate(() => document.activeElement.id || document.activeElement.tagName);
};
const press = async (page, selector, key = 'Enter') => {
  await page.focus(selector);
  await page.keyboard.press(key);
};
const said = (page, is) => page.waitForFunction((words) => document.querySelector('#said').textContent.includes(words), PATIENT, is);
/** One part of the tree: role, name, description and value. */
const told = async (page, selector) => {
  const { role, name, description, value, valuetext } = await page.accessibility.snapshot({ root: await page.$(selector), interestingOnly: false });
  return { role, name, description, value: valuetext ?? value };
};
/** Whether the browser keeps a run. */
const isKept = () => new Promise((resolve) => {
  const opened = indexedDB.open('klimb');
  opened.onsuccess = () => {
    const found = opened.result.transaction('parts').objectStore('parts').count();
    found.onsuccess = () => {
      opened.result.close();
      resolve(found.result > 0);
    };
  };
});
/** In a page whose engine comes late: presses Resume as soon as it is offered, and notes whatever has the focus. */
const resumeAtOnce = () => {
  window.Worker = class extends Worker {
    postMessage(order) {
      setTimeout(() => super.postMessage(order), 1000);
    }
  };
  window.seen = { focused: [] };
  document.addEventListener('focusin', ({ target }) => window.seen.focused.push(target.id || target.className));
  document.addEventListener('DOMContentLoaded', () => {
    const offer = document.querySelector('#kept');
    new MutationObserver((_, watch) => {
      if (offer.hidden) return;
      watch.disconnect();
      const button = document.querySelector('#kept-resume');
      button.focus();
      window.seen.ready = !document.querySelector('#play').disabled;
      button.click();
    }).observe(offer, { attributeFilter: ['hidden'] });
  });
};
/** Points to walk through: three checkpoints of DPO. */
const train = async (page) => {
  await press(page, '#play');
  await page.waitForFunction(() => document.querySelector('#frontier-rows').rows.length > 3, PATIENT);
  await press(page, '#play');
  await page.waitForFunction(() => document.querySelector('#play').textContent === 'Play', PATIENT);
};

test('names, roles and descriptions of the main path', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  const { name, role } = await told(page, '#play');
  assert.deepEqual({ name, role }, { name: 'Play', role: 'button' });
  assert.equal(await page.$eval('#play', (button) => button.hasAttribute('aria-pressed')), false, 'its name is its state');
  const beta = await told(page, '#beta');
  assert.deepEqual([beta.role, beta.name], ['slider', 'β, the leash']);
  assert.match(beta.description, /free, at the low end.*short leash/);
  assert.equal(await page.$eval('#beta', (slider) => slider.getAttribute('aria-valuetext')), 'β 0.50');
  const chart = await told(page, '#frontier');
  assert.equal(chart.role, 'application', 'the arrow keys are the chart’s');
  assert.match(chart.name, /gold reward against KL/);
  assert.match(chart.description, /SFT, step 0: KL .*arrow/);
  for (const [stage, called] of [['ppo', 'PPO'], ['ppo-gt', 'PPO-GT'], ['reward-model', 'Reward model'], ['best-of-n', 'Best-of-N']]) {
    assert.equal((await told(page, `#step-${stage}`)).description, called);
  }
  assert.equal((await told(page, '#dice')).name, 'new seed');
  const hidden = await page.$$eval('math', (all) => all.filter((math) => math.hasAttribute('aria-label')).length);
  assert.equal(hidden, 0, 'a label would be read in the formula’s place');
  const levels = await page.$$eval('main :is(h1, h2, h3)', (all) => all.filter((it) => it.checkVisibility()).map((it) => Number(it.tagName[1])));
  assert.equal(levels[0], 1);
  levels.slice(1).forEach((level, index) => assert.ok(level - levels[index] <= 1 && level > 1, `headings ${levels}`));
}));

test('a step and a pause are told, and a walk says the point that it has come to', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await press(page, '#step');
  await said(page, 'step 1 · loss, nats: 0.69');
  await train(page);
  await said(page, 'Paused.');
  await page.focus('#frontier');
  for (let back = 0; back < 3; back += 1) {
    await page.keyboard.press('ArrowLeft');
    await drawn(page);
    const [spoken, shown] = await page.evaluate(() => ['said', 'frontier-summary'].map((id) => document.getElementById(id).textContent));
    assert.equal(spoken, shown);
  }
}));

for (const name of [CHROMIUM, FIREFOX]) {
  test(`${name}: the focus goes on from what is gone`, () => visit(name, async (page) => {
    await ready(page);
    await train(page);
    await press(page, '#beta', 'ArrowLeft');
    await page.waitForSelector('#guess:not([hidden])', PATIENT);
    await said(page, 'Guess first');
    await press(page, '#guess-skip');
    assert.equal(await focused(page), 'beta', 'the question is gone');
    await press(page, '#frontier', 'ArrowLeft');
    await page.keyboard.press('Enter');
    assert.equal(await focused(page), 'opened-title');
    await press(page, '#opened-close');
    assert.equal(await focused(page), 'frontier');
    await page.$eval('#runs', (details) => { details.open = true; });
    const runs = await page.$$eval('#run-list button', (all) => all.map((button) => [button.id, button.ariaLabel]));
    assert.deepEqual(runs.map(([, label]) => label), ['remove SFT', 'remove DPO, β 0.50']);
    await press(page, `#${runs[1][0]}`);
    assert.equal(await focused(page), runs[0][0].replace('remove', 'shown'), 'a run is gone, the list is not');
    await press(page, `#${runs[0][0]}`);
    assert.equal(await focused(page), 'frontier', 'the list is gone');
    await page.keyboard.press('5');
    assert.notEqual(await focused(page), 'frontier', 'a part takes the focus along');
    await page.keyboard.press('?');
    assert.equal(await page.$eval('#keys', (dialog) => dialog.open), true);
    const before = await page.evaluate(() => document.activeElement.closest('dialog')?.id);
    assert.equal(before, 'keys');
    await page.keyboard.press('Escape');
    assert.notEqual(await focused(page), 'BODY');
  }));
}

for (const [name, width] of [[CHROMIUM, 1440], [CHROMIUM, 390], [FIREFOX, 390]]) {
  test(`${name}, ${width} px: Resume gives the focus to Play, however late that comes`, () => visit(name, async (page) => {
    await ready(page);
    await press(page, '#step');
    await page.waitForFunction(() => document.querySelector('#frontier-summary').textContent.includes('step 1:'), PATIENT);
    await page.waitForFunction(isKept, PATIENT);
    await page.evaluateOnNewDocument(resumeAtOnce);
    await page.reload({ waitUntil: 'load' });
    await page.waitForFunction(() => document.querySelector('#state-dpo').textContent.includes('step 1'), PATIENT);
    await drawn(page);
    const { ready: wasReady, focused: all } = await page.evaluate(() => window.seen);
    assert.equal(wasReady, false, 'the engine was there before Resume');
    assert.deepEqual([all[0], all.at(-1), await focused(page)], ['kept-resume', 'play', 'play']);
    assert.ok(!all.includes('skip'), `the way past the bar had the focus: ${all}`);
  }, { viewport: { width, height: 844 }, url: `${process.env.KLIMB_URL}?evaluation_samples=64&batch_size=16` }));
}

test('what was opened stays open when the window changes', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.waitForSelector('#sample-list details', PATIENT);
  await page.click('#sample-list summary');
  await page.setViewport({ width: 1000, height: 700 });
  await drawn(page);
  assert.equal(await page.$eval('#sample-list details', (details) => details.open), true);
}));

test('in a German page the words of a model are English and what is told of them is German', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.waitForSelector('#sample-list .word', PATIENT);
  const languages = await page.$eval('#sample-list .word', (word) => ({
    title: word.closest('[lang]').lang,
    text: word.firstElementChild.lang,
  }));
  assert.deepEqual(languages, { title: 'de', text: 'en' });
}, { url: `${process.env.KLIMB_URL}de.html` }));
