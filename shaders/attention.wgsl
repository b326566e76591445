// Causal attention (Vaswani et al. 2017) without ever storing the weights (Dao et al. 2022, algorithms 1 and 4):
// out_t = Σ_{s≤t} p_ts·v_s with p_ts = exp(scale·q_t·k_s − logsumexp_t) and scale = 1/√head_width.
//
//   attention_forward          qkv (batch·length, 3D) as [q|k|v], heads contiguous inside each;
//                              writes out (batch·length, D) and logsumexps (batch·length, heads)
//   attention_backward         writes dqkv: with ds_ts = p_ts·(dout_t·v_s − dout_t·out_t)·scale,
//                              dq_t = Σ_s ds_ts·k_s, dk_s = Σ_t ds_ts·q_t, dv_s = Σ_t p_ts·dout_t
//   attention_decode_forward   one position, qkv (batch, 3D): stores its key and value in cache (batch, capacity, 2D),
//                              rows [k|v], and writes out (batch, D)
//
// One invocation per sequence, position and head. It accumulates at most 16 channels at a time, in the registers of a
// mat4x4; wider heads take several turns, each with its own softmax.

struct AttentionSize {
    batch: u32,
    length: u32,
    heads: u32,
    head_width: u32,
}

struct DecodeSize {
    batch: u32,
    position: u32,
    capacity: u32,
    heads: u32,
    head_width: u32,
}

@group(0) @binding(0) var<uniform> size: AttentionSize;
@group(0) @binding(0) var<uniform> decode: DecodeSize;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> logsumexps: array<f32>;
@group(0) @binding(4) var<storage, read> dout: array<f32>;
@group(0) @binding(5) var<storage, read_write> dqkv: array<f32>;
@group(0) @binding(6) var<storage, read_write> cache: array<f32>;

const LOWEST = -3.4e38;

// Sixteen indices from `start + first`; those beyond the head repeat its last channel and are never stored.
struct Channels { a: vec4<u32>, b: vec4<u32>, c: vec4<u32>, d: vec4<u32> }

fn channels(start: u32, first: u32, width: u32) -> Channels {
    let last = vec4<u32>(width - 1u);
    let i = vec4<u32>(first, first + 1u, first + 2u, first + 3u);
    return Channels(min(i, last) + start, min(i + 4u, last) + start, min(i + 8u, last) + start, min(i + 12u, last) + start);
}

fn load_qkv(at: Channels) -> mat4x4<f32> {
    return mat4x4<f32>(
        qkv[at.a.x], qkv[at.a.y], qkv[at.a.z], qkv[at.a.w], qkv[at.b.x], qkv[at.b.y], qkv[at.b.z], qkv[at.b.w],
        qkv[at.c.x], qkv[at.c.y], qkv[at.c.z], qkv[at.c.w], qkv[at.d.x], qkv[at.d.y], qkv[at.d.z], qkv[at.d.w],
    );
}

fn load_dout(at: Channels) -> mat4x4<f32> {
    return mat4x4<f32>(
        dout[at.a.x], dout[at.a.y], dout[at.a.z], dout[at.a.w], dout[at.b.x], dout[at.b.y], dout[at.b.z], dout[at.b.w],
        dout[at.c.x], dout[at.c.y], dout[at.c.z], dout[at.c.w], dout[at.d.x], dout[at.d.y], dout[at.d.z], dout[at.d.w],
    );
}

fn load_cache(at: Channels) -> mat4x4<f32> {
    return mat4x4<f32>(
        cache[at.a.x], cache[at.a.y], cache[at.a.z], cache[at.a.w], cache[at.b.x], cache[at.b.y], cache[at.b.z],
        cache[at.b.w], cache[at.c.x], cache[at.c.y], cache[at.c.z], cache[at.c.w], cache[at.d.x], cache[at.d.y],
        cache[at.d.z], cache[at.d.w],
    );
}

// A softmax that meets its scores one by one: the largest so far, Σ exp(score − largest), Σ exp(score − largest)·value.
struct Online { largest: f32, total: f32, values: mat4x4<f32> }

fn meet(seen: Online, score: f32, value: mat4x4<f32>) -> Online {
    let largest = max(seen.largest, score);
    let rescale = exp(seen.largest - largest);
    let weight = exp(score - largest);
    return Online(largest, seen.total * rescale + weight, seen.values * rescale + value * weight);
}

fn dot_qkv(a: u32, b: u32) -> f32 {
    var sum = 0.0;
    for (var c = 0u; c < size.head_width; c++) {
        sum += qkv[a + c] * qkv[b + c];
    }
    return sum;
}

