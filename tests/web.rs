//! Tests in a real browser, run by `cargo xtask test wasm`. A browser without a WebGPU adapter fails them.
#![cfg(target_arch = "wasm32")]

use futures_channel::oneshot;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use wgpu::util::DeviceExt;

wasm_bindgen_test_configure!(run_in_browser);

const DOUBLE: &str = "
@group(0) @binding(0) var<storage, read_write> numbers: array<f32>;

@compute @workgroup_size(4)
fn double(@builtin(global_invocation_id) id: vec3<u32>) {
    numbers[id.x] = 2.0 * numbers[id.x];
}
";

/// The browser gives an adapter, runs a shader on it and hands the result back: what every other test stands on.
#[wasm_bindgen_test]
async fn a_compute_shader_runs_on_webgpu() {
    let instance = wgpu::Instance::default();
    let adapter = instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await.expect("no WebGPU adapter");
    let (device, queue) = adapter.request_device(&wgpu::DeviceDescriptor::default()).await.expect("no WebGPU device");

    let numbers = [1.0_f32, -2.5, 0.0, 1024.0];
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let buffer = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
        label: Some("numbers"),
        contents: &bytes,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
    });
    let readback = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("readback"),
        size: buffer.size(),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("double"),
        source: wgpu::ShaderSource::Wgsl(DOUBLE.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("double"),
        layout: None,
        module: &module,
        entry_point: Some("double"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("double"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() }],
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &bindings, &[]);
    pass.dispatch_workgroups(1, 1, 1);
    drop(pass);
    encoder.copy_buffer_to_buffer(&buffer, 0, &readback, 0, buffer.size());
    queue.submit([encoder.finish()]);

    let (sender, mapped) = oneshot::channel();
    readback.map_async(wgpu::MapMode::Read, .., move |outcome| {
        sender.send(outcome).expect("the test waits for the readback");
    });
    mapped.await.expect("the device was dropped").expect("the readback failed");
    let view = readback.get_mapped_range(..).expect("the buffer is not mapped");
    let doubled: Vec<f32> =
        view.chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().expect("four bytes"))).collect();
    assert_eq!(doubled, numbers.map(|number| 2.0 * number));
}
