// jax-js, everything dear compiled by `jit`. A value is used up by what reads it; `.ref` keeps it for another reader.

import { defaultDevice, init, jit, nn, numpy as np, random, tree, valueAndGrad } from '@jax-js/jax';
import { NORM_EPSILON, OPTIMISER, ROLLOUT } from './problem.js';

const norm = (x, gain, bias) => nn.standardize(x, -1, { epsilon: NORM_EPSILON }).mul(gain).add(bias);
const linear = (x, weights, bias) => np.matmul(x, weights).add(bias);
const integers = (values) => np.array(values, { dtype: np.int32 });

/** What leaves the last block, (rows, width), from tokens, (batch, length). */
function trunk(p, tokens, { width, layers, heads, vocabulary }) {
  const [batch, length] = tokens.shape;
  const rows = batch * length;
  const embedded = np.matmul(nn.oneHot(tokens.reshape([rows]), vocabulary), p.wte.ref);
  let x = embedded.reshape([batch, length, width]).add(p.wpe.slice([0, length])).reshape([rows, width]);
  for (let l = 0; l < layers; l += 1) {
    const of = (name) => p[`l${l}.${name}`];
    const qkv = linear(norm(x.ref, of('ln1g'), of('ln1b')), of('wqkv'), of('bqkv'));
    const parts = qkv.reshape([batch, length, 3, heads, width / heads]);
    const [queries, keys] = [0, 1].map((i) => parts.ref.slice([], [], i));
    const attended = nn.dotProductAttention(queries, keys, parts.slice([], [], 2), { isCausal: true });
    x = x.add(linear(attended.reshape([rows, width]), of('wo'), of('bo')));
    const inner = linear(norm(x.ref, of('ln2g'), of('ln2b')), of('w1'), of('b1'));
    x = x.add(linear(nn.gelu(inner, { approximate: true }), of('w2'), of('b2')));
  }
  return x;
}

const unembed = (p, x) => np.matmul(norm(x, p.lnfg, p.lnfb), p.wte.transpose());

async function weights({ backend, parameters }) {
  if (!(await init()).includes(backend)) throw new Error(`jax-js has no ${backend} here`);
  defaultDevice(backend);
  return Object.fromEntries(parameters.map(({ name, shape, values }) => [name, np.array(values).reshape(shape)]));
}

/** One tensor's update by AdamW: `corrections` are 1/(1 − β₁ᵗ) and 1/(1 − β₂ᵗ). */
function adamw(parameter, gradient, first, second, [correction1, correction2]) {
  const { rate, beta1, beta2, epsilon, decay } = OPTIMISER;
  const newFirst = first.mul(beta1).add(gradient.ref.mul(1 - beta1));
  const newSecond = second.mul(beta2).add(np.square(gradient).mul(1 - beta2));
  const root = np.sqrt(newSecond.ref.mul(correction2.ref)).add(epsilon);
  const step = newFirst.ref.mul(correction1.ref).div(root);
  return [parameter.mul(1 - rate * decay).sub(step.mul(rate)), newFirst, newSecond];
}

export async function step({ size, backend, parameters, batches }) {
  const { batch, length, vocabulary } = size;
  const initial = await weights({ backend, parameters });
  const zeros = () => Object.fromEntries(parameters.map(({ name, shape }) => [name, np.zeros(shape)]));
  let state = [initial, zeros(), zeros()];
  const loss = (p, inputs, targets) => nn.logSoftmax(unembed(p, trunk(tree.ref(p), inputs, size)), -1)
    .mul(nn.oneHot(targets, vocabulary)).sum().mul(-1 / (batch * length));
  const differentiated = valueAndGrad(loss);
  const update = jit((p, first, second, corrections, inputs, targets) => {
    const [value, gradients] = differentiated(tree.ref(p), inputs, targets);
    const both = [corrections.ref.slice(0), corrections.slice(1)];
    const next = [{}, {}, {}];
    for (const { name } of parameters) {
      const updated = adamw(p[name], gradients[name], first[name], second[name], both);
      updated.forEach((tensor, i) => { next[i][name] = tensor; });
    }
    both.forEach((correction) => correction.dispose());
    return [value, ...next];
  });

  const data = batches.map(({ inputs, targets }) => [integers(inputs).reshape([batch, length]), integers(targets)]);
  const { beta1, beta2 } = OPTIMISER;
  return async (i) => {
    const corrections = np.array(new Float32Array([beta1, beta2].map((beta) => 1 / (1 - beta ** (i + 1)))));
    const [value, ...next] = update(...state, corrections, ...data[i % data.length].map((it) => it.ref));
    state = next;
    return (await value.data())[0];
  };
}

/**
 * Reads all that is written so far for each token. `jit` compiles that once for every length, which takes WebGPU minutes:
 * there, rows have their full length from the start.
 */
export async function rollout({ size, backend, parameters, prompts }) {
  const p = await weights({ backend, parameters });
  const { batch, prompt, written } = ROLLOUT;
  const predicted = jit((all, tokens, last) => {
    const x = trunk(tree.ref(all), tokens, size).reshape([batch, tokens.shape[1], size.width]);
    return unembed(all, np.take(x, last, 1).reshape([batch, size.width]));
  });
  const likeliest = jit((logits) => np.argmax(logits, -1).reshape([batch, 1]));
  const drawn = jit((logits, key) => random.categorical(key, logits).astype(np.int32).reshape([batch, 1]));
  const padded = (tokens) => {
    const missing = backend === 'webgpu' ? size.length - tokens.shape[1] : 0;
    return missing > 0 ? np.concatenate([tokens, np.zeros([batch, missing], { dtype: np.int32 })], 1) : tokens;
  };
  return async (seed, temperature) => {
    let tokens = integers(prompts).reshape([batch, prompt]);
    for (let t = 0; t < written; t += 1) {
      const logits = predicted(tree.ref(p), padded(tokens.ref), integers([prompt + t - 1]));
      const next = temperature === 0
        ? likeliest(logits) : drawn(logits.div(temperature), random.key(seed * written + t));
      tokens = np.concatenate([tokens, next], 1);
    }
    const all = await tokens.data();
    return all.filter((_, i) => i % (prompt + written) >= prompt);
  };
}
