// What every end-to-end test stands on: a fresh browser, the served page, and a witness who writes down whatever went
// wrong and whatever was asked for. `cargo xtask test e2e` builds and serves the page and says by the environment
// where it is and which browsers there are.

import assert from 'node:assert/strict';
import puppeteer from 'puppeteer-core';

/** The page at the root of its host, and the same page below a sub-path. */
export const URL_AT_ROOT = setting('KLIMB_URL');
export const URL_BELOW = setting('KLIMB_URL_BELOW');

/** How long a test waits for what must come. */
export const PATIENT = { timeout: 120_000 };

/** The browser of tests that one is enough for. */
export const CHROMIUM = 'Chromium without WebGPU';

/** A page whose points are measured quickly. */
export const QUICK = `${URL_AT_ROOT}?evaluation_samples=64&batch_size=16&seed=3`;

const QUIET_CHROMIUM = [
  '--no-sandbox',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  // What is scrolled to stands still at once, where the pointer will look for it.
  '--force-prefers-reduced-motion',
  // Whatever is asked of any other host fails, and failing is noticed.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost',
];

/** The browsers a student may come with; each is the options that launch it. */
export const BROWSERS = {
  'Chromium with WebGPU': {
    browser: 'chrome',
    executablePath: setting('KLIMB_CHROMIUM'),
    args: [
      ...QUIET_CHROMIUM,
      '--enable-unsafe-webgpu',
      '--use-webgpu-adapter=swiftshader',
      '--enable-features=Vulkan',
    ],
  },
  'Chromium without WebGPU': {
    browser: 'chrome',
    executablePath: setting('KLIMB_CHROMIUM'),
    args: [...QUIET_CHROMIUM, '--disable-blink-features=WebGPU'],
  },
  'Firefox without WebGPU': {
    browser: 'firefox',
    executablePath: setting('KLIMB_FIREFOX'),
    extraPrefsFirefox: { 'dom.webgpu.enabled': false, 'ui.prefersReducedMotion': 1 },
  },
};

/**
 * A second implementation of WebGPU: naga and Mesa's driver, where Chromium has Tint and SwiftShader. It is slow, and no
 * browser that a student comes with, so it stands apart from those that every test is run in.
 */
export const FIREFOX_WITH_WEBGPU = 'Firefox with WebGPU';

const ALL = {
  ...BROWSERS,
  [FIREFOX_WITH_WEBGPU]: {
    ...BROWSERS['Firefox without WebGPU'],
    extraPrefsFirefox: {
      'dom.webgpu.enabled': true,
      'gfx.webgpu.ignore-blocklist': true,
      'ui.prefersReducedMotion': 1,
    },
  },
};

/**
 * Opens the page in a fresh browser, lets `test(page)` use it, and then insists that nothing went wrong meanwhile: no
 * error on the console of the page or of its workers, no uncaught exception, no failed request, and no request beyond
 * the page's own origin. `expected` matches the trouble that the test makes on purpose; `prepare(page)` comes before the
 * page is asked for. `processors` is what the browser tells of the machine, whichever runs the tests: with two, the page
 * has no sweep workers. `isPrivate` opens it in a private window.
 *
 * @param {string} name a key of BROWSERS, or FIREFOX_WITH_WEBGPU
 * @param {(page: import('puppeteer-core').Page) => Promise<void>} test
 * @param {{url?: string, viewport?: import('puppeteer-core').Viewport, colorScheme?: 'light' | 'dark', expected?: RegExp, processors?: number, isPrivate?: boolean, prepare?: (page: import('puppeteer-core').Page) => Promise<void>}} options
 */
export async function visit(name, test, { url = URL_AT_ROOT, viewport, colorScheme, expected, processors = 2, isPrivate = false, prepare } = {}) {
  const options = { headless: true, ...ALL[name] };
  if (isPrivate) options.extraPrefsFirefox = { ...options.extraPrefsFirefox, 'browser.privatebrowsing.autostart': true };
  const browser = await puppeteer.launch(options);
  try {
    // Firefox is private as a whole; a second context of it would be one more container.
    const isApart = isPrivate && ALL[name].browser === 'chrome';
    const context = isApart ? await browser.createBrowserContext() : browser.defaultBrowserContext();
    const page = await context.newPage();
    if (viewport) await page.setViewport(viewport);
    if (colorScheme) await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: colorScheme }]);
    const troubles = witness(page, new URL(url).origin);
    await page.evaluateOnNewDocument((count) => {
      Object.defineProperty(Navigator.prototype, 'hardwareConcurrency', { get: () => count });
    }, processors);
    await prepare?.(page);
    await page.goto(url, { waitUntil: 'load' });
    await test(page);
    assert.deepEqual(troubles.filter((trouble) => !expected?.test(trouble)), [], `${name} saw trouble on the page`);
  } finally {
    await browser.close();
  }
}

/** Resolves when the engine is there. */
export const ready = (page) => page.waitForFunction(() => !document.querySelector('#play').disabled, PATIENT);

/** Resolves when an element's text has these words in it. */
export const has = (page, selector, words) => page.waitForFunction(
  (where, wanted) => document.querySelector(where).textContent.includes(wanted),
  PATIENT,
  selector,
  words,
);

/**
 * Resolves when the page has drawn what it knows. It answers an event at the next animation frame, so the one after
 * that comes later, however slow the machine.
 */
export const drawn = (page) => page.evaluate(() => new Promise((resolve) => {
  requestAnimationFrame(() => requestAnimationFrame(() => resolve()));
}));

/** Resolves when nothing fades or slides any more: halfway, a button's colours are those of neither of its states. */
export async function settled(page) {
  await drawn(page);
  // One that is taken back on its way is as over as one that has arrived.
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map(({ finished }) => finished)).then(() => {}));
}

/** The text of an element, once everything before is drawn. */
export async function text(page, selector) {
  await drawn(page);
  return page.$eval(selector, (element) => element.textContent.trim());
}

/** Lists from now on whatever must not happen, in words. */
function witness(page, origin) {
  const troubles = [];
  page.on('console', (message) => {
    if (message.type() === 'error') troubles.push(`console: ${message.text()} (${message.location().url ?? ''})`);
  });
  page.on('pageerror', (error) => troubles.push(`uncaught: ${error.stack ?? error}`));
  page.on('requestfailed', (request) => {
    troubles.push(`request failed: ${request.url()} ${request.failure()?.errorText ?? ''}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) troubles.push(`answer ${response.status()}: ${response.url()}`);
  });
  page.on('request', (request) => {
    if (!isOwn(request.url(), origin)) troubles.push(`request to another place: ${request.url()}`);
  });
  return troubles;
}

/** Whether an address stays with the page: its origin, or bytes that it made itself. */
export function isOwn(address, origin) {
  const { protocol, origin: its } = new URL(address);
  return protocol === 'data:' || its === origin;
}

function setting(name) {
  const value = process.env[name];
  assert.ok(value !== undefined, `${name} is not set; run these tests by \`cargo xtask test e2e\``);
  return value;
}
