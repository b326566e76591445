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
// One invocation for two rows of a sequence, a head, and eight of its channels, which it has in registers; the backward
// pass has two, one for the rows as queries and one for them as keys. Wider heads fetch the rest of their dot products
// channel by channel, and each invocation does its own softmax. Decoding, which has but one row, has one invocation for
// all of a head's channels.

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

// Where row `row` of qkv begins for a head (q; k and v lie one and two widths behind), and of out and dout.
fn qkv_start(row: u32, head: u32) -> u32 {
    return (row * 3u * size.heads + head) * size.head_width;
}

fn out_start(row: u32, head: u32) -> u32 {
    return (row * size.heads + head) * size.head_width;
}

// Four channels from `first`. Those beyond the head repeat its last one, and then count as zero.
fn channels(first: u32, head_width: u32) -> vec4<u32> {
    return min(vec4<u32>(first, first + 1u, first + 2u, first + 3u), vec4<u32>(head_width - 1u));
}

fn inside(values: vec4<f32>, first: u32, head_width: u32) -> vec4<f32> {
    return select(vec4<f32>(), values, vec4<u32>(first, first + 1u, first + 2u, first + 3u) < vec4<u32>(head_width));
}

// The eight channels from `first` of the head that begins at `start`.
fn load_qkv(start: u32, first: u32) -> mat2x4<f32> {
    let i = start + channels(first, size.head_width);
    let j = start + channels(first + 4u, size.head_width);
    let low = vec4<f32>(qkv[i.x], qkv[i.y], qkv[i.z], qkv[i.w]);
    let high = vec4<f32>(qkv[j.x], qkv[j.y], qkv[j.z], qkv[j.w]);
    return mat2x4<f32>(inside(low, first, size.head_width), inside(high, first + 4u, size.head_width));
}

fn load_out(start: u32, first: u32) -> mat2x4<f32> {
    let i = start + channels(first, size.head_width);
    let j = start + channels(first + 4u, size.head_width);
    let low = vec4<f32>(out[i.x], out[i.y], out[i.z], out[i.w]);
    let high = vec4<f32>(out[j.x], out[j.y], out[j.z], out[j.w]);
    return mat2x4<f32>(inside(low, first, size.head_width), inside(high, first + 4u, size.head_width));
}

fn load_dout(start: u32, first: u32) -> mat2x4<f32> {
    let i = start + channels(first, size.head_width);
    let j = start + channels(first + 4u, size.head_width);
    let low = vec4<f32>(dout[i.x], dout[i.y], dout[i.z], dout[i.w]);
    let high = vec4<f32>(dout[j.x], dout[j.y], dout[j.z], dout[j.w]);
    return mat2x4<f32>(inside(low, first, size.head_width), inside(high, first + 4u, size.head_width));
}

fn load_cache(start: u32, first: u32) -> mat2x4<f32> {
    let i = start + channels(first, decode.head_width);
    let j = start + channels(first + 4u, decode.head_width);
    let low = vec4<f32>(cache[i.x], cache[i.y], cache[i.z], cache[i.w]);
    let high = vec4<f32>(cache[j.x], cache[j.y], cache[j.z], cache[j.w]);
    return mat2x4<f32>(inside(low, first, decode.head_width), inside(high, first + 4u, decode.head_width));
}

fn dot_held(a: mat2x4<f32>, b: mat2x4<f32>) -> f32 {
    return dot(a[0], b[0]) + dot(a[1], b[1]);
}

// How many channels of a head are not among the eight from `first`, and which is number `i` of them.
fn count_elsewhere(first: u32) -> u32 {
    return size.head_width - min(8u, size.head_width - first);
}

fn channel_elsewhere(i: u32, first: u32) -> u32 {
    return select(i, i + 8u, i >= first);
}

// q_t·k_s over those channels, for two rows t.
fn scores_elsewhere(t: vec2<u32>, s: u32, head: u32, first: u32) -> vec2<f32> {
    let q = vec2<u32>(qkv_start(t.x, head), qkv_start(t.y, head));
    let k = qkv_start(s, head) + size.heads * size.head_width;
    var scores = vec2<f32>();
    for (var i = 0u; i < count_elsewhere(first); i++) {
        let c = channel_elsewhere(i, first);
        scores += qkv[k + c] * vec2<f32>(qkv[q.x + c], qkv[q.y + c]);
    }
    return scores;
}

// A softmax that meets its scores one by one: the largest so far, Σ exp(score − largest), Σ exp(score − largest)·value.
struct Online { largest: f32, total: f32, values: mat2x4<f32> }

fn meet(seen: Online, score: f32, value: mat2x4<f32>) -> Online {
    let largest = max(seen.largest, score);
    let rescale = exp(seen.largest - largest);
    let weight = exp(score - largest);
    return Online(largest, seen.total * rescale + weight, seen.values * rescale + value * weight);
}

