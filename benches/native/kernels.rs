//! Kernels one by one at the default size, and the roof: a matrix product large enough that nothing else counts.

use klimb::backend::{
    AdamwSize, At, AtMut, AttentionSize, DecodeSize, Kernels, LogitsSize, MatmulSize, NORM_PARTIALS, NormSize,
    SampleSize, kernels,
};
use klimb::model::{Layout, ModelConfig};
use klimb::rng::Generator;

use super::harness::{Harness, Machine, Subject};
use super::sizes::{DEFAULT, LENGTH, VOCABULARY};

const ROWS: usize = DEFAULT.batch * LENGTH;
const ROOF: usize = 512;

/// The largest rate of arithmetic that a backend's own product reaches: what the rates of steps are to be held against.
pub fn roof<K: Kernels<Real = f32>>(harness: &mut Harness, machine: &mut Machine<K>) {
    let size = MatmulSize { rows: ROOF, inner: ROOF, columns: ROOF, bias: false };
    let subject = Subject { name: "roof", size: "512", flop: Some(flop(size)) };
    matmul_forward(harness, machine, subject, size);
}

pub fn all<K: Kernels<Real = f32>>(harness: &mut Harness, machine: &mut Machine<K>) {
    let ModelConfig { width, .. } = DEFAULT.config();
    let size = MatmulSize { rows: ROWS, inner: width, columns: 4 * width, bias: true };
    matmul_forward(harness, machine, subject("matmul_forward", Some(flop(size))), size);
    matmul_backward(harness, machine, size);
    layer_norm(harness, machine, NormSize { rows: ROWS, width, accumulate: false });
    attention(harness, machine);
    logprobs(harness, machine, LogitsSize { rows: ROWS, vocabulary: VOCABULARY });
    adamw(harness, machine);
    sample(harness, machine);
}

fn subject(name: &'static str, flop: Option<u64>) -> Subject {
    Subject { name, size: DEFAULT.name, flop }
}

fn flop(size: MatmulSize) -> u64 {
    2 * (size.rows * size.inner * size.columns) as u64
}

/// A buffer of standard normal numbers.
fn noise<K: Kernels<Real = f32>>(k: &mut K, len: usize) -> K::Floats {
    let mut generator = Generator::new(1, "noise");
    let values: Vec<f32> = (0..len).map(|_| generator.normal() as f32).collect();
    floats(k, &values)
}

fn floats<K: Kernels<Real = f32>>(k: &mut K, values: &[f32]) -> K::Floats {
    let mut buffer = k.floats("bench", values.len());
    k.write_floats(&mut buffer, 0, values);
    buffer
}

fn integers<K: Kernels>(k: &mut K, values: &[u32]) -> K::Integers {
    let mut buffer = k.integers("bench", values.len());
    k.write_integers(&mut buffer, 0, values);
    buffer
}

fn tokens<K: Kernels>(k: &mut K, len: usize) -> K::Integers {
    let mut generator = Generator::new(1, "tokens");
    let values: Vec<u32> = (0..len).map(|_| generator.below(VOCABULARY) as u32).collect();
    integers(k, &values)
}

fn matmul_forward<K: Kernels<Real = f32>>(
    harness: &mut Harness,
    machine: &mut Machine<K>,
    subject: Subject,
    size: MatmulSize,
) {
    let MatmulSize { rows, inner, columns, .. } = size;
    let make = |k: &mut K| (noise(k, rows * inner), noise(k, (inner + 1) * columns), k.floats("out", rows * columns));
    harness.kernel(machine, subject, make, |k, (x, weights, out)| {
        kernels::MatmulForward { size, x, weights: At::new(weights, 0), out }.run(k);
    });
}

