// From logits to the numbers an objective reads, and back. p = softmax(logits) of one row of `vocabulary` logits.
//
//   logprobs_forward             writes numbers (3, rows): log p(target) | entropy −Σ p·log p | logsumexp
//   logprobs_backward            logits become their gradient, from dnumbers (2, rows): dlogprobs | dentropies,
//                                dlogit_j = dlogprob·(1[j = target] − p_j) − dentropy·p_j·(log p_j + entropy)
//   kl_forward                   writes kl_per_token (rows): Σ_j p_j·(log p_j − log q_j), policy p, reference q
//   sequence_logprobs_forward    writes sequence_logprobs[b] = Σ_t mask[b,t]·logprobs[b,t]
//   sequence_logprobs_backward   writes dlogprobs[b,t] = mask[b,t]·dsequence_logprobs[b]
//
// One invocation per row, sequence, or (sequences, backward) number; sixteen per row in logprobs_backward, which take
// turns along it. The largest logit is taken off before every exponential.

struct LogitsSize {
    rows: u32,
    vocabulary: u32,
    targets_offset: u32,
}

struct SequenceSize {
    batch: u32,
    length: u32,
    completion_mask_offset: u32,
}

@group(0) @binding(0) var<uniform> size: LogitsSize;
@group(0) @binding(0) var<uniform> sequences: SequenceSize;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> numbers: array<f32>;
@group(0) @binding(4) var<storage, read> dnumbers: array<f32>;
@group(0) @binding(5) var<storage, read> policy_logits: array<f32>;
@group(0) @binding(6) var<storage, read> reference_logits: array<f32>;
@group(0) @binding(7) var<storage, read_write> kl_per_token: array<f32>;
@group(0) @binding(8) var<storage, read> logprobs: array<f32>;
@group(0) @binding(9) var<storage, read> completion_mask: array<f32>;
@group(0) @binding(10) var<storage, read_write> sequence_logprobs: array<f32>;
@group(0) @binding(11) var<storage, read> dsequence_logprobs: array<f32>;
@group(0) @binding(12) var<storage, read_write> dlogprobs: array<f32>;

const LOWEST = -3.4e38;

@compute @workgroup_size(64)
fn logprobs_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = item(id, groups);
    if (row >= size.rows) {
        return;
    }
    let first = row * size.vocabulary;
    var largest = LOWEST;
    for (var j = 0u; j < size.vocabulary; j++) {
        largest = max(largest, logits[first + j]);
    }
    var total = 0.0;
    var expected = 0.0; // Σ exp(z)·z with z = logit − largest
    for (var j = 0u; j < size.vocabulary; j++) {
        let z = logits[first + j] - largest;
        total += exp(z);
        expected += exp(z) * z;
    }
    let log_total = log(total);
    numbers[row] = logits[first + targets[size.targets_offset + row]] - largest - log_total;
    numbers[size.rows + row] = log_total - expected / total;
    numbers[2u * size.rows + row] = largest + log_total;
}

@compute @workgroup_size(64)
fn logprobs_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = item(id, groups);
    let row = i / 16u;
    if (row >= size.rows) {
        return;
    }
    let target_token = targets[size.targets_offset + row];
    let dlogprob = dnumbers[row];
    let dentropy = dnumbers[size.rows + row];
    let entropy = numbers[size.rows + row];
    let logsumexp = numbers[2u * size.rows + row];
    for (var j = i % 16u; j < size.vocabulary; j += 16u) {
        let logprob = logits[row * size.vocabulary + j] - logsumexp;
        let p = exp(logprob);
        let is_target = select(0.0, 1.0, j == target_token);
        logits[row * size.vocabulary + j] = dlogprob * (is_target - p) - dentropy * p * (logprob + entropy);
    }
}

@compute @workgroup_size(64)
fn kl_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = item(id, groups);
    if (row >= size.rows) {
        return;
    }
    let first = row * size.vocabulary;
    var largest = vec2<f32>(LOWEST); // of the policy, of the reference
    for (var j = 0u; j < size.vocabulary; j++) {
        largest = max(largest, vec2<f32>(policy_logits[first + j], reference_logits[first + j]));
    }
    var total = vec2<f32>(0.0);
    for (var j = 0u; j < size.vocabulary; j++) {
        total += exp(vec2<f32>(policy_logits[first + j], reference_logits[first + j]) - largest);
    }
    let logsumexps = largest + log(total);
    var kl = 0.0;
    for (var j = 0u; j < size.vocabulary; j++) {
        let log_pq = vec2<f32>(policy_logits[first + j], reference_logits[first + j]) - logsumexps;
        kl += exp(log_pq.x) * (log_pq.x - log_pq.y);
    }
    kl_per_token[row] = kl;
}

@compute @workgroup_size(64)
fn sequence_logprobs_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let b = item(id, groups);
    if (b >= sequences.batch) {
        return;
    }
    var sum = 0.0;
    for (var i = b * sequences.length; i < (b + 1u) * sequences.length; i++) {
        sum += completion_mask[sequences.completion_mask_offset + i] * logprobs[i];
    }
    sequence_logprobs[b] = sum;
}

@compute @workgroup_size(64)
fn sequence_logprobs_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = item(id, groups);
    if (i >= sequences.batch * sequences.length) {
        return;
    }
    dlogprobs[i] = completion_mask[sequences.completion_mask_offset + i] * dsequence_logprobs[i / sequences.length];
}
