//! What a product multiplies with, whoever computes it.

/// The right factor (K, N) of a product.
#[derive(Clone, Copy)]
pub struct Factor<'a, F> {
    /// (inner, columns), or (columns, inner) where it is `transposed`.
    pub values: &'a [F],
    /// K.
    pub inner: usize,
    /// N.
    pub columns: usize,
    /// Whether it is the transpose of `values`.
    pub transposed: bool,
    /// What is added to every row of the product (N).
    pub bias: Option<&'a [F]>,
}
