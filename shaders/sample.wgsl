// Draws the token at position + 1 of each sequence, one invocation per sequence: the first token whose cumulative
// probability exceeds the coin, of softmax(logits/temperature). Temperature 0 takes the likeliest, the first of equals.
// Sums run in the order of the tokens, so that the CPU draws the same completions up to rounding.
//
// logits (batch, vocabulary); coins and tokens (batch, length); prompt_lengths (batch); settings: temperature.
// Within the prompt the token stays; behind a completion's end or padding, padding is written.

struct SampleSize {
    batch: u32,
    length: u32,
    position: u32,
    vocabulary: u32,
    end: u32,
    padding: u32,
    coins_offset: u32,
    settings_offset: u32,
    prompt_lengths_offset: u32,
}

@group(0) @binding(0) var<uniform> size: SampleSize;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> coins: array<f32>;
@group(0) @binding(3) var<storage, read> settings: array<f32>;
@group(0) @binding(4) var<storage, read> prompt_lengths: array<u32>;
@group(0) @binding(5) var<storage, read_write> tokens: array<u32>;

fn likeliest(first: u32) -> u32 {
    var best = 0u;
    for (var j = 1u; j < size.vocabulary; j++) {
        if (logits[first + j] > logits[first + best]) {
            best = j;
        }
    }
    return best;
}

fn draw(first: u32, coin: f32, temperature: f32) -> u32 {
    let largest = logits[first + likeliest(first)];
    var total = 0.0;
    for (var j = 0u; j < size.vocabulary; j++) {
        total += exp((logits[first + j] - largest) / temperature);
    }
    var cumulative = 0.0;
    var last_possible = 0u; // the answer if rounding leaves the sum at or below the coin
    for (var j = 0u; j < size.vocabulary; j++) {
        let weight = exp((logits[first + j] - largest) / temperature);
        cumulative += weight;
        if (cumulative > coin * total) {
            return j;
        }
        if (weight > 0.0) {
            last_possible = j;
        }
    }
    return last_possible;
}

@compute @workgroup_size(64)
fn sample(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let b = item(id, groups);
    if (b >= size.batch) {
        return;
    }
    let current = b * size.length + size.position;
    let prompt_length = prompt_lengths[size.prompt_lengths_offset + b];
    if (prompt_length > size.position + 1u) {
        return;
    }
    let is_last = tokens[current] == size.end || tokens[current] == size.padding;
    if (is_last && size.position >= prompt_length) {
        tokens[current + 1u] = size.padding;
        return;
    }
    let first = b * size.vocabulary;
    let temperature = settings[size.settings_offset];
    if (temperature <= 0.0) {
        tokens[current + 1u] = likeliest(first);
    } else {
        tokens[current + 1u] = draw(first, coins[size.coins_offset + current], temperature);
    }
}
