//! Recording dispatches: one encoder and one compute pass from submit to submit, and a memory of everything a dispatch
//! needs, so that the second time it creates nothing.

use std::collections::{HashMap, VecDeque};

use super::buffers::Stored;
use crate::backend::Counters;
use crate::backend::declaration::{Access, Declaration, Grid};

/// Bytes from one uniform block to the next: WebGPU's default alignment of dynamic offsets.
const SLOT_BYTES: usize = 256;
/// Uniform blocks in one buffer.
const PAGE_SLOTS: usize = 1024;
/// Workgroups in one dimension, WebGPU's default limit.
const MAX_WORKGROUPS: u32 = 65_535;

/// A compiled kernel.
#[derive(Debug)]
struct Compiled {
    layout: wgpu::BindGroupLayout,
    pipeline: wgpu::ComputePipeline,
}

/// Uniform blocks already written, 256 bytes apart, and the ones still to be written.
#[derive(Debug)]
struct Page {
    buffer: wgpu::Buffer,
    bytes: Vec<u8>,
    written: usize,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    page: usize,
    offset: usize,
}

/// What was recorded since the last submit. The pass is ended for copies.
#[derive(Debug)]
struct Recording {
    pass: Option<wgpu::ComputePass<'static>>,
    encoder: wgpu::CommandEncoder,
}

/// Records dispatches and copies, and sends them.
#[derive(Debug)]
pub struct Recorder {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// Whether a processor plays the device.
    is_software: bool,
    /// What was asked of the device so far.
    pub counters: Counters,
    recording: Option<Recording>,
    modules: HashMap<&'static str, wgpu::ShaderModule>,
    /// Every kernel.
    table: &'static [Declaration],
    /// Where in the table a name stands.
    kernels: HashMap<&'static str, usize>,
    compiled: Vec<Option<Compiled>>,
    /// Kernels to be compiled while the device is at work.
    meanwhile: VecDeque<usize>,
    pages: Vec<Page>,
    slots: HashMap<Box<[u32]>, Slot>,
    bind_groups: HashMap<Box<[u32]>, wgpu::BindGroup>,
}

impl Recorder {
    /// A recorder of the kernels of this table that has compiled nothing yet.
    pub fn new(device: wgpu::Device, queue: wgpu::Queue, is_software: bool, table: &'static [Declaration]) -> Self {
        Self {
            device,
            queue,
            is_software,
            counters: Counters::default(),
            recording: None,
            modules: HashMap::new(),
            table,
            kernels: table.iter().enumerate().map(|(i, kernel)| (kernel.name, i)).collect(),
            compiled: table.iter().map(|_| None).collect(),
            meanwhile: VecDeque::new(),
            pages: Vec::new(),
            slots: HashMap::new(),
            bind_groups: HashMap::new(),
        }
    }

    /// Where command buffers go.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// Whether kernels are compiled for a processor that plays the device.
    pub fn is_software(&self) -> bool {
        self.is_software
    }

    /// Compiles `now` at once and one of `meanwhile` after each submit.
    pub fn prepare(&mut self, now: &[&'static str], meanwhile: &[&'static str]) {
        for name in now {
            self.compile(self.kernels[name]);
        }
        self.meanwhile = meanwhile.iter().map(|name| self.kernels[name]).collect();
    }

