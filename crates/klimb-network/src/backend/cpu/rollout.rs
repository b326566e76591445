//! Twin of `shaders/rollout.wgsl`: what a rollout leaves behind, gathered for one read.

use klimb_numerics::real::Real;

/// Gathers (7, rows); see `Kernels::record_rollout`.
#[allow(clippy::too_many_arguments)]
pub fn record_rollout<F: Real>(
    rows: usize,
    tokens: &[u32],
    numbers: &[F],
    reference_numbers: &[F],
    kl_per_token: &[F],
    values: &[F],
    scores: &[F],
    record: &mut [F],
) {
    for (number, &token) in record[..rows].iter_mut().zip(tokens) {
        *number = F::of(f64::from(token));
    }
    let sources = [&numbers[..rows], &numbers[rows..2 * rows], reference_numbers, kl_per_token, values, scores];
    for (column, source) in record[rows..7 * rows].chunks_exact_mut(rows).zip(sources) {
        column.copy_from_slice(&source[..rows]);
    }
}
