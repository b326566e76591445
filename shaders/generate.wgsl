// Completes sequences, all tokens of them in one dispatch: the whole transformer, one workgroup for each sequence.
// It computes what the kernels of a forward pass and `sample` do position by position, which are 7 dispatches a block and
// 4 more for every token, each waiting for the one before. Here a token waits for nothing but its own workgroup.
//
//   generate   tokens (batch, length) hold prompts of prompt_lengths (batch); behind each of them is written what
//              coins (batch, length) draw, as in sample.wgsl, up to the end, and padding behind that.
//              cache (layers, batch, length, 2D) gets keys and values, rows [k|v]
//
// parameters is the flat buffer of a language model (crates/klimb-network/src/model/layout.rs): wte (V, D), wpe (context, D); for each block
// norm, qkv, projection, norm, mlp_in, mlp_out; norm; the unembedding (V, D), if it is not wte. Each tensor's bias is
// right behind it. All is read four numbers at a time, so a head has a multiple of four channels; and there is room for
// D ≤ 256, V ≤ 256 and heads·length ≤ 1024. Whoever has more takes the kernels one by one.

struct GenerateSize {
    batch: u32,
    length: u32,
    vocabulary: u32,
    context: u32,
    width: u32,
    layers: u32,
    heads: u32,
    own_unembedding: u32, // 1 if the unembedding is not wte
    end: u32,
    padding: u32,
    coins_offset: u32,
    settings_offset: u32,
}

@group(0) @binding(0) var<uniform> size: GenerateSize;
@group(0) @binding(1) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> coins: array<f32>;
@group(0) @binding(3) var<storage, read> settings: array<f32>; // temperature
@group(0) @binding(4) var<storage, read> prompt_lengths: array<u32>;
@group(0) @binding(5) var<storage, read_write> cache: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> tokens: array<u32>;

const INVOCATIONS = 256u;
const MOST_PARTS = 16u;
const EPSILON = 1e-5;
const LOWEST = -3.4e38;

// A quad is four numbers, one vec4. Where the vectors of the current position lie in `vectors`, counted in quads: the
// residual stream x (D), what a map is given (D), and what a map made, which is [q|k|v] (3D) or the hidden layer (4D).
const X = 0u;
const GIVEN = 64u;
const MADE = 128u;
var<workgroup> vectors: array<vec4<f32>, 384>;
var<workgroup> partial_sums: array<vec4<f32>, INVOCATIONS>;
var<workgroup> numbers: array<f32, 1024>; // attention's scores (heads, positions so far), or logits (V)
var<workgroup> token: u32;

// Quads of a vector of D numbers.
fn width_quads() -> u32 {
    return size.width / 4u;
}

// norm(x) becomes what the next map is given. Gain and bias at quad `at`. Every invocation adds up the row by itself:
// that takes less time than to wait for each other.
fn norm(at: u32, lane: u32) {
    let quads = width_quads();
    var sum = vec4<f32>();
    for (var q = 0u; q < quads; q++) {
        sum += vectors[X + q];
    }
    let mean = dot(sum, vec4<f32>(1.0)) / f32(size.width);
    var squares = vec4<f32>();
    for (var q = 0u; q < quads; q++) {
        let centred = vectors[X + q] - mean;
        squares += centred * centred;
    }
    let rstd = inverseSqrt(dot(squares, vec4<f32>(1.0)) / f32(size.width) + EPSILON);
    if (lane < quads) {
        vectors[GIVEN + lane] = (vectors[X + lane] - mean) * rstd * parameters[at + lane] + parameters[at + quads + lane];
    }
    workgroupBarrier();
}

// Quad `lane` of v·W + b, v the `inner` numbers from quad `input` on, W (inner, columns) at quad `at`. A map has no more
// quads of columns than there are invocations; where it has far fewer, up to MOST_PARTS invocations share a quad, each with
// its part of v. More parts would take longer to add up than they save.
fn linear(input: u32, inner: u32, columns: u32, at: u32, lane: u32) -> vec4<f32> {
    let quads = columns / 4u;
    let parts = min(INVOCATIONS / quads, MOST_PARTS);
    let part = lane / quads;
    if (part < parts) {
        var sum = vec4<f32>();
        for (var k = part; k < inner / 4u; k += parts) {
            let w = at + 4u * k * quads + lane % quads;
            let rows = mat4x4<f32>(
                parameters[w],
                parameters[w + quads],
                parameters[w + 2u * quads],
                parameters[w + 3u * quads],
            );
            sum += rows * vectors[input + k];
        }
        partial_sums[lane] = sum;
    }
    workgroupBarrier();
    var sum = vec4<f32>();
    if (lane < quads) {
        sum = parameters[at + inner * quads + lane];
        for (var i = lane; i < parts * quads; i += quads) {
            sum += partial_sums[i];
        }
    }
    return sum;
}

