// jax-js, the whole step compiled by `jit`. A value is used up by what reads it; `.ref` keeps it for another reader.

import { defaultDevice, init, jit, nn, numpy as np, tree, valueAndGrad } from '@jax-js/jax';
import { NORM_EPSILON, OPTIMISER } from './problem.js';

const norm = (x, gain, bias) => nn.standardize(x, -1, { epsilon: NORM_EPSILON }).mul(gain).add(bias);
const linear = (x, weights, bias) => np.matmul(x, weights).add(bias);

function logits(p, tokens, { width, layers, heads, vocabulary, length, batch }) {
  const rows = batch * length;
  const embedded = np.matmul(nn.oneHot(tokens, vocabulary), p.wte.ref);
  let x = embedded.reshape([batch, length, width]).add(p.wpe).reshape([rows, width]);
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
  return np.matmul(norm(x, p.lnfg, p.lnfb), p.wte.transpose());
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

export async function open({ size, backend, parameters, batches }) {
  if (!(await init()).includes(backend)) throw new Error(`jax-js has no ${backend} here`);
  defaultDevice(backend);
  const zeros = () => Object.fromEntries(parameters.map(({ name, shape }) => [name, np.zeros(shape)]));
  let state = [
    Object.fromEntries(parameters.map(({ name, shape, values }) => [name, np.array(values).reshape(shape)])),
    zeros(),
    zeros(),
  ];
  const loss = (p, inputs, targets) => nn.logSoftmax(logits(p, inputs, size), -1)
    .mul(nn.oneHot(targets, size.vocabulary)).sum().mul(-1 / (size.batch * size.length));
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

  const integers = (values) => np.array(values, { dtype: np.int32 });
  const data = batches.map(({ inputs, targets }) => [integers(inputs), integers(targets)]);
  const { beta1, beta2 } = OPTIMISER;
  return async (i) => {
    const corrections = np.array(new Float32Array([beta1, beta2].map((beta) => 1 / (1 - beta ** (i + 1)))));
    const [value, ...next] = update(...state, corrections, ...data[i % data.length].map((it) => it.ref));
    state = next;
    return (await value.data())[0];
  };
}
