// WebKit, which puppeteer does not drive: a client of W3C WebDriver, as much of it as the tests need. Clients of the
// whole protocol are there on npm; those that are kept ask for a newer Node.js than Debian's.
//
// WebKitGTK needs a screen, which Xvfb stands in for. The driver's call for a screenshot never returns there.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { inFolder } from './downloads.js';

/** The keys' values in WebDriver. */
export const ENTER = '\uE007';
export const ARROW_LEFT = '\uE012';
/** Milliseconds within which the page has to do what is waited for, and the driver has to start. */
const PATIENCE = 60_000;

/**
 * Opens `url` in a fresh WebKit, lets `test(page)` use it, and then insists that no script failed once the page was there
 * and that the page names no failure.
 *
 * @param {string} url
 * @param {(page: Page) => Promise<void>} test
 */
export const visitWebKit = (url, test) => inFolder(async (home) => {
  const port = await freePort();
  const driver = spawn('xvfb-run', ['--auto-servernum', process.env.KLIMB_WEBKIT_DRIVER, `--port=${port}`], {
    env: await surroundings(home),
    // A group of its own, which is ended as one: screen, driver, browser and the processes of the page.
    detached: true,
    stdio: 'ignore',
  });
  const ended = once(driver, 'exit');
  try {
    const root = `http://127.0.0.1:${port}`;
    await until('a driver that is ready', async () => (await request('GET', `${root}/status`).catch(() => null))?.ready);
    const { sessionId } = await request('POST', `${root}/session`, { capabilities: {} });
    const page = new Page(`${root}/session/${sessionId}`, join(home, 'downloads'));
    await page.goTo(url);
    await test(page);
    await page.isSound();
    await request('DELETE', page.session);
  } finally {
    process.kill(-driver.pid, 'SIGKILL');
    await ended;
  }
});

/** One window of the browser. */
class Page {
  constructor(session, downloads) {
    this.session = session;
    /** The folder into which the browser puts files. */
    this.downloads = downloads;
  }

  async goTo(url) {
    await request('POST', `${this.session}/url`, { url });
    await this.watch();
  }

  async reload() {
    await this.isSound();
    await request('POST', `${this.session}/refresh`, {});
    await this.watch();
  }

  /** Writes down from now on whatever goes wrong on the page that is there. */
  watch() {
    return this.run(() => {
      window.troubles = [];
      window.addEventListener('error', ({ message }) => window.troubles.push(message));
      window.addEventListener('unhandledrejection', ({ reason }) => window.troubles.push(String(reason)));
      const { error } = console;
      console.error = (...words) => {
        window.troubles.push(words.join(' '));
        error.apply(console, words);
      };
    });
  }

  async isSound() {
    const troubles = await this.run(() => [
      ...window.troubles,
      ...[...document.querySelectorAll('#failure:not([hidden])')].map((failure) => failure.textContent),
    ]);
    assert.deepEqual(troubles, [], 'WebKit saw trouble on the page');
  }

  /** Calls a function in the page and gives what it returns. */
  run(work, ...args) {
    return request('POST', `${this.session}/execute/sync`, { script: `return (${work})(...arguments)`, args });
  }

  /** Waits until a function in the page returns something true, and gives it. */
  until(work, ...args) {
    return until(`${work} of ${args}`, () => this.run(work, ...args));
  }

  text(selector) {
    return this.run((where) => document.querySelector(where).textContent.trim(), selector);
  }

  /** Waits for words in an element. */
  says(selector, words) {
    return this.until((where, wanted) => document.querySelector(where).textContent.includes(wanted), selector, words);
  }

  async click(selector) {
    // The driver does not scroll far enough by itself.
    await this.run((where) => document.querySelector(where).scrollIntoView({ block: 'center' }), selector);
    const found = await request('POST', `${this.session}/element`, { using: 'css selector', value: selector });
    await request('POST', `${this.session}/element/${Object.values(found)[0]}/click`, {});
  }

  async press(selector, key) {
    await this.run((where) => document.querySelector(where).focus(), selector);
    const actions = ['keyDown', 'keyUp'].map((type) => ({ type, value: key }));
    await request('POST', `${this.session}/actions`, { actions: [{ type: 'key', id: 'keyboard', actions }] });
  }
}

/** An environment in which nothing of the person's is read, and nothing is written but below `home`. */
async function surroundings(home) {
  const [settings, downloads] = [join(home, 'settings'), join(home, 'downloads')];
  await Promise.all([settings, downloads].map((folder) => mkdir(folder)));
  await writeFile(join(settings, 'user-dirs.dirs'), `XDG_DOWNLOAD_DIR="${downloads}"\n`);
  return {
    ...process.env,
    HOME: home,
    XDG_CONFIG_HOME: settings,
    XDG_CACHE_HOME: join(home, 'cache'),
    XDG_DATA_HOME: join(home, 'data'),
  };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The value that the driver answers with; its errors have a name and a message. */
async function request(method, address, body) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(address, { method, headers, body: body && JSON.stringify(body) });
  const { value } = await answer.json();
  assert.ok(answer.ok, `${method} ${address} ${JSON.stringify(body)}: ${value?.error}, ${value?.message}`);
  return value;
}

async function until(what, is) {
  for (const end = Date.now() + PATIENCE; Date.now() < end; await pause(50)) {
    const answer = await is();
    if (answer) return answer;
  }
  throw new Error(`waited in vain for ${what}`);
}
