// What was measured, as the Markdown of docs/performance.md.

const row = (cells) => `| ${cells.join(' | ')} |`;
const table = (head, rows) => [row(head), `|${'---|'.repeat(head.length)}`, ...rows.map(row)].join('\n');
const unique = (values) => [...new Set(values)];

function time({ error, median_ms: median, fastest_ms: fastest }) {
  return error ? '–' : `${median} (${fastest})`;
}

function ratio({ times_klimb: ratios }) {
  if (!ratios) return '–';
  const [middle, lowest, highest] = ratios;
  return `${middle} (${lowest}–${highest})`;
}

/** One table of a work: libraries downwards, sizes across, `cell` in between. */
function libraries(results, work, cell) {
  const its = results.filter((it) => it.work === work);
  const sizes = unique(its.map(({ size }) => size));
  const whose = ({ library, backend }) => `${library}, ${backend}`;
  const cells = (name) => sizes.map((size) => its.find((it) => it.size === size && whose(it) === name));
  const rows = unique(its.map(whose)).map((name) => [name, ...cells(name).map((it) => (it ? cell(it) : '–'))]);
  return rows.length > 0 ? table([work, ...sizes], rows) : '';
}

function calls(results) {
  const counted = results.filter((it) => it.calls);
  if (counted.length === 0) return '';
  const names = Object.keys(counted[0].calls);
  return table(['calls of WebGPU', ...names], counted.map((it) => [
    `${it.work}, ${it.size}, ${it.library}`, ...names.map((name) => it.calls[name]),
  ]));
}

/** Times with the fastest in brackets, ratios to Klimb's time with the lowest and highest of all rounds, and calls. */
export function markdown({ results }) {
  const works = unique(results.map(({ work }) => work));
  const others = results.filter(({ library }) => library !== 'klimb');
  const tables = works.flatMap((work) => [libraries(results, work, time), libraries(others, work, ratio)]);
  return [...tables, calls(results)].filter(Boolean).join('\n\n');
}
