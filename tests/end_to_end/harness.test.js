// The witness must be able to see: these pages do what must not happen.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BROWSERS, URL_AT_ROOT, isOwn, visit } from './harness.js';

test('only the page\'s own origin and its own bytes are its own', () => {
  assert.ok(isOwn('http://localhost:1/www/main.js', 'http://localhost:1'));
  assert.ok(isOwn('blob:http://localhost:1/5', 'http://localhost:1'));
  assert.ok(isOwn('data:image/png;base64,AA', 'http://localhost:1'));
  assert.ok(!isOwn('http://localhost:2/www/main.js', 'http://localhost:1'));
  assert.ok(!isOwn('https://example.org/', 'http://localhost:1'));
});

for (const name of Object.keys(BROWSERS)) {
  const gpu = name.endsWith('with WebGPU');
  test(`${name}: an adapter is there as the name says`, () => visit(name, async (page) => {
    assert.equal(await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter())), gpu);
  }));

  test(`${name}: what must not happen is seen`, async () => {
    const faults = async () => {
      console.error('on purpose');
      setTimeout(() => { throw new Error('thrown on purpose'); });
      await fetch('missing.js');
      await fetch('https://example.org/').catch(() => {});
    };
    const commit = visit(name, async (page) => {
      await page.evaluate(faults);
      await new Promise((resolve) => { setTimeout(resolve, 300); });
    }, { url: new URL('www/icon.svg', URL_AT_ROOT).href });
    await assert.rejects(commit, ({ message, actual }) => {
      assert.match(message, /saw trouble/);
      // The policy of the page forbids another place before anything is asked of it, and says so in the console.
      for (const sign of [/^console: on purpose/, /^uncaught: .*thrown on purpose/, /^answer 404: .*missing\.js$/, /example\.org.*connect-src/]) {
        assert.ok(actual.some((trouble) => sign.test(trouble)), `${sign} is not among ${actual.join('\n')}`);
      }
      return true;
    });
  });
}
