//! The CPU backend, in f32 for the page without a GPU and in f64 for proofs: storage, and what the twins of `kernels/` are made
//! of.
//!
//! A twin computes the same numbers as its shader in the plainest loop that is still fast, with room to work in if it needs
//! any; only `product.rs` hands work to a library. Twins and all of this are `#[inline(always)]`, so that `wide.rs` can compile
//! them for the vectors of the processor at hand.

pub(super) mod factor;
pub(super) mod product;
pub(super) mod reduce;
pub(super) mod tiles;
mod wide;

use std::future::{Future, ready};
use std::ops::Range;

use wide::widest;

use super::kernels::Kernel;
use super::{At, AtMut, BackendError, Counters, Kernels};
use crate::model::ModelConfig;
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

impl<F: Real> Kernels for Cpu<F> {
    type Real = F;
    type Floats = Vec<F>;
    type Integers = Vec<u32>;

    fn floats(&mut self, _label: &'static str, len: usize) -> Vec<F> {
        self.counters.objects += 1;
        vec![F::zero(); len]
    }

    fn integers(&mut self, _label: &'static str, len: usize) -> Vec<u32> {
        self.counters.objects += 1;
        vec![0; len]
    }

    fn write_floats(&mut self, buffer: &mut Vec<F>, offset: usize, values: &[F]) {
        self.counters.writes += 1;
        buffer[offset..offset + values.len()].copy_from_slice(values);
    }

    fn write_integers(&mut self, buffer: &mut Vec<u32>, offset: usize, values: &[u32]) {
        self.counters.writes += 1;
        buffer[offset..offset + values.len()].copy_from_slice(values);
    }

    fn copy_floats(&mut self, source: &Vec<F>, destination: &mut Vec<F>) {
        destination[..source.len()].copy_from_slice(source);
    }

    fn submit(&mut self) {
        self.counters.submits += u64::from(self.recorded);
        self.recorded = false;
    }

    fn read_floats(
        &mut self,
        buffer: &Vec<F>,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<F>, BackendError>> + 'static + use<F> {
        self.submit();
        self.counters.readbacks += 1;
        ready(Ok(buffer[range].to_vec()))
    }

    fn read_integers(
        &mut self,
        buffer: &Vec<u32>,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<u32>, BackendError>> + 'static + use<F> {
        self.submit();
        self.counters.readbacks += 1;
        ready(Ok(buffer[range].to_vec()))
    }

    fn finished(&mut self) -> impl Future<Output = Result<(), BackendError>> + 'static + use<F> {
        self.submit();
        ready(Ok(()))
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn forget(&mut self) {}

    /// Kernel by kernel is how a processor writes fastest: a matrix product wants many rows.
    fn generates(&self, _model: &ModelConfig, _length: usize) -> bool {
        false
    }

    fn run<T: Kernel>(&mut self, call: T::On<'_, Self>) {
        T::on_cpu(call, self);
    }
}