fn put_four(start: u32, first: u32, head_width: u32, values: vec4<f32>) {
    for (var c = first; c < min(first + 4u, head_width); c++) {
        out[start + c] = values[c - first];
    }
}

fn put_out(start: u32, first: u32, head_width: u32, seen: Online) {
    put_four(start, first, head_width, seen.values[0] / seen.total);
    put_four(start, first + 4u, head_width, seen.values[1] / seen.total);
}

// Two neighbouring rows of a sequence, and where it begins and ends. In a sequence of odd length the last row has no
// neighbour: it comes twice, and counts once.
struct Rows { first: u32, a: u32, b: u32, end: u32 }

// What number `i` of the invocations works at. There are as many as `number_of_places()`.
struct Place { rows: Rows, head: u32, channel: u32 }

fn eighths() -> u32 {
    return (size.head_width + 7u) / 8u;
}

fn number_of_places() -> u32 {
    return size.batch * ((size.length + 1u) / 2u) * size.heads * eighths();
}

fn place_of(i: u32) -> Place {
    let pairs = (size.length + 1u) / 2u;
    let pair = i / eighths() / size.heads;
    let first = pair / pairs * size.length;
    let a = first + 2u * (pair % pairs);
    let rows = Rows(first, a, min(a + 1u, first + size.length - 1u), first + size.length);
    return Place(rows, i / eighths() % size.heads, 8u * (i % eighths()));
}

@compute @workgroup_size(64)
fn attention_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = item(id, groups);
    if (i >= number_of_places()) {
        return;
    }
    let place = place_of(i);
    let head = place.head;
    let first = place.channel;
    let rows = place.rows;
    let width = size.heads * size.head_width;
    let scale = inverseSqrt(f32(size.head_width));
    let q_a = load_qkv(qkv_start(rows.a, head), first);
    let q_b = load_qkv(qkv_start(rows.b, head), first);
    var seen_a = Online(LOWEST, 0.0, mat2x4<f32>());
    var seen_b = Online(LOWEST, 0.0, mat2x4<f32>());
    for (var s = rows.first; s <= rows.b; s++) {
        let k = load_qkv(qkv_start(s, head) + width, first);
        let v = load_qkv(qkv_start(s, head) + 2u * width, first);
        let elsewhere = scores_elsewhere(vec2<u32>(rows.a, rows.b), s, head, first);
        let scores = scale * (vec2<f32>(dot_held(q_a, k), dot_held(q_b, k)) + elsewhere);
        seen_a = meet(seen_a, select(LOWEST, scores.x, s <= rows.a), v);
        seen_b = meet(seen_b, scores.y, v);
    }
    put_out(out_start(rows.a, head), first, size.head_width, seen_a);
    put_out(out_start(rows.b, head), first, size.head_width, seen_b);
    if (first == 0u) {
        logsumexps[rows.a * size.heads + head] = seen_a.largest + log(seen_a.total);
        logsumexps[rows.b * size.heads + head] = seen_b.largest + log(seen_b.total);
    }
}

// For two rows t, q_t·k_s (x, y) and dout_t·(v_s − out_t) (z, w) over the channels that are not held.
fn products_of_queries(t: vec2<u32>, s: u32, head: u32, first: u32) -> vec4<f32> {
    let width = size.heads * size.head_width;
    let q = vec2<u32>(qkv_start(t.x, head), qkv_start(t.y, head));
    let o = vec2<u32>(out_start(t.x, head), out_start(t.y, head));
    let k = qkv_start(s, head) + width;
    var products = vec4<f32>();
    for (var i = 0u; i < count_elsewhere(first); i++) {
        let c = channel_elsewhere(i, first);
        let out_c = vec2<f32>(out[o.x + c], out[o.y + c]);
        let dweights = vec2<f32>(dout[o.x + c], dout[o.y + c]) * (qkv[k + width + c] - out_c);
        products += vec4<f32>(vec2<f32>(qkv[q.x + c], qkv[q.y + c]) * qkv[k + c], dweights);
    }
    return products;
}

// The same for two rows s.
fn products_of_keys(t: u32, s: vec2<u32>, head: u32, first: u32) -> vec4<f32> {
    let width = size.heads * size.head_width;
    let q = qkv_start(t, head);
    let o = out_start(t, head);
    let k = vec2<u32>(qkv_start(s.x, head), qkv_start(s.y, head)) + width;
    let v = k + width;
    var products = vec4<f32>();
    for (var i = 0u; i < count_elsewhere(first); i++) {
        let c = channel_elsewhere(i, first);
        let dweights = dout[o + c] * (vec2<f32>(qkv[v.x + c], qkv[v.y + c]) - out[o + c]);
        products += vec4<f32>(vec2<f32>(qkv[k.x + c], qkv[k.y + c]) * qkv[q + c], dweights);
    }
    return products;
}

