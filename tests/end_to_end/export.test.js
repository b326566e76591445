// What can be kept of a run: its numbers, its charts and a script, each a file that holds what its name says.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { downloaded, inFolder } from './downloads.js';
import { visit } from './harness.js';

const CHROMIUM = 'Chromium without WebGPU';
const PATIENT = { timeout: 60_000 };

test('numbers, script and charts are files that hold what their names say', () => inFolder((folder) => visit(CHROMIUM, async (page) => {
  const browser = await page.createCDPSession();
  await browser.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: folder });
  await page.waitForFunction(() => !document.querySelector('#play').disabled, PATIENT);
  await page.click('#step');
  await page.waitForFunction(() => document.querySelector('#batch-summary').textContent.startsWith('Step 1:'), PATIENT);
  await page.click('#step');
  await page.waitForFunction(() => document.querySelector('#curve-readout').textContent.startsWith('Newest: step 2'), PATIENT);
  await page.click('#exports summary');
  const saved = async (button, name) => {
    // By keyboard, as by mouse.
    await page.focus(button);
    await page.keyboard.press('Enter');
    return downloaded(join(folder, name));
  };

  const numbers = JSON.parse(await saved('#export-json', 'klimb-run-seed-3.json'));
  assert.equal(numbers.seed, 3);
  assert.equal(numbers.settings.beta, 0.2);
  assert.equal(numbers.backend, 'cpu');
  assert.match(numbers.program, /^klimb \d/);
  assert.ok('build' in numbers && !Number.isNaN(Date.parse(numbers.date)), numbers.date);
  assert.deepEqual(numbers.metrics.dpo.map((row) => row.step), [1, 2]);
  const loss = numbers.metrics.dpo[1].values['dpo/loss'];
  assert.ok(numbers.points.length >= 1 && numbers.points[0].point.gold_reward > 0);

  const table = (await saved('#export-csv', 'klimb-run-seed-3.csv')).toString().trim().split('\n');
  assert.equal(table[0], 'record,of,run,step,name,value');
  assert.ok(table.includes('setting,,,,beta,0.2') && table.includes(`metric,dpo,,2,dpo/loss,${loss}`), table.join('\n'));
  assert.ok(table.some((line) => line.startsWith('point,sft,')));

  const script = (await saved('#export-script', 'klimb-dpo-trl-seed-3.py')).toString();
  assert.match(script, /^BETA = 0\.2 /m);
  assert.match(script, /^STEPS = 2 /m);

  const charts = {
    frontier: 'frontier', loss: 'dpo-loss', kl: 'dpo-kl', reward: 'dpo-reward', also: 'dpo-also',
    'win-rate': 'win-rate', scaling: 'scaling', hacking: 'hacking',
  };
  for (const [chart, name] of Object.entries(charts)) {
    await page.select('#export-chart', chart);
    const svg = (await saved('#export-svg', `klimb-${name}-seed-3.svg`)).toString();
    const [root, texts, broken] = await page.evaluate((text) => {
      const document = new DOMParser().parseFromString(text, 'image/svg+xml');
      return [document.documentElement.tagName, document.querySelectorAll('text').length, document.querySelector('parsererror')?.textContent];
    }, svg);
    assert.ok(root === 'svg' && texts > 3 && !broken, `${chart}: ${root}, ${texts} texts, ${broken}`);
    const png = await saved('#export-png', `klimb-${name}-seed-3.png`);
    assert.deepEqual([...png.subarray(0, 8)], [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], chart);
    assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [1600, 1000], chart);
  }
  assert.equal(await page.$('#failure:not([hidden])'), null);
}, { url: `${process.env.KLIMB_URL}?seed=3&beta=0.2&evaluation_samples=64` })));
