// Linear maps of `rows` vectors: W of (inner, columns) at weights_offset, row-major, its bias right behind.
//
//   matmul_forward               out = x·W + b                     x (rows, inner), out (rows, columns)
//   matmul_gelu_forward          pre = x·W + b, out = gelu(pre)    pre, out (rows, columns)
//   matmul_residual_forward      out = residual + x·W + b          residual (rows, columns)
//   matmul_backward_input        dx = dout·Wᵀ                      dout (rows, columns), dx (rows, inner)
//   matmul_gelu_backward_input   dpre = (dout·Wᵀ)·gelu′(pre)       pre, dpre (rows, inner)
//   matmul_backward_weights      dW += xᵀ·dout, db += Σ_rows dout
//
// All write but the last, which adds. Each invocation computes a tile of 4×4 outputs in registers: eight loads feed
// sixteen multiply-adds. Tiles that stick out repeat the last row or column and do not store it, so that the inner
// loop has no branch. Workgroup memory would save more loads on a large GPU, but its barriers are what a software
// adapter can bear least.

struct MatmulSize {
    rows: u32,
    inner: u32,
    columns: u32,
    bias: u32, // 1 if there is a bias, else 0
    weights_offset: u32,
}

@group(0) @binding(0) var<uniform> size: MatmulSize;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> pre: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read> dout: array<f32>;
@group(0) @binding(7) var<storage, read_write> dx: array<f32>;
@group(0) @binding(8) var<storage, read_write> dpre: array<f32>;
@group(0) @binding(9) var<storage, read_write> dweights: array<f32>;

// Four neighbouring indices from `first`, none beyond `count`.
fn four(first: u32, count: u32) -> vec4<u32> {
    return min(vec4<u32>(first, first + 1u, first + 2u, first + 3u), vec4<u32>(count - 1u));
}

// Row r of the result is row `row + r` of x·W + b, columns `column` to `column + 3`.
fn forward_tile(row: u32, column: u32) -> mat4x4<f32> {
    let c = four(column, size.columns);
    let x_rows = four(row, size.rows) * size.inner;
    let w_columns = c + size.weights_offset;
    var tile = mat4x4<f32>();
    if (size.bias == 1u) {
        let b = w_columns + size.inner * size.columns;
        let bias = vec4<f32>(weights[b.x], weights[b.y], weights[b.z], weights[b.w]);
        tile = mat4x4<f32>(bias, bias, bias, bias);
    }
    for (var k = 0u; k < size.inner; k++) {
        let w = w_columns + k * size.columns;
        let w_k = vec4<f32>(weights[w.x], weights[w.y], weights[w.z], weights[w.w]);
        let i = x_rows + k;
        tile += mat4x4<f32>(x[i.x] * w_k, x[i.y] * w_k, x[i.z] * w_k, x[i.w] * w_k);
    }
    return tile;
}

// Row r of the result is row `row + r` of dout·Wᵀ, columns `input` to `input + 3` of the inner dimension.
fn backward_tile(row: u32, input: u32) -> mat4x4<f32> {
    let dout_rows = four(row, size.rows) * size.columns;
    let w_rows = four(input, size.inner) * size.columns + size.weights_offset;
    var tile = mat4x4<f32>();
    for (var c = 0u; c < size.columns; c++) {
        let w = w_rows + c;
        let w_c = vec4<f32>(weights[w.x], weights[w.y], weights[w.z], weights[w.w]);
        let i = dout_rows + c;
        tile += mat4x4<f32>(dout[i.x] * w_c, dout[i.y] * w_c, dout[i.z] * w_c, dout[i.w] * w_c);
    }
    return tile;
}

@compute @workgroup_size(8, 8)
fn matmul_forward(@builtin(global_invocation_id) id: vec3<u32>) {
    var tile = forward_tile(id.y * 4u, id.x * 4u);
    for (var r = id.y * 4u; r < min(id.y * 4u + 4u, size.rows); r++) {
        for (var c = id.x * 4u; c < min(id.x * 4u + 4u, size.columns); c++) {
            out[r * size.columns + c] = tile[r % 4u][c % 4u];
        }
    }
}

