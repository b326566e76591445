//! What products multiply, whoever computes them.

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

/// The left or right factor (rows, width) of a product over rows.
#[derive(Clone, Copy)]
pub struct Rows<'a, F> {
    /// (rows, width).
    pub values: &'a [F],
    /// Numbers of a row.
    pub width: usize,
}

impl<'a, F> Rows<'a, F> {
    /// `values` in rows of `width`.
    #[inline(always)]
    pub fn new(values: &'a [F], width: usize) -> Self {
        Self { values, width }
    }
}
