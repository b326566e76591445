// What a rollout leaves behind, gathered into one buffer, so that one readback brings all of it: record_rollout writes
// record (7, rows): tokens, as floats | logprobs | entropies | reference logprobs | KL per token | values | scores.
// numbers and reference_numbers are (3, rows) as logprobs_forward leaves them; the others are (rows). One invocation a
// token. A float holds every integer up to 2²⁴, so no token is rounded.

struct RecordSize {
    rows: u32,
}

@group(0) @binding(0) var<uniform> size: RecordSize;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> numbers: array<f32>;
@group(0) @binding(3) var<storage, read> reference_numbers: array<f32>;
@group(0) @binding(4) var<storage, read> kl_per_token: array<f32>;
@group(0) @binding(5) var<storage, read> values: array<f32>;
@group(0) @binding(6) var<storage, read> scores: array<f32>;
@group(0) @binding(7) var<storage, read_write> record: array<f32>;

@compute @workgroup_size(64)
fn record_rollout(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = item(id, groups);
    if (row >= size.rows) {
        return;
    }
    record[row] = f32(tokens[row]);
    record[size.rows + row] = numbers[row];
    record[2u * size.rows + row] = numbers[size.rows + row];
    record[3u * size.rows + row] = reference_numbers[row];
    record[4u * size.rows + row] = kl_per_token[row];
    record[5u * size.rows + row] = values[row];
    record[6u * size.rows + row] = scores[row];
}
