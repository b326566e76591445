// A host that a test can rebuild or take away: the finished page of dist/, at a sub-path.

import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, extname, join } from 'node:path';
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
 * `host.stop()` cuts it off. `hasCleanAddresses` is a host that sends a visitor from `de.html` to `de`. `answers(file,
 * bytes, answer)` may answer for a file in another way, which it then says.
 */
export async function hosted(use, { hasCleanAddresses = false, answers = async () => false } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'klimb-host-'));
  await cp(DIST, folder, { recursive: true });
  const server = createServer(async ({ url }, answer) => {
    const path = new URL(url, 'http://localhost').pathname;
    if (hasCleanAddresses && path.endsWith('.html')) {
      answer.writeHead(301, { location: path.replace(/(index)?\.html$/, '') });
      answer.end();
      return;
    }
    const asked = path.slice(BELOW.length) + (path.endsWith('/') ? 'index.html' : '');
    const name = hasCleanAddresses && !extname(asked) ? `${asked}.html` : asked;
    const bytes = path.startsWith(BELOW) ? await readFile(join(folder, name)).catch(() => null) : null;
    if (bytes && await answers(basename(name), bytes, answer)) return;
    answer.writeHead(bytes ? 200 : 404, {
      'content-type': TYPES[extname(name)] ?? 'application/octet-stream', 'content-length': bytes?.length ?? 0,
    });
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
