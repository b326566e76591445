// Layer normalisation (Ba et al. 2016) of `rows` vectors of `width`; gain (width), then bias (width) at weights_offset.
//
//   layer_norm_forward            writes out = x̂·gain + bias with x̂ = (x − mean)·rstd, and moments (rows, 2): mean, rstd
//   layer_norm_backward           dx (+)= rstd·(g − mean(g) − x̂·mean(g·x̂)) with g = dout·gain; adds if `accumulate`
//   layer_norm_backward_weights   dgain += Σ_rows dout·x̂, dbias += Σ_rows dout
//
// rstd = 1/√(variance + ε). One invocation per row: rows are short and many. It reads them four numbers at a time, so
// that widths and offsets are multiples of four. The gradient of the weights has one workgroup per column instead, whose
// invocations share the rows.

struct NormSize {
    rows: u32,
    width: u32,
    accumulate: u32, // 1 if the backward pass adds to dx, 0 if it writes
    weights_offset: u32,
}

@group(0) @binding(0) var<uniform> size: NormSize;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> moments: array<f32>;
@group(0) @binding(5) var<storage, read> dout: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> dx: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> dweights: array<f32>;

const EPSILON = 1e-5;

fn sum_of(values: vec4<f32>) -> f32 {
    return dot(values, vec4<f32>(1.0));
}

@compute @workgroup_size(64)
fn layer_norm_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = item(id, groups);
    if (row >= size.rows) {
        return;
    }
    let quads = size.width / 4u;
    let first = row * quads;
    let gain = size.weights_offset / 4u;
    var sum = vec4<f32>();
    for (var q = 0u; q < quads; q++) {
        sum += x[first + q];
    }
    let mean = sum_of(sum) / f32(size.width);
    var squares = vec4<f32>();
    for (var q = 0u; q < quads; q++) {
        let centred = x[first + q] - mean;
        squares += centred * centred;
    }
    let rstd = inverseSqrt(sum_of(squares) / f32(size.width) + EPSILON);
    for (var q = 0u; q < quads; q++) {
        out[first + q] = (x[first + q] - mean) * rstd * weights[gain + q] + weights[gain + quads + q];
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
    let quads = size.width / 4u;
    let first = row * quads;
    let gain = size.weights_offset / 4u;
    let mean = moments[2u * row];
    let rstd = moments[2u * row + 1u];
    var sum_g = vec4<f32>();
    var sum_g_x_hat = vec4<f32>();
    for (var q = 0u; q < quads; q++) {
        let g = dout[first + q] * weights[gain + q];
        sum_g += g;
        sum_g_x_hat += g * (x[first + q] - mean) * rstd;
    }
    let mean_g = sum_of(sum_g) / f32(size.width);
    let mean_g_x_hat = sum_of(sum_g_x_hat) / f32(size.width);
    for (var q = 0u; q < quads; q++) {
        let g = dout[first + q] * weights[gain + q];
        let x_hat = (x[first + q] - mean) * rstd;
        var change = rstd * (g - mean_g - x_hat * mean_g_x_hat);
        if (size.accumulate == 1u) {
            change += dx[first + q];
        }
        dx[first + q] = change;
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
        let dout_i = dout[i / 4u][i % 4u];
        dgain += dout_i * (x[i / 4u][i % 4u] - moments[2u * row]) * moments[2u * row + 1u];
        dbias += dout_i;
    }
    dgain = workgroup_sum(dgain, lane);
    dbias = workgroup_sum(dbias, lane);
    if (lane == 0u) {
        dweights[size.weights_offset + column] += dgain;
        dweights[size.weights_offset + size.width + column] += dbias;
    }
}
