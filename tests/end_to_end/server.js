// A host that a test can rebuild or take away: the finished page of dist/, at a sub-path.

import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const DIST = fileURLToPath(new URL('../../dist', import.meta.url));
const BELOW = '/below/';
const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

/**
 * Lets `use(host)` work with a copy of the page: `host.url` is where it is served, `host.folder` the copy, and
 * `host.stop()` cuts it off.
 */
export async function hosted(use) {
  const folder = await mkdtemp(join(tmpdir(), 'klimb-host-'));
  await cp(DIST, folder, { recursive: true });
  const server = createServer(async ({ url }, answer) => {
    const path = new URL(url, 'http://localhost').pathname;
    const name = path === BELOW ? 'index.html' : path.slice(BELOW.length);
    const bytes = path.startsWith(BELOW) ? await readFile(join(folder, name)).catch(() => null) : null;
    answer.writeHead(bytes ? 200 : 404, { 'content-type': TYPES[extname(name)] ?? 'application/octet-stream' });
    answer.end(bytes);
  });
  await new Promise((resolve) => { server.listen(0, 'localhost', resolve); });
  const stop = () => new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  try {
    await use({ url: `http://localhost:${server.address().port}${BELOW}`, folder, stop });
  } finally {
    if (server.listening) await stop();
    await rm(folder, { recursive: true });
  }
}