@compute @workgroup_size(64)
fn attention_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = item(id, groups);
    if (i >= size.batch * size.length * size.heads) {
        return;
    }
    let head = i % size.heads;
    let row = i / size.heads;
    let first_row = row - row % size.length;
    let width = size.heads * size.head_width;
    let q = row * 3u * width + head * size.head_width;
    let scale = inverseSqrt(f32(size.head_width));
    for (var first = 0u; first < size.head_width; first += 16u) {
        var seen = Online(LOWEST, 0.0, mat4x4<f32>());
        for (var s = first_row; s <= row; s++) {
            let k = s * 3u * width + width + head * size.head_width;
            seen = meet(seen, scale * dot_qkv(q, k), load_qkv(channels(k + width, first, size.head_width)));
        }
        var result = seen.values * (1.0 / seen.total);
        for (var c = first; c < min(first + 16u, size.head_width); c++) {
            out[row * width + head * size.head_width + c] = result[(c - first) / 4u][c % 4u];
        }
        logsumexps[i] = seen.largest + log(seen.total);
    }
}

// p_ts and ds_ts of the contract, for the rows t and s of qkv.
fn weight_and_dscore(t: u32, s: u32, head: u32) -> vec2<f32> {
    let width = size.heads * size.head_width;
    let scale = inverseSqrt(f32(size.head_width));
    let q = t * 3u * width + head * size.head_width;
    let k = s * 3u * width + width + head * size.head_width;
    let o = t * width + head * size.head_width;
    let weight = exp(scale * dot_qkv(q, k) - logsumexps[t * size.heads + head]);
    var dweight = 0.0;
    for (var c = 0u; c < size.head_width; c++) {
        dweight += dout[o + c] * (qkv[k + width + c] - out[o + c]);
    }
    return vec2<f32>(weight, weight * dweight * scale);
}

@compute @workgroup_size(64)
fn attention_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = item(id, groups);
    if (i >= size.batch * size.length * size.heads) {
        return;
    }
    let head = i % size.heads;
    let row = i / size.heads;
    let first_row = row - row % size.length;
    let width = size.heads * size.head_width;
    let stride = 3u * width;
    let channel = head * size.head_width;
    for (var first = 0u; first < size.head_width; first += 16u) {
        var dq = mat4x4<f32>();
        for (var s = first_row; s <= row; s++) {
            let dscore = weight_and_dscore(row, s, head).y;
            dq += load_qkv(channels(s * stride + width + channel, first, size.head_width)) * dscore;
        }
        var dk = mat4x4<f32>();
        var dv = mat4x4<f32>();
        for (var t = row; t < first_row + size.length; t++) {
            let pair = weight_and_dscore(t, row, head);
            dk += load_qkv(channels(t * stride + channel, first, size.head_width)) * pair.y;
            dv += load_dout(channels(t * width + channel, first, size.head_width)) * pair.x;
        }
        for (var c = first; c < min(first + 16u, size.head_width); c++) {
            let at = row * stride + channel + c;
            dqkv[at] = dq[(c - first) / 4u][c % 4u];
            dqkv[at + width] = dk[(c - first) / 4u][c % 4u];
            dqkv[at + 2u * width] = dv[(c - first) / 4u][c % 4u];
        }
    }
}

@compute @workgroup_size(64)
fn attention_decode_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = item(id, groups);
    if (i >= decode.batch * decode.heads) {
        return;
    }
    let width = decode.heads * decode.head_width;
    let channel = (i % decode.heads) * decode.head_width;
    let sequence = i / decode.heads;
    let q = sequence * 3u * width + channel;
    let keys = sequence * decode.capacity * 2u * width + channel;
    for (var c = 0u; c < decode.head_width; c++) {
        cache[keys + decode.position * 2u * width + c] = qkv[q + width + c];
        cache[keys + decode.position * 2u * width + width + c] = qkv[q + 2u * width + c];
    }
    for (var first = 0u; first < decode.head_width; first += 16u) {
        var seen = Online(LOWEST, 0.0, mat4x4<f32>());
        for (var s = 0u; s <= decode.position; s++) {
            let k = keys + s * 2u * width;
            var score = 0.0;
            for (var c = 0u; c < decode.head_width; c++) {
                score += qkv[q + c] * cache[k + c];
            }
            score *= inverseSqrt(f32(decode.head_width));
            seen = meet(seen, score, load_cache(channels(k + width, first, decode.head_width)));
        }
        var result = seen.values * (1.0 / seen.total);
        for (var c = first; c < min(first + 16u, decode.head_width); c++) {
            out[sequence * width + channel + c] = result[(c - first) / 4u][c % 4u];
        }
    }
}
