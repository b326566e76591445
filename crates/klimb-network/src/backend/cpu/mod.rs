//! The CPU backend, in f32 for the page without a GPU and in f64 for proofs: storage, and what the twins of `kernels/` are made
//! of.
//!
//! A twin computes the same numbers as its shader in the plainest loop that is still fast, with room to work in if it needs
//! any; only `product.rs` hands work to a library. Twins and all of this are `#[inline(always)]`, so that `wide.rs` can compile
//! them for the vectors of the processor at hand.

mod backend;
pub(super) mod factor;
pub(super) mod product;
pub(super) mod reduce;
pub(super) mod tiles;
mod wide;

use wide::widest;

use super::{At, AtMut, Counters};
use klimb_numerics::real::Real;

/// The CPU backend. Calls compute at once; the counters count what the GPU backend would have been asked for.
#[derive(Debug, Default)]
pub struct Cpu<F> {
    counters: Counters,
    recorded: bool,
    /// What kernels need while they run; it grows to the largest need and stays.
    scratch: Vec<F>,
    real: std::marker::PhantomData<F>,
}

impl<F: Real> Cpu<F> {
    /// A backend that has done nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts positions that enter and leave a network.
    pub(super) fn count(&mut self, forward_tokens: u64, backward_tokens: u64) {
        self.counters.forward_tokens += forward_tokens;
        self.counters.backward_tokens += backward_tokens;
    }

    /// Puts these counts in place of what was counted.
    pub(super) fn set_counters(&mut self, counters: Counters) {
        self.counters = counters;
    }

    /// Counts a kernel and computes it at once.
    pub(super) fn compute(&mut self, kernel: impl FnOnce(&mut Vec<F>)) {
        self.counters.dispatches += 1;
        self.recorded = true;
        let scratch = &mut self.scratch;
        widest(
            #[inline(always)]
            || kernel(scratch),
        );
    }
}

impl<'a, F> At<'a, Vec<F>> {
    /// Everything from the offset on.
    pub(super) fn slice(self) -> &'a [F] {
        &self.buffer[self.offset..]
    }
}

impl<'a, F> AtMut<'a, Vec<F>> {
    /// Everything from the offset on.
    pub(super) fn slice(self) -> &'a mut [F] {
        &mut self.buffer[self.offset..]
    }
}
