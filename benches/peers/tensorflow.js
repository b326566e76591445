// TensorFlow.js.

import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops';
import '@tensorflow/tfjs-core/dist/register_all_gradients';
import '@tensorflow/tfjs-backend-webgpu';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { NORM_EPSILON, OPTIMISER, ROLLOUT } from './problem.js';

function norm(x, gain, bias) {
  const { mean, variance } = tf.moments(x, -1, true);
  return x.sub(mean).mul(variance.add(NORM_EPSILON).rsqrt()).mul(gain).add(bias);
}

function gelu(x) {
  const inner = x.pow(3).mul(0.044715).add(x).mul(Math.sqrt(2 / Math.PI));
  return x.mul(0.5).mul(inner.tanh().add(1));
}

const linear = (x, weights, bias) => tf.matMul(x, weights).add(bias);

function causal(length) {
  const hidden = Array.from({ length: length ** 2 }, (_, i) => (i % length > Math.floor(i / length) ? -1e9 : 0));
  return tf.tensor(hidden, [length, length]);
}

function attention(qkv, mask, { width, heads }) {
  const [length] = mask.shape;
  const parts = qkv.reshape([-1, length, 3, heads, width / heads]).transpose([2, 0, 3, 1, 4]);
  const [queries, keys, values] = tf.unstack(parts);
  const scores = tf.matMul(queries, keys, false, true).div(Math.sqrt(width / heads)).add(mask);
  return tf.matMul(scores.softmax(), values).transpose([0, 2, 1, 3]).reshape([-1, width]);
}

/** What leaves the last block, (rows, width), from embedded tokens, (rows, width), whose length the mask has. */
function trunk(p, embedded, mask, size) {
  const [length] = mask.shape;
  const { width, layers } = size;
  let x = embedded.reshape([-1, length, width]).add(p.wpe.slice(0, length)).reshape([-1, width]);
  for (let l = 0; l < layers; l += 1) {
    const of = (name) => p[`l${l}.${name}`];
    const qkv = linear(norm(x, of('ln1g'), of('ln1b')), of('wqkv'), of('bqkv'));
    x = x.add(linear(attention(qkv, mask, size), of('wo'), of('bo')));
    const inner = gelu(linear(norm(x, of('ln2g'), of('ln2b')), of('w1'), of('b1')));
    x = x.add(linear(inner, of('w2'), of('b2')));
  }
  return x;
}

const unembed = (p, x) => tf.matMul(norm(x, p.lnfg, p.lnfb), p.wte, false, true);

async function weights({ backend, parameters }) {
  setWasmPaths('/tensorflow/');
  setThreadsCount(1);
  if (!await tf.setBackend(backend)) throw new Error(`TensorFlow.js has no ${backend} here`);
  await tf.ready();
  return Object.fromEntries(parameters.map((it) => [it.name, tf.variable(tf.tensor(it.values, it.shape))]));
}

export async function step({ size, backend, parameters, batches }) {
  const { vocabulary, length, batch } = size;
  const p = await weights({ backend, parameters });
  const mask = causal(length);
  // The WebAssembly backend lacks the kernel that the gradient of a gather needs.
  const embed = (tokens) => (backend === 'wasm'
    ? tf.matMul(tf.oneHot(tokens, vocabulary).toFloat(), p.wte) : tf.gather(p.wte, tokens));
  const data = batches.map(({ inputs, targets }) => {
    const wanted = tf.tidy(() => tf.oneHot(tf.tensor1d(targets, 'int32'), vocabulary).toFloat());
    return { inputs: tf.tensor1d(inputs, 'int32'), wanted };
  });
  const { rate, beta1, beta2, epsilon, decay } = OPTIMISER;
  const adam = tf.train.adam(rate, beta1, beta2, epsilon);
  return async (i) => {
    const { inputs, wanted } = data[i % data.length];
    const loss = tf.tidy(() => {
      const { value, grads } = tf.variableGrads(() => {
        const logits = unembed(p, trunk(p, embed(inputs), mask, size));
        return logits.logSoftmax().mul(wanted).sum().div(-batch * length);
      });
      Object.values(p).forEach((tensor) => tensor.assign(tensor.mul(1 - rate * decay)));
      adam.applyGradients(grads);
      return value;
    });
    const [number] = await loss.data();
    loss.dispose();
    return number;
  };
}

/** Reads all that is written so far for each token. */
export async function rollout({ size, backend, parameters, prompts }) {
  const { batch, prompt, written } = ROLLOUT;
  const p = await weights({ backend, parameters });
  const masks = Array.from({ length: written }, (_, t) => causal(prompt + t));
  const longer = (tokens, t, seed, temperature) => {
    const embedded = tf.gather(p.wte, tokens.flatten());
    const x = trunk(p, embedded, masks[t], size).reshape([batch, prompt + t, size.width]);
    const logits = unembed(p, x.slice([0, prompt + t - 1], [-1, 1]).reshape([batch, size.width]));
    const next = temperature === 0
      ? logits.argMax(-1).reshape([batch, 1]) : tf.multinomial(logits.div(temperature), 1, seed * written + t);
    return tf.concat([tokens, next], 1);
  };
  return async (seed, temperature) => {
    let tokens = tf.tensor2d(prompts, [batch, prompt], 'int32');
    for (let t = 0; t < written; t += 1) {
      const next = tf.tidy(() => longer(tokens, t, seed, temperature));
      tokens.dispose();
      tokens = next;
    }
    const all = await tokens.data();
    tokens.dispose();
    return all.filter((_, i) => i % (prompt + written) >= prompt);
  };
}
