use klimb::backend::{At, Kernels, kernels};
use klimb::objectives::DpoLoss;

use super::{Tensors, assert_parity, cpu, floats, gpu, noise, read};

const OFFSET: usize = 3;

#[test]
fn sft() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, rows: usize) -> Tensors {
        let logprobs = floats(k, &noise("logprobs", rows));
        let weights = floats(k, &noise("weights", OFFSET + rows));
        let (mut dlogprobs, mut statistics) = (k.floats("dlogprobs", rows), k.floats("statistics", rows));
        kernels::Sft {
            rows,
            logprobs: &logprobs,
            weights: At::new(&weights, OFFSET),
            dlogprobs: &mut dlogprobs,
            statistics: &mut statistics,
        }
        .run(k);
        vec![("dlogprobs", read(k, &dlogprobs, rows)), ("statistics", read(k, &statistics, rows))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for rows in [1, 65, 200] {
        assert_parity(&format!("{rows} rows"), &case(&mut gpu, rows), &case(&mut cpu, rows));
    }
}

#[test]
fn unlikelihood() {
    fn case<K: Kernels<Real = f32>>(k: &mut K, pairs: usize) -> Tensors {
        let logprobs = floats(k, &noise("logprobs", 2 * pairs));
        let (mut dlogprobs, mut statistics) =
            (k.floats("dsequence_logprobs", 2 * pairs), k.floats("statistics", 4 * pairs));
        kernels::Unlikelihood {
            pairs,
            alpha: 0.3,
            sequence_logprobs: &logprobs,
            dsequence_logprobs: &mut dlogprobs,
            statistics: &mut statistics,
        }
        .run(k);
        vec![("dsequence_logprobs", read(k, &dlogprobs, 2 * pairs)), ("statistics", read(k, &statistics, 4 * pairs))]
    }
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for pairs in [1, 3, 65, 130] {
        assert_parity(&format!("{pairs} pairs"), &case(&mut gpu, pairs), &case(&mut cpu, pairs));
    }
}

/// `scale` takes β·s up to about ±300, where a careless sigmoid overflows.
fn dpo_case<K: Kernels<Real = f32>>(k: &mut K, pairs: usize, loss: DpoLoss, settings: [f64; 2], scale: f32) -> Tensors {
    let scaled = |purpose, len| noise(purpose, len).iter().map(|x| scale * x).collect::<Vec<_>>();
    let logprobs = floats(k, &scaled("logprobs", 2 * pairs));
    let references = floats(k, &scaled("references", OFFSET + 2 * pairs));
    let [beta, label_smoothing] = settings;
    let (mut dlogprobs, mut statistics) =
        (k.floats("dsequence_logprobs", 2 * pairs), k.floats("statistics", 6 * pairs));
    kernels::Dpo {
        pairs,
        loss,
        beta,
        label_smoothing,
        sequence_logprobs: &logprobs,
        references: At::new(&references, OFFSET),
        dsequence_logprobs: &mut dlogprobs,
        statistics: &mut statistics,
    }
    .run(k);
    let statistics = read(k, &statistics, 6 * pairs);
    let column = |i: usize| statistics[i * pairs..(i + 1) * pairs].to_vec();
    let mut tensors = vec![("dsequence_logprobs", read(k, &dlogprobs, 2 * pairs))];
    let names = ["losses", "chosen rewards", "rejected rewards", "accuracies", "chosen logprobs", "rejected logprobs"];
    tensors.extend(names.into_iter().enumerate().map(|(i, name)| (name, column(i))));
    // A single pair has no accuracy to speak of.
    tensors.retain(|(_, values)| pairs > 1 || values.iter().any(|&x| x != 0.0));
    tensors
}

#[test]
fn dpo() {
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for (pairs, settings, scale) in
        [(1, [0.1, 0.0], 10.0), (3, [0.5, 0.1], 5.0), (65, [0.1, 0.0], 20.0), (130, [1.0, 0.2], 100.0)]
    {
        for loss in DpoLoss::ALL {
            let on_gpu = dpo_case(&mut gpu, pairs, loss, settings, scale);
            assert_parity(
                &format!("{pairs} pairs, {loss:?}"),
                &on_gpu,
                &dpo_case(&mut cpu, pairs, loss, settings, scale),
            );
        }
    }
}
