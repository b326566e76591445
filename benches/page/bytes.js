// How many bytes travel before the first training step, as a static host with gzip would send them.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { playAtOnce } from './inside.js';
import { stepsTaken, withBrowser } from './browser.js';

/** Fetched after the first frame for charts alone: neither paint nor training waits for them. */
const LATER = /\/recorded\//;
const CHECKPOINT = /\.safetensors$/;

const fetched = () => [location.href, ...performance.getEntriesByType('resource').map(({ name }) => name)];

/** Gzipped bytes of every file that page and worker had asked for when the first step was done. */
export const bytes = () => withBrowser(async (open) => {
  const page = await open({ backend: 'cpu' }, playAtOnce);
  await stepsTaken(page, 'Dpo', 1);
  const asked = [await page.evaluate(fetched), ...await Promise.all(page.workers().map((it) => it.evaluate(fetched)))];
  const names = new Set(asked.flat().map((address) => new URL(address).pathname.replace(/\/$/, '/index.html')));
  const files = await Promise.all([...names].filter((name) => !LATER.test(name)).map(async (name) => {
    const content = await readFile(path.join(process.env.KLIMB_DIST, name));
    return { name, bytes: content.length, gzip: gzipSync(content, { level: 9 }).length };
  }));
  const sum = (some) => some.reduce((total, { gzip }) => total + gzip, 0);
  return {
    files,
    gzip_without_checkpoints: sum(files.filter(({ name }) => !CHECKPOINT.test(name))),
    gzip_checkpoints: sum(files.filter(({ name }) => CHECKPOINT.test(name))),
  };
});
