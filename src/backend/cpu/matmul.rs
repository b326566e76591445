//! Twin of `shaders/matmul.wgsl`: three matrix products and what is fused with them.
//!
//! The products are `ndarray`'s; the loops around them are the shaders' fused ends.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

use crate::backend::MatmulSize;
use crate::real::Real;

/// √(2/π) of the tanh form of GELU.
const GELU_SCALE: f64 = 0.797_884_560_802_865_4;
/// The cubic's coefficient.
const GELU_CUBIC: f64 = 0.044_715;

/// `out = x·W (+ bias)`.
#[inline(always)]
pub fn matmul_forward<F: Real>(size: MatmulSize, x: &[F], weights: &[F], out: &mut [F]) {
    let MatmulSize { rows, inner, columns, bias } = size;
    let out = &mut out[..rows * columns];
    if bias {
        let bias = &weights[inner * columns..][..columns];
        out.chunks_exact_mut(columns).for_each(|row| row.copy_from_slice(bias));
    } else {
        out.fill(F::zero());
    }
    add_product(size, x, weights, out);
}

/// `pre = x·W (+ bias)`, `out = gelu(pre)`.
#[inline(always)]
pub fn matmul_gelu_forward<F: Real>(size: MatmulSize, x: &[F], weights: &[F], pre: &mut [F], out: &mut [F]) {
    matmul_forward(size, x, weights, pre);
    for (out, &pre) in out.iter_mut().zip(&pre[..size.rows * size.columns]) {
        *out = gelu(pre);
    }
}

/// `out = residual + x·W (+ bias)`.
#[inline(always)]
pub fn matmul_residual_forward<F: Real>(size: MatmulSize, x: &[F], weights: &[F], residual: &[F], out: &mut [F]) {
    let MatmulSize { rows, inner, columns, bias } = size;
    let out = &mut out[..rows * columns];
    out.copy_from_slice(&residual[..rows * columns]);
    if bias {
        let bias = &weights[inner * columns..][..columns];
        for row in out.chunks_exact_mut(columns) {
            row.iter_mut().zip(bias).for_each(|(out, &bias)| *out += bias);
        }
    }
    add_product(size, x, weights, out);
}

/// `dx = dout·Wᵀ`.
#[inline(always)]
pub fn matmul_backward_input<F: Real>(size: MatmulSize, dout: &[F], weights: &[F], dx: &mut [F]) {
    let MatmulSize { rows, inner, columns, .. } = size;
    let weights = view(weights, inner, columns);
    let mut dx = view_mut(dx, rows, inner);
    general_mat_mul(F::one(), &view(dout, rows, columns), &weights.t(), F::zero(), &mut dx);
}

/// `dpre = (dout·Wᵀ)·gelu′(pre)`.
#[inline(always)]
pub fn matmul_gelu_backward_input<F: Real>(size: MatmulSize, dout: &[F], weights: &[F], pre: &[F], dpre: &mut [F]) {
    matmul_backward_input(size, dout, weights, dpre);
    for (dpre, &pre) in dpre.iter_mut().zip(&pre[..size.rows * size.inner]) {
        *dpre *= gelu_derivative(pre);
    }
}

/// `dW += xᵀ·dout`, `dbias += Σ_rows dout`.
#[inline(always)]
pub fn matmul_backward_weights<F: Real>(size: MatmulSize, x: &[F], dout: &[F], dweights: &mut [F]) {
    let MatmulSize { rows, inner, columns, bias } = size;
    let (dweights, behind) = dweights.split_at_mut(inner * columns);
    let mut dweights = view_mut(dweights, inner, columns);
    general_mat_mul(F::one(), &view(x, rows, inner).t(), &view(dout, rows, columns), F::one(), &mut dweights);
    if bias {
        for row in dout[..rows * columns].chunks_exact(columns) {
            behind[..columns].iter_mut().zip(row).for_each(|(dbias, &dout)| *dbias += dout);
        }
    }
}

/// `out += x·W`.
#[inline(always)]
fn add_product<F: Real>(size: MatmulSize, x: &[F], weights: &[F], out: &mut [F]) {
    let MatmulSize { rows, inner, columns, .. } = size;
    let mut out = view_mut(out, rows, columns);
    general_mat_mul(F::one(), &view(x, rows, inner), &view(weights, inner, columns), F::one(), &mut out);
}

fn view<F>(values: &[F], rows: usize, columns: usize) -> ArrayView2<'_, F> {
    ArrayView2::from_shape((rows, columns), &values[..rows * columns]).expect("the slice has exactly this many")
}

fn view_mut<F>(values: &mut [F], rows: usize, columns: usize) -> ArrayViewMut2<'_, F> {
    ArrayViewMut2::from_shape((rows, columns), &mut values[..rows * columns]).expect("the slice has exactly this many")
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