// Attention of the position over all so far, per head: [q|k|v] is what was made, the result what the next map is given.
// The block's keys and values of this sequence begin at quad `rows` of the cache.
fn attend(rows: u32, position: u32, lane: u32) {
    let quads = width_quads();
    let head_quads = quads / size.heads;
    if (lane < 2u * quads) {
        cache[rows + 2u * quads * position + lane] = vectors[MADE + quads + lane];
    }
    storageBarrier(); // a workgroup's barrier for what lies in buffers: all see the key
    let scale = inverseSqrt(f32(size.width / size.heads));
    let seen = position + 1u;
    for (var i = lane; i < size.heads * seen; i += INVOCATIONS) {
        let first = i / seen * head_quads;
        var score = 0.0;
        for (var q = first; q < first + head_quads; q++) {
            score += dot(vectors[MADE + q], cache[rows + 2u * quads * (i % seen) + q]);
        }
        numbers[i] = scale * score;
    }
    workgroupBarrier();
    if (lane < quads) {
        let scores = lane / head_quads * seen;
        var largest = LOWEST;
        for (var s = 0u; s < seen; s++) {
            largest = max(largest, numbers[scores + s]);
        }
        var total = 0.0;
        var values = vec4<f32>();
        for (var s = 0u; s < seen; s++) {
            let weight = exp(numbers[scores + s] - largest);
            total += weight;
            values += weight * cache[rows + 2u * quads * s + quads + lane];
        }
        vectors[GIVEN + lane] = values / total;
    }
    workgroupBarrier();
}

// Takes the position's token through the blocks; the trunk's end, norm(x), becomes what is given. Returns the quad
// behind the last norm.
fn trunk(sequence: u32, position: u32, current: u32, lane: u32) -> u32 {
    let width = size.width;
    let quads = width_quads();
    if (lane < quads) {
        vectors[X + lane] = parameters[current * quads + lane] + parameters[(size.vocabulary + position) * quads + lane];
    }
    workgroupBarrier();
    var at = (size.vocabulary + size.context) * quads;
    for (var layer = 0u; layer < size.layers; layer++) {
        norm(at, lane);
        at += 2u * quads;
        let qkv = linear(GIVEN, width, 3u * width, at, lane);
        if (lane < 3u * quads) {
            vectors[MADE + lane] = qkv;
        }
        at += (width + 1u) * 3u * quads;
        workgroupBarrier();

        attend((layer * size.batch + sequence) * size.length * 2u * quads, position, lane);
        let attended = linear(GIVEN, width, width, at, lane);
        if (lane < quads) {
            vectors[X + lane] += attended;
        }
        at += (width + 1u) * quads;
        workgroupBarrier();

        norm(at, lane);
        at += 2u * quads;
        let pre = linear(GIVEN, width, 4u * width, at, lane);
        if (lane < width) {
            vectors[MADE + lane] = gelu(pre);
        }
        at += (width + 1u) * width;
        workgroupBarrier();

        let out = linear(MADE, 4u * width, width, at, lane);
        if (lane < quads) {
            vectors[X + lane] += out;
        }
        at += (4u * width + 1u) * quads;
        workgroupBarrier();
    }
    norm(at, lane);
    return at + 2u * quads;
}

// The token that the coin draws from softmax(logits/temperature), each invocation speaking for one token: it finds out
// by itself what the sums before and behind its own weight are, in the order of the tokens.
fn draw(unembedding: u32, coin: f32, lane: u32) {
    let quads = width_quads();
    let temperature = settings[size.settings_offset];
    var logit = 0.0;
    if (lane < size.vocabulary) {
        for (var q = 0u; q < quads; q++) {
            logit += dot(vectors[GIVEN + q], parameters[unembedding + lane * quads + q]);
        }
        numbers[lane] = logit;
    }
    workgroupBarrier();
    var largest = numbers[0];
    var likeliest = 0u;
    for (var j = 1u; j < size.vocabulary; j++) {
        if (numbers[j] > largest) {
            largest = numbers[j];
            likeliest = j;
        }
    }
    workgroupBarrier(); // the logits have been read
    if (lane < size.vocabulary) {
        numbers[lane] = exp((logit - largest) / temperature);
    }
    workgroupBarrier();
    var total = 0.0;
    var before = 0.0;
    var last_possible = 0u; // the answer if rounding leaves the sum at or below the coin
    for (var j = 0u; j < size.vocabulary; j++) {
        if (j == lane) {
            before = total;
        }
        total += numbers[j];
        if (numbers[j] > 0.0) {
            last_possible = j;
        }
    }
    let threshold = coin * total;
    let is_beyond = !(threshold < total) && lane == last_possible; // also where nothing is a number
    let is_drawn = lane < size.vocabulary && before <= threshold && before + numbers[lane] > threshold;
    if (select(is_drawn || is_beyond, lane == likeliest, temperature <= 0.0)) {
        token = lane;
    }
}

@compute @workgroup_size(256)
fn generate(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let sequence = group.x;
    let first = sequence * size.length;
    let prompt_length = prompt_lengths[sequence];
    if (lane == 0u) {
        token = tokens[first];
    }
    for (var position = 0u; position + 1u < size.length; position++) {
        let current = workgroupUniformLoad(&token);
        if (position >= prompt_length && (current == size.end || current == size.padding)) {
            for (var t = position + 1u + lane; t < size.length; t += INVOCATIONS) {
                tokens[first + t] = size.padding;
            }
            break;
        }
        let behind = trunk(sequence, position, current, lane);
        if (position + 1u >= prompt_length) {
            let coin = coins[size.coins_offset + first + position];
            draw(select(0u, behind, size.own_unembedding == 1u), coin, lane);
            workgroupBarrier(); // all know the token
            if (lane == 0u) {
                tokens[first + position + 1u] = token;
            }
        } else if (lane == 0u) {
            token = tokens[first + position + 1u];
        }
    }
}