@compute @workgroup_size(8, 8)
fn matmul_gelu_forward(@builtin(global_invocation_id) id: vec3<u32>) {
    var tile = forward_tile(id.y * 4u, id.x * 4u);
    for (var r = id.y * 4u; r < min(id.y * 4u + 4u, size.rows); r++) {
        for (var c = id.x * 4u; c < min(id.x * 4u + 4u, size.columns); c++) {
            let value = tile[r % 4u][c % 4u];
            pre[r * size.columns + c] = value;
            out[r * size.columns + c] = gelu(value);
        }
    }
}

@compute @workgroup_size(8, 8)
fn matmul_residual_forward(@builtin(global_invocation_id) id: vec3<u32>) {
    var tile = forward_tile(id.y * 4u, id.x * 4u);
    for (var r = id.y * 4u; r < min(id.y * 4u + 4u, size.rows); r++) {
        for (var c = id.x * 4u; c < min(id.x * 4u + 4u, size.columns); c++) {
            let i = r * size.columns + c;
            out[i] = residual[i] + tile[r % 4u][c % 4u];
        }
    }
}

@compute @workgroup_size(8, 8)
fn matmul_backward_input(@builtin(global_invocation_id) id: vec3<u32>) {
    var tile = backward_tile(id.y * 4u, id.x * 4u);
    for (var r = id.y * 4u; r < min(id.y * 4u + 4u, size.rows); r++) {
        for (var c = id.x * 4u; c < min(id.x * 4u + 4u, size.inner); c++) {
            dx[r * size.inner + c] = tile[r % 4u][c % 4u];
        }
    }
}

@compute @workgroup_size(8, 8)
fn matmul_gelu_backward_input(@builtin(global_invocation_id) id: vec3<u32>) {
    var tile = backward_tile(id.y * 4u, id.x * 4u);
    for (var r = id.y * 4u; r < min(id.y * 4u + 4u, size.rows); r++) {
        for (var c = id.x * 4u; c < min(id.x * 4u + 4u, size.inner); c++) {
            let i = r * size.inner + c;
            dpre[i] = tile[r % 4u][c % 4u] * gelu_derivative(pre[i]);
        }
    }
}

// The bias is one more row of W, multiplied by an input that is always 1.
@compute @workgroup_size(8, 8)
fn matmul_backward_weights(@builtin(global_invocation_id) id: vec3<u32>) {
    let inputs = vec4<u32>(id.y * 4u, id.y * 4u + 1u, id.y * 4u + 2u, id.y * 4u + 3u);
    let x_columns = min(inputs, vec4<u32>(size.inner - 1u));
    let is_bias = inputs == vec4<u32>(size.inner);
    let dout_columns = four(id.x * 4u, size.columns);
    var tile = mat4x4<f32>();
    for (var row = 0u; row < size.rows; row++) {
        let i = x_columns + row * size.inner;
        let x_row = select(vec4<f32>(x[i.x], x[i.y], x[i.z], x[i.w]), vec4<f32>(1.0), is_bias);
        let j = dout_columns + row * size.columns;
        let dout_row = vec4<f32>(dout[j.x], dout[j.y], dout[j.z], dout[j.w]);
        tile += mat4x4<f32>(x_row.x * dout_row, x_row.y * dout_row, x_row.z * dout_row, x_row.w * dout_row);
    }
    for (var r = id.y * 4u; r < min(id.y * 4u + 4u, size.inner + size.bias); r++) {
        for (var c = id.x * 4u; c < min(id.x * 4u + 4u, size.columns); c++) {
            dweights[size.weights_offset + r * size.columns + c] += tile[r % 4u][c % 4u];
        }
    }
}
