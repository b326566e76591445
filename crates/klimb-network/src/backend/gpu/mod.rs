//! The GPU backend: WGSL shaders through `wgpu`, natively on Vulkan, Metal or DirectX 12, in browsers on WebGPU.
//!
//! Invariant: nothing outside this module names `wgpu`. Invariant: WebGPU's default limits are enough.

mod backend;
mod device;
mod recorder;
mod storage;

pub use device::{Adapter, Preference, is_software};
pub(super) use storage::Bound;
pub use storage::{GpuFloats, GpuIntegers};

use super::{BackendError, kernels};

/// A graphics device. Kernel calls are recorded until `submit`, a write or a read sends them.
#[derive(Debug)]
pub struct Gpu {
    adapter: Adapter,
    recorder: recorder::Recorder,
    storage: storage::Storage,
}

impl Gpu {
    /// Opens the preferred adapter's device. Kernels are compiled when first used.
    ///
    /// # Errors
    /// `NoAdapter` if the machine offers none that suits the preference, `NoDevice` if the adapter refuses.
    pub async fn new(preference: Preference) -> Result<Self, BackendError> {
        let (device, queue, adapter, failure) = device::open(&preference).await?;
        let is_software = adapter.is_software && !preference.as_card;
        Ok(Self {
            recorder: recorder::Recorder::new(device.clone(), queue, is_software),
            adapter,
            storage: storage::Storage::new(device, failure),
        })
    }

    /// Compiles kernels ahead of their first use: `now` at once, and one of `meanwhile` after each submit, so that the
    /// processor compiles while the device is at work. Leaves out the way of writing that this kind of device does not prefer.
    pub fn prepare(&mut self, now: &[&'static str], meanwhile: &[&'static str]) {
        let unused = kernels::unused(self.recorder.is_software());
        let used = |names: &[&'static str]| names.iter().copied().filter(|name| !unused.contains(name)).collect();
        let (now, meanwhile): (Vec<_>, Vec<_>) = (used(now), used(meanwhile));
        self.recorder.prepare(&now, &meanwhile);
    }

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
