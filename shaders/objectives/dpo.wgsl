// Direct preference optimisation (Rafailov et al. 2023, equation 7), with label smoothing ε (Mitchell 2023):
//
//   r̂(y) = β·(log π(y) − log π_ref(y)), s = r̂(y_w) − r̂(y_l)
//   loss = (1 − ε)·f(s) + ε·f(−s)
//
// with f by the number `loss`: 0 DPO, −log σ(s); 1 hinge (SLiC, Zhao et al. 2023), max(0, 1 − s); 2 IPO (Azar et al.
// 2023, equation 17), (s/β − 1/(2β))².
//
// One invocation per pair. sequence_logprobs and references: the chosen completions' (pairs), then the rejected ones'.
// Writes dsequence_logprobs, the gradient of the mean loss, and statistics of (6, pairs): losses, chosen rewards,
// rejected rewards (β times the log-ratio), accuracies, chosen logprobs, rejected logprobs.

struct DpoSize {
    pairs: u32,
    loss: u32,
    references_offset: u32,
    beta: f32,
    label_smoothing: f32,
}

@group(0) @binding(0) var<uniform> size: DpoSize;
@group(0) @binding(1) var<storage, read> sequence_logprobs: array<f32>;
@group(0) @binding(2) var<storage, read> references: array<f32>;
@group(0) @binding(3) var<storage, read_write> dsequence_logprobs: array<f32>;
@group(0) @binding(4) var<storage, read_write> statistics: array<f32>;

// Both exponentiate −|x| only, which cannot overflow.
fn log_sigmoid(x: f32) -> f32 {
    return min(x, 0.0) - log(1.0 + exp(-abs(x)));
}

fn sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

// f(s) and −f′(s).
fn term(beta: f32, margin: f32) -> vec2<f32> {
    if (size.loss == 1u) {
        let gap = 1.0 - margin;
        return select(vec2(gap, 1.0), vec2(0.0, 0.0), gap <= 0.0);
    }
    if (size.loss == 2u) {
        let gap = (0.5 - margin) / beta;
        return vec2(gap * gap, 2.0 * gap / beta);
    }
    return vec2(-log_sigmoid(margin), sigmoid(-margin));
}

@compute @workgroup_size(64)
fn dpo(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let pair = item(id, groups);
    if (pair >= size.pairs) {
        return;
    }
    let beta = size.beta;
    let chosen = sequence_logprobs[pair];
    let rejected = sequence_logprobs[size.pairs + pair];
    let chosen_reward = beta * (chosen - references[size.references_offset + pair]);
    let rejected_reward = beta * (rejected - references[size.references_offset + size.pairs + pair]);
    let margin = chosen_reward - rejected_reward;

    let right = (1.0 - size.label_smoothing) * term(beta, margin);
    let wrong = size.label_smoothing * term(beta, -margin);
    let dchosen = -beta * (right.y - wrong.y) / f32(size.pairs);
    dsequence_logprobs[pair] = dchosen;
    dsequence_logprobs[size.pairs + pair] = -dchosen;

    statistics[pair] = right.x + wrong.x;
    statistics[size.pairs + pair] = chosen_reward;
    statistics[2u * size.pairs + pair] = rejected_reward;
    let chosen_size = abs(chosen) + abs(references[size.references_offset + pair]);
    let rejected_size = abs(rejected) + abs(references[size.references_offset + size.pairs + pair]);
    statistics[3u * size.pairs + pair] = in_order(margin, beta * (chosen_size + rejected_size));
    statistics[4u * size.pairs + pair] = chosen;
    statistics[5u * size.pairs + pair] = rejected;
}
