use klimb::backend::{At, Kernels, LogitsSize, SequenceSize, kernels};

use super::{Tensors, assert_parity, cpu, floats, gpu, indices, integers, noise, read};

const OFFSET: usize = 4;

fn sizes() -> [LogitsSize; 4] {
    [(1, 2), (3, 7), (65, 33), (200, 118)].map(|(rows, vocabulary)| LogitsSize { rows, vocabulary })
}

fn sequence_sizes() -> [SequenceSize; 4] {
    [(1, 1), (3, 5), (1, 70), (66, 3)].map(|(batch, length)| SequenceSize { batch, length })
}

/// Logits around 90, whose plain exponentials overflow.
fn large_logits(purpose: &str, size: LogitsSize) -> Vec<f32> {
    noise(purpose, size.rows * size.vocabulary).iter().map(|x| 5.0 * x + 90.0).collect()
}

/// A mask of zeros and ones, with the first a one.
fn mask(size: SequenceSize) -> Vec<f32> {
    let mut mask = vec![9.0; OFFSET];
    mask.extend((0..size.batch * size.length).map(|i| if i % 3 == 1 { 0.0 } else { 1.0 }));
    mask
}

#[test]
fn logprobs_forward() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: LogitsSize) -> Tensors {
        let logits = floats(k, &large_logits("logits", size));
        let targets = integers(k, &indices("targets", OFFSET + size.rows, size.vocabulary));
        let mut numbers = k.floats("numbers", 3 * size.rows);
        kernels::LogprobsForward { size, logits: &logits, targets: At::new(&targets, OFFSET), numbers: &mut numbers }
            .run(k);
        let numbers = read(k, &numbers, 3 * size.rows);
        let column = |i: usize| numbers[i * size.rows..(i + 1) * size.rows].to_vec();
        vec![("logprobs", column(0)), ("entropies", column(1)), ("logsumexps", column(2))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for size in sizes() {
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &case(&mut cpu, size));
    }
}

#[test]
fn logprobs_backward() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: LogitsSize) -> Tensors {
        let len = size.rows * size.vocabulary;
        let mut logits = floats(k, &noise("logits", len));
        let targets = integers(k, &indices("targets", OFFSET + size.rows, size.vocabulary));
        let targets = At::new(&targets, OFFSET);
        let mut numbers = k.floats("numbers", 3 * size.rows);
        kernels::LogprobsForward { size, logits: &logits, targets, numbers: &mut numbers }.run(k);
        let dnumbers = floats(k, &noise("dnumbers", 2 * size.rows));
        kernels::LogprobsBackward { size, targets, numbers: &numbers, dnumbers: &dnumbers, logits: &mut logits }.run(k);
        vec![("dlogits", read(k, &logits, len))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for size in sizes() {
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &case(&mut cpu, size));
    }
}

#[test]
fn kl_forward() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: LogitsSize) -> Tensors {
        let policy = floats(k, &large_logits("policy", size));
        let reference = floats(k, &large_logits("reference", size));
        let mut kl_per_token = k.floats("kl_per_token", size.rows);
        kernels::KlForward {
            size,
            policy_logits: &policy,
            reference_logits: &reference,
            kl_per_token: &mut kl_per_token,
        }
        .run(k);
        vec![("kl_per_token", read(k, &kl_per_token, size.rows))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for size in sizes() {
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &case(&mut cpu, size));
    }
}

#[test]
fn sequence_logprobs_forward() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: SequenceSize) -> Tensors {
        let logprobs = floats(k, &noise("logprobs", size.batch * size.length));
        let mask = floats(k, &mask(size));
        let mut sums = k.floats("sequence_logprobs", size.batch);
        kernels::SequenceLogprobsForward {
            size,
            logprobs: &logprobs,
            completion_mask: At::new(&mask, OFFSET),
            sequence_logprobs: &mut sums,
        }
        .run(k);
        vec![("sequence_logprobs", read(k, &sums, size.batch))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for size in sequence_sizes() {
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &case(&mut cpu, size));
    }
}

#[test]
fn sequence_logprobs_backward() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, size: SequenceSize) -> Tensors {
        let dsums = floats(k, &noise("dsequence_logprobs", size.batch));
        let mask = floats(k, &mask(size));
        let len = 2 * size.batch * size.length;
        let mut dlogprobs = floats(k, &noise("the second half stays", len));
        kernels::SequenceLogprobsBackward {
            size,
            dsequence_logprobs: &dsums,
            completion_mask: At::new(&mask, OFFSET),
            dlogprobs: &mut dlogprobs,
        }
        .run(k);
        vec![("dlogprobs", read(k, &dlogprobs, len))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for size in sequence_sizes() {
        assert_parity(&format!("{size:?}"), &case(&mut gpu, size), &case(&mut cpu, size));
    }
}
