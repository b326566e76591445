// The reward model's loss (Rafailov et al. 2023, equation 2; Ouyang et al. 2022, equation 1):
//
//   loss = −log σ(r(y_w) − r(y_l))
//
// One invocation per pair. scores: the chosen completions' (pairs), then the rejected ones'. Writes dscores, the
// gradient of the mean loss, and statistics of (4, pairs): losses, chosen scores, rejected scores, accuracies.

struct BradleyTerrySize {
    pairs: u32,
}

@group(0) @binding(0) var<uniform> size: BradleyTerrySize;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read_write> dscores: array<f32>;
@group(0) @binding(3) var<storage, read_write> statistics: array<f32>;

@compute @workgroup_size(64)
fn bradley_terry(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let pair = item(id, groups);
    if (pair >= size.pairs) {
        return;
    }
    let chosen = scores[pair];
    let rejected = scores[size.pairs + pair];
    let mistaken = sigmoid(rejected - chosen) / f32(size.pairs);
    dscores[pair] = -mistaken;
    dscores[size.pairs + pair] = mistaken;

    statistics[pair] = -log_sigmoid(chosen - rejected);
    statistics[size.pairs + pair] = chosen;
    statistics[2u * size.pairs + pair] = rejected;
    statistics[3u * size.pairs + pair] = in_order(chosen - rejected, abs(chosen) + abs(rejected));
}
