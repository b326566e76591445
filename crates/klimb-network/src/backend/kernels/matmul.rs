//! `matmul.wgsl`: three matrix products and what is fused with them. W of (inner, columns) and its bias lie at `weights`.
//!
//! The twins' products themselves are `cpu/product.rs`'s; what is done to their sums is the shaders' fused ends. Six kernels
//! make the file longer than others.

use super::kernel::{Dispatch, Twin, kernels, words};
use crate::backend::cpu::Cpu;
use crate::backend::cpu::factor::{Factor, Rows};
use crate::backend::cpu::product::{add_product_over_rows, product};
use crate::backend::declaration::{Field, Field::U32, GELU, INDEX, Shader, shader};
use crate::backend::{At, AtMut, Kernels};
use klimb_numerics::real::Real;

const SHADER: &Shader = &Shader {
    on_software: &[("EDGE", edge(true) as f64), ("SHARES", shares(true) as f64), ("PARTIAL_SUMS", 1.0)],
    ..shader!("matmul.wgsl", [INDEX, GELU])
};

/// The edge of a tile of a product's outputs, `EDGE` in the shader: a large one loads less, but leaves most of a graphics
/// card without work.
const fn edge(is_software: bool) -> usize {
    if is_software { 8 } else { 4 }
}

/// The edge of a tile of a gradient of weights, `WEIGHTS_EDGE` in the shader.
const WEIGHTS_EDGE: usize = 8;

/// How many invocations share the rows of a tile of a gradient of weights, `SHARES` in the shader: a graphics card has many
/// more invocations than there are tiles, a processor that plays one has not.
const fn shares(is_software: bool) -> usize {
    if is_software { 1 } else { 32 }
}

/// Sizes of a linear map with weights (inner, columns), applied to `rows` vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatmulSize {
    /// Vectors.
    pub rows: usize,
    /// Rows of the weights.
    pub inner: usize,
    /// Columns of the weights.
    pub columns: usize,
    /// Whether a bias of `columns` numbers lies right behind the weights.
    pub bias: bool,
}

kernels! {
    /// Write: `out = x·W (+ bias)`.
    #[entry_point("matmul_forward", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct MatmulForward<'a, K> {
        /// Sizes.
        pub size: MatmulSize,
        /// (rows, inner).
        #[binding(1, Read)]
        pub x: &'a K::Floats,
        /// W, then the bias.
        #[binding(2, Read)]
        pub weights: At<'a, K::Floats>,
        /// (rows, columns).
        #[binding(5, Write)]
        pub out: &'a mut K::Floats,
    }

    /// Write: `pre = x·W (+ bias)`, `out = gelu(pre)` in the tanh form (Hendrycks and Gimpel 2016).
    #[entry_point("matmul_gelu_forward", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct MatmulGeluForward<'a, K> {
        /// Sizes.
        pub size: MatmulSize,
        /// (rows, inner).
        #[binding(1, Read)]
        pub x: &'a K::Floats,
        /// W, then the bias.
        #[binding(2, Read)]
        pub weights: At<'a, K::Floats>,
        /// (rows, columns).
        #[binding(4, Write)]
        pub pre: &'a mut K::Floats,
        /// (rows, columns).
        #[binding(5, Write)]
        pub out: &'a mut K::Floats,
    }

    /// Write: `out = residual + x·W (+ bias)`.
    #[entry_point("matmul_residual_forward", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct MatmulResidualForward<'a, K> {
        /// Sizes.
        pub size: MatmulSize,
        /// (rows, inner).
        #[binding(1, Read)]
        pub x: &'a K::Floats,
        /// W, then the bias.
        #[binding(2, Read)]
        pub weights: At<'a, K::Floats>,
        /// (rows, columns).
        #[binding(3, Read)]
        pub residual: &'a K::Floats,
        /// (rows, columns).
        #[binding(5, Write)]
        pub out: &'a mut K::Floats,
    }

    /// Write: `dx = dout·Wᵀ`. Also the unembedding: logits = h·wteᵀ.
    #[entry_point("matmul_backward_input", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct MatmulBackwardInput<'a, K> {
        /// Sizes.
        pub size: MatmulSize,
        /// (rows, columns).
        #[binding(6, Read)]
        pub dout: &'a K::Floats,
        /// W.
        #[binding(2, Read)]
        pub weights: At<'a, K::Floats>,
        /// (rows, inner).
        #[binding(7, Write)]
        pub dx: &'a mut K::Floats,
    }

    /// Write: `dx = (dout·Wᵀ)·gelu′(pre)`, the gradient of `pre`.
    #[entry_point("matmul_gelu_backward_input", SHADER, workgroup: [64, 1], grid: Items)]
    pub struct MatmulGeluBackwardInput<'a, K> {
        /// Sizes.
        pub size: MatmulSize,
        /// (rows, columns).
        #[binding(6, Read)]
        pub dout: &'a K::Floats,
        /// W.
        #[binding(2, Read)]
        pub weights: At<'a, K::Floats>,
        /// (rows, inner).
        #[binding(4, Read)]
        pub pre: &'a K::Floats,
        /// (rows, inner).
        #[binding(7, Write)]
        pub dx: &'a mut K::Floats,
    }

    /// Add: `dW += xᵀ·dout`, and with a bias `dbias += Σ_rows dout`, right behind.
    #[entry_point("matmul_backward_weights", SHADER, workgroup: [32, 1], grid: Covers(32, 1))]
    pub struct MatmulBackwardWeights<'a, K> {
        /// Sizes.
        pub size: MatmulSize,
        /// (rows, inner).
        #[binding(1, Read)]
        pub x: &'a K::Floats,
        /// (rows, columns).
        #[binding(6, Read)]
        pub dout: &'a K::Floats,
        /// The gradients of W, then of the bias.
        #[binding(8, Add)]
        pub dweights: AtMut<'a, K::Floats>,
    }
}

