// PyTorch, a program of its own that is told by lines of JSON what to do, and answers by such lines.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { OPTIMISER, NORM_EPSILON, ROLLOUT, SIZES, batches, initial, prompts } from './problem.js';

const PROGRAM = fileURLToPath(new URL('pytorch.py', import.meta.url));
const ONE_THREAD = { OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' };

function problem({ work, size: name }) {
  const size = SIZES[name];
  const plain = (key, value) => (ArrayBuffer.isView(value) ? [...value] : value);
  const constants = { optimiser: OPTIMISER, normEpsilon: NORM_EPSILON, rollout: ROLLOUT };
  const tensors = { parameters: initial(size), batches: batches(size), prompts: prompts(size) };
  return JSON.stringify({ work, size, ...constants, ...tensors }, plain);
}

/** The program, idle between its turns. */
export function open(subject) {
  const program = spawn(process.env.KLIMB_PYTHON, [PROGRAM], { env: { ...process.env, ...ONE_THREAD } });
  const answers = createInterface({ input: program.stdout })[Symbol.asyncIterator]();
  let complaints = '';
  program.stderr.on('data', (text) => { complaints += text; });
  program.on('error', (error) => { complaints += error; });
  program.stdin.on('error', (error) => { complaints += error; });
  const ask = async (line) => {
    program.stdin.write(`${line}\n`);
    const { value, done } = await answers.next();
    if (done) throw new Error(`PyTorch ended: ${complaints.slice(-2000)}`);
    return JSON.parse(value);
  };
  return {
    begin: () => ask(problem(subject)),
    round: ask,
    close: () => program.kill(),
  };
}
