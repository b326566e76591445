// Libraries for the browser: each is bundled, served, and alone on a page in a fresh Chromium.

import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { builtinModules, createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import puppeteer from 'puppeteer-core';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html' };
const TENSORFLOW = path.dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'));
const FOLDERS = { klimb: process.env.KLIMB_PEER, tensorflow: TENSORFLOW };
const LONGEST_CALL = 400_000;

/** Parts of libraries that only Node.js runs are left empty. */
const withoutNode = {
  name: 'without-node',
  setup(bundler) {
    const builtin = new RegExp(`^(node:)?(${builtinModules.join('|')})$`);
    bundler.onResolve({ filter: builtin }, ({ path: name }) => ({ path: name, namespace: 'empty' }));
    bundler.onLoad({ filter: /.*/, namespace: 'empty' }, () => ({ contents: 'module.exports = {};' }));
  },
};

async function bundled(library) {
  const contents = `import * as library from './${library}.js'; import { offer } from './page.js'; offer(library);`;
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
    const script = `<script type="module" src="/${searchParams.get('library')}.js"></script>`;
    return ['.html', `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">${script}`];
  }
  const [, folder, file] = pathname.split('/');
  if (!file) return ['.js', await bundles(folder.replace('.js', ''))];
  return [path.extname(file), await readFile(path.join(FOLDERS[folder], file))];
}

/** Serves the pages; gives the port and an end. */
export async function serve() {
  const made = {};
  const bundles = (library) => {
    made[library] ??= bundled(library);
    return made[library];
  };
  const server = http.createServer(async (request, response) => {
    try {
      const [ending, body] = await content(request.url, bundles);
      response.writeHead(200, { 'content-type': TYPES[ending] ?? 'application/octet-stream' }).end(body);
    } catch (error) {
      response.writeHead(404).end(String(error));
    }
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return { port: server.address().port, close: () => server.close() };
}

/** A page with a library, idle between its turns. */
export async function open(port, subject) {
  const browser = await puppeteer.launch({
    headless: true,
    executablePath: process.env.KLIMB_CHROMIUM,
    protocolTimeout: LONGEST_CALL,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update',
      '--disable-sync', '--no-first-run', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader',
      '--enable-features=Vulkan'],
  });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${port}/?library=${subject.library}`);
    await page.waitForFunction(() => window.begin);
    return {
      begin: () => page.evaluate((it) => window.begin(it), subject),
      round: (seconds) => page.evaluate((it) => window.round(it), seconds),
      close: () => browser.close(),
    };
  } catch (error) {
    await browser.close();
    throw error;
  }
}
