use klimb::backend::{Kernels, kernels};

use super::{Tensors, assert_parity, cpu, floats, gpu, noise, read};

/// `scale` takes margins up to about ±300, where a careless sigmoid overflows.
fn case<K: Kernels<Real = f32>>(k: &mut K, pairs: usize, scale: f32) -> Tensors {
    let scores = floats(k, &noise("scores", 2 * pairs).iter().map(|x| scale * x).collect::<Vec<_>>());
    let (mut dscores, mut statistics) = (k.floats("dscores", 2 * pairs), k.floats("statistics", 4 * pairs));
    kernels::BradleyTerry { pairs, scores: &scores, dscores: &mut dscores, statistics: &mut statistics }.run(k);
    let statistics = read(k, &statistics, 4 * pairs);
    let column = |i: usize| statistics[i * pairs..(i + 1) * pairs].to_vec();
    let mut tensors = vec![("dscores", read(k, &dscores, 2 * pairs))];
    let names = ["losses", "chosen scores", "rejected scores", "accuracies"];
    tensors.extend(names.into_iter().enumerate().map(|(i, name)| (name, column(i))));
    // A single pair has no accuracy to speak of.
    tensors.retain(|(_, values)| pairs > 1 || values.iter().any(|&x| x != 0.0));
    tensors
}

#[test]
fn bradley_terry() {
    let (mut gpu, mut cpu) = (gpu(), cpu());
    for (pairs, scale) in [(1, 1.0), (3, 5.0), (65, 20.0), (130, 100.0)] {
        assert_parity(&format!("{pairs} pairs"), &case(&mut gpu, pairs, scale), &case(&mut cpu, pairs, scale));
    }
}
