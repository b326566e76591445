//! Where in a buffer a tensor begins.

/// A buffer from `offset` on: several tensors share one buffer, and a kernel is told where its own begins.
#[derive(Debug)]
pub struct At<'a, B> {
    /// The whole buffer.
    pub buffer: &'a B,
    /// First element, not byte.
    pub offset: usize,
}

impl<B> Clone for At<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for At<'_, B> {}

impl<'a, B> At<'a, B> {
    /// `buffer` from element `offset` on.
    pub fn new(buffer: &'a B, offset: usize) -> Self {
        Self { buffer, offset }
    }
}

/// A buffer to be added to, from `offset` on.
#[derive(Debug)]
pub struct AtMut<'a, B> {
    /// The whole buffer.
    pub buffer: &'a mut B,
    /// First element, not byte.
    pub offset: usize,
}

impl<'a, B> AtMut<'a, B> {
    /// `buffer` from element `offset` on.
    pub fn new(buffer: &'a mut B, offset: usize) -> Self {
        Self { buffer, offset }
    }
}
