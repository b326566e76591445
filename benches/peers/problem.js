// The one problem that every library gets: a decoder-only transformer (pre-norm, learned positions, tanh-GELU, tied
// unembedding, biases), its initial weights, its batches, its prompts, and AdamW's constants.

export const SIZES = {
  small: { width: 32, layers: 2, heads: 4, vocabulary: 160, length: 32, batch: 16 },
  default: { width: 64, layers: 2, heads: 4, vocabulary: 160, length: 32, batch: 64 },
};
export const OPTIMISER = { rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decay: 0.01 };
export const NORM_EPSILON = 1e-5;
export const BATCHES = 8;
/** How many prompts a rollout has, how long each is, and how many tokens are written behind it. */
export const ROLLOUT = { batch: 64, prompt: 12, written: 20 };

/** Uniform numbers in (0, 1), the same everywhere: a linear congruence of 32 bits, of which the upper 24 are used. */
export function generator(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 8) + 0.5) / 2 ** 24;
  };
}

/** Names and shapes of the tensors, in order. */
export function tensors({ width: d, layers, vocabulary, length }) {
  const block = (l) => [
    [`l${l}.ln1g`, [d]], [`l${l}.ln1b`, [d]], [`l${l}.wqkv`, [d, 3 * d]], [`l${l}.bqkv`, [3 * d]],
    [`l${l}.wo`, [d, d]], [`l${l}.bo`, [d]], [`l${l}.ln2g`, [d]], [`l${l}.ln2b`, [d]],
    [`l${l}.w1`, [d, 4 * d]], [`l${l}.b1`, [4 * d]], [`l${l}.w2`, [4 * d, d]], [`l${l}.b2`, [d]],
  ];
  const blocks = Array.from({ length: layers }, (_, l) => block(l)).flat();
  return [['wte', [vocabulary, d]], ['wpe', [length, d]], ...blocks, ['lnfg', [d]], ['lnfb', [d]]];
}

/** The tensors with their initial values: gains one, biases zero, weights normal with a deviation of 0.08. */
export function initial(size) {
  const uniform = generator(2024);
  const normal = () => 0.08 * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return tensors(size).map(([name, shape]) => {
    const values = new Float32Array(shape.reduce((a, b) => a * b));
    if (shape.length === 2) values.forEach((_, i) => { values[i] = normal(); });
    else if (name.endsWith('g')) values.fill(1);
    return { name, shape, values };
  });
}

/** Rows of a stream that can be learned: each token follows from the one before, a fifth of the time it is drawn. */
function stream(seed, vocabulary) {
  const uniform = generator(seed);
  const draw = () => Math.floor(uniform() * vocabulary);
  return (length) => {
    const tokens = [draw()];
    while (tokens.length < length) tokens.push(uniform() < 0.2 ? draw() : (5 * tokens.at(-1) + 11) % vocabulary);
    return tokens;
  };
}

/** Batches of that stream: inputs and targets, (batch, length) each. */
export function batches({ vocabulary, length, batch }) {
  const row = stream(77, vocabulary);
  return Array.from({ length: BATCHES }, () => {
    const rows = Array.from({ length: batch }, () => row(length + 1));
    const part = (from) => Int32Array.from(rows.flatMap((tokens) => tokens.slice(from, from + length)));
    return { inputs: part(0), targets: part(1) };
  });
}

/** What a rollout begins with, (ROLLOUT.batch, ROLLOUT.prompt). */
export function prompts({ vocabulary }) {
  const row = stream(78, vocabulary);
  return Int32Array.from(Array.from({ length: ROLLOUT.batch }, () => row(ROLLOUT.prompt)).flat());
}
