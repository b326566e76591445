//! The narrow waist between the network and the machine: storage, and one method that runs any kernel.
//!
//! A kernel call on the GPU is only *recorded*; [`Kernels::submit`] sends everything recorded so far at once, and a
//! read is the only thing that waits. On the CPU a call computes at once and `submit` does nothing.

use std::any::Any;
use std::future::Future;
use std::ops::Range;

use super::Counters;
use super::cpu::Cpu;
use super::declaration::Declaration;
use super::either::EitherBackend;
use super::error::BackendError;
use super::gpu::Gpu;
use crate::model::ModelConfig;
use klimb_numerics::real::Real;

/// Storage, and what runs kernels. A call on the GPU is only recorded; see [`Kernels::submit`].
pub trait Kernels: Sized + 'static {
    /// What parameters and activations are made of: f32, or f64 for proofs on the CPU.
    type Real: Real;
    /// A buffer of reals.
    type Floats: 'static;
    /// A buffer of tokens, positions or lengths.
    type Integers: 'static;

    /// A zeroed buffer of `len` reals.
    fn floats(&mut self, label: &'static str, len: usize) -> Self::Floats;
    /// A zeroed buffer of `len` integers.
    fn integers(&mut self, label: &'static str, len: usize) -> Self::Integers;
    /// Replaces elements from `offset` on. What was recorded before sees the old values.
    fn write_floats(&mut self, buffer: &mut Self::Floats, offset: usize, values: &[Self::Real]);
    /// Replaces elements from `offset` on. What was recorded before sees the old values.
    fn write_integers(&mut self, buffer: &mut Self::Integers, offset: usize, values: &[u32]);
    /// Copies all of `source` over the beginning of `destination`, in order with the kernels.
    fn copy_floats(&mut self, source: &Self::Floats, destination: &mut Self::Floats);
    /// Sends what was recorded. Does not wait.
    fn submit(&mut self);
    /// The values of `range` once everything recorded so far has run (it is submitted). The future borrows nothing:
    /// more can be recorded before it is awaited.
    fn read_floats(
        &mut self,
        buffer: &Self::Floats,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<Self::Real>, BackendError>> + 'static + use<Self>;
    /// Like [`Kernels::read_floats`].
    fn read_integers(
        &mut self,
        buffer: &Self::Integers,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<u32>, BackendError>> + 'static + use<Self>;
    /// Resolves when everything recorded so far has run (it is submitted). Copies nothing back, and borrows nothing.
    fn finished(&mut self) -> impl Future<Output = Result<(), BackendError>> + 'static + use<Self>;
    /// What the device has told of itself: that it is lost, or refuses all that comes. A read may fail before that is told.
    fn failure(&self) -> Option<BackendError> {
        None
    }
    /// Counts since the backend was made.
    fn counters(&self) -> Counters;
    /// Forgets what was remembered about buffers that are no longer used. Call after dropping a network.
    fn forget(&mut self);

    /// Whether [`Generate`](super::kernels::Generate) has room for such sequences and is how this device writes them fastest.
    fn generates(&self, model: &ModelConfig, length: usize) -> bool;

    /// Runs a kernel, one of [`kernels`](super::kernels): computes at once on the processor, and records a dispatch on a
    /// graphics device. The kernel's own `run` calls this.
    fn run<T: Kernel>(&mut self, call: T::On<'_, Self>);
}

/// A buffer that a kernel may write.
pub struct Written<'a> {
    /// The whole buffer, of reals or of integers.
    pub buffer: &'a mut dyn Any,
    /// The first element that is the kernel's.
    pub offset: usize,
}

/// A kernel, implemented by its type on the graphics device for all backends, and never by hand: `kernels!` does.
///
/// It is implemented for that one type because functions that are not generic are compiled here, at this crate's level of
/// optimisation, and not once more in each crate that runs a kernel.
pub trait Kernel {
    /// What is said of it once.
    const DECLARATION: Declaration;

    /// The same kernel with the buffers of a backend.
    type On<'a, K: Kernels>;

    /// Computes at once.
    fn on_cpu<F: Real>(call: Self::On<'_, Cpu<F>>, k: &mut Cpu<F>);

    /// Records a dispatch.
    fn on_gpu(call: Self::On<'_, Gpu>, k: &mut Gpu);

    /// One or the other.
    fn on_either(call: Self::On<'_, EitherBackend>, k: &mut EitherBackend);

    /// The same arguments for a moment, for a backend that is made around another and has its buffers.
    fn borrowed<'a, K, B>(call: &'a mut Self::On<'_, K>) -> Self::On<'a, B>
    where
        K: Kernels,
        B: Kernels<Floats = K::Floats, Integers = K::Integers>;

    /// The buffers that the kernel may write.
    fn written<'a, K: Kernels>(call: &'a mut Self::On<'_, K>) -> Vec<Written<'a>>;
}
