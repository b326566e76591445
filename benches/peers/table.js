// What was measured, as the Markdown of docs/explain/performance.md.

const NAMES = {
  klimb: 'Klimb',
  jax: 'jax-js',
  tensorflow: 'TensorFlow.js',
  pytorch: 'PyTorch',
  wasm: 'wasm',
  webgpu: 'WebGPU',
  native: 'native, one thread',
};

const row = (cells) => `| ${cells.join(' | ')} |`;
const table = (head, rows) => [row(head), `|${'---|'.repeat(head.length)}`, ...rows.map(row)].join('\n');
const unique = (values) => [...new Set(values)];

/** Median with the fastest in brackets, and what that is of Klimb's with the lowest and highest of all rounds. */
function cells(result) {
  if (!result || result.error) return ['–', '–'];
  const { median_ms: middle, fastest_ms: fastest, times_klimb: ratios } = result;
  return [`${middle} (${fastest})`, ratios ? `${ratios[0]} (${ratios[1]}–${ratios[2]})` : ''];
}

/** Libraries downwards, sizes across. */
function times(results, work) {
  const its = results.filter((it) => it.work === work);
  const sizes = unique(its.map(({ size }) => size));
  const whose = ({ library, backend }) => `${NAMES[library]}, ${NAMES[backend]}`;
  const rows = unique(its.map(whose)).map((name) => {
    const ofSize = (size) => its.find((it) => it.size === size && whose(it) === name);
    return [name, ...sizes.flatMap((size) => cells(ofSize(size)))];
  });
  return table([`${work}, ms`, ...sizes.flatMap((size) => [size, 'of Klimb\'s'])], rows);
}

function calls(results) {
  const counted = results.filter((it) => it.calls);
  if (counted.length === 0) return [];
  const names = Object.keys(counted[0].calls);
  const rows = counted.map((it) => [`${it.work}, ${it.size}, ${NAMES[it.library]}`, ...names.map((name) => it.calls[name])]);
  return [table(['calls of WebGPU', ...names], rows)];
}

/** A table for each work, and one of calls. */
export function markdown({ results }) {
  const works = unique(results.map(({ work }) => work));
  return [...works.map((work) => times(results, work)), ...calls(results)].join('\n\n');
}
