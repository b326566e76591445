// The witness must be able to see: each of these pages does one thing that must not happen.

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

  const faults = {
    'a console error': () => console.error('on purpose'),
    'an uncaught exception': () => { setTimeout(() => { throw new Error('on purpose'); }); },
    'a missing file': () => fetch('missing.js'),
    'a request to another place': () => fetch('https://example.org/').catch(() => {}),
  };
  for (const [fault, commit] of Object.entries(faults)) {
    test(`${name}: ${fault} is seen`, () => assert.rejects(
      visit(name, async (page) => {
        await page.evaluate(commit);
        await new Promise((resolve) => { setTimeout(resolve, 300); });
      }, { url: new URL('www/icon.svg', URL_AT_ROOT).href }),
      /saw trouble/,
    ));
  }
}