const UNIFORMS: &[Field] = &[U32("rows"), U32("inner"), U32("columns"), U32("bias"), U32("weights_offset")];

impl MatmulSize {
    fn words(self, weights_offset: usize) -> [u32; 5] {
        words([self.rows, self.inner, self.columns, usize::from(self.bias), weights_offset])
    }

    /// The kernels of the hidden layer have no other way than by fours: its maps are D×4D and back.
    fn words_in_fours(self, weights_offset: usize) -> [u32; 5] {
        let in_fours = [self.inner, self.columns, weights_offset].iter().all(|number| number.is_multiple_of(4));
        assert!(in_fours, "{self:?} at {weights_offset}: no multiples of 4");
        self.words(weights_offset)
    }
}

/// Tiles of outputs that cover a matrix, one for each invocation.
fn tiles(rows: usize, columns: usize, edge: usize) -> usize {
    rows.div_ceil(edge) * columns.div_ceil(edge)
}

impl<K: Kernels> Dispatch for MatmulForward<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        self.size.words(self.weights.offset)
    }

    fn items(&self, is_software: bool) -> usize {
        tiles(self.size.rows, self.size.columns, edge(is_software))
    }
}

impl<K: Kernels> Dispatch for MatmulGeluForward<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        self.size.words_in_fours(self.weights.offset)
    }

    fn items(&self, is_software: bool) -> usize {
        tiles(self.size.rows, self.size.columns, edge(is_software))
    }
}

impl<K: Kernels> Dispatch for MatmulResidualForward<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        self.size.words(self.weights.offset)
    }

    fn items(&self, is_software: bool) -> usize {
        tiles(self.size.rows, self.size.columns, edge(is_software))
    }
}

impl<K: Kernels> Dispatch for MatmulBackwardInput<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        self.size.words(self.weights.offset)
    }

    fn items(&self, is_software: bool) -> usize {
        tiles(self.size.rows, self.size.inner, edge(is_software))
    }
}

impl<K: Kernels> Dispatch for MatmulGeluBackwardInput<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        self.size.words_in_fours(self.weights.offset)
    }

    fn items(&self, is_software: bool) -> usize {
        tiles(self.size.rows, self.size.inner, edge(is_software))
    }
}

impl<K: Kernels> Dispatch for MatmulBackwardWeights<'_, K> {
    const UNIFORMS: &'static [Field] = UNIFORMS;

    fn uniforms(&self) -> impl AsRef<[u32]> {
        self.size.words(self.dweights.offset)
    }

    fn items(&self, is_software: bool) -> usize {
        tiles(self.size.inner, self.size.columns, WEIGHTS_EDGE) * shares(is_software)
    }
}

impl<F: Real> Twin for MatmulForward<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, scratch: &mut Vec<F>) {
        let Self { size, x, weights, out } = self;
        product(size.rows, x, of_weights(size, weights.slice()), out, scratch, |_, _| {});
    }
}

impl<F: Real> Twin for MatmulGeluForward<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, scratch: &mut Vec<F>) {
        let Self { size, x, weights, pre, out } = self;
        let out = &mut out[..];
        product(size.rows, x, of_weights(size, weights.slice()), pre, scratch, |at, pre| {
            out[at].iter_mut().zip(pre).for_each(|(out, &mut pre)| *out = gelu(pre));
        });
    }
}

impl<F: Real> Twin for MatmulResidualForward<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, scratch: &mut Vec<F>) {
        let Self { size, x, weights, residual, out } = self;
        let residual = &residual[..];
        product(size.rows, x, of_weights(size, weights.slice()), out, scratch, |at, out| {
            out.iter_mut().zip(&residual[at]).for_each(|(out, &residual)| *out += residual);
        });
    }
}

impl<F: Real> Twin for MatmulBackwardInput<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, scratch: &mut Vec<F>) {
        let Self { size, dout, weights, dx } = self;
        product(size.rows, dout, of_transpose(size, weights.slice()), dx, scratch, |_, _| {});
    }
}

impl<F: Real> Twin for MatmulGeluBackwardInput<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, scratch: &mut Vec<F>) {
        let Self { size, dout, weights, pre, dx } = self;
        let pre = &pre[..];
        product(size.rows, dout, of_transpose(size, weights.slice()), dx, scratch, |at, dx| {
            dx.iter_mut().zip(&pre[at]).for_each(|(dx, &pre)| *dx *= gelu_derivative(pre));
        });
    }
}

impl<F: Real> Twin for MatmulBackwardWeights<'_, Cpu<F>> {
    type Real = F;

    #[inline(always)]
    fn compute(self, _scratch: &mut Vec<F>) {
        let MatmulSize { rows, inner, columns, bias } = self.size;
        let (x, dout) = (&self.x[..rows * inner], &self.dout[..rows * columns]);
        let (dweights, behind) = self.dweights.slice().split_at_mut(inner * columns);
        add_product_over_rows(Rows::new(x, inner), Rows::new(dout, columns), dweights);
        if bias {
            for row in dout.chunks_exact(columns) {
                behind[..columns].iter_mut().zip(row).for_each(|(dbias, &dout)| *dbias += dout);
            }
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

/// √(2/π) of the tanh form of GELU.
const GELU_SCALE: f64 = 0.797_884_560_802_865_4;
/// The cubic's coefficient.
const GELU_CUBIC: f64 = 0.044_715;

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