    /// The names of the kernels that are compiled, in the table's order.
    pub fn compiled(&self) -> Vec<&'static str> {
        let compiled = self.table.iter().zip(&self.compiled).filter(|(_, compiled)| compiled.is_some());
        compiled.map(|(kernel, _)| kernel.name).collect()
    }

    /// Records `name` on `buffers` (the declaration's bindings, in order) with `uniforms` (its fields, in order; floats
    /// as bits), for `items` in x and y.
    pub fn dispatch(&mut self, name: &'static str, uniforms: &[u32], buffers: &[&Stored], items: [usize; 2]) {
        let index = self.kernels[name];
        let kernel = &self.table[index];
        assert_eq!(uniforms.len(), kernel.uniforms.len(), "{name}: uniform fields");
        assert_eq!(buffers.len(), kernel.bindings.len(), "{name}: buffers");
        let workgroups = workgroups(kernel, items);
        if workgroups.contains(&0) {
            return;
        }
        self.compile(index);
        let slot = self.slot(uniforms);
        let key: Vec<u32> =
            [index as u32, slot.page as u32].into_iter().chain(buffers.iter().map(|buffer| buffer.id)).collect();
        if !self.bind_groups.contains_key(key.as_slice()) {
            let bind_group = self.bind_group(index, slot.page, buffers);
            self.bind_groups.insert(key.as_slice().into(), bind_group);
        }
        self.counters.dispatches += 1;

        let compiled = self.compiled[index].as_ref().expect("compiled above");
        let recording = self.recording.get_or_insert_with(|| Recording::new(&self.device));
        let pass = recording.pass.get_or_insert_with(|| {
            recording.encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()).forget_lifetime()
        });
        pass.set_pipeline(&compiled.pipeline);
        pass.set_bind_group(0, &self.bind_groups[key.as_slice()], &[slot.offset as u32]);
        pass.dispatch_workgroups(workgroups[0], workgroups[1], 1);
    }

    /// Records a copy of `bytes` bytes, in order with the dispatches: from `byte_offset` in the source to the beginning of
    /// the destination.
    pub fn copy(&mut self, source: &wgpu::Buffer, byte_offset: usize, destination: &wgpu::Buffer, bytes: usize) {
        let recording = self.recording.get_or_insert_with(|| Recording::new(&self.device));
        recording.pass = None;
        recording.encoder.copy_buffer_to_buffer(source, byte_offset as u64, destination, 0, bytes as u64);
    }

    /// Writes at once, after everything recorded before has been sent.
    pub fn write(&mut self, buffer: &wgpu::Buffer, byte_offset: usize, bytes: &[u8]) {
        self.submit();
        if !bytes.is_empty() {
            self.queue.write_buffer(buffer, byte_offset as u64, bytes);
            self.counters.writes += 1;
        }
    }

    /// Sends what was recorded, preceded by the uniform blocks it is the first to use, and compiles what is wanted later
    /// while the device is at work.
    pub fn submit(&mut self) {
        let Some(recording) = self.recording.take() else { return };
        for page in &mut self.pages {
            if page.written < page.bytes.len() {
                self.queue.write_buffer(&page.buffer, page.written as u64, &page.bytes[page.written..]);
                page.written = page.bytes.len();
                self.counters.writes += 1;
            }
        }
        drop(recording.pass);
        self.queue.submit([recording.encoder.finish()]);
        self.counters.submits += 1;
        if let Some(index) = self.meanwhile.pop_front() {
            self.compile(index);
        }
    }

    /// Sends what was recorded and drops every bind group and uniform block; the pipelines stay.
    pub fn forget(&mut self) {
        self.submit();
        self.bind_groups.clear();
        self.slots.clear();
        self.pages.clear();
    }

    /// Where the block of these words lies; a new one is written with the next submit.
    fn slot(&mut self, words: &[u32]) -> Slot {
        if let Some(&slot) = self.slots.get(words) {
            return slot;
        }
        if self.pages.last().is_none_or(|page| page.bytes.len() == PAGE_SLOTS * SLOT_BYTES) {
            let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("uniform blocks"),
                size: (PAGE_SLOTS * SLOT_BYTES) as u64,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            self.counters.objects += 1;
            self.pages.push(Page { buffer, bytes: Vec::new(), written: 0 });
        }
        let number = self.pages.len() - 1;
        let page = &mut self.pages[number];
        let slot = Slot { page: number, offset: page.bytes.len() };
        page.bytes.extend_from_slice(bytemuck::cast_slice(words));
        page.bytes.resize(slot.offset + SLOT_BYTES, 0);
        self.slots.insert(words.into(), slot);
        slot
    }

    fn bind_group(&mut self, index: usize, page: usize, buffers: &[&Stored]) -> wgpu::BindGroup {
        let kernel = &self.table[index];
        for (i, &(_, name, access)) in kernel.bindings.iter().enumerate() {
            let shared = buffers.iter().enumerate().any(|(j, other)| j != i && other.id == buffers[i].id);
            assert!(access == Access::Read || !shared, "{}: {name} is written and bound twice", kernel.name);
        }
        let uniforms = wgpu::BufferBinding {
            buffer: &self.pages[page].buffer,
            offset: 0,
            size: wgpu::BufferSize::new(SLOT_BYTES as u64),
        };
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(uniforms) }];
        entries.extend(kernel.bindings.iter().zip(buffers).map(|(&(binding, _, _), stored)| wgpu::BindGroupEntry {
            binding,
            resource: stored.buffer.as_entire_binding(),
        }));
        self.counters.objects += 1;
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(kernel.name),
            layout: &self.compiled[index].as_ref().expect("compiled before it is bound").layout,
            entries: &entries,
        })
    }

    fn compile(&mut self, index: usize) {
        if self.compiled[index].is_some() {
            return;
        }
        let kernel = &self.table[index];
        let module = self.modules.entry(kernel.shader.path).or_insert_with(|| {
            self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(kernel.shader.path),
                source: wgpu::ShaderSource::Wgsl(kernel.shader.source().into()),
            })
        });
        let entry = |binding, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
            count: None,
        };
        let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform, true)];
        entries.extend(kernel.bindings.iter().map(|&(binding, name, _)| {
            let read_only = !kernel.is_declared_writable(name, self.table);
            entry(binding, wgpu::BufferBindingType::Storage { read_only }, false)
        }));
        let layout = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(kernel.name), entries: &entries });
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(kernel.name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel.name),
            layout: Some(&pipeline_layout),
            module,
            entry_point: Some(kernel.name),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: if self.is_software { kernel.shader.on_software } else { &[] },
                ..Default::default()
            },
            cache: None,
        });
        self.compiled[index] = Some(Compiled { layout, pipeline });
    }
}

