//! Matrix products, each by what is fastest where it runs: our own tiles in a browser, `ndarray`'s products natively,
//! which choose among the vectors and fused multiplications of the processor at hand. `docs/explain/performance.md` has both.

use std::ops::Range;

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

use super::factor::{Factor, Rows};
use super::tiles;
use klimb_numerics::real::Real;

/// `out (rows, N) = left (rows, K)·factor + bias`. `end` is given all of `out`, in order, and where each stretch lies,
/// while it is in the nearest cache.
#[inline(always)]
pub fn product<F: Real>(
    rows: usize,
    left: &[F],
    factor: Factor<F>,
    out: &mut [F],
    scratch: &mut Vec<F>,
    mut end: impl FnMut(Range<usize>, &mut [F]),
) {
    if cfg!(target_arch = "wasm32") {
        tiles::product(rows, left, factor, out, scratch, end);
    } else {
        of_library(rows, left, factor, out);
        let all = 0..rows * factor.columns;
        end(all.clone(), &mut out[all]);
    }
}

/// `sums (M, N) += leftᵀ·right` of `left` (rows, M) and `right` (rows, N).
#[inline(always)]
pub fn add_product_over_rows<F: Real>(left: Rows<F>, right: Rows<F>, sums: &mut [F]) {
    if cfg!(target_arch = "wasm32") {
        tiles::add_product_over_rows(left, right, sums);
    } else {
        add_over_rows_of_library(left, right, sums);
    }
}

#[inline(always)]
pub(super) fn of_library<F: Real>(rows: usize, left: &[F], factor: Factor<F>, out: &mut [F]) {
    let Factor { values, inner, columns, transposed, bias } = factor;
    let out = &mut out[..rows * columns];
    match bias {
        Some(bias) => out.chunks_exact_mut(columns).for_each(|row| row.copy_from_slice(&bias[..columns])),
        None => out.fill(F::zero()),
    }
    let stored = if transposed { view(values, columns, inner) } else { view(values, inner, columns) };
    let right = if transposed { stored.reversed_axes() } else { stored };
    general_mat_mul(F::one(), &view(left, rows, inner), &right, F::one(), &mut view_mut(out, rows, columns));
}

#[inline(always)]
pub(super) fn add_over_rows_of_library<F: Real>(left: Rows<F>, right: Rows<F>, sums: &mut [F]) {
    let (Rows { values: left, width: m }, Rows { values: right, width: n }) = (left, right);
    let (left, right) = (view(left, left.len() / m, m), view(right, right.len() / n, n));
    general_mat_mul(F::one(), &left.t(), &right, F::one(), &mut view_mut(sums, m, n));
}

fn view<F>(values: &[F], rows: usize, columns: usize) -> ArrayView2<'_, F> {
    ArrayView2::from_shape((rows, columns), &values[..rows * columns]).expect("the slice has exactly this many")
}

fn view_mut<F>(values: &mut [F], rows: usize, columns: usize) -> ArrayViewMut2<'_, F> {
    ArrayViewMut2::from_shape((rows, columns), &mut values[..rows * columns]).expect("the slice has exactly this many")
}
