// What follows the gradients: their norm, one line of metrics, and AdamW (Loshchilov and Hutter 2019).
//
//   squared_norm     writes partials (64), whose sum is the squared L2 norm of the first `len` values: each the
//                    squares of one stretch, by one workgroup
//   record_metrics   writes metrics[slot·(columns + 1)..]: the sums of `columns` statistics of `items` numbers, then
//                    the gradients' L2 norm; settings: slot; one workgroup
//   adamw            one update in place; settings: learning rate, 1 − β₁ᵗ, 1 − β₂ᵗ. Gradients longer than max_norm are
//                    scaled down to it (Pascanu et al. 2013), and zeroed; if the norm is not finite, they are only zeroed.

struct NormSize {
    len: u32,
}

struct MetricsSize {
    items: u32,
    columns: u32,
    partials: u32,
    settings_offset: u32,
}

struct AdamwSize {
    len: u32,
    partials: u32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    weight_decay: f32,
    max_norm: f32, // the largest f32 where the host says infinity, which WGSL does not know
    settings_offset: u32,
}

@group(0) @binding(0) var<uniform> norm_size: NormSize;
@group(0) @binding(0) var<uniform> metrics_size: MetricsSize;
@group(0) @binding(0) var<uniform> adamw_size: AdamwSize;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
@group(0) @binding(3) var<storage, read> statistics: array<f32>;
@group(0) @binding(4) var<storage, read> settings: array<f32>;
@group(0) @binding(5) var<storage, read_write> metrics: array<f32>;
@group(0) @binding(6) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(7) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(8) var<storage, read_write> first_moments: array<f32>;
@group(0) @binding(9) var<storage, read_write> second_moments: array<f32>;

@compute @workgroup_size(64)
fn squared_norm(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let stretch = (norm_size.len + groups.x - 1u) / groups.x;
    let first = group.x * stretch;
    var sum = 0.0;
    for (var i = first + lane; i < min(first + stretch, norm_size.len); i += 64u) {
        sum += values[i] * values[i];
    }
    sum = workgroup_sum(sum, lane);
    if (lane == 0u) {
        partials[group.x] = sum;
    }
}

@compute @workgroup_size(64)
fn record_metrics(@builtin(local_invocation_index) lane: u32) {
    let line = u32(settings[metrics_size.settings_offset]) * (metrics_size.columns + 1u);
    for (var column = 0u; column < metrics_size.columns; column++) {
        var sum = 0.0;
        for (var i = lane; i < metrics_size.items; i += 64u) {
            sum += statistics[column * metrics_size.items + i];
        }
        sum = workgroup_sum(sum, lane);
        if (lane == 0u) {
            metrics[line + column] = sum;
        }
    }
    if (lane == 0u) {
        metrics[line + metrics_size.columns] = sqrt(sum_of_partials(metrics_size.partials));
    }
}

fn sum_of_partials(count: u32) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < count; i++) {
        sum += partials[i];
    }
    return sum;
}

// By its bits: compilers may assume that a comparison never meets infinity or NaN.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

// Eight parameters per invocation, 64 apart, so that the norm is summed up once for all eight.
@compute @workgroup_size(64)
fn adamw(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let squared = sum_of_partials(adamw_size.partials);
    let norm = sqrt(squared);
    var scale = 1.0;
    if (norm > adamw_size.max_norm) {
        scale = adamw_size.max_norm / norm;
    }
    let learning_rate = settings[adamw_size.settings_offset];
    let correction1 = settings[adamw_size.settings_offset + 1u];
    let correction2 = settings[adamw_size.settings_offset + 2u];
    let first = group.x * 512u + lane;
    for (var i = first; i < min(first + 512u, adamw_size.len); i += 64u) {
        if (!is_finite(squared)) {
            gradients[i] = 0.0;
            continue;
        }
        let gradient = gradients[i] * scale;
        let m = adamw_size.beta1 * first_moments[i] + (1.0 - adamw_size.beta1) * gradient;
        let v = adamw_size.beta2 * second_moments[i] + (1.0 - adamw_size.beta2) * gradient * gradient;
        let update = (m / correction1) / (sqrt(v / correction2) + adamw_size.epsilon);
        parameters[i] -= learning_rate * (update + adamw_size.weight_decay * parameters[i]);
        first_moments[i] = m;
        second_moments[i] = v;
        gradients[i] = 0.0;
    }
}
