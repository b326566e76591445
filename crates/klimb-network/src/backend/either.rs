//! Either backend behind one type, so that a program that offers both holds the network, the algorithms and the session
//! once, not once for each: for a page that has to travel, that is an eighth of its code.
//!
//! Each call finds its backend anew, which is nothing beside the kernel. Buffers are of the backend that made them; to mix
//! two is a bug.

use std::future::Future;
use std::ops::Range;

use super::cpu::Cpu;
use super::gpu::{Gpu, GpuFloats, GpuIntegers};
use super::kernels::Kernel;
use super::{At, AtMut, BackendError, Counters, Kernels};
use crate::model::ModelConfig;

/// What belongs to one of two backends: the backend, a buffer, an answer to come.
#[derive(Debug)]
pub enum Either<C, G> {
    /// The processor's.
    Cpu(C),
    /// The graphics device's.
    Gpu(G),
}

/// The backend that a browser or a person chose, in f32.
pub type EitherBackend = Either<Box<Cpu<f32>>, Box<Gpu>>;
type Floats = Either<Vec<f32>, GpuFloats>;
type Integers = Either<Vec<u32>, GpuIntegers>;

/// A buffer among a kernel's arguments as either backend takes it.
pub(super) trait OfEither {
    type Cpu;
    type Gpu;
    /// The processor's.
    fn cpu(self) -> Self::Cpu;
    /// The graphics device's.
    fn gpu(self) -> Self::Gpu;
}

const MIXED: &str = "a buffer of another backend";

impl<'a, C, G> OfEither for &'a Either<C, G> {
    type Cpu = &'a C;
    type Gpu = &'a G;
    fn cpu(self) -> &'a C {
        let Either::Cpu(buffer) = self else { panic!("{MIXED}") };
        buffer
    }
    fn gpu(self) -> &'a G {
        let Either::Gpu(buffer) = self else { panic!("{MIXED}") };
        buffer
    }
}

impl<'a, C, G> OfEither for &'a mut Either<C, G> {
    type Cpu = &'a mut C;
    type Gpu = &'a mut G;
    fn cpu(self) -> &'a mut C {
        let Either::Cpu(buffer) = self else { panic!("{MIXED}") };
        buffer
    }
    fn gpu(self) -> &'a mut G {
        let Either::Gpu(buffer) = self else { panic!("{MIXED}") };
        buffer
    }
}

impl<'a, C, G> OfEither for At<'a, Either<C, G>> {
    type Cpu = At<'a, C>;
    type Gpu = At<'a, G>;
    fn cpu(self) -> At<'a, C> {
        At::new(self.buffer.cpu(), self.offset)
    }
    fn gpu(self) -> At<'a, G> {
        At::new(self.buffer.gpu(), self.offset)
    }
}

impl<'a, C, G> OfEither for AtMut<'a, Either<C, G>> {
    type Cpu = AtMut<'a, C>;
    type Gpu = AtMut<'a, G>;
    fn cpu(self) -> AtMut<'a, C> {
        AtMut::new(self.buffer.cpu(), self.offset)
    }
    fn gpu(self) -> AtMut<'a, G> {
        AtMut::new(self.buffer.gpu(), self.offset)
    }
}

impl<T, C, G> Either<C, G>
where
    C: Future<Output = Result<T, BackendError>>,
    G: Future<Output = Result<T, BackendError>>,
{
    async fn answer(self) -> Result<T, BackendError> {
        match self {
            Self::Cpu(answer) => answer.await,
            Self::Gpu(answer) => answer.await,
        }
    }
}

impl Kernels for EitherBackend {
    type Real = f32;
    type Floats = Floats;
    type Integers = Integers;

    fn floats(&mut self, label: &'static str, len: usize) -> Floats {
        match self {
            Self::Cpu(k) => Either::Cpu(k.floats(label, len)),
            Self::Gpu(k) => Either::Gpu(k.floats(label, len)),
        }
    }

    fn integers(&mut self, label: &'static str, len: usize) -> Integers {
        match self {
            Self::Cpu(k) => Either::Cpu(k.integers(label, len)),
            Self::Gpu(k) => Either::Gpu(k.integers(label, len)),
        }
    }

    fn write_floats(&mut self, buffer: &mut Floats, offset: usize, values: &[f32]) {
        match self {
            Self::Cpu(k) => k.write_floats(buffer.cpu(), offset, values),
            Self::Gpu(k) => k.write_floats(buffer.gpu(), offset, values),
        }
    }

    fn write_integers(&mut self, buffer: &mut Integers, offset: usize, values: &[u32]) {
        match self {
            Self::Cpu(k) => k.write_integers(buffer.cpu(), offset, values),
            Self::Gpu(k) => k.write_integers(buffer.gpu(), offset, values),
        }
    }

    fn read_floats(
        &mut self,
        buffer: &Floats,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<f32>, BackendError>> + 'static + use<> {
        match self {
            Self::Cpu(k) => Either::Cpu(k.read_floats(buffer.cpu(), range)),
            Self::Gpu(k) => Either::Gpu(k.read_floats(buffer.gpu(), range)),
        }
        .answer()
    }

    fn read_integers(
        &mut self,
        buffer: &Integers,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<u32>, BackendError>> + 'static + use<> {
        match self {
            Self::Cpu(k) => Either::Cpu(k.read_integers(buffer.cpu(), range)),
            Self::Gpu(k) => Either::Gpu(k.read_integers(buffer.gpu(), range)),
        }
        .answer()
    }

    fn failure(&self) -> Option<BackendError> {
        match self {
            Self::Cpu(k) => k.failure(),
            Self::Gpu(k) => k.failure(),
        }
    }

    fn finished(&mut self) -> impl Future<Output = Result<(), BackendError>> + 'static + use<> {
        match self {
            Self::Cpu(k) => Either::Cpu(k.finished()),
            Self::Gpu(k) => Either::Gpu(k.finished()),
        }
        .answer()
    }

    fn counters(&self) -> Counters {
        match self {
            Self::Cpu(k) => k.counters(),
            Self::Gpu(k) => k.counters(),
        }
    }

    fn generates(&self, model: &ModelConfig, length: usize) -> bool {
        match self {
            Self::Cpu(k) => k.generates(model, length),
            Self::Gpu(k) => k.generates(model, length),
        }
    }

    // Not inlined, as no kernel is (`kernels/kernel.rs` says why).
    #[inline(never)]
    fn copy_floats(&mut self, source: &Floats, destination: &mut Floats) {
        match self {
            Self::Cpu(k) => k.copy_floats(source.cpu(), destination.cpu()),
            Self::Gpu(k) => k.copy_floats(source.gpu(), destination.gpu()),
        }
    }

    #[inline(never)]
    fn submit(&mut self) {
        match self {
            Self::Cpu(k) => k.submit(),
            Self::Gpu(k) => k.submit(),
        }
    }

    #[inline(never)]
    fn forget(&mut self) {
        match self {
            Self::Cpu(k) => k.forget(),
            Self::Gpu(k) => k.forget(),
        }
    }

    fn run<T: Kernel>(&mut self, call: T::On<'_, Self>) {
        T::on_either(call, self);
    }
}
