use klimb::backend::{At, AtMut, Kernels, PpoSize, kernels};
use klimb::objectives::{PPO_POLICY_COLUMNS, PPO_VALUE_COLUMNS};

use super::{Tensors, assert_parity, cpu, floats, gpu, indices, integers, noise, read};

const OFFSET: usize = 3;

/// Every third token weighs nothing.
fn weights(rows: usize) -> Vec<f32> {
    let weight = |i: usize| if (i + 1).is_multiple_of(3) { 0.0 } else { 0.01 * (1 + i % 7) as f32 };
    (0..OFFSET + rows).map(weight).collect()
}

/// What was recorded beside what is now: close to it in most tokens, as in a rollout, and far in the others.
fn recorded(now: &[f32], purpose: &str) -> Vec<f32> {
    let away = noise(purpose, now.len());
    now.iter().zip(away).enumerate().map(|(i, (now, away))| now + if i % 5 == 0 { away } else { 0.1 * away }).collect()
}

fn columns(names: &[&'static str], statistics: &[f32], rows: usize) -> Tensors {
    let column = |i: usize| statistics[i * rows..(i + 1) * rows].to_vec();
    names.iter().enumerate().map(|(i, &name)| (name, column(i))).collect()
}

fn policy_case<K: Kernels<Real = f32>>(k: &mut K, size: PpoSize) -> Tensors {
    let PpoSize { rows, first, stride } = size;
    let now = noise("numbers", 3 * stride);
    let numbers = floats(k, &now);
    let weights = floats(k, &weights(rows));
    let old_logprobs = recorded(&now[first..first + rows], "old logprobs");
    let rollout = floats(k, &[&[7.0; OFFSET][..], &old_logprobs, &noise("advantages", rows)].concat());
    let mut dnumbers = floats(k, &vec![0.5; 2 * stride]);
    let mut statistics = k.floats("statistics", 2 + PPO_POLICY_COLUMNS * rows);
    let (weights, rollout) = (At::new(&weights, OFFSET), At::new(&rollout, OFFSET));
    kernels::PpoPolicy {
        size,
        clip_range: 0.2,
        entropy_coefficient: 0.05,
        numbers: &numbers,
        weights,
        rollout,
        dnumbers: &mut dnumbers,
        statistics: AtMut::new(&mut statistics, 2),
    }
    .run(k);
    let statistics = read(k, &statistics, 2 + PPO_POLICY_COLUMNS * rows).split_off(2);
    let names = ["policy loss", "k1", "k2", "k3", "clipped", "ratio", "entropy"];
    let mut tensors = vec![("dnumbers", read(k, &dnumbers, 2 * stride))];
    tensors.extend(columns(&names, &statistics, rows));
    // A single token is not clipped on both sides.
    tensors.retain(|(_, values)| rows > 1 || values.iter().any(|&x| x != 0.0));
    tensors
}

/// Whole batches, and minibatches that begin inside one.
#[test]
fn ppo_policy() {
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for (rows, first, stride) in [(1, 0, 1), (65, 0, 65), (33, 31, 64), (200, 70, 300)] {
        let size = PpoSize { rows, first, stride };
        assert_parity(&format!("{size:?}"), &policy_case(&mut gpu, size), &policy_case(&mut cpu, size));
    }
}

fn value_case<K: Kernels<Real = f32>>(k: &mut K, size: PpoSize, value_clip_range: f64) -> Tensors {
    let PpoSize { rows, first, stride } = size;
    let now = noise("values", stride);
    let values = floats(k, &now);
    let weights = floats(k, &weights(rows));
    let old_values = recorded(&now[first..first + rows], "old values");
    let rollout = floats(k, &[&[7.0; OFFSET][..], &old_values, &noise("returns", rows)].concat());
    let mut dvalues = floats(k, &vec![0.5; stride]);
    let mut statistics = k.floats("statistics", 2 + PPO_VALUE_COLUMNS * rows);
    let (weights, rollout) = (At::new(&weights, OFFSET), At::new(&rollout, OFFSET));
    kernels::PpoValue {
        size,
        clip_range: value_clip_range,
        value_coefficient: 0.1,
        values: &values,
        weights,
        rollout,
        dvalues: &mut dvalues,
        statistics: AtMut::new(&mut statistics, 2),
    }
    .run(k);
    let statistics = read(k, &statistics, 2 + PPO_VALUE_COLUMNS * rows).split_off(2);
    let mut tensors = vec![("dvalues", read(k, &dvalues, stride))];
    tensors.extend(columns(&["value loss", "clipped"], &statistics, rows));
    // Without a range to leave, no value is clipped; a single one need not be.
    tensors.retain(|(_, values)| rows > 1 && value_clip_range < 1.0 || values.iter().any(|&x| x != 0.0));
    tensors
}

/// Clipped closely, and never.
#[test]
fn ppo_value() {
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for (rows, first, stride) in [(1, 0, 1), (65, 0, 65), (33, 31, 64), (200, 70, 300)] {
        for value_clip_range in [0.05, f64::from(f32::MAX)] {
            let size = PpoSize { rows, first, stride };
            let on_gpu = value_case(&mut gpu, size, value_clip_range);
            assert_parity(&format!("{size:?}"), &on_gpu, &value_case(&mut cpu, size, value_clip_range));
        }
    }
}

#[test]
fn record_rollout() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, rows: usize) -> Tensors {
        let tokens = integers(k, &indices("tokens", rows, 150).iter().map(|token| token + 1).collect::<Vec<_>>());
        let (numbers, reference) = (floats(k, &noise("numbers", 3 * rows)), floats(k, &noise("reference", 3 * rows)));
        let (kl, values) = (floats(k, &noise("kl", rows)), floats(k, &noise("values", rows)));
        let (scores, mut record) = (floats(k, &noise("scores", rows)), k.floats("record", 7 * rows));
        kernels::RecordRollout {
            rows,
            tokens: &tokens,
            numbers: &numbers,
            reference_numbers: &reference,
            kl_per_token: &kl,
            values: &values,
            scores: &scores,
            record: &mut record,
        }
        .run(k);
        let names = ["tokens", "logprobs", "entropies", "reference logprobs", "KL", "values", "scores"];
        columns(&names, &read(k, &record, 7 * rows), rows)
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for rows in [1, 65, 200] {
        assert_parity(&format!("{rows} rows"), &case(&mut gpu, rows), &case(&mut cpu, rows));
    }
}