fn matmul_backward<K: Kernels<Real = f32>>(harness: &mut Harness, machine: &mut Machine<K>, size: MatmulSize) {
    let MatmulSize { rows, inner, columns, .. } = size;
    let make = |k: &mut K| (noise(k, rows * columns), noise(k, (inner + 1) * columns), k.floats("dx", rows * inner));
    let input = subject("matmul_backward_input", Some(flop(size)));
    harness.kernel(machine, input, make, |k, (dout, weights, dx)| {
        kernels::MatmulBackwardInput { size, dout, weights: At::new(weights, 0), dx }.run(k);
    });
    let make =
        |k: &mut K| (noise(k, rows * inner), noise(k, rows * columns), k.floats("dweights", (inner + 1) * columns));
    let weights = subject("matmul_backward_weights", Some(flop(size)));
    harness.kernel(machine, weights, make, |k, (x, dout, dweights)| {
        kernels::MatmulBackwardWeights { size, x, dout, dweights: AtMut::new(dweights, 0) }.run(k);
    });
}

fn layer_norm<K: Kernels<Real = f32>>(harness: &mut Harness, machine: &mut Machine<K>, size: NormSize) {
    let len = size.rows * size.width;
    let make =
        |k: &mut K| (noise(k, len), noise(k, 2 * size.width), k.floats("out", len), k.floats("moments", 2 * size.rows));
    harness.kernel(machine, subject("layer_norm_forward", None), make, |k, (x, weights, out, moments)| {
        kernels::LayerNormForward { size, x, weights: At::new(weights, 0), out, moments }.run(k);
    });
    let make = |k: &mut K| {
        let (x, weights, moments) = (noise(k, len), noise(k, 2 * size.width), noise(k, 2 * size.rows));
        (x, weights, moments, noise(k, len), k.floats("dx", len))
    };
    harness.kernel(machine, subject("layer_norm_backward", None), make, |k, (x, weights, moments, dout, dx)| {
        kernels::LayerNormBackward { size, x, weights: At::new(weights, 0), moments, dout, dx }.run(k);
    });
    let make =
        |k: &mut K| (noise(k, len), noise(k, 2 * size.rows), noise(k, len), k.floats("dweights", 2 * size.width));
    harness.kernel(machine, subject("layer_norm_backward_weights", None), make, |k, (x, moments, dout, dweights)| {
        kernels::LayerNormBackwardWeights { size, x, moments, dout, dweights: AtMut::new(dweights, 0) }.run(k);
    });
}

fn attention<K: Kernels<Real = f32>>(harness: &mut Harness, machine: &mut Machine<K>) {
    let config = DEFAULT.config();
    let ModelConfig { width, heads, .. } = config;
    let size = AttentionSize { batch: DEFAULT.batch, length: LENGTH, heads, head_width: config.head_width() };
    let made = |k: &mut K| {
        let (qkv, mut out) = (noise(k, 3 * ROWS * width), k.floats("out", ROWS * width));
        let mut logsumexps = k.floats("logsumexps", ROWS * heads);
        kernels::AttentionForward { size, qkv: &qkv, out: &mut out, logsumexps: &mut logsumexps }.run(k);
        (qkv, out, logsumexps)
    };
    harness.kernel(machine, subject("attention_forward", None), made, |k, (qkv, out, logsumexps)| {
        kernels::AttentionForward { size, qkv, out, logsumexps }.run(k);
    });
    let make = |k: &mut K| (made(k), noise(k, ROWS * width), k.floats("dqkv", 3 * ROWS * width));
    harness.kernel(machine, subject("attention_backward", None), make, |k, ((qkv, out, sums), dout, dqkv)| {
        kernels::AttentionBackward { size, qkv, out, logsumexps: sums, dout, dqkv }.run(k);
    });
    let AttentionSize { batch, head_width, .. } = size;
    // The last position, which looks back the furthest.
    let size = DecodeSize { batch, position: LENGTH - 1, capacity: LENGTH, heads, head_width };
    let make = |k: &mut K| (noise(k, 3 * batch * width), noise(k, 2 * ROWS * width), k.floats("out", batch * width));
    harness.kernel(machine, subject("attention_decode_forward", None), make, |k, (qkv, cache, out)| {
        kernels::AttentionDecodeForward { size, qkv, cache, out }.run(k);
    });
}

