// Unlikelihood as in Rafailov et al. (2023), section 6: loss = −log π(y_w) + α·log π(y_l), averaged over the pairs.
//
// One invocation per pair. sequence_logprobs: the chosen completions' (pairs), then the rejected ones'.
// Writes dsequence_logprobs, the gradient of the mean loss, and statistics of (4, pairs): losses, accuracies, chosen
// logprobs, rejected logprobs.

struct UnlikelihoodSize {
    pairs: u32,
    alpha: f32,
}

@group(0) @binding(0) var<uniform> size: UnlikelihoodSize;
@group(0) @binding(1) var<storage, read> sequence_logprobs: array<f32>;
@group(0) @binding(2) var<storage, read_write> dsequence_logprobs: array<f32>;
@group(0) @binding(3) var<storage, read_write> statistics: array<f32>;

@compute @workgroup_size(64)
fn unlikelihood(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let pair = item(id, groups);
    if (pair >= size.pairs) {
        return;
    }
    let chosen = sequence_logprobs[pair];
    let rejected = sequence_logprobs[size.pairs + pair];
    dsequence_logprobs[pair] = -1.0 / f32(size.pairs);
    dsequence_logprobs[size.pairs + pair] = size.alpha / f32(size.pairs);

    statistics[pair] = size.alpha * rejected - chosen;
    statistics[size.pairs + pair] = in_order(chosen - rejected, abs(chosen) + abs(rejected));
    statistics[2u * size.pairs + pair] = chosen;
    statistics[3u * size.pairs + pair] = rejected;
}
