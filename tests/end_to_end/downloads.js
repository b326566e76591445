// Files that the page hands to the browser: a folder for them, and patience until they are written.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Lets `use(folder)` have a folder of its own, which is gone afterwards. */
export async function inFolder(use) {
  const folder = await mkdtemp(join(tmpdir(), 'klimb-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A file that the browser has finished to write. */
export async function downloaded(path) {
  for (let tries = 0; tries < 100; tries += 1) {
    const bytes = await readFile(path).catch(() => null);
    if (bytes?.length) return bytes;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  throw new Error(`${path} never came`);
}
