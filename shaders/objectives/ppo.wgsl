// Proximal policy optimisation (Schulman et al. 2017, equations 7 and 9; Ziegler et al. 2019), one invocation a token.
//
//   ppo_policy   −Â·ρ against −Â·clip(ρ, 1 ± clip range), the greater; ρ = exp(logprob − old logprob); entropy bonus
//   ppo_value    ½·(V − R)² against ½·(V_clip − R)², the greater; V_clip within the value clip range of the old value
//
// Where the clipped side is the greater, the gradient is 0. weights (rows) is the completion mask divided by the number
// of tokens it keeps: what weighs nothing is never read. The rows may be a part of a batch: they begin at `first` in
// values, dvalues and each column of numbers (3) and dnumbers (2), and the columns are `stride` apart.
// rollout: old logprobs (rows), advantages (rows); for ppo_value: old values (rows), returns (rows).
// clip_range: of the ratio, or of the value; coefficient: the weight of the entropy bonus, or of the value loss.
// statistics of ppo_policy, (7, rows): policy loss, k1, k2, k3 of KL(π_old‖π), clipped, ratio, entropy; of ppo_value,
// (2, rows): value loss, clipped; all times the token's weight.

struct PpoSize {
    rows: u32,
    first: u32,
    stride: u32,
    weights_offset: u32,
    rollout_offset: u32,
    statistics_offset: u32,
    clip_range: f32,
    coefficient: f32,
}

@group(0) @binding(0) var<uniform> size: PpoSize;
@group(0) @binding(1) var<storage, read> numbers: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> rollout: array<f32>;
@group(0) @binding(4) var<storage, read_write> dnumbers: array<f32>;
@group(0) @binding(5) var<storage, read_write> statistics: array<f32>;
@group(0) @binding(6) var<storage, read> values: array<f32>;
@group(0) @binding(7) var<storage, read_write> dvalues: array<f32>;

// exp(x) − 1 without losing what is left of a small x.
fn exp_m1(x: f32) -> f32 {
    if (abs(x) < 0.05) {
        return x * (1.0 + x * (1.0 / 2.0 + x * (1.0 / 6.0 + x * (1.0 / 24.0 + x * (1.0 / 120.0)))));
    }
    return exp(x) - 1.0;
}

@compute @workgroup_size(64)
fn ppo_policy(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = item(id, groups);
    if (row >= size.rows) {
        return;
    }
    let weight = weights[size.weights_offset + row];
    var dlogprob = 0.0;
    var dentropy = 0.0;
    var columns = array<f32, 7>();
    if (weight != 0.0) {
        let entropy = numbers[size.stride + size.first + row];
        let advantage = rollout[size.rollout_offset + size.rows + row];
        let log_ratio = numbers[size.first + row] - rollout[size.rollout_offset + row];
        let ratio = exp(log_ratio);
        let free = -advantage * ratio;
        let clipped = -advantage * clamp(ratio, 1.0 - size.clip_range, 1.0 + size.clip_range);
        dlogprob = weight * select(free, 0.0, clipped > free);
        dentropy = -weight * size.coefficient;

        let beyond = exp_m1(log_ratio);
        let is_clipped = select(0.0, 1.0, abs(beyond) > size.clip_range);
        columns = array<f32, 7>(
            max(free, clipped), -log_ratio, 0.5 * log_ratio * log_ratio, beyond - log_ratio, is_clipped, ratio, entropy,
        );
    }
    dnumbers[size.first + row] = dlogprob;
    dnumbers[size.stride + size.first + row] = dentropy;
    for (var column = 0u; column < 7u; column++) {
        statistics[size.statistics_offset + column * size.rows + row] = weight * columns[column];
    }
}

@compute @workgroup_size(64)
fn ppo_value(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = item(id, groups);
    if (row >= size.rows) {
        return;
    }
    let weight = weights[size.weights_offset + row];
    var dvalue = 0.0;
    var loss = 0.0;
    var is_clipped = 0.0;
    if (weight != 0.0) {
        let value = values[size.first + row];
        let old_value = rollout[size.rollout_offset + row];
        let target_value = rollout[size.rollout_offset + size.rows + row];
        let free = value - target_value;
        let clipped = clamp(value, old_value - size.clip_range, old_value + size.clip_range) - target_value;
        if (clipped * clipped > free * free) {
            loss = 0.5 * clipped * clipped;
            is_clipped = 1.0;
        } else {
            loss = 0.5 * free * free;
            dvalue = weight * size.coefficient * free;
        }
    }
    dvalues[size.first + row] = dvalue;
    statistics[size.statistics_offset + row] = weight * loss;
    statistics[size.statistics_offset + size.rows + row] = weight * is_clipped;
}