impl Recording {
    fn new(device: &wgpu::Device) -> Self {
        Self { pass: None, encoder: device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default()) }
    }
}

/// The grid that covers `items`.
fn workgroups(kernel: &Declaration, items: [usize; 2]) -> [u32; 2] {
    let items = items.map(|count| u32::try_from(count).expect("more items than a buffer can have"));
    match kernel.grid {
        Grid::Items => {
            let groups = items[0].div_ceil(kernel.workgroup[0]);
            [groups.min(MAX_WORKGROUPS), groups.div_ceil(MAX_WORKGROUPS)]
        }
        Grid::Covers(x, y) => {
            let groups = [items[0].div_ceil(x), items[1].div_ceil(y)];
            assert!(groups.iter().all(|&count| count <= MAX_WORKGROUPS), "{}: too large: {items:?}", kernel.name);
            groups
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::declaration::Shader;

    #[test]
    fn grids_cover_their_items_within_the_limits_of_a_dimension() {
        let kernel = |grid| Declaration {
            name: "any",
            shader: const { &Shader::new("", "", &[]) },
            uniforms: &[],
            bindings: &[],
            workgroup: [64, 1],
            grid,
        };
        assert_eq!(workgroups(&kernel(Grid::Items), [65, 1]), [2, 1]);
        assert_eq!(workgroups(&kernel(Grid::Items), [0, 1]), [0, 0]);
        assert_eq!(workgroups(&kernel(Grid::Covers(32, 32)), [65, 1]), [3, 1]);
        let items = 64 * 65_535 + 1;
        assert_eq!(workgroups(&kernel(Grid::Items), [items, 1]), [65_535, 2]);
    }
}
