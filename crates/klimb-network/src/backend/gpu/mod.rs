//! The GPU backend: WGSL shaders through `wgpu`, natively on Vulkan, Metal or DirectX 12, in browsers on WebGPU.
//!
//! Invariant: nothing outside this module names `wgpu`. Invariant: WebGPU's default limits are enough.

mod backend;
mod buffers;
mod device;
mod recorder;
mod storage;

pub(super) use buffers::Bound;
pub use buffers::{GpuFloats, GpuIntegers};
pub use device::{Adapter, Preference, is_software};

/// A graphics device. Kernel calls are recorded until `submit`, a write or a read sends them.
#[derive(Debug)]
pub struct Gpu {
    adapter: Adapter,
    recorder: recorder::Recorder,
    storage: storage::Storage,
}

impl Gpu {
    /// The names of the kernels that are compiled, in the table's order.
    pub fn compiled(&self) -> Vec<&'static str> {
        self.recorder.compiled()
    }

    /// Resolves to true when the device tells that it is lost or has refused a command, though nobody asks anything of it
    /// then; to false if it is gone before it could. Borrows nothing.
    pub fn failed(&self) -> impl Future<Output = bool> + 'static + use<> {
        self.storage.failed()
    }

    /// What the device runs on.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }
}