// What an invocation holds of row t: q, out and dout, and the row's logsumexp.
struct Query { q: mat2x4<f32>, out: mat2x4<f32>, dout: mat2x4<f32>, logsumexp: f32 }

fn query_of(t: u32, head: u32, first: u32) -> Query {
    let o = out_start(t, head);
    let q = load_qkv(qkv_start(t, head), first);
    return Query(q, load_out(o, first), load_dout(o, first), logsumexps[t * size.heads + head]);
}

// And of row s: k and v.
struct Key { k: mat2x4<f32>, v: mat2x4<f32> }

fn key_of(s: u32, head: u32, first: u32) -> Key {
    let k = qkv_start(s, head) + size.heads * size.head_width;
    return Key(load_qkv(k, first), load_qkv(k + size.heads * size.head_width, first));
}

// p_ts and ds_ts of the contract, given the two products over the channels that are not held; zero where t does not
// see s.
fn weight_and_dscore(query: Query, key: Key, elsewhere: vec2<f32>, is_seen: bool) -> vec2<f32> {
    let scale = inverseSqrt(f32(size.head_width));
    let score = scale * (dot_held(query.q, key.k) + elsewhere.x);
    let dweight = dot_held(query.dout, key.v - query.out) + elsewhere.y;
    let weight = select(0.0, exp(score - query.logsumexp), is_seen);
    return vec2<f32>(weight, weight * dweight * scale);
}

fn put_dqkv(start: u32, first: u32, values: mat2x4<f32>) {
    for (var c = first; c < min(first + 4u, size.head_width); c++) {
        dqkv[start + c] = values[0][c - first];
    }
    for (var c = first + 4u; c < min(first + 8u, size.head_width); c++) {
        dqkv[start + c] = values[1][c - first - 4u];
    }
}

fn queries_backward(place: Place) {
    let head = place.head;
    let first = place.channel;
    let rows = place.rows;
    let query_a = query_of(rows.a, head, first);
    let query_b = query_of(rows.b, head, first);
    var dq_a = mat2x4<f32>();
    var dq_b = mat2x4<f32>();
    for (var s = rows.first; s <= rows.b; s++) {
        let key = key_of(s, head, first);
        let elsewhere = products_of_queries(vec2<u32>(rows.a, rows.b), s, head, first);
        dq_a += key.k * weight_and_dscore(query_a, key, elsewhere.xz, s <= rows.a).y;
        dq_b += key.k * weight_and_dscore(query_b, key, elsewhere.yw, s <= rows.b).y;
    }
    put_dqkv(qkv_start(rows.a, head), first, dq_a);
    put_dqkv(qkv_start(rows.b, head), first, dq_b);
}

fn keys_backward(place: Place) {
    let head = place.head;
    let first = place.channel;
    let rows = place.rows;
    let width = size.heads * size.head_width;
    let key_a = key_of(rows.a, head, first);
    let key_b = key_of(rows.b, head, first);
    var dk_a = mat2x4<f32>();
    var dk_b = mat2x4<f32>();
    var dv_a = mat2x4<f32>();
    var dv_b = mat2x4<f32>();
    for (var t = rows.a; t < rows.end; t++) {
        let query = query_of(t, head, first);
        let elsewhere = products_of_keys(t, vec2<u32>(rows.a, rows.b), head, first);
        let pair_a = weight_and_dscore(query, key_a, elsewhere.xz, rows.a <= t);
        let pair_b = weight_and_dscore(query, key_b, elsewhere.yw, rows.b <= t);
        dk_a += query.q * pair_a.y;
        dk_b += query.q * pair_b.y;
        dv_a += query.dout * pair_a.x;
        dv_b += query.dout * pair_b.x;
    }
    put_dqkv(qkv_start(rows.a, head) + width, first, dk_a);
    put_dqkv(qkv_start(rows.b, head) + width, first, dk_b);
    put_dqkv(qkv_start(rows.a, head) + 2u * width, first, dv_a);
    put_dqkv(qkv_start(rows.b, head) + 2u * width, first, dv_b);
}

@compute @workgroup_size(64)
fn attention_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = item(id, groups);
    if (i >= 2u * number_of_places()) {
        return;
    }
    if (i < number_of_places()) {
        queries_backward(place_of(i));
    } else {
        keys_backward(place_of(i - number_of_places()));
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
    // Eight channels at a time, with their scores anew: registers do not hold all of a wide head.
    for (var first = 0u; first < decode.head_width; first += 8u) {
        var seen = Online(LOWEST, 0.0, mat2x4<f32>());
        for (var s = 0u; s <= decode.position; s++) {
            let k = keys + s * 2u * width;
            var score = 0.0;
            for (var c = 0u; c < decode.head_width; c++) {
                score += qkv[q + c] * cache[k + c];
            }
            score *= inverseSqrt(f32(decode.head_width));
            seen = meet(seen, score, load_cache(k + width, first));
        }
        put_out(sequence * width + channel, first, decode.head_width, seen);
    }
}
