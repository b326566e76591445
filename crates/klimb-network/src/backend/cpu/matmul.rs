//! Twin of `shaders/matmul.wgsl`: three matrix products and what is fused with them.
//!
//! The products themselves are `product.rs`'s; what is done to their sums is the shaders' fused ends.

use super::factor::Factor;
use super::product::{add_product_over_rows, product};
use crate::backend::MatmulSize;
use klimb_numerics::real::Real;

/// √(2/π) of the tanh form of GELU.
const GELU_SCALE: f64 = 0.797_884_560_802_865_4;
/// The cubic's coefficient.
const GELU_CUBIC: f64 = 0.044_715;

/// `out = x·W (+ bias)`.
#[inline(always)]
pub fn matmul_forward<F: Real>(size: MatmulSize, x: &[F], weights: &[F], out: &mut [F], scratch: &mut Vec<F>) {
    product(size.rows, x, of_weights(size, weights), out, scratch, |_, _| {});
}

/// `pre = x·W (+ bias)`, `out = gelu(pre)`.
#[inline(always)]
pub fn matmul_gelu_forward<F: Real>(
    size: MatmulSize,
    x: &[F],
    weights: &[F],
    pre: &mut [F],
    out: &mut [F],
    scratch: &mut Vec<F>,
) {
    product(size.rows, x, of_weights(size, weights), pre, scratch, |at, pre| {
        out[at].iter_mut().zip(pre).for_each(|(out, &mut pre)| *out = gelu(pre));
    });
}

/// `out = residual + x·W (+ bias)`.
#[inline(always)]
pub fn matmul_residual_forward<F: Real>(
    size: MatmulSize,
    x: &[F],
    weights: &[F],
    residual: &[F],
    out: &mut [F],
    scratch: &mut Vec<F>,
) {
    product(size.rows, x, of_weights(size, weights), out, scratch, |at, out| {
        out.iter_mut().zip(&residual[at]).for_each(|(out, &residual)| *out += residual);
    });
}

/// `dx = dout·Wᵀ`.
#[inline(always)]
pub fn matmul_backward_input<F: Real>(size: MatmulSize, dout: &[F], weights: &[F], dx: &mut [F], scratch: &mut Vec<F>) {
    product(size.rows, dout, of_transpose(size, weights), dx, scratch, |_, _| {});
}

/// `dpre = (dout·Wᵀ)·gelu′(pre)`.
#[inline(always)]
pub fn matmul_gelu_backward_input<F: Real>(
    size: MatmulSize,
    dout: &[F],
    weights: &[F],
    pre: &[F],
    dpre: &mut [F],
    scratch: &mut Vec<F>,
) {
    product(size.rows, dout, of_transpose(size, weights), dpre, scratch, |at, dpre| {
        dpre.iter_mut().zip(&pre[at]).for_each(|(dpre, &pre)| *dpre *= gelu_derivative(pre));
    });
}

/// `dW += xᵀ·dout`, `dbias += Σ_rows dout`.
#[inline(always)]
pub fn matmul_backward_weights<F: Real>(size: MatmulSize, x: &[F], dout: &[F], dweights: &mut [F]) {
    let MatmulSize { rows, inner, columns, bias } = size;
    let (x, dout) = (&x[..rows * inner], &dout[..rows * columns]);
    let (dweights, behind) = dweights.split_at_mut(inner * columns);
    add_product_over_rows((x, inner), (dout, columns), dweights);
    if bias {
        for row in dout.chunks_exact(columns) {
            behind[..columns].iter_mut().zip(row).for_each(|(dbias, &dout)| *dbias += dout);
        }
    }
}

/// W, with the bias that lies behind it if it has one.
#[inline(always)]
fn of_weights<F>(size: MatmulSize, weights: &[F]) -> Factor<'_, F> {
    let MatmulSize { inner, columns, bias, .. } = size;
    let (values, behind) = weights.split_at(inner * columns);
    Factor { values, inner, columns, transposed: false, bias: bias.then_some(behind) }
}

/// Wᵀ.
#[inline(always)]
fn of_transpose<F>(size: MatmulSize, weights: &[F]) -> Factor<'_, F> {
    let MatmulSize { inner, columns, .. } = size;
    Factor { values: weights, inner: columns, columns: inner, transposed: true, bias: None }
}

/// x·Φ(x) in the tanh form: x·(1 + tanh(√(2/π)(x + 0.044715x³)))/2 (Hendrycks and Gimpel 2016). Written with
/// (1 + tanh u)/2 = 1/(1 + e^(−2u)).
#[inline(always)]
fn gelu<F: Real>(x: F) -> F {
    x * gate(x)
}

#[inline(always)]
fn gelu_derivative<F: Real>(x: F) -> F {
    let gate = gate(x);
    let slope = F::of(2.0 * GELU_SCALE) * (F::one() + F::of(3.0 * GELU_CUBIC) * x * x);
    gate + x * gate * (F::one() - gate) * slope
}

#[inline(always)]
fn gate<F: Real>(x: F) -> F {
    let u = F::of(2.0 * GELU_SCALE) * (x + F::of(GELU_CUBIC) * x * x * x);
    F::one() / (F::one() + (-u).fast_exp())
}
