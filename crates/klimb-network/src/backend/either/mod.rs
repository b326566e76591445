//! Either backend behind one type, so that a program that offers both holds the network, the algorithms and the session
//! once, not once for each: for a page that has to travel, that is an eighth of its code.
//!
//! Each call finds its backend anew, which is nothing beside the kernel. Buffers are of the backend that made them; to mix
//! two is a bug.

mod backend;

use super::cpu::Cpu;
use super::gpu::{Gpu, GpuFloats, GpuIntegers};
use super::{At, AtMut};

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
