// The page comes up, at the root of a host and below a sub-path.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BROWSERS, URL_AT_ROOT, URL_BELOW, visit } from './harness.js';

for (const name of Object.keys(BROWSERS)) {
  for (const [place, url] of Object.entries({ 'at the root': URL_AT_ROOT, 'below a sub-path': URL_BELOW })) {
    test(`${name}: the page comes up ${place}`, () => visit(name, async (page) => {
      assert.match(await page.title(), /Klimb/);
      await page.waitForSelector('h1');
    }, { url }));
  }
}
