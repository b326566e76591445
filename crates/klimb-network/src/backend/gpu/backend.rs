//! Opening a device for the kernels, and storage and kernels on it.

use std::future::Future;
use std::ops::Range;

use super::buffers::Stored;
use super::device::{self, Opened, Preference};
use super::recorder::Recorder;
use super::storage::Storage;
use super::{Gpu, GpuFloats, GpuIntegers};
use crate::backend::interface::{Kernel, Kernels};
use crate::backend::kernels::{self, Dispatch, GenerateSize};
use crate::backend::{BackendError, Counters};
use crate::model::ModelConfig;

impl Gpu {
    /// Opens the preferred adapter's device. Kernels are compiled when first used.
    ///
    /// # Errors
    /// `NoAdapter` if the machine offers none that suits the preference, `NoDevice` if the adapter refuses.
    pub async fn new(preference: Preference) -> Result<Self, BackendError> {
        let Opened { device, queue, adapter, failure } = device::open(&preference).await?;
        let is_software = adapter.is_software && !preference.as_card;
        Ok(Self {
            recorder: Recorder::new(device.clone(), queue, is_software, &kernels::KERNELS),
            adapter,
            storage: Storage::new(device, failure),
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

    /// Records a kernel on its buffers, which are in the order of its declaration's bindings.
    pub(in crate::backend) fn record(&mut self, name: &'static str, kernel: &impl Dispatch, buffers: &[&Stored]) {
        let uniforms = kernel.uniforms();
        let counters = &mut self.recorder.counters;
        counters.forward_tokens += kernel.forward_tokens();
        counters.backward_tokens += kernel.backward_tokens();
        let items = kernel.items(self.recorder.is_software());
        self.recorder.dispatch(name, uniforms.as_ref(), buffers, [items, 1]);
    }
}

impl Kernels for Gpu {
    type Real = f32;
    type Floats = GpuFloats;
    type Integers = GpuIntegers;

    fn floats(&mut self, label: &'static str, len: usize) -> GpuFloats {
        GpuFloats(self.storage.create(&mut self.recorder, label, len))
    }

    fn integers(&mut self, label: &'static str, len: usize) -> GpuIntegers {
        GpuIntegers(self.storage.create(&mut self.recorder, label, len))
    }

    fn write_floats(&mut self, buffer: &mut GpuFloats, offset: usize, values: &[f32]) {
        self.recorder.write(&buffer.0.buffer, 4 * offset, bytemuck::cast_slice(values));
    }

    fn write_integers(&mut self, buffer: &mut GpuIntegers, offset: usize, values: &[u32]) {
        self.recorder.write(&buffer.0.buffer, 4 * offset, bytemuck::cast_slice(values));
    }

    fn copy_floats(&mut self, source: &GpuFloats, destination: &mut GpuFloats) {
        assert!(source.0.len <= destination.0.len, "copy of {} floats into {}", source.0.len, destination.0.len);
        self.recorder.copy(&source.0.buffer, 0, &destination.0.buffer, 4 * source.0.len);
    }

    fn submit(&mut self) {
        self.recorder.submit();
    }

    fn read_floats(
        &mut self,
        buffer: &GpuFloats,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<f32>, BackendError>> + 'static + use<> {
        self.storage.read(&mut self.recorder, &buffer.0, range)
    }

    fn read_integers(
        &mut self,
        buffer: &GpuIntegers,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<u32>, BackendError>> + 'static + use<> {
        self.storage.read(&mut self.recorder, &buffer.0, range)
    }

    fn failure(&self) -> Option<BackendError> {
        self.storage.failure()
    }

    fn finished(&mut self) -> impl Future<Output = Result<(), BackendError>> + 'static + use<> {
        self.storage.finished(&mut self.recorder)
    }

    fn counters(&self) -> Counters {
        self.recorder.counters
    }

    fn forget(&mut self) {
        self.recorder.forget();
    }

    /// On a card so small a dispatch takes as long as it takes to launch, so one for all positions is fastest; an adapter
    /// that a processor plays launches quickly, but pays for every barrier.
    fn generates(&self, model: &ModelConfig, length: usize) -> bool {
        !self.recorder.is_software() && GenerateSize::has_room(model, length)
    }

    fn run<T: Kernel>(&mut self, call: T::On<'_, Self>) {
        T::on_gpu(call, self);
    }
}
