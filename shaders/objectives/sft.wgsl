// Supervised fine-tuning's loss: −Σ weights·logprobs, over `rows` tokens. `weights` is the completion mask divided by
// what the loss is averaged over. Writes dlogprobs = −weights, and the summands of the loss.

struct SftSize {
    rows: u32,
    weights_offset: u32,
}

@group(0) @binding(0) var<uniform> size: SftSize;
@group(0) @binding(1) var<storage, read> logprobs: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> dlogprobs: array<f32>;
@group(0) @binding(4) var<storage, read_write> statistics: array<f32>;

@compute @workgroup_size(64)
fn sft(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = item(id, groups);
    if (row >= size.rows) {
        return;
    }
    let weight = weights[size.weights_offset + row];
    statistics[row] = -weight * logprobs[row];
    dlogprobs[row] = -weight;
}
