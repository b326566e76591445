//! Storage and kernels on whichever it is.

use std::future::Future;
use std::ops::Range;

use super::{Either, EitherBackend, Floats, Integers, OfEither as _};
use crate::backend::interface::{Kernel, Kernels};
use crate::backend::{BackendError, Counters};
use crate::model::ModelConfig;

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
