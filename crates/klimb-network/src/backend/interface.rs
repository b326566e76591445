//! The narrow waist between the network and the machine: storage, and one method that runs any kernel.
//!
//! A kernel call on the GPU is only *recorded*; [`Kernels::submit`] sends everything recorded so far at once, and a
//! read is the only thing that waits. On the CPU a call computes at once and `submit` does nothing.

use std::future::Future;
use std::ops::Range;

use thiserror::Error;

use super::kernels::Kernel;
use crate::model::ModelConfig;
use klimb_numerics::real::Real;

/// What can go wrong below the network. A wrong shape is not here: that is a bug, and asserts.
#[derive(Debug, Clone, Error)]
pub enum BackendError {
    /// The machine offers no WebGPU, Vulkan, Metal or DirectX 12 adapter.
    #[error("no graphics adapter was found ({0}); the CPU backend works everywhere")]
    NoAdapter(String),
    /// The adapter refused a device with WebGPU's default limits.
    #[error("the graphics adapter {adapter} gave no device: {reason}")]
    NoDevice {
        /// The adapter's name.
        adapter: String,
        /// The driver's words.
        reason: String,
    },
    /// The device went away: driver reset, unplugged, or the tab was put to sleep.
    #[error("the graphics device was lost ({0}); training can go on from the last snapshot, on the CPU if need be")]
    DeviceLost(String),
    /// The device refused a command: it ran out of memory, or Klimb asked for something invalid.
    #[error("the graphics device refused a command ({0}); a smaller batch or the CPU backend may help")]
    Refused(String),
    /// The device answered with what is no number, where nothing else would tell of it.
    #[error("the device computed a log-probability that is not finite; what it was of has been left out")]
    NotFinite,
    /// A result could not be copied back.
    #[error("a result could not be read back from the graphics device: {0}")]
    Readback(String),
}

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

/// How often the machine was asked for something, since the backend was made. The CPU counts kernel calls as dispatches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Kernels run.
    pub dispatches: u64,
    /// Command buffers sent.
    pub submits: u64,
    /// Results copied back.
    pub readbacks: u64,
    /// Host-to-device writes.
    pub writes: u64,
    /// Buffers and bind groups created.
    pub objects: u64,
    /// Positions that entered a network: every forward pass embeds its tokens once, padding included.
    pub forward_tokens: u64,
    /// Positions whose gradient left a network: every backward pass ends at the embedding.
    pub backward_tokens: u64,
}

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
