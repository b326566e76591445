// Puts Klimb beside other libraries. `cargo xtask bench peers` builds Klimb's side and says by the environment where it is
// (KLIMB_PEER), which browser there is (KLIMB_CHROMIUM), which Python has PyTorch (KLIMB_PYTHON, if any) and where the
// numbers go (KLIMB_BENCH_JSON). Words choose among the subjects. A library whose first results differ computes something
// else, and its times mean nothing: that ends the run with an error.

import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import { open as openNative } from './native.js';
import { median, round, spread } from './numbers.js';
import { open as openPage, serve } from './pages.js';
import { markdown } from './table.js';

/** Whoever takes turns with each other: a machine that slows down does so for all of them. */
const TURNS = [
  [['klimb', 'wasm'], ['jax', 'wasm'], ['tensorflow', 'wasm'], ['pytorch', 'native']],
  [['klimb', 'webgpu'], ['jax', 'webgpu'], ['tensorflow', 'webgpu']],
];
const WORKS = ['step', 'rollout'];
const SIZES = ['small', 'default'];
const ROUNDS = process.env.KLIMB_BENCH_THOROUGH ? 15 : 5;
const SECONDS = 1.5;
/** How far apart two libraries' losses may be, in nats: the last of four decimals. */
const TOLERANCE = 1.5e-4;
/** Milliseconds after which a library is given up. Sampling by whole forward passes on an emulated adapter is hopeless. */
const PATIENCE = { step: 400_000, rollout: 60_000 };

const name = ({ work, size, backend, library }) => [work, size, backend, library].join('/');

async function within(milliseconds, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${milliseconds / 1000} s`)), milliseconds);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Whoever fails or is given up is closed at once, for what it is still at would slow the others. */
async function failed(its, error) {
  its.error = String(error.message ?? error);
  await its.opened?.close();
  its.opened = undefined;
}

/** Opens one that takes turns, and lets it compute what all of them must agree on. */
async function begun(subject, port) {
  const its = { subject, rounds: [], opened: undefined, first: undefined, error: undefined };
  try {
    its.opened = subject.backend === 'native' ? openNative(subject) : await openPage(port, subject);
    Object.assign(its, await within(PATIENCE[subject.work], its.opened.begin()));
  } catch (error) {
    await failed(its, error);
  }
  return its;
}

async function takeTurn(its) {
  if (its.error) return;
  try {
    its.rounds.push(await within(PATIENCE[its.subject.work], its.opened.round(SECONDS)));
  } catch (error) {
    await failed(its, error);
  }
}

/** What was computed first for a work and a size, whoever did it. */
const references = {};

/** Throws where first results differ from those: losses by more than rounding, tokens at all. */
function agree(all) {
  for (const { subject, first } of all.filter((its) => its.first)) {
    const { work, size } = subject;
    references[`${work}/${size}`] ??= { of: name(subject), first };
    const reference = references[`${work}/${size}`];
    const far = reference.first.filter((value, i) => !(Math.abs(value - first[i]) <= (work === 'step' ? TOLERANCE : 0)));
    if (far.length === 0) continue;
    throw new Error(`${name(subject)} and ${reference.of} compute different things: ${far.length} of `
      + `${reference.first.length} numbers differ, ${first.slice(0, 20)} and ${reference.first.slice(0, 20)}`);
  }
}

/** What all agree on, short: losses, or the first completion and how many different tokens all completions have. */
function agreed({ work }, first) {
  if (work === 'step') return { losses: first.map((loss) => round(loss, 4)) };
  return { completion: first.slice(0, 20).join(' '), tokens: first.length, distinct_tokens: new Set(first).size };
}

function report({ subject, rounds, first, firstTime, error }, klimb, load) {
  if (error) return { ...subject, load, error };
  const times = rounds.flatMap((it) => it.times);
  const medians = (all) => all.map((it) => median(it.times));
  const ratios = klimb && !klimb.error && subject.library !== 'klimb'
    ? { times_klimb: spread(medians(rounds).map((time, i) => time / medians(klimb.rounds)[i]), 2) } : {};
  return {
    ...subject,
    load,
    ...agreed(subject, first),
    median_ms: round(median(times)),
    fastest_ms: round(Math.min(...times)),
    rounds_ms: medians(rounds).map((time) => round(time)),
    repeated: times.length,
    ...ratios,
    first_ms: round(firstTime),
    ...(subject.backend === 'webgpu' ? { calls: rounds.at(-1).calls } : {}),
  };
}

async function compare(subjects, port) {
  const all = [];
  const load = [round(os.loadavg()[0], 2)];
  try {
    for (const subject of subjects) all.push(await begun(subject, port));
    agree(all);
    for (let turn = 0; turn < ROUNDS; turn += 1) for (const its of all) await takeTurn(its);
  } finally {
    await Promise.all(all.map(({ opened }) => opened?.close()));
  }
  load.push(round(os.loadavg()[0], 2));
  const klimb = all.find(({ subject }) => subject.library === 'klimb');
  const version = all.find((its) => its.version)?.version;
  return { version, results: all.map((its) => report(its, klimb, load)) };
}

function told(result) {
  const { load, error, median_ms: middle, fastest_ms: fastest, times_klimb: ratios } = result;
  const compared = ratios ? `, ${ratios[0]} times Klimb's (${ratios[1]} to ${ratios[2]})` : '';
  return `${name(result)}: ${error ?? `${middle} ms, fastest ${fastest}${compared}`}, load ${load.join(' to ')}`;
}

const words = process.argv.slice(2);
const chosen = (subject) => words.length === 0 || words.some((word) => name(subject).includes(word));
const possible = ({ library }) => library !== 'pytorch' || process.env.KLIMB_PYTHON;
const { port, close } = await serve();
const whole = { date: new Date().toISOString().slice(0, 10), processors: os.availableParallelism(), rounds: ROUNDS, results: [] };
try {
  for (const work of WORKS) {
    for (const size of SIZES) {
      for (const turns of TURNS) {
        const subjects = turns.map(([library, backend]) => ({ work, size, backend, library }));
        const { version, results } = await compare(subjects.filter((it) => chosen(it) && possible(it)), port);
        if (version) whole.pytorch = version;
        whole.results.push(...results);
        for (const result of results) console.log(told(result));
        await writeFile(process.env.KLIMB_BENCH_JSON, `${JSON.stringify(whole, null, 2)}\n`);
      }
    }
  }
} finally {
  close();
}
console.log(`\n${markdown(whole)}`);
