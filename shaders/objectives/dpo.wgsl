// Direct preference optimisation (Rafailov et al. 2023, equation 7), with label smoothing ε (Mitchell 2023):
//
//   s = (log π(y_w) − log π_ref(y_w)) − (log π(y_l) − log π_ref(y_l))
//   loss = −(1 − ε)·log σ(β·s) − ε·log σ(−β·s)
//
// One invocation per pair. sequence_logprobs and references: the chosen completions' (pairs), then the rejected ones'.
// settings: β, ε. Writes dsequence_logprobs, the gradient of the mean loss, and statistics of (6, pairs): losses,
// chosen rewards, rejected rewards (β times the log-ratio), accuracies, chosen logprobs, rejected logprobs.

struct DpoSize {
    pairs: u32,
    references_offset: u32,
    settings_offset: u32,
}

@group(0) @binding(0) var<uniform> size: DpoSize;
@group(0) @binding(1) var<storage, read> sequence_logprobs: array<f32>;
@group(0) @binding(2) var<storage, read> references: array<f32>;
@group(0) @binding(3) var<storage, read> settings: array<f32>;
@group(0) @binding(4) var<storage, read_write> dsequence_logprobs: array<f32>;
@group(0) @binding(5) var<storage, read_write> statistics: array<f32>;

// Both exponentiate −|x| only, which cannot overflow.
fn log_sigmoid(x: f32) -> f32 {
    return min(x, 0.0) - log(1.0 + exp(-abs(x)));
}

fn sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

@compute @workgroup_size(64)
fn dpo(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let pair = item(id, groups);
    if (pair >= size.pairs) {
        return;
    }
    let beta = settings[size.settings_offset];
    let smoothing = settings[size.settings_offset + 1u];
    let chosen = sequence_logprobs[pair];
    let rejected = sequence_logprobs[size.pairs + pair];
    let chosen_reward = beta * (chosen - references[size.references_offset + pair]);
    let rejected_reward = beta * (rejected - references[size.references_offset + size.pairs + pair]);
    let margin = chosen_reward - rejected_reward;

    let loss = -(1.0 - smoothing) * log_sigmoid(margin) - smoothing * log_sigmoid(-margin);
    let dchosen = beta * (smoothing * sigmoid(margin) - (1.0 - smoothing) * sigmoid(-margin)) / f32(size.pairs);
    dsequence_logprobs[pair] = dchosen;
    dsequence_logprobs[size.pairs + pair] = -dchosen;

    statistics[pair] = loss;
    statistics[size.pairs + pair] = chosen_reward;
    statistics[2u * size.pairs + pair] = rejected_reward;
    statistics[3u * size.pairs + pair] = select(0.0, 1.0, chosen_reward > rejected_reward);
    statistics[4u * size.pairs + pair] = chosen;
    statistics[5u * size.pairs + pair] = rejected;
}
