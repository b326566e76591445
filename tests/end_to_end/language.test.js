// The page in German: nothing in it is left English, it works as the English one does, and each leads to the other.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { URL_AT_ROOT, drawn, ready, settled, text, visit } from './harness.js';
import { hosted } from './server.js';
import { VIEWS } from './views.js';

const PATIENT = { timeout: 60_000 };
const CHROMIUM = 'Chromium without WebGPU';
const DESK = { width: 1440, height: 900 };
const GERMAN = `${URL_AT_ROOT}de.html`;

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];


/** What stays as it is in every language: names, formulas, units, keys and what a file is called. */
const NAMES = [
  'Klimb', 'SFT', 'DPO', 'PPO(-GT)?(-ptx)?', 'Preferred-FT', 'Best-of-N', 'Unlikelihood', 'N', 'KL', 'π', 'π_?ref', 'ref', 'log', 'ln', 'r̂', 'β', 'α',
  'Â', 'ρ', 'k[123]?', 'best-of-', 's', 'klimb',
];

/** Makes a pseudo-language of the German one: whatever comes out of the catalogue stands in brackets. */
async function bracket(folder) {
  const [page, catalogue] = [join(folder, 'de.html'), join(folder, 'www/languages/de.json')];
  const entries = Object.entries(JSON.parse(await readFile(catalogue, 'utf8')));
  const inBrackets = (words) => (words === ',' ? words : `⟦${words}⟧`);
  const literal = (words) => words.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const longestFirst = entries.map(([, words]) => words).sort((a, b) => b.length - a.length).map(literal).join('|');
  const html = (await readFile(page, 'utf8'))
    .replace(new RegExp(`(?<=>\\s*)(${longestFirst})(?=\\s*<)`, 'g'), inBrackets)
    .replace(new RegExp(`(?<= (?:alt|aria-label|placeholder|title)=")(${longestFirst})(?=")`, 'g'), inBrackets);
  await writeFile(page, html);
  await writeFile(catalogue, JSON.stringify(Object.fromEntries(entries.map(([key, words]) => [key, inBrackets(words)]))));
}

/** What is drawn on a canvas is read as it is written. */
const listen = (page) => page.evaluateOnNewDocument(() => {
  window.written = new Set();
  const draw = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (words, ...place) {
    window.written.add(words);
    return draw.call(this, words, ...place);
  };
});

/** Every text that can be read or heard now. What a model wrote is English, and says so. */
const texts = (page) => page.evaluate(() => {
  const found = new Set(window.written);
  // A sentence may be cut by elements: it is read as a whole, from the element that holds it.
  const INLINE = new Set(['B', 'BR', 'CITE', 'CODE', 'EM', 'I', 'KBD', 'SMALL', 'SPAN', 'STRONG', 'SUB', 'SUP']);
  const read = (node) => {
    if (node.nodeType === Node.TEXT_NODE) return node.data;
    if (node.nodeType !== Node.ELEMENT_NODE || node.matches('[lang], noscript, svg, textarea, mi, mo')) return INLINE.has(node.tagName) ? '' : '\n';
    for (const name of ['alt', 'aria-label', 'aria-valuetext', 'placeholder', 'title']) found.add(node.getAttribute(name) ?? '');
    const inside = [...node.childNodes].map(read).join('');
    return INLINE.has(node.tagName) ? inside : `\n${inside}\n`;
  };
  [...document.body.childNodes].map(read).join('').split('\n').forEach((line) => found.add(line.trim()));
  found.add(document.title);
  return [...found];
});

/** What of a text came from no catalogue. */
function unbracketed(words) {
  let [depth, outside] = [0, ''];
  for (const letter of words) {
    if (letter === '⟦') depth += 1;
    if (depth === 0) outside += letter;
    if (letter === '⟧') depth -= 1;
  }
  const rest = outside.split(/[^\p{L}_\-̂]+/u);
  return rest.filter((word) => /\p{L}/u.test(word) && !NAMES.some((name) => new RegExp(`^${name}$`).test(word)));
}

test('a text that went through no catalogue is found', () => {
  assert.deepEqual(unbracketed('⟦Schritt ⟦3⟧⟧, DPO, β 0,50'), []);
  assert.deepEqual(unbracketed('⟦Schritt⟧ not said, π_ref'), ['not', 'said']);
});

test('in no view is a text left that the catalogue does not know', () => hosted(async ({ url, folder }) => {
  await bracket(folder);
  await visit(CHROMIUM, walk, { url: `${url}de.html`, viewport: DESK, prepare: listen });
}));

