// TensorFlow.js. Its WebAssembly backend lacks the kernel that the gradient of a gather needs, so tokens are embedded as
// one-hot vectors there.

import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops';
import '@tensorflow/tfjs-core/dist/register_all_gradients';
import '@tensorflow/tfjs-backend-webgpu';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { NORM_EPSILON, OPTIMISER } from './problem.js';

function norm(x, gain, bias) {
  const { mean, variance } = tf.moments(x, -1, true);
  return x.sub(mean).mul(variance.add(NORM_EPSILON).rsqrt()).mul(gain).add(bias);
}

function gelu(x) {
  const inner = x.pow(3).mul(0.044715).add(x).mul(Math.sqrt(2 / Math.PI));
  return x.mul(0.5).mul(inner.tanh().add(1));
}

const linear = (x, weights, bias) => tf.matMul(x, weights).add(bias);

function attention(qkv, mask, { width, heads, length, batch }) {
  const parts = qkv.reshape([batch, length, 3, heads, width / heads]).transpose([2, 0, 3, 1, 4]);
  const [queries, keys, values] = tf.unstack(parts);
  const scores = tf.matMul(queries, keys, false, true).div(Math.sqrt(width / heads)).add(mask);
  return tf.matMul(scores.softmax(), values).transpose([0, 2, 1, 3]).reshape([batch * length, width]);
}

export async function open({ size, backend, parameters, batches }) {
  setWasmPaths('/tensorflow/');
  setThreadsCount(1);
  if (!await tf.setBackend(backend)) throw new Error(`TensorFlow.js has no ${backend} here`);
  await tf.ready();
  const { width, layers, vocabulary, length, batch } = size;
  const p = Object.fromEntries(parameters.map((it) => [it.name, tf.variable(tf.tensor(it.values, it.shape))]));
  const hidden = Array.from({ length: length ** 2 }, (_, i) => (i % length > Math.floor(i / length) ? -1e9 : 0));
  const mask = tf.tensor(hidden, [length, length]);
  const embed = (tokens) => (backend === 'wasm'
    ? tf.matMul(tf.oneHot(tokens, vocabulary).toFloat(), p.wte) : tf.gather(p.wte, tokens));

  const logits = (tokens) => {
    let x = embed(tokens).reshape([batch, length, width]).add(p.wpe).reshape([batch * length, width]);
    for (let l = 0; l < layers; l += 1) {
      const of = (name) => p[`l${l}.${name}`];
      const qkv = linear(norm(x, of('ln1g'), of('ln1b')), of('wqkv'), of('bqkv'));
      x = x.add(linear(attention(qkv, mask, size), of('wo'), of('bo')));
      const inner = gelu(linear(norm(x, of('ln2g'), of('ln2b')), of('w1'), of('b1')));
      x = x.add(linear(inner, of('w2'), of('b2')));
    }
    return tf.matMul(norm(x, p.lnfg, p.lnfb), p.wte, false, true);
  };

  const data = batches.map(({ inputs, targets }) => {
    const wanted = tf.tidy(() => tf.oneHot(tf.tensor1d(targets, 'int32'), vocabulary).toFloat());
    return { inputs: tf.tensor1d(inputs, 'int32'), wanted };
  });
  const { rate, beta1, beta2, epsilon, decay } = OPTIMISER;
  const adam = tf.train.adam(rate, beta1, beta2, epsilon);
  return async (i) => {
    const { inputs, wanted } = data[i % data.length];
    const loss = tf.tidy(() => {
      const { value, grads } = tf.variableGrads(
        () => logits(inputs).logSoftmax().mul(wanted).sum().div(-batch * length),
      );
      Object.values(p).forEach((tensor) => tensor.assign(tensor.mul(1 - rate * decay)));
      adam.applyGradients(grads);
      return value;
    });
    const [number] = await loss.data();
    loss.dispose();
    return number;
  };
}
