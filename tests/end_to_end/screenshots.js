// Pictures of every view at a desk and on a phone, in the light and in the dark. `cargo xtask screenshots` runs this.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { drawn, visit } from './harness.js';
import { VIEWS } from './views.js';

const SIZES = { desk: { width: 1440, height: 900 }, phone: { width: 390, height: 844, hasTouch: true } };

for (const [size, viewport] of Object.entries(SIZES)) {
  for (const colorScheme of ['light', 'dark']) {
    const folder = join(process.env.KLIMB_SHOTS, `${size}-${colorScheme}`);
    await mkdir(folder, { recursive: true });
    await visit('Chromium without WebGPU', async (page) => {
      let number = 0;
      for (const [name, open] of Object.entries(VIEWS)) {
        await open(page);
        await drawn(page);
        number += 1;
        await page.screenshot({ path: join(folder, `${String(number).padStart(2, '0')}-${name.replaceAll(' ', '-')}.png`) });
      }
    }, { viewport, colorScheme });
  }
}
