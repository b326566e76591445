// A fresh headless Chromium for each measurement. WebGPU runs on SwiftShader, which every machine has; a real adapter
// is taken where KLIMB_BENCH_REAL_GPU is set.

import puppeteer from 'puppeteer-core';
import { watchPage } from './inside.js';

const ADAPTER = process.env.KLIMB_BENCH_REAL_GPU ? [] : ['--use-webgpu-adapter=swiftshader'];
const FLAGS = [
  '--no-sandbox',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--enable-unsafe-webgpu',
  '--enable-features=Vulkan',
  ...ADAPTER,
];
/** Training under a software adapter on a busy machine is slow, and not what is judged here. */
const PATIENCE = process.env.KLIMB_BENCH_THOROUGH ? 3_600_000 : 300_000;

/** Opens a browser, gives `use` a way to open watched pages in it, and closes it. */
export async function withBrowser(use) {
  const browser = await puppeteer.launch({
    headless: true,
    executablePath: process.env.KLIMB_CHROMIUM,
    args: FLAGS,
    protocolTimeout: PATIENCE,
  });
  const open = async (query, ...scripts) => {
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE);
    for (const script of [watchPage, ...scripts]) await page.evaluateOnNewDocument(script);
    await page.goto(`${process.env.KLIMB_URL}?${new URLSearchParams(query)}`);
    return page;
  };
  try {
    return await use(open, browser);
  } finally {
    await browser.close();
  }
}

/** Waits until the engine has reported `least` steps of `stage`. */
export const stepsTaken = (page, stage, least) => page.waitForFunction(
  (name, count) => (window.klimbSeen.steps[name] ?? 0) >= count,
  { polling: 20 },
  stage,
  least,
);

export const sleep = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
