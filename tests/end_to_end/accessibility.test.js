// No rule of axe-core is broken, in any view, in either theme: WCAG 2.2 A and AA, contrast included.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { settled, visit } from './harness.js';
import { VIEWS } from './views.js';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing in any view, ${colorScheme}`, () => visit('Chromium without WebGPU', async (page) => {
    // By the protocol, which the page's Content-Security-Policy does not bind.
    await page.evaluate(AXE);
    const broken = {};
    for (const [name, open] of Object.entries(VIEWS)) {
      await open(page);
      await settled(page);
      const found = await page.evaluate(async (rules) => {
        const { violations } = await window.axe.run(document, { runOnly: rules });
        return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
      }, RULES);
      if (found.length > 0) broken[name] = found;
    }
    assert.deepEqual(broken, {});
  }, { colorScheme, viewport: { width: 1440, height: 900 } }));
}