fn logprobs<K: Kernels<Real = f32>>(harness: &mut Harness, machine: &mut Machine<K>, size: LogitsSize) {
    let make = |k: &mut K| {
        let (logits, targets) = (noise(k, ROWS * VOCABULARY), tokens(k, ROWS));
        (logits, targets, k.floats("numbers", 3 * ROWS), noise(k, 2 * ROWS))
    };
    harness.kernel(machine, subject("logprobs_forward", None), make, |k, (logits, targets, numbers, _)| {
        kernels::LogprobsForward { size, logits, targets: At::new(targets, 0), numbers }.run(k);
    });
    // Works in place: from the second time on what it reads are gradients, which cost the same.
    let backward = subject("logprobs_backward", None);
    harness.kernel(machine, backward, make, |k, (logits, targets, numbers, dnumbers)| {
        kernels::LogprobsBackward { size, targets: At::new(targets, 0), numbers, dnumbers, logits }.run(k);
    });
}

fn adamw<K: Kernels<Real = f32>>(harness: &mut Harness, machine: &mut Machine<K>) {
    let len = Layout::new(&DEFAULT.config()).len;
    // With β of 1 the moments keep: gradients are zero from the second time on, and moments that shrink for ever would
    // end in denormal numbers, which processors are slow at.
    let (beta, partials) = (1.0, NORM_PARTIALS);
    let size = AdamwSize { len, partials, beta1: beta, beta2: beta, epsilon: 1e-8, weight_decay: 0.0, max_norm: 1.0 };
    let make = |k: &mut K| {
        let (parameters, gradients) = (noise(k, len), noise(k, len));
        let moments = (noise(k, len), floats(k, &vec![1.0; len]));
        (floats(k, &[1e-6, 0.5, 0.5]), floats(k, &[1.0; NORM_PARTIALS]), parameters, gradients, moments)
    };
    let adamw = subject("adamw", None);
    harness.kernel(machine, adamw, make, |k, (settings, partials, parameters, gradients, moments)| {
        let moments = (&mut moments.0, &mut moments.1);
        kernels::Adamw {
            size,
            settings: At::new(settings, 0),
            partials,
            parameters,
            gradients,
            first_moments: moments.0,
            second_moments: moments.1,
        }
        .run(k);
    });
    let make = |k: &mut K| (noise(k, len), k.floats("partials", NORM_PARTIALS));
    harness.kernel(machine, subject("squared_norm", None), make, |k, (values, partials)| {
        kernels::SquaredNorm { len, values, partials }.run(k);
    });
}

fn sample<K: Kernels<Real = f32>>(harness: &mut Harness, machine: &mut Machine<K>) {
    let batch = DEFAULT.batch;
    let (end, padding) = (VOCABULARY as u32, VOCABULARY as u32 + 1);
    let position = LENGTH - 2;
    let size = SampleSize { batch, length: LENGTH, position, vocabulary: VOCABULARY, end, padding };
    let make = |k: &mut K| {
        let coins = Generator::new(1, "coins").coins(batch * LENGTH);
        let (logits, lengths, tokens) = (noise(k, batch * VOCABULARY), integers(k, &vec![1; batch]), tokens(k, ROWS));
        (logits, floats(k, &coins), floats(k, &[1.0]), lengths, tokens)
    };
    let sample = subject("sample", None);
    harness.kernel(machine, sample, make, |k, (logits, coins, temperature, lengths, tokens)| {
        kernels::Sample {
            size,
            logits,
            coins: At::new(coins, 0),
            settings: At::new(temperature, 0),
            prompt_lengths: At::new(lengths, 0),
            tokens,
        }
        .run(k);
    });
}
