// Every view of the page, each as what opens it: tests look at all of them, and so do the screenshots.

const PATIENT = { timeout: 120_000 };
const waitFor = (page, is, ...given) => page.waitForFunction(is, PATIENT, ...given);
const show = (page, selector) => page.$eval(selector, (element) => element.scrollIntoView({ block: 'start', behavior: 'instant' }));

/** Opened one after another on one page: what one leaves behind the next one finds. */
export const VIEWS = {
  opening: async (page) => {
    await waitFor(page, () => !document.querySelector('#play').disabled);
    await waitFor(page, () => document.querySelector('#recorded-rows').rows.length > 0);
    await waitFor(page, () => document.querySelector('#beta-target').textContent.includes('π*'));
  },
  frontier: async (page) => {
    await page.click('#play');
    await waitFor(page, () => document.querySelector('#frontier-rows').rows.length > 4);
    await page.click('#play');
  },
  guess: async (page) => {
    await page.focus('#beta');
    await page.keyboard.press('ArrowLeft');
    await page.waitForSelector('#guess:not([hidden])', PATIENT);
  },
  point: async (page) => {
    await page.click('#guess-skip');
    await page.focus('#frontier');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#opened-list .sample', PATIENT);
    await page.$eval('#runs', (details) => { details.open = true; });
    await show(page, '#opened');
  },
  settings: async (page) => {
    await page.click('#opened-close');
    await page.$eval('#settings', (details) => { details.open = true; });
    await show(page, '#settings');
  },
  samples: async (page) => {
    await page.$eval('#settings', (details) => { details.open = false; });
    await show(page, '.samples');
  },
  inside: async (page) => {
    await page.click('#step-dpo');
    await page.waitForSelector('#pairs li', PATIENT);
    await page.click('#pairs [data-token="0-0-1"]');
    await show(page, '.inside');
  },
  mass: async (page) => show(page, '#mass'),
  'inside PPO': async (page) => {
    await page.click('#step-ppo-gt');
    await page.waitForSelector('#episodes table', PATIENT);
    await page.click('#episodes [data-token="0-0-1"]');
    await show(page, '.inside');
  },
  curves: async (page) => show(page, '.curves'),
  annotator: async (page) => {
    await page.click('#annotator-begin');
    await waitFor(page, () => document.querySelector('#annotator-a').textContent !== '');
    await show(page, '.annotator');
  },
  comparison: async (page) => {
    await page.click('#tab-comparison');
    await show(page, '.studies');
  },
  'win rate': async (page) => page.click('#tab-win-rate'),
  scaling: async (page) => page.click('#tab-scaling'),
  hacking: async (page) => page.click('#tab-hacking'),
  // Behind all others: SFT that has learned is a new reference, and everything starts over from it.
  'inside SFT': async (page) => {
    await page.click('#step-sft');
    await page.waitForSelector('#reviews li', PATIENT);
    await page.click('#reviews [data-token="0-0-1"]');
    await show(page, '.inside');
  },
  clinic: async (page) => show(page, '#clinic'),
  tour: async (page) => {
    await page.click('#tour-open');
    await page.waitForSelector('#tour:not([hidden])', PATIENT);
  },
  keys: async (page) => {
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
  },
};
