// Firefox with WebGPU: another compiler of shaders and another driver than Chromium's, and the numbers are the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FIREFOX_WITH_WEBGPU, drawn, text, visit } from './harness.js';

/** The driver compiles on the processor. */
const PATIENT = { timeout: 240_000 };
const STEPS = 3;
const QUICK = `${process.env.KLIMB_URL}?evaluation_samples=16&batch_size=8&seed=3&evaluate_every=50`;
/** As between the backends in tests/web.rs. */
const LOSS = 1e-4;
const GRADIENT = { relative: 1e-3, absolute: 1e-5 };

const ENDINGS = ['was superb .', 'was dull .', 'was lovely .', 'was awful .'];
const PROMPTS = ['the plot', 'the music', 'the acting', 'the camera'];
/** The same pairs for both: those that a backend draws itself part where a coin falls on an edge. */
const PAIRS = PROMPTS.flatMap((prompt) => [[0, 1], [2, 3]].map(([chosen, rejected]) => (
  `${JSON.stringify({ prompt, chosen: ENDINGS[chosen], rejected: ENDINGS[rejected] })}\n`
))).join('');

/** Losses and gradient norms of the first steps, as the page exports them; its badge on the way. */
async function numbers(backend) {
  let found;
  await visit(FIREFOX_WITH_WEBGPU, async (page) => {
    await page.waitForFunction(() => !document.querySelector('#play').disabled, PATIENT);
    const badge = await text(page, '#badge');
    console.log(badge);
    assert.match(badge, backend === 'gpu' ? /^Runs on the GPU/ : /^Runs on the CPU/);
    await page.evaluate((lines) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([lines], 'pairs.jsonl'));
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
    }, PAIRS);
    await page.waitForFunction(() => document.querySelector('#state-pairs').textContent.includes('loaded, 8 pairs'), PATIENT);
    for (let step = 1; step <= STEPS; step += 1) {
      await page.waitForFunction(() => !document.querySelector('#step').disabled, PATIENT);
      await page.click('#step');
      await page.waitForFunction((it) => document.querySelector('#batch-summary').textContent.startsWith(`Step ${it}:`), PATIENT, step);
    }
    await drawn(page);
    // The file is read where it is made.
    await page.evaluate(() => {
      HTMLAnchorElement.prototype.click = () => {};
      URL.createObjectURL = (blob) => {
        blob.text().then((saved) => { window.saved = saved; });
        return 'data:,';
      };
    });
    await page.$eval('#export-json', (button) => button.click());
    const saved = await page.waitForFunction(() => window.saved, PATIENT);
    const { metrics } = JSON.parse(await saved.jsonValue());
    found = metrics.dpo.map(({ values }) => [values['dpo/loss'], values['optimiser/gradient_norm']]);
  }, { url: `${QUICK}&backend=${backend}` });
  return found;
}

test('Firefox with WebGPU: losses and gradients of DPO are those of the CPU', async () => {
  const [ours, theirs] = [await numbers('gpu'), await numbers('cpu')];
  assert.deepEqual([ours.length, theirs.length], [STEPS, STEPS]);
  assert.ok(Math.abs(ours[0][0] - Math.LN2) < LOSS, `the first loss is ${ours[0][0]}`);
  ours.forEach(([loss, gradient], step) => {
    const [its, norm] = theirs[step];
    assert.ok(Math.abs(loss - its) < LOSS, `step ${step + 1}: a loss of ${loss} on the GPU, ${its} on the CPU`);
    const tolerance = GRADIENT.relative * norm + GRADIENT.absolute;
    assert.ok(Math.abs(gradient - norm) < tolerance, `step ${step + 1}: a gradient of ${gradient} on the GPU, ${norm} on the CPU`);
  });
});
