// Puts Klimb beside other libraries for the browser. `cargo xtask bench peers` builds Klimb's side and says by the
// environment where it is (KLIMB_PEER), which browser there is (KLIMB_CHROMIUM) and where the numbers go
// (KLIMB_BENCH_JSON). Words choose among the subjects. A library whose losses differ computes something else, and its
// times mean nothing: that ends the run with an error.

import { readFile, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { builtinModules, createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import puppeteer from 'puppeteer-core';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const PEERS = ['klimb', 'jax', 'tensorflow'];
const BACKENDS = ['wasm', 'webgpu'];
const SIZES = ['small', 'default'];
/** How far apart two libraries' losses may be, in nats: rounding, four steps long. */
const TOLERANCE = 2e-3;
const PATIENCE = 400_000;
const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html' };
const TENSORFLOW = path.dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'));
const FOLDERS = { klimb: process.env.KLIMB_PEER, tensorflow: TENSORFLOW };

/** Parts of libraries that only Node.js runs are left empty. */
const withoutNode = {
  name: 'without-node',
  setup(bundler) {
    const builtin = new RegExp(`^(node:)?(${builtinModules.join('|')})$`);
    bundler.onResolve({ filter: builtin }, ({ path: name }) => ({ path: name, namespace: 'empty' }));
    bundler.onLoad({ filter: /.*/, namespace: 'empty' }, () => ({ contents: 'module.exports = {};' }));
  },
};

async function bundled(peer) {
  const contents = `import { open } from './${peer}.js'; import { measure } from './page.js'; measure(open);`;
  const { outputFiles: [file] } = await build({
    stdin: { contents, resolveDir: HERE },
    bundle: true,
    write: false,
    minify: true,
    keepNames: true,
    format: 'esm',
    external: ['/klimb/*'],
    plugins: [withoutNode],
    logLevel: 'error',
  });
  return file.contents;
}

async function content(address, bundles) {
  const { pathname, searchParams } = new URL(address, 'http://localhost');
  if (pathname === '/') {
    const script = `<script type="module" src="/${searchParams.get('peer')}.js"></script>`;
    return ['.html', `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">${script}`];
  }
  const [, folder, file] = pathname.split('/');
  if (!file) return ['.js', bundles[folder.replace('.js', '')]];
  return [path.extname(file), await readFile(path.join(FOLDERS[folder], file))];
}

function serve(bundles) {
  const server = http.createServer(async (request, response) => {
    try {
      const [ending, body] = await content(request.url, bundles);
      response.writeHead(200, { 'content-type': TYPES[ending] ?? 'application/octet-stream' }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(server)); });
}

async function measured(port, subject) {
  const browser = await puppeteer.launch({
    headless: true,
    executablePath: process.env.KLIMB_CHROMIUM,
    protocolTimeout: PATIENCE,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update',
      '--disable-sync', '--no-first-run', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader',
      '--enable-features=Vulkan'],
  });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${port}/?${new URLSearchParams(subject)}`);
    await page.waitForFunction(() => window.outcome, { timeout: PATIENCE, polling: 200 });
    return await page.evaluate(() => window.outcome);
  } finally {
    await browser.close();
  }
}

function summary({ error, losses, times, first_step_ms: first }) {
  if (error) return { error };
  const sorted = [...times].sort((a, b) => a - b);
  const round = (value) => Number(value.toFixed(1));
  const [median, fastest] = [sorted[sorted.length >> 1], sorted[0]].map(round);
  return { losses: losses.map((loss) => Number(loss.toFixed(4))), median_ms: median, fastest_ms: fastest, steps: times.length, first_step_ms: round(first) };
}

const chosen = SIZES.flatMap((size) => BACKENDS.flatMap((backend) => PEERS.map((peer) => ({ peer, size, backend }))))
  .filter((subject) => {
    const name = Object.values(subject).join('/');
    return process.argv.length < 3 || process.argv.slice(2).some((word) => name.includes(word));
  });
const bundles = Object.fromEntries(await Promise.all(PEERS.map(async (peer) => [peer, await bundled(peer)])));
const server = await serve(bundles);
const report = { date: new Date().toISOString().slice(0, 10), processors: os.availableParallelism(), results: [] };
const agreed = {};
for (const subject of chosen) {
  const load = Number(os.loadavg()[0].toFixed(2));
  const numbers = summary(await measured(server.address().port, subject));
  report.results.push({ ...subject, load, ...numbers });
  await writeFile(process.env.KLIMB_BENCH_JSON, `${JSON.stringify(report, null, 2)}\n`);
  console.log(Object.values(subject).join('/'), numbers);
  agreed[subject.size] ??= numbers.losses;
  const far = numbers.losses?.some((loss, i) => Math.abs(loss - agreed[subject.size][i]) > TOLERANCE);
  if (far) throw new Error(`${subject.peer} does not compute what the others do: their losses were ${agreed[subject.size]}`);
}
server.close();
