//! Buffers on the device.

use crate::backend::{At, AtMut};

/// A buffer with a number that no other buffer of the same backend has.
#[derive(Debug)]
pub struct Stored {
    /// The device's buffer.
    pub(super) buffer: wgpu::Buffer,
    /// What dispatches remember it by.
    pub(super) id: u32,
    /// Elements, of four bytes each.
    pub(super) len: usize,
}

/// Reals on the device, f32.
#[derive(Debug)]
pub struct GpuFloats(pub(super) Stored);

/// Integers on the device, u32.
#[derive(Debug)]
pub struct GpuIntegers(pub(super) Stored);

/// What is bound to a kernel: a buffer, whole, wherever its numbers begin.
pub trait Bound {
    /// The buffer.
    fn stored(&self) -> &Stored;
}

impl Bound for GpuFloats {
    fn stored(&self) -> &Stored {
        &self.0
    }
}

impl Bound for GpuIntegers {
    fn stored(&self) -> &Stored {
        &self.0
    }
}

impl<B: Bound> Bound for At<'_, B> {
    fn stored(&self) -> &Stored {
        self.buffer.stored()
    }
}

impl<B: Bound> Bound for AtMut<'_, B> {
    fn stored(&self) -> &Stored {
        self.buffer.stored()
    }
}
