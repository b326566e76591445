// Layer normalisation (Ba et al. 2016) of `rows` vectors of `width`; gain (width), then bias (width) at weights_offset.
//
//   layer_norm_forward            writes out = x̂·gain + bias with x̂ = (x − mean)·rstd, and moments (rows, 2): mean, rstd
//   layer_norm_backward           dx (+)= rstd·(g − mean(g) − x̂·mean(g·x̂)) with g = dout·gain; adds if `accumulate`
//   layer_norm_backward_weights   dgain += Σ_rows dout·x̂, dbias += Σ_rows dout
//
// rstd = 1/√(variance + ε). One invocation per row: rows are short and many. The gradient of the weights has one
// workgroup per column instead, whose invocations share the rows.

struct NormSize {
    rows: u32,
    width: u32,
    accumulate: u32, // 1 if the backward pass adds to dx, 0 if it writes
    weights_offset: u32,
}

@group(0) @binding(0) var<uniform> size: NormSize;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> moments: array<f32>;
@group(0) @binding(5) var<storage, read> dout: array<f32>;
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;
@group(0) @binding(7) var<storage, read_write> dweights: array<f32>;

const EPSILON = 1e-5;

@compute @workgroup_size(64)
fn layer_norm_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = item(id, groups);
    if (row >= size.rows) {
        return;
    }
    let first = row * size.width;
    var sum = 0.0;
    for (var c = 0u; c < size.width; c++) {
        sum += x[first + c];
    }
    let mean = sum / f32(size.width);
    var squares = 0.0;
    for (var c = 0u; c < size.width; c++) {
        let centred = x[first + c] - mean;
        squares += centred * centred;
    }
    let rstd = inverseSqrt(squares / f32(size.width) + EPSILON);
    for (var c = 0u; c < size.width; c++) {
        let gain = weights[size.weights_offset + c];
        let bias = weights[size.weights_offset + size.width + c];
        out[first + c] = (x[first + c] - mean) * rstd * gain + bias;
    }
    moments[2u * row] = mean;
    moments[2u * row + 1u] = rstd;
}

@compute @workgroup_size(64)
fn layer_norm_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = item(id, groups);
    if (row >= size.rows) {
        return;
    }
    let first = row * size.width;
    let mean = moments[2u * row];
    let rstd = moments[2u * row + 1u];
    var sum_g = 0.0;
    var sum_g_x_hat = 0.0;
    for (var c = 0u; c < size.width; c++) {
        let g = dout[first + c] * weights[size.weights_offset + c];
        sum_g += g;
        sum_g_x_hat += g * (x[first + c] - mean) * rstd;
    }
    let mean_g = sum_g / f32(size.width);
    let mean_g_x_hat = sum_g_x_hat / f32(size.width);
    for (var c = 0u; c < size.width; c++) {
        let g = dout[first + c] * weights[size.weights_offset + c];
        let x_hat = (x[first + c] - mean) * rstd;
        let before = select(0.0, dx[first + c], size.accumulate == 1u);
        dx[first + c] = before + rstd * (g - mean_g - x_hat * mean_g_x_hat);
    }
}

@compute @workgroup_size(64)
fn layer_norm_backward_weights(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let column = group.x;
    var dgain = 0.0;
    var dbias = 0.0;
    for (var row = lane; row < size.rows; row += 64u) {
        let i = row * size.width + column;
        dgain += dout[i] * (x[i] - moments[2u * row]) * moments[2u * row + 1u];
        dbias += dout[i];
    }
    dgain = workgroup_sum(dgain, lane);
    dbias = workgroup_sum(dbias, lane);
    if (lane == 0u) {
        dweights[size.weights_offset + column] += dgain;
        dweights[size.weights_offset + size.width + column] += dbias;
    }
}