/** Looks at every view for texts that are in no brackets. */
async function walk(page) {
  const left = {};
  for (const [name, open] of Object.entries(VIEWS)) {
    await open(page);
    await drawn(page);
    const unknown = (await texts(page)).filter((words) => unbracketed(words).length > 0);
    const news = unknown.filter((words) => !Object.values(left).flat().includes(words));
    if (news.length > 0) left[name] = news;
  }
  assert.deepEqual(left, {});
}

test('the German page trains, with German words and numbers, and no rule of axe-core is broken', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  assert.equal(await page.$eval('html', (root) => root.lang), 'de');
  assert.match(await text(page, 'h1'), /^Ein kleines Sprachmodell schreibt Filmkritiken/);
  assert.match(await text(page, '#badge'), /^Läuft auf der CPU: /);
  assert.match(await page.$eval('#recorded-figure img', ({ currentSrc }) => currentSrc), /www\/figure\/de\/light-wide\.svg$/);
  await page.click('#step');
  await page.waitForFunction(() => document.querySelector('#batch-summary').textContent.startsWith('Schritt 1: 128 Paare, mittlerer Verlust 0,693 Nats'), PATIENT);
  await page.click('#play');
  await page.waitForFunction(() => /DPO.*\d,\d{3} ± \d,\d{3}/s.test(document.querySelector('#frontier-rows').textContent), PATIENT);
  await page.click('#play');
  assert.match(await text(page, '#number-kl'), /^\d,\d\d± \d,\d\d Nats$/);
  assert.equal(await page.$eval('.completion .word [lang]', (words) => words.lang), 'en');
  await settled(page);
  await page.evaluate(AXE);
  const broken = await page.evaluate(async (rules) => {
    const { violations } = await window.axe.run(document, { runOnly: rules });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
  }, RULES);
  assert.deepEqual(broken, []);
}, { url: GERMAN, viewport: DESK, colorScheme: 'light' }));

test('numbers are typed with a comma, and what cannot be used is said in German', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.$eval('#settings', (details) => { details.open = true; });
  assert.equal(await page.$eval('#knob-learning_rate', ({ value }) => value), '0,001');
  const type = async (number) => {
    await page.click('#knob-learning_rate', { clickCount: 3 });
    await page.keyboard.type(number);
    await page.keyboard.press('Tab');
    await drawn(page);
  };
  await type('0,02');
  assert.match(page.url(), /de\.html\?learning_rate=0\.02$/);
  await type('7');
  assert.match(await text(page, '#knob-learning_rate-error'), /7 liegt nicht zwischen 0,000001 und 0,1\. Der alte Wert gilt weiter\.$/);
  await page.goto(`${GERMAN}?beta=900`, { waitUntil: 'load' });
  await page.waitForSelector('#failure:not([hidden])', PATIENT);
  assert.equal(await text(page, '#failure-sentence'), 'Die Adresse setzt etwas, das nicht verwendbar ist: beta: 900 liegt nicht zwischen 0,01 und 5.');
}, { url: GERMAN }));

test('each language leads to the other with the same settings', () => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.select('#backend', 'cpu');
  await drawn(page);
  await Promise.all([page.waitForNavigation({ waitUntil: 'load' }), page.click('a[hreflang="de"]')]);
  assert.equal(page.url(), `${GERMAN}?seed=7&beta=0.1&backend=cpu#frontier`);
  await ready(page);
  assert.deepEqual([await text(page, '#beta-value'), await page.$eval('#seed', ({ value }) => value)], ['0,10', '7']);
  await Promise.all([page.waitForNavigation({ waitUntil: 'load' }), page.click('a[hreflang="en"]')]);
  assert.equal(page.url(), `${URL_AT_ROOT}?seed=7&beta=0.1&backend=cpu#frontier`);
  await ready(page);
  assert.equal(await text(page, '#beta-value'), '0.10');
}, { url: `${URL_AT_ROOT}?seed=7&beta=0.1#frontier`, viewport: DESK }));

// What the page asks of a host that is gone fails, and the service worker answers.
const expected = /request failed|ERR_CONNECTION_REFUSED/;

test('after one visit in English the German page opens without its host', () => hosted((host) => visit(CHROMIUM, async (page) => {
  await ready(page);
  await page.waitForFunction(() => navigator.serviceWorker.controller?.state === 'activated', PATIENT);
  await host.stop();
  await page.goto(`${host.url}de.html?seed=3`, { waitUntil: 'load' });
  await ready(page);
  assert.equal(await text(page, '#play'), 'Start');
  assert.equal(await page.$eval('#seed', ({ value }) => value), '3');
}, { url: host.url, expected })));
