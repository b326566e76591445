// Token and position embedding: wte of (vocabulary, width) at parameters_offset, wpe of (context, width) behind it.
//
//   embed_forward    writes x[b,t] = wte[token(b,t)] + wpe[first + t], x of (batch·length, width), one invocation each
//   embed_backward   dwte[v] += Σ dx where v stands, dwpe[t] += Σ_b dx[b,t], one invocation per number of the two
//
// token(b,t) = tokens[tokens_offset + b·stride + first + t]. WGSL has no atomic addition of floats, so the backward
// pass gathers: `occurrences` holds vocabulary + 1 starts, then for each token v the rows b·length + t where it stands,
// at starts[v]..starts[v+1] behind the starts.

struct EmbedSize {
    batch: u32,
    length: u32,
    stride: u32,
    first: u32,
    width: u32,
    vocabulary: u32,
    context: u32,
    tokens_offset: u32, // of `tokens`, or of `occurrences`
    parameters_offset: u32,
}

@group(0) @binding(0) var<uniform> size: EmbedSize;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> parameters: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;
@group(0) @binding(4) var<storage, read> occurrences: array<u32>;
@group(0) @binding(5) var<storage, read> dx: array<f32>;
@group(0) @binding(6) var<storage, read_write> dparameters: array<f32>;

@compute @workgroup_size(64)
fn embed_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = item(id, groups);
    if (i >= size.batch * size.length * size.width) {
        return;
    }
    let channel = i % size.width;
    let row = i / size.width;
    let position = size.first + row % size.length;
    let token = tokens[size.tokens_offset + (row / size.length) * size.stride + position];
    let wte = size.parameters_offset;
    let wpe = wte + size.vocabulary * size.width;
    x[i] = parameters[wte + token * size.width + channel] + parameters[wpe + position * size.width + channel];
}

@compute @workgroup_size(64)
fn embed_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = item(id, groups);
    if (i >= (size.vocabulary + size.length) * size.width) {
        return;
    }
    let channel = i % size.width;
    let embedding = i / size.width; // a row of wte, or behind them a row of wpe
    var sum = 0.0;
    if (embedding < size.vocabulary) {
        let starts = size.tokens_offset;
        let rows = starts + size.vocabulary + 1u;
        for (var k = occurrences[starts + embedding]; k < occurrences[starts + embedding + 1u]; k++) {
            sum += dx[occurrences[rows + k] * size.width + channel];
        }
    } else {
        for (var b = 0u; b < size.batch; b++) {
            sum += dx[(b * size.length + embedding - size.vocabulary) * size.width + channel];
        }
    }
    dparameters[size.parameters_offset + i] += sum;
}
