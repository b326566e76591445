// What a visitor waits for: the bytes that travel before the first training step, and the module compiled as it comes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { URL_AT_ROOT, visit } from './harness.js';

/** Bytes, gzipped as a static host would, of everything but checkpoints; docs/explain/performance.md says what takes them, and the reason
 * where they grew by more than 5 %. */
const BUDGET = 820_000;
/** Fetched after the first frame for charts alone, or counted by itself. */
const APART = /\/recorded\/|\.safetensors$|service-worker\.js$/;
const PATIENT = { timeout: 60_000 };

const fetched = () => [location.href, ...performance.getEntriesByType('resource').map(({ name }) => name)];

test('all that comes before the first step fits the budget, and the module is compiled as it comes', () => visit(
  'Chromium without WebGPU',
  async (page) => {
    await page.evaluateOnNewDocument(() => {
      window.compiled = [];
      for (const way of ['compile', 'compileStreaming', 'instantiate', 'instantiateStreaming']) {
        const original = WebAssembly[way];
        WebAssembly[way] = (...given) => {
          window.compiled.push(way);
          return original.call(WebAssembly, ...given);
        };
      }
    });
    await page.reload();
    await page.waitForSelector('#step:not([disabled])', PATIENT);
    await page.click('#step');
    await page.waitForSelector('#pairs li', PATIENT);
    // Once, for the page and its workers: what is made an instance is a module.
    assert.deepEqual(await page.evaluate(() => window.compiled), ['compileStreaming', 'instantiate']);

    const asked = [await page.evaluate(fetched), ...await Promise.all(page.workers().map((it) => it.evaluate(fetched)))];
    const addresses = [...new Set(asked.flat())].filter((address) => !APART.test(address));
    const sizes = await Promise.all(addresses.map(async (address) => {
      const content = Buffer.from(await (await fetch(address)).arrayBuffer());
      return [address, gzipSync(content, { level: 9 }).length];
    }));
    assert.ok(sizes.some(([address]) => address.endsWith('.wasm')), 'the module is among them');
    const total = sizes.reduce((sum, [, size]) => sum + size, 0);
    assert.ok(total < BUDGET, `${total} bytes gzipped are more than ${BUDGET}: ${JSON.stringify(sizes)}`);
  },
));

test('the served module has the type that streaming asks for', async () => {
  const answer = await fetch(new URL('pkg/klimb_bg.wasm', URL_AT_ROOT));
  assert.equal(answer.headers.get('content-type'), 'application/wasm');
});
