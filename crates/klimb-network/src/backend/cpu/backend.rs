//! Storage on the processor, and kernels that compute at once.

use std::future::{Future, ready};
use std::ops::Range;

use super::Cpu;
use crate::backend::interface::{Kernel, Kernels};
use crate::backend::{BackendError, Counters};
use crate::model::ModelConfig;
use klimb_numerics::real::Real;

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
